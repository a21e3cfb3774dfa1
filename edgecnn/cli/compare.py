"""`edgecnn compare`: two models on the same images."""

import re
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli.options import data_option, foreign_options, json_option, label_names, model_content, read_spec
from edgecnn.cli.output import (
    Progress,
    change,
    check_report,
    emit_json,
    note,
    paragraph,
    size,
    table,
    write_report,
    write_text,
)

if TYPE_CHECKING:
    from edgecnn.measure.comparison import Comparison

_PATH = click.Path(path_type=Path)
_WIDTH = 16  # of a model's name in a table


@click.command("compare")
@click.argument("first", type=_PATH, metavar="FLOAT")
@click.argument("second", type=_PATH, metavar="QUANTIZED")
@data_option()
@click.option("--split", type=click.Choice(["train", "val", "test"]), help="Default: test, or val where there is none.")
@click.option("--limit", type=click.IntRange(1), help="At most so many images, balanced over classes.")
@click.option("--max-drop", type=click.FloatRange(0, 100), metavar="PP", help="Allowed loss of top-1, in points.")
@click.option(
    "--flips",
    type=click.IntRange(0),
    default=24,
    show_default=True,
    metavar="N",
    help="Keep the pictures of so many images with different labels.",
)
@click.option("--csv", "csv_path", type=click.Path(path_type=Path, dir_okay=False), help="Write one row an image.")
@click.option("--report", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Write a report here.")
@foreign_options
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    first: Path,
    second: Path,
    data: str,
    split: str | None,
    limit: int | None,
    max_drop: float | None,
    flips: int,
    csv_path: Path | None,
    report: Path | None,
    labels: Path | None,
    preprocess: str | None,
    allow_unsafe: bool,
    as_json: bool,
) -> None:
    """Compare two models on the same images: a float model and its quantized form, or any other two.

    Each model prepares the images in its own way, and labels are matched by name. --labels and --preprocess
    are for a model that does not carry its own; where both models do, they replace those of both. Images
    without class folders tell how often the labels agree, and not who is right. Exit code 3: done, but top-1
    fell by more than --max-drop allows; as in convert, the measured fall counts, not its interval.

    \b
    Examples:
      edgecnn compare model.keras model.tflite --data photos/
      edgecnn compare float.tflite int8.tflite --data cifar10.tar.gz --max-drop 1
      edgecnn compare old.tflite new.tflite --data photos/ --report report/
    """
    if report:
        check_report(report)
    from edgecnn.bundle.bundle import open_bundle
    from edgecnn.data.dataset import open_dataset
    from edgecnn.errors import DataError
    from edgecnn.files import sha256_path
    from edgecnn.measure.compare import compare
    from edgecnn.measure.match import classifier_for

    models, names = (first, second), label_names(labels)
    spec, progress = read_spec(preprocess), Progress()
    progress.step("open data")
    with open_dataset(data) as dataset:
        if max_drop is not None and not dataset.labelled:
            raise DataError(f"--max-drop needs labelled images, and {dataset.name} has no class folders")
        progress.step("load models")
        contents = [model_content(model, spec, allow_unsafe=allow_unsafe) for model in models]
        sealed = [open_bundle(content).card is not None for content in contents]
        found = []
        for model, content, known in zip(models, contents, sealed, strict=True):
            given = (None, None) if known and not all(sealed) else (names, spec)
            found.append(classifier_for(content, dataset, labels=given[0], spec=given[1], name=str(model)))
        progress.step("compare")
        comparison = compare(
            found[0][0],
            found[1][0],
            dataset,
            names=_names(first, second),
            split=split,
            limit=limit,
            thumbnails=flips,
            progress=progress.progress,
        )
        progress.close()
    sides = [
        {"model": str(model), "sha256": sha256_path(model), "size_bytes": len(content)}
        for model, content in zip(models, contents, strict=True)
    ]
    drop = comparison.drop_pp
    identity = {"schema": "edgecnn.compare/1", "float": sides[0], "quantized": sides[1], "data": dataset.name}
    within = max_drop is None or drop is None or drop <= max_drop + 1e-9
    budget = {"max_drop": max_drop, "within_budget": within}
    record = identity | comparison.to_dict() | {"preprocess": {"float": found[0][1], "quantized": found[1][1]}} | budget
    if csv_path:
        write_text(csv_path, _csv(comparison))
    if report:
        write_report(record, report, "compare")
    if as_json:
        emit_json(record)
    else:
        _show(record, comparison.names)
    if not within:
        note(f"Budget missed: top-1 fell by {drop:.2f} points, --max-drop allows {max_drop:g}.")
        ctx.exit(3)


