"""What a model mixes up: confusion matrices, the most frequent mistakes, F1 a class."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.report import numbers as n
from edgecnn.report.axes import Tick, percent_axis
from edgecnn.report.blocks import Cell, Table, text_cell

MATRIX_LIMIT: Final = 40  # classes; above, a heat map's cells are too small to read
_NUMBERED: Final = 12  # classes up to which the cells carry their percentage
_CLASS_ROWS: Final = 20
_LABEL_LENGTH: Final = 13  # characters beside and above a matrix
_VISIBLE: Final = 1.0  # points of F1 from which a change is coloured


@dataclass(frozen=True)
class HeatCell:
    """A cell of a confusion matrix; `strength` in [0, 1] is the colour of a mistake, `text` its percentage."""

    row: int
    column: int
    strength: float
    text: str
    hint: str


@dataclass(frozen=True)
class Heat:
    """A confusion matrix: rows are true labels, columns predicted ones; sizes in pixels."""

    title: str
    summary: str
    labels: tuple[str, ...]
    cells: tuple[HeatCell, ...]
    cell_size: int
    margin: int
    kind: str = "heat"


@dataclass(frozen=True)
class Pair:
    """One class: float's F1 and the output's, as fractions of the axis; None where not defined or not measured."""

    label: str
    before: float | None
    after: float | None
    text: str
    hint: str
    is_better: bool | None


@dataclass(frozen=True)
class PairChart:
    """F1 a class, of one model or of two; `note` says which classes are left out, `names` are those of two models."""

    title: str
    summary: str
    pairs: tuple[Pair, ...]
    ticks: tuple[Tick, ...]
    note: str
    names: tuple[str, ...] = ()
    kind: str = "pairs"


@dataclass(frozen=True)
class Confusion:
    """One kind of mistake: how many of `support` images of a class were called another one."""

    true: str
    predicted: str
    support: int
    before: int | None
    after: int


def heat_maps(evaluations: Sequence[tuple[str, dict[str, Any]]]) -> list[Heat]:
    """Confusion matrices of (name, evaluation) with one colour scale; empty above MATRIX_LIMIT classes.

    Each row is divided by its number of images. Only mistakes are coloured, so that they are not lost beside
    the right answers.
    """
    if not evaluations or not 0 < len(evaluations[0][1]["labels"]) <= MATRIX_LIMIT:
        return []
    shares = [_row_shares(record["confusion"]) for _, record in evaluations]
    worst = max(float((share * (1 - np.eye(len(share)))).max()) for share in shares) or 1.0
    return [_heat(name, record, share, worst) for (name, record), share in zip(evaluations, shares, strict=True)]


def matrix_table(name: str, record: dict[str, Any]) -> Table | None:
    """A confusion matrix in percent of each row; None for more classes than a table can show."""
    labels = record["labels"]
    if not 0 < len(labels) <= _NUMBERED:
        return None
    shares = _row_shares(record["confusion"])
    rows = tuple(
        (text_cell(label), *(Cell(float(share), n.percent(float(share))) for share in row))
        for label, row in zip(labels, shares, strict=True)
    )
    return Table(f"Confusion, {name}", ("True", *labels), rows)


def confusions(before: dict[str, Any] | None, after: dict[str, Any], limit: int = 10) -> list[Confusion]:
    """The most frequent mistakes of a model, with float's number of each where there is one."""
    labels = after["labels"]
    counts = np.array(after["confusion"], np.int64).reshape(len(labels), len(labels))
    mistakes = counts - np.diag(np.diag(counts))
    found = []
    for index in np.argsort(-mistakes, axis=None, kind="stable")[:limit]:
        row, column = divmod(int(index), len(labels))
        if mistakes[row, column] > 0:
            first = before["confusion"][row][column] if before else None
            support = int(counts[row].sum())
            found.append(Confusion(labels[row], labels[column], support, first, int(counts[row, column])))
    return found


