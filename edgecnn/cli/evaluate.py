"""`edgecnn evaluate`: accuracy on labelled pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli.options import (
    data_option,
    foreign_options,
    json_option,
    label_names,
    model_argument,
    model_content,
    read_spec,
)
from edgecnn.cli.output import Progress, emit_json, note, paragraph, write_text

if TYPE_CHECKING:
    from edgecnn.measure.score import Scores


@click.command("evaluate")
@model_argument(many=True)
@data_option()
@click.option("--split", type=click.Choice(["train", "val", "test"]), help="Default: test, or val where there is none.")
@click.option("--limit", type=click.IntRange(1), help="At most so many images, balanced over classes.")
@click.option("--csv", "csv_path", type=click.Path(path_type=Path, dir_okay=False), help="Write one row an image.")
@foreign_options
@json_option
def command(
    models: tuple[Path, ...],
    data: str,
    split: str | None,
    limit: int | None,
    csv_path: Path | None,
    labels: Path | None,
    preprocess: str | None,
    allow_unsafe: bool,
    as_json: bool,
) -> None:
    """Measure the accuracy of models on labelled images.

    \b
    Examples:
      edgecnn evaluate model.tflite --data photos/
      edgecnn evaluate model.keras model.tflite --data cifar10.tar.gz --limit 1000
    """
    if csv_path and len(models) > 1:
        raise click.UsageError("--csv takes the predictions of one model")
    from edgecnn.data.dataset import open_dataset
    from edgecnn.errors import DataError
    from edgecnn.files import sha256_path
    from edgecnn.measure.evaluate import labelled_task, summarize
    from edgecnn.measure.match import classifier_for
    from edgecnn.measure.score import score

    spec, names = read_spec(preprocess), label_names(labels)
    records, progress = [], Progress()
    progress.step("open data")
    with open_dataset(data) as dataset:
        if not dataset.labelled:
            raise DataError(f"{dataset.name} has no class folders; accuracy needs labelled images")
        chosen = split or dataset.measured_split()
        for model in models:
            progress.step(f"evaluate {model.name}")
            content = model_content(model, spec, allow_unsafe=allow_unsafe)
            classifier, choice = classifier_for(content, dataset, labels=names, spec=spec, name=str(model))
            task = labelled_task(dataset, classifier.labels, chosen, limit=limit)
            scores = score([classifier], dataset, task.samples, progress=progress.progress)
            rate = len(task.samples) / scores.seconds
            evaluation = summarize(scores, classifier.labels, images_per_second=rate)
            identity = {"schema": "edgecnn.evaluate/1", "model": str(model), "sha256": sha256_path(model)}
            where = {"data": dataset.name, "split": chosen, "preprocess": choice, "notes": list(task.notes)}
            records.append(identity | where | evaluation.to_dict())
            if csv_path:
                write_text(csv_path, _csv(scores, classifier.labels))
    progress.close()
    if as_json:
        emit_json(records)
        return
    for record in records:
        _show(record)


def _show(record: dict[str, Any]) -> None:
    low, high = record["top1_ci95"]
    click.echo(f"{record['model']} on {record['samples']:,} images of {record['data']} ({record['split']})")
    rows = [
        ("top-1", f"{record['top1']:.2%}  (95 %: {low:.2%} to {high:.2%})"),
        ("top-5", f"{record['top5']:.2%}"),
        ("precision", f"{record['precision']:.4f}"),
        ("recall", f"{record['recall']:.4f}"),
        ("F1", f"{record['f1']:.4f}"),
        ("images/s", f"{record['images_per_second']:,.0f}"),
    ]
    for name, value in rows:
        click.echo(f"  {name:<10} {value}")
    weakest = sorted((c for c in record["per_class"] if c["support"]), key=lambda c: c["f1"])[:5]
    paragraph("  weakest classes by F1: " + ", ".join(f"{c['label']} {c['f1']:.2f}" for c in weakest))
    paragraph(f"  preprocessing: {record['preprocess']['detail']}")
    for text in record["notes"]:
        note(f"  note: {text}")
    for skipped in record["skipped_images"]:
        note(f"  skipped {skipped['image']}: {skipped['reason']}")


def _csv(scores: "Scores", labels: tuple[str, ...]) -> str:
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("image", "label", "predicted", "score"))
    for sample, row, best in zip(scores.samples, scores.probabilities[0], scores.predicted(), strict=True):
        label = "" if sample.label is None else labels[sample.label]
        writer.writerow((sample.name, label, labels[best], f"{row[best]:.6f}"))
    return text.getvalue()