def _names(first: Path, second: Path) -> tuple[str, str]:
    """What differs in the file names, as in "float" and "int8"; the whole names or paths where that leaves nothing."""
    parts = [re.split(r"([._\- ]+)", path.name) for path in (first, second)]
    for _ in range(2):  # what they begin with; then, turned round, what they end with
        same = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(*parts, strict=False))))
        parts = [words[same:][::-1] for words in parts]
    names = [re.sub(r"(?<=.)\.(tflite|keras|hdf5|h5)$", "", "".join(words).strip("._- ")) for words in parts]
    if not all(names) or names[0] == names[1]:
        names = [str(path) if first.name == second.name else path.name for path in (first, second)]
    return names[0], names[1]


def _show(record: dict[str, Any], names: tuple[str, str]) -> None:
    sides, samples = (record["float"], record["quantized"]), record["samples"]
    where = f"{samples:,} images of {record['data']} ({record['split']})"
    paragraph(f"{sides[0]['model']} and {sides[1]['model']} on {where}")
    paragraph(f"  {record['verdict']}")
    sizes = [side["size_bytes"] for side in sides]
    rows = [("size", size(sizes[0]), size(sizes[1]), change(sizes[0], sizes[1], "smaller", "larger"))]
    test = record["mcnemar"]
    if test:
        tops, spans = ([record[f"{side}_{key}"] for side in ("float", "quantized")] for key in ("top1", "ci95"))
        rows.append(("top-1", f"{tops[0]:.2%}", f"{tops[1]:.2%}", f"{0 - record['drop_pp']:+.2f} pp"))
        low, high = record["drop_ci95"]
        bounds = [f"{100 * a:.1f} to {100 * b:.1f}" for a, b in spans]
        rows.append(("  95 %", bounds[0], bounds[1], f"{0 - high:+.2f} to {0 - low:+.2f}"))
    table(rows, header=("", *map(_short, names), ""), indent="  ")
    flips = len(record["flips"])
    paragraph(f"  same label: {record['agreement']:.2%} of {samples:,} images")
    if test and flips:
        neither = flips - test["only_float"] - test["only_quantized"]
        alone = [
            f"{test[f'only_{side}']:,} only {name}" for side, name in zip(("float", "quantized"), names, strict=True)
        ]
        paragraph(f"  right where they differ: {alone[0]}, {alone[1]}, {neither:,} neither")
    drift = record["drift"]
    paragraph(
        f"  score of {names[0]}'s class: {drift['mean_abs']:.3f} off on average, "
        f"{drift['p99_abs']:.3f} in the worst 1 %, {drift['max_abs']:.3f} at most"
    )
    _show_classes(record["per_class"], names)
    for name, choice in zip(names, record["preprocess"].values(), strict=True):
        paragraph(f"  preprocessing of {name}: {choice['detail']}")
    for text in record["notes"]:
        note(f"  note: {text}")
    for skipped in record["skipped_images"]:
        note(f"  skipped {skipped['image']}: {skipped['reason']}")


def _show_classes(classes: list[dict[str, Any]], names: tuple[str, str]) -> None:
    """Recall of the five classes with the largest change."""
    changed = sorted((c for c in classes if c["flips"]), key=lambda c: (-abs(c["recall_change_pp"]), -c["flips"]))
    if not changed:
        return
    rows = [
        (
            _short(c["label"], 24),
            f"{c['support']:,}",
            f"{c['float_recall']:.1%}",
            f"{c['quantized_recall']:.1%}",
            f"{c['recall_change_pp']:+.1f} pp",
            f"{c['flips']:,}",
        )
        for c in changed[:5]
    ]
    click.echo(
        f"  recall of the classes that changed most{f', of {len(changed):,} with flips' if changed[5:] else ''}:"
    )
    table(rows, header=("class", "images", *(_short(name, 12) for name in names), "change", "flips"), indent="    ")


def _short(name: str, width: int = _WIDTH) -> str:
    return name if len(name) <= width else f"{name[: width - 8]}…{name[-7:]}"


def _csv(comparison: "Comparison") -> str:
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("image", "label", "float", "float_score", "quantized", "quantized_score"))
    for image, label, first, before, second, after in comparison.rows():
        writer.writerow((image, label or "", first, f"{before:.6f}", second, f"{after:.6f}"))
    return text.getvalue()