def f1_chart(
    before: Sequence[dict[str, Any]] | None, after: Sequence[dict[str, Any]], name: str, first_name: str = "float"
) -> PairChart | None:
    """F1 a class; with many classes only those that changed most, or scored worst. None without classes.
    A class without images has no F1 and is left out.

    Args:
        before: `per_class` of the model called `first_name`, or None for a model alone.
        after: `per_class` of the model called `name`, in the same order.
    """
    entries = [(item, before[index]["f1"] if before else None) for index, item in enumerate(after) if item["support"]]
    if not entries:
        return None
    note = (
        "" if len(entries) == len(after) else f"{n.noun(len(after) - len(entries), 'label')} without images left out."
    )
    if len(entries) > _CLASS_ROWS:
        which = "whose F1 changed most" if before else "with the lowest F1"
        note = f"The {_CLASS_ROWS} of {len(entries)} classes {which}. {note}".rstrip()
        entries = sorted(entries, key=_largest_change if before else _lowest)[:_CLASS_ROWS]
    values = [value for item, first in entries for value in (first, item["f1"]) if value is not None]
    axis = percent_axis(min(values, default=0.0), max(values, default=1.0))

    def place(value: float | None) -> float | None:
        return None if value is None else axis.place(value)

    pairs = []
    for item, first in entries:
        second = item["f1"]
        hint = f"{item['label']}: {name} {n.percent(second)}, {n.noun(item['support'], 'image')}"
        text, gain = n.percent(second), None
        if before:
            gain = None if first is None or second is None else 100 * (second - first)
            text = n.points(gain, 1).partition(n.SPACE)[0]
            hint += f", {first_name} {n.percent(first)}"
        is_better = None if gain is None or abs(gain) < _VISIBLE else gain > 0
        pairs.append(Pair(item["label"], place(first), place(second), text, hint, is_better))
    title = f"F1 a class: {first_name} and {name}" if before else f"F1 a class: {name}"
    names = (first_name, name) if before else ()
    return PairChart(title, "; ".join(pair.hint for pair in pairs), tuple(pairs), axis.ticks, note, names)


def f1_table(
    before: Sequence[dict[str, Any]] | None, after: Sequence[dict[str, Any]], name: str, first_name: str = "float"
) -> Table | None:
    """The figures of `f1_chart`; None without classes, and for more than MATRIX_LIMIT."""
    if not 0 < len(after) <= MATRIX_LIMIT:
        return None
    rows = []
    for index, item in enumerate(after):
        shares = [entry["f1"] if item["support"] else None for entry in ([before[index]] if before else []) + [item]]
        cells = (Cell(share, n.percent(share)) for share in shares)
        rows.append((text_cell(item["label"]), *cells, Cell(item["support"], n.count(item["support"]))))
    heads = ("Class", *((first_name,) if before else ()), name, "Images")
    return Table(f"F1 a class of {name}", heads, tuple(rows))


def confusion_table(
    before: dict[str, Any] | None, after: dict[str, Any], name: str, first_name: str = "float"
) -> Table | None:
    """The most frequent mistakes; None where there are none."""
    rows = []
    for item in confusions(before, after):
        counts = [item.after, item.support] if item.before is None else [item.before, item.after, item.support]
        cells = (Cell(number, n.count(number)) for number in counts)
        rows.append((text_cell(item.true), text_cell(item.predicted), *cells))
    heads = ("True", "Predicted", *((first_name, name) if before else ("count",)), "of")
    return Table(f"Most frequent mistakes of {name}", heads, tuple(rows), texts=2, caption=True) if rows else None


def _heat(name: str, record: dict[str, Any], shares: NDArray[np.float64], worst: float) -> Heat:
    labels, counts = record["labels"], record["confusion"]
    numbered = len(labels) <= _NUMBERED
    cells = []
    for row, true in enumerate(labels):
        support = sum(counts[row])
        for column, predicted in enumerate(labels):
            share = float(shares[row, column])
            if share == 0 and row != column:
                continue
            hint = f"true {true}, predicted {predicted}: {n.count(counts[row][column])} of {n.count(support)}"
            shown = numbered and (share >= 0.005 or (row == column and support > 0))
            text = str(int(100 * share + 0.5)) if shown else ""
            cells.append(HeatCell(row, column, 0.0 if row == column else share / worst, text, hint))
    right, total = sum(row[index] for index, row in enumerate(counts)), sum(map(sum, counts))
    return Heat(
        title=f"Confusion, {name}",
        summary=f"{n.count(right)} of {n.count(total)} images on the diagonal",
        labels=tuple(n.clip(label, _LABEL_LENGTH) for label in labels),
        cells=tuple(cells),
        cell_size=44 if len(labels) <= 5 else 31 if numbered else 20 if len(labels) <= 20 else 13,
        margin=14 + round(6.2 * min(_LABEL_LENGTH, max(map(len, labels)))),
    )


def _row_shares(confusion: list[list[int]]) -> NDArray[np.float64]:
    counts = np.array(confusion, np.float64)
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))


def _largest_change(entry: tuple[dict[str, Any], float | None]) -> float:
    item, first = entry
    return 0.0 if first is None or item["f1"] is None else -abs(item["f1"] - first)


def _lowest(entry: tuple[dict[str, Any], float | None]) -> float:
    f1 = entry[0]["f1"]
    return 2.0 if f1 is None else float(f1)
