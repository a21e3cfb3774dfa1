"""What evaluations tell of models: confusions, classes, curves of two classes, calibration."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from edgecnn.report import calibration, classes, curves
from edgecnn.report import numbers as n
from edgecnn.report.blocks import Card, Cell, Figure, Grid, Items, Part, Table, Words, text_cell

_SKIPPED: Final = 20  # images named that could not be read

# (name, evaluation); of two, the first is the one that the other is measured against
Named = Sequence[tuple[str, dict[str, Any]]]


def quality_parts(named: Named) -> list[Part]:
    """All that follows the table of metrics."""
    return [*_confusions(named), *_classes(named), *_curves(named), *_calibration(named), *_skipped(named)]


def quality_table(named: Named, title: str) -> Table:
    """One row a model; columns of which nothing was measured are left out."""
    columns = ("Top-1", "Top-5", "Precision", "Recall", "F1", "F1, weighted", "ROC-AUC", "Avg. precision", "ECE")
    rows = [_row(record) for _, record in named]
    kept = [place for place in range(len(columns)) if place == 0 or any(row[place].value is not None for row in rows)]
    heads = [text_cell(name, _counts(record)) for name, record in named]
    table = tuple((head, *(row[place] for place in kept)) for head, row in zip(heads, rows, strict=True))
    return Table(title, ("Model", *(columns[place] for place in kept)), table, look="dense")


def quality_legend(named: Named) -> str:
    """What the small figures of the table are."""
    seeds = [record.get("bootstrap") for _, record in named]
    found = "Precision, recall and F1 are averages over classes. Small figures are 95 % intervals"
    known = next((item for item in seeds if item), None)
    how = f", by bootstrap with {n.noun(known['resamples'], 'resample')} (seed {known['seed']})" if known else ""
    ece = any(record.get("calibration") for _, record in named)
    return f"{found}{how}." + (" ECE is the expected calibration error of the scores." if ece else "")


def interval_text(record: dict[str, Any], metric: str) -> str:
    """ "74.6 to 76.3", in percent; empty where there is none."""
    bounds = (record.get("intervals") or {}).get(metric)
    if metric == "top1":
        bounds = record["top1_ci95"] or bounds
    return f"{100 * bounds[0]:.1f} to {100 * bounds[1]:.1f}" if bounds else ""


def _row(record: dict[str, Any]) -> list[Cell]:
    weighted, error = (record.get("averages") or {}).get("weighted", {}), record.get("calibration") or {}
    top5 = record["top5"] if len(record["labels"]) > 5 else None  # of five classes every answer is among the best five
    shares = [("top1", record["top1"]), ("top5", top5), *((key, record[key]) for key in ("precision", "recall", "f1"))]
    cells = [Cell(value, n.percent(value, 2), interval_text(record, key)) for key, value in shares]
    cells.append(Cell(weighted.get("f1"), n.percent(weighted.get("f1"), 2)))
    for key in ("roc_auc", "average_precision"):
        cells.append(Cell(record.get(key), n.decimal(record.get(key), 4)))
    return [*cells, Cell(error.get("ece"), n.percent(error.get("ece"), 2), interval_text(record, "ece"))]


def _counts(record: dict[str, Any]) -> str:
    """How many images there were, and how many a second."""
    parts = [n.noun(record["samples"], "image")]
    parts += [f"{n.count(record['skipped'])} skipped"] if record["skipped"] else []
    speed = record.get("images_per_second")
    return " · ".join([*parts, *([] if speed is None else [f"{n.significant(speed)} a second"])])


def _pairs(named: Named) -> Iterator[Named]:
    """Two models of the same classes together, every other one alone."""
    if len(named) == 2 and named[0][1]["labels"] == named[1][1]["labels"]:
        yield named
    else:
        yield from ([item] for item in named)


def _confusions(named: Named) -> Iterator[Part]:
    """The matrices of all models with the same classes side by side, on one scale."""
    groups: dict[tuple[str, ...], list[tuple[str, dict[str, Any]]]] = {}
    for name, record in named:
        groups.setdefault(tuple(record["labels"]), []).append((name, record))
    figures = [
        Figure(heat, classes.matrix_table(name, record))
        for group in groups.values()
        for heat, (name, record) in zip(classes.heat_maps(group), group, strict=False)
    ]
    if figures:
        scale = ", on one scale for all matrices" if len(figures) > len(groups) else ""
        lead = (
            f"Rows are true labels, columns predicted ones, in percent of the row. Only mistakes are coloured{scale}."
        )
        yield Part("What is mixed up", (Words(lead), Grid(tuple(figures), look="wide")))


def _classes(named: Named) -> Iterator[Part]:
    found: list[Figure | Table] = []
    for group in _pairs(named):
        before, (name, after) = (group[0] if len(group) == 2 else None), group[-1]
        first, first_name = (before[1], before[0]) if before else (None, "")
        entries = first["per_class"] if first else None
        chart = classes.f1_chart(entries, after["per_class"], name, first_name)
        if chart:
            found.append(Figure(chart, classes.f1_table(entries, after["per_class"], name, first_name)))
        mistakes = classes.confusion_table(first, after, name, first_name)
        found += [mistakes] if mistakes else []
    if found:
        yield Part("Class by class", (Grid(tuple(found), look="wide"),))


def _curves(named: Named) -> Iterator[Part]:
    charts = curves.class_curves(named)
    if charts:
        yield Part("ROC and precision-recall", (Grid(tuple(map(Figure, charts))),))


def _calibration(named: Named) -> Iterator[Part]:
    cards = []
    for name, record in named:
        chart = calibration.reliability(name, record)
        if chart:
            figure = Figure(chart, calibration.table(name, record))
            cards.append(Card("", (figure, Words(calibration.gap_words(record), is_small=True))))
    if cards:
        lead = (
            "Of the images whose score lies in a column, so many are right; a calibrated model's columns end at their "
            "mean score. Below, how many images there are."
        )
        yield Part("Calibration", (Words(lead), Grid(tuple(cards))))


def _skipped(named: Named) -> Iterator[Part]:
    seen: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for name, record in named:
        images = tuple((item["image"], item["reason"]) for item in record.get("skipped_images") or [])
        if images:
            seen.setdefault(images, []).append(name)
    cards = []
    for images, names in seen.items():
        items = [f"{image}: {reason}" for image, reason in images[:_SKIPPED]]
        items += [f"and {len(images) - _SKIPPED} more"] if len(images) > _SKIPPED else []
        cards.append(Card(", ".join(names) if len(named) > 1 and len(seen) > 1 else "", (Items(tuple(items)),)))
    if cards:
        yield Part("Images that could not be read", (Grid(tuple(cards)),))
