"""Two models on the same pictures."""

from collections.abc import Iterator
from typing import Any, Final

from edgecnn.report import charts, classes, gallery, method
from edgecnn.report import comparison as c
from edgecnn.report import numbers as n
from edgecnn.report.blocks import (
    Beside,
    Cell,
    Facts,
    Figure,
    Grid,
    Part,
    Section,
    Table,
    Tile,
    Verdict,
    Words,
    text_cell,
)

_KEYS: Final = ("float", "quantized")
_DOUBT: Final = 0.05  # p-value above which a difference is put down to chance
_KEPT: Final = 1.0  # points; where a larger loss is ruled out, accuracy is kept
_LARGE: Final = 5.0  # points of loss that are bad without any budget


def comparison(record: dict[str, Any]) -> Section:
    """What a `compare` record says."""
    names = names_of_sides(record)
    split = f" of the {record['split']} split" if record["split"] else ""
    return Section(
        title=f"{n.file_name(record['float']['model'])} against {n.file_name(record['quantized']['model'])}",
        subtitle=f"the same {n.noun(record['samples'], 'image')}{split} of {record['data']} through both",
        verdict=judge_comparison(record),
        tiles=tuple(_tiles(record, names)),
        parts=(
            _side_by_side(record, names),
            *_right_and_wrong(record, names),
            *_flips(record, names),
            *_classes(record, names),
            *_drift(record, names),
            Part("How it was measured", (Facts(tuple(method.comparison_facts(record))),)),
        ),
    )


def names_of_sides(record: dict[str, Any]) -> tuple[str, str]:
    """What the two models are called: the words in which their names differ."""
    first, second = n.tell_apart([record[key]["model"] for key in _KEYS])
    return (first, second) if first != second else ("first", "second")


def judge_comparison(record: dict[str, Any]) -> Verdict:
    """The record's own sentence, and how sure it is."""
    drop, bounds, test = record["drop_pp"], record["drop_ci95"], record["mcnemar"]
    level, headline = "plain", record["verdict"]
    if drop is not None and test and test["p_value"] < _DOUBT:
        level = "good" if drop <= 0 else "bad" if drop > _LARGE else "warn"
    elif bounds and bounds[1] <= _KEPT:
        level = "good"
    if record["max_drop"] is not None and record["within_budget"]:
        level = "good"
    if not record["within_budget"]:
        level, headline = "bad", f"BUDGET MISSED: {headline}"
    return Verdict(level, headline, tuple(_remarks(record)))


def _remarks(record: dict[str, Any]) -> Iterator[str]:
    if record["max_drop"] is not None:
        kept = "kept" if record["within_budget"] else "MISSED"
        yield f"The budget of {n.allowance(record['max_drop'])} is {kept}."
    if record["skipped"]:
        was = "was" if record["skipped"] == 1 else "were"
        yield f"{n.noun(record['skipped'], 'image')} could not be read and {was} left out."


def _tiles(record: dict[str, Any], names: tuple[str, str]) -> Iterator[Tile]:
    yield Tile("Agreement", n.percent(record["agreement"]), ("of labels are", "the same"))
    if record["drop_pp"] is not None:
        bounds = record["drop_ci95"]
        note = f"{n.decimal(-bounds[1])} to {n.decimal(-bounds[0])}" if bounds else ""
        yield Tile("Change of top-1", n.points(-record["drop_pp"]), (note,) if note else ())
    kinds = [item["kind"] for item in record["flips"]]
    if kinds:
        notes = (
            f"{kinds.count('broken')} broken, {kinds.count('fixed')} fixed",
            f"{kinds.count('both wrong')} both wrong",
        )
        yield Tile("Other labels", n.count(len(kinds)), notes if any(kinds) else ())
    if record["mcnemar"]:
        yield Tile(
            "McNemar's test", f"p = {n.p_value(record['mcnemar']['p_value'])}", ("that both are", "equally often right")
        )
    sizes = record["float"]["size_bytes"], record["quantized"]["size_bytes"]
    yield Tile("File size", n.size(sizes[1]), (f"{names[0]} {n.size(sizes[0])}", n.change(*sizes, "smaller", "larger")))


def _side_by_side(record: dict[str, Any], names: tuple[str, str]) -> Part:
    table = _table(record, names)
    dots = [
        (name, record[f"{key}_top1"], record[f"{key}_ci95"], role)
        for key, name, role in zip(_KEYS, names, ("float", "output"), strict=True)
        if record[f"{key}_top1"] is not None
    ]
    if len(dots) < 2:
        return Part(table.title, (table,))
    return Part(table.title, (Beside(table, (Figure(charts.dot_chart("Top-1 accuracy, 95 % interval", dots)),)),))


