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
from edgecnn.cli.output import Progress, emit_json, note, paragraph, table, write_text

if TYPE_CHECKING:
    from edgecnn.measure.score import Scores


@click.command("evaluate")
@model_argument(many=True)
@data_option()
@click.option("--split", type=click.Choice(["train", "val", "test"]), help="Default: test, or val where there is none.")
@click.option("--limit", type=click.IntRange(1), help="At most so many images, balanced over classes.")
@click.option("--csv", "csv_path", type=click.Path(path_type=Path, dir_okay=False), help="Write a row for every image.")
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
    from edgecnn.data.dataset import open_dataset
    from edgecnn.errors import DataError
    from edgecnn.files import sha256_path
    from edgecnn.measure.evaluate import labelled_task, summarize
    from edgecnn.measure.match import classifier_for
    from edgecnn.measure.score import score

    spec, names = read_spec(preprocess), label_names(labels)
    records, measured, progress = [], [], Progress()
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
                measured.append((str(model), scores, classifier.labels))
    progress.close()
    if csv_path:
        write_text(csv_path, _csv(measured))
    if as_json:
        emit_json(records)
    elif len(records) == 1:
        _show(records[0])
    else:
        _compare(records)


def _show(record: dict[str, Any]) -> None:
    click.echo(f"{record['model']} on {record['samples']:,} images of {record['data']} ({record['split']})")
    spans = {name: f"95 %: {low:.4f} to {high:.4f}" for name, (low, high) in record["intervals"].items()}
    low, high = record["top1_ci95"]
    rows = [("top-1", f"{record['top1']:.2%}  (95 %: {low:.2%} to {high:.2%})")]
    rows += [("top-5", f"{record['top5']:.2%}")] if len(record["labels"]) > 5 else []
    rows += [(name, f"{record[name]:.4f}  ({spans[name]})") for name in ("precision", "recall")]
    weighted = record["averages"]["weighted"]["f1"]
    rows += [("F1", f"{record['f1']:.4f}  ({spans['f1']}; weighted by support {weighted:.4f})")]
    if curves := record["curves"]:
        precision = f"average precision {record['average_precision']:.4f}, for {curves['positive']}"
        rows += [("ROC-AUC", f"{record['roc_auc']:.4f}  ({precision})")]
    rows += [("ECE", f"{record['calibration']['ece']:.4f}  ({spans['ece']})")]
    rows += [("images/s", f"{record['images_per_second']:,.0f}")]
    for name, value in rows:
        paragraph(f"  {name:<10} {value}")
    weakest = sorted((c for c in record["per_class"] if c["support"]), key=lambda c: c["f1"])[:5]
    paragraph("  weakest classes by F1: " + ", ".join(f"{c['label']} {c['f1']:.2f}" for c in weakest))
    paragraph(f"  preprocessing: {record['preprocess']['detail']}")
    _notes([""], [record])


def _compare(records: list[dict[str, Any]]) -> None:
    counts = sorted({record["samples"] for record in records})
    samples = " to ".join(f"{count:,}" for count in dict.fromkeys((counts[0], counts[-1])))
    click.echo(f"{len(records)} models on {samples} images of {records[0]['data']} ({records[0]['split']})")
    curves = all(record["curves"] for record in records)
    header = ("top-1", "95 %", "F1", *(["ROC-AUC"] if curves else []), "ECE", "images/s")
    figures = []
    for record in records:
        low, high = (f"{100 * share:.2f}" for share in record["top1_ci95"])
        values = (record["f1"], *([record["roc_auc"]] if curves else []), record["calibration"]["ece"])
        rate = f"{record['images_per_second']:,.0f}"
        figures.append((f"{record['top1']:.2%}", f"{low} to {high}", *(f"{value:.4f}" for value in values), rate))
    room = 80 - sum(2 + max(map(len, column)) for column in zip(header, *figures, strict=True))
    names = _names([record["model"] for record in records], room)
    table([(name, *row) for name, row in zip(names, figures, strict=True)], header=("model", *header))
    for detail, of in _told(names, [[record["preprocess"]["detail"]] for record in records]):
        paragraph(f"preprocessing{of}: {detail}")
    if len(counts) > 1:
        note("  note: the models were measured on different images")
    _notes(names, records)


def _names(models: list[str], room: int) -> list[str]:
    """What tells the models apart, in so many columns: file names, or paths where those are equal."""
    files = [Path(model).name for model in models]
    names = files if len(set(files)) == len(set(models)) else models
    return [name if len(name) <= room else "…" + name[1 - room :] for name in names]


def _notes(names: list[str], records: list[dict[str, Any]]) -> None:
    for text, of in _told(names, [record["notes"] for record in records]):
        note(f"  note{of}: {text}")
    skipped = [f"{item['image']}: {item['reason']}" for record in records for item in record["skipped_images"]]
    for line in dict.fromkeys(skipped):
        note(f"  skipped {line}")


def _told(names: list[str], texts: list[list[str]]) -> list[tuple[str, str]]:
    """Every distinct text with " of …", the models that it is told of; nothing where that is all of them."""
    of: dict[str, list[str]] = {}
    for name, said in zip(names, texts, strict=True):
        for text in dict.fromkeys(said):
            of.setdefault(text, []).append(name)
    return [(text, "" if len(who) == len(names) else f" of {', '.join(who)}") for text, who in of.items()]


def _csv(measured: list[tuple[str, "Scores", tuple[str, ...]]]) -> str:
    """One row an image, under (model, scores, labels); the model comes first where there are several."""
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    several = len(measured) > 1
    writer.writerow((*(["model"] if several else []), "image", "label", "predicted", "score"))
    for model, scores, labels in measured:
        for sample, row, best in zip(scores.samples, scores.probabilities[0], scores.predicted(), strict=True):
            label = "" if sample.label is None else labels[sample.label]
            cells = (sample.name, label, labels[best], f"{row[best]:.6f}")
            writer.writerow((model, *cells) if several else cells)
    return text.getvalue()
