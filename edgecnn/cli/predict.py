"""`edgecnn predict`: labels for pictures."""

import time
from pathlib import Path

import click

from edgecnn.cli.options import (
    foreign_options,
    json_option,
    label_names,
    model_argument,
    model_content,
    read_spec,
    threads_option,
)
from edgecnn.cli.output import emit_json, paragraph, table


@click.command("predict")
@model_argument()
@click.argument("images", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="IMAGE...")
@click.option("--top-k", type=click.IntRange(1), default=5, show_default=True, help="Classes to show.")
@foreign_options
@threads_option
@json_option
def command(
    model: Path,
    images: tuple[Path, ...],
    top_k: int,
    labels: Path | None,
    preprocess: str | None,
    allow_unsafe: bool,
    threads: int,
    as_json: bool,
) -> None:
    """Classify pictures.

    A model that was converted with --calibrate-confidence calls pictures unknown on which its best score is too low.

    \b
    Examples:
      edgecnn predict model.tflite cat.jpg
      edgecnn predict other.tflite *.jpg --labels labels.txt --preprocess unit
    """
    from edgecnn.data.images import read_image
    from edgecnn.errors import ImageError
    from edgecnn.runtime.classifier import Classifier

    spec = read_spec(preprocess)
    content = model_content(model, spec, allow_unsafe=allow_unsafe)
    classifier = Classifier(content, labels=label_names(labels), preprocess=spec, threads=threads, name=str(model))
    records, failures = [], []
    for image in images:
        try:
            frame = read_image(image)
        except ImageError as exc:
            failures.append(str(exc))
            continue
        started = time.perf_counter()
        predictions = classifier.classify(frame, top_k=top_k)
        latency_ms = 1e3 * (time.perf_counter() - started)
        unknown = classifier.is_unknown(predictions)
        records.append(
            {
                "schema": "edgecnn.predict/1",
                "image": str(image),
                "predictions": [prediction._asdict() for prediction in predictions],
                "unknown": unknown,
                "latency_ms": round(latency_ms, 4),
            }
        )
        if not as_json:
            click.echo(f"{image}  ({latency_ms:.1f} ms)")
            if unknown:
                best = predictions[0]
                needed = f"{classifier.unknown_below:.2%} is needed to name it"
                paragraph(f"  unknown: the best guess is {best.label} with {best.score:.2%}, {needed}")
            table([(p.label, f"{p.score:7.2%}") for p in predictions], indent="  ")
    if as_json and records:
        emit_json(records)
    if failures:
        rest = f"; {len(failures)} of {len(images)} images could not be read" if len(images) > 1 else ""
        raise click.ClickException(failures[0] + rest)