def _table(record: dict[str, Any], names: tuple[str, str]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    shares = [record[f"{key}_top1"] for key in _KEYS]
    if None not in shares:
        cells = [
            Cell(share, n.percent(share, 2), c.interval_text(record[f"{key}_ci95"]))
            for key, share in zip(_KEYS, shares, strict=True)
        ]
        drop, bounds = record["drop_pp"], record["drop_ci95"]
        note = f"{n.decimal(-bounds[1])} to {n.decimal(-bounds[0])}" if bounds else ""
        is_better = None if not bounds or bounds[0] <= 0 <= bounds[1] else bounds[1] < 0
        change = None if drop is None else -drop
        rows.append((text_cell("Top-1 accuracy"), *cells, Cell(change, n.points(change), note, c.tone(is_better))))
    agreement = record["agreement"]
    rows.append((text_cell("Same label"), text_cell(n.NONE), Cell(agreement, n.percent(agreement, 2)), text_cell("")))
    sizes = record["float"]["size_bytes"], record["quantized"]["size_bytes"]
    factor = n.divide(*sizes)
    tone = "" if not factor or abs(factor - 1) < 0.005 else "better" if factor > 1 else "worse"
    rows.append((text_cell("File size"), *(Cell(size, n.size_exact(size)) for size in sizes),
                 Cell(None, n.change(*sizes, "smaller", "larger"), tone=tone)))  # fmt: skip
    return Table("Side by side", ("Metric", *names, "Change"), tuple(rows))


def _right_and_wrong(record: dict[str, Any], names: tuple[str, str]) -> Iterator[Part]:
    test = record["mcnemar"]
    if not test:
        return
    cells = ((test["both_right"], test["only_float"]), (test["only_quantized"], test["both_wrong"]))
    rows = tuple(
        (text_cell(f"{names[0]} {word}"), *(Cell(number, n.count(number)) for number in row))
        for word, row in zip(("right", "wrong"), cells, strict=True)
    )
    heads = ("", f"{names[1]} right", f"{names[1]} wrong")
    told = "more than chance explains" if test["p_value"] < _DOUBT else "which chance explains"
    first, second = n.noun(test["only_float"], "image"), n.count(test["only_quantized"])
    words = (
        f"Only {names[0]} is right on {first}, only {names[1]} on {second}, {told} (McNemar's test, {test['method']}: "
        f"p = {n.p_value(test['p_value'])})."
    )
    yield Part("Who is right", (Words(words), Grid((Table("Images by who is right", heads, rows),), look="narrow")))


def _flips(record: dict[str, Any], names: tuple[str, str]) -> Iterator[Part]:
    flips = record["flips"]
    shown = gallery.gallery(flips, _KEYS, names)
    if not shown:
        return
    kinds = [item["kind"] for item in flips]
    told = {"broken": f"broken by {names[1]}", "fixed": f"corrected by {names[1]}", "both wrong": "wrong both times"}
    counts = [f"{kinds.count(kind)} {words}" for kind, words in told.items() if kind in kinds]
    some = f" Shown are {len(shown.shots)}." if len(shown.shots) < len(flips) else ""
    kept = f": {', '.join(counts)}" if counts else ""
    lead = f"{n.noun(len(flips), 'image')} got another label from {names[1]}{kept}.{some}"
    yield Part("Images with another label", (Words(lead), shown))


def _classes(record: dict[str, Any], names: tuple[str, str]) -> Iterator[Part]:
    entries = record["per_class"]
    before, after = ([{"label": item["label"], "support": item["support"], "f1": item[f"{key}_f1"]} for item in entries]
                     for key in _KEYS)  # fmt: skip
    chart = classes.f1_chart(before, after, names[1], names[0])
    if not chart:
        return
    rows = tuple(
        (
            text_cell(item["label"]),
            Cell(item["support"], n.count(item["support"])),
            *(Cell(item[f"{key}_recall"], n.percent(item[f"{key}_recall"])) for key in _KEYS),
            Cell(item["recall_change_pp"], n.points(item["recall_change_pp"], 1)),
            *(Cell(item[f"{key}_f1"], n.percent(item[f"{key}_f1"])) for key in _KEYS),
            Cell(item["flips"], n.count(item["flips"])),
        )
        for item in sorted(entries, key=lambda item: float(item["recall_change_pp"] or 0.0))
    )
    heads = (
        "Class",
        "Images",
        *(f"Recall, {name}" for name in names),
        "Change",
        *(f"F1, {name}" for name in names),
        "Flips",
    )
    title = f"All {n.noun(len(rows), 'class')}" if len(rows) == 1 else f"All {n.count(len(rows))} classes"
    table = Table(f"{title} in figures, the largest loss of recall first", heads, rows, look="dense", folded=True)
    yield Part("Class by class", (Grid((Figure(chart),)), table))


def _drift(record: dict[str, Any], names: tuple[str, str]) -> Iterator[Part]:
    chart = charts.drift_histogram(record["drift"], *names)
    if chart:
        words = f"How far {names[1]} moves the probability of the label that {names[0]} gives: {chart.summary}."
        yield Part("How far scores drift", (Words(words), Grid((Figure(chart),))))
