"""Whether a model is as often right as it says: the reliability diagram, and its gap in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from edgecnn.report import numbers as n
from edgecnn.report.axes import Tick, percent_axis
from edgecnn.report.blocks import Cell, Table

_SAME: Final = 0.005  # share by which what it says and what is right may differ and count as the same


@dataclass(frozen=True)
class Column:
    """Images whose score lies in one bin, as fractions of the axes.

    Attributes:
        accuracy: how many were right; confidence: what the model said on average.
        weight: how many images there are, the fullest bin being 1.
    """

    left: float
    width: float
    accuracy: float
    confidence: float
    weight: float
    hint: str


@dataclass(frozen=True)
class Reliability:
    """Accuracy over confidence; a calibrated model's columns end on the diagonal."""

    title: str
    summary: str
    columns: tuple[Column, ...]
    ticks: tuple[Tick, ...]
    kind: str = "reliability"


def reliability(name: str, record: dict[str, Any]) -> Reliability | None:
    """The diagram of an evaluation, or None where no image was scored or nothing was stored."""
    bins = _filled(record)
    if not bins:
        return None
    most = max(item["count"] for item in bins)
    columns = tuple(
        Column(
            left=item["low"],
            width=max(0.0, min(1.0, item["high"]) - item["low"]),
            accuracy=min(1.0, item["accuracy"]),
            confidence=min(1.0, item["confidence"]),
            weight=item["count"] / most,
            hint=f"says {n.percent(item['confidence'])}, is right on {n.percent(item['accuracy'])} of "
            f"{n.noun(item['count'], 'image')}",
        )
        for item in bins
    )
    return Reliability(f"Reliability of {name}", gap_words(record), columns, percent_axis(0, 1).ticks)


def gap_words(record: dict[str, Any]) -> str:
    """The calibration error in a sentence; empty where nothing was stored."""
    bins = _filled(record)
    if not bins:
        return ""
    total = sum(item["count"] for item in bins)
    said, right = (sum(item["count"] * item[key] for item in bins) / total for key in ("confidence", "accuracy"))
    error = record["calibration"]["ece"]
    which = "too sure" if said > right else "not sure enough"
    if abs(said - right) < _SAME:
        which = "neither too sure nor too unsure"
    bounds = (record.get("intervals") or {}).get("ece")
    span = f", 95{n.SPACE}% interval {100 * bounds[0]:.1f} to {100 * bounds[1]:.1f}" if bounds else ""
    return (
        f"Its scores are off by {n.decimal(100 * error, 1)} points on average (expected calibration error{span}). "
        f"On the whole it is {which}: it says {n.percent(said)} and is right on {n.percent(right)}."
    )


def table(name: str, record: dict[str, Any]) -> Table | None:
    """The bins in figures."""
    rows = tuple(
        (
            Cell(None, f"{n.percent(item['low'], 0)} to {n.percent(item['high'], 0)}"),
            Cell(item["count"], n.count(item["count"])),
            Cell(item["confidence"], n.percent(item["confidence"])),
            Cell(item["accuracy"], n.percent(item["accuracy"])),
        )
        for item in _filled(record)
    )
    heads = ("Score", "Images", "Mean score", "Right")
    return Table(f"Reliability of {name}", heads, rows) if rows else None


def _filled(record: dict[str, Any]) -> Sequence[dict[str, Any]]:
    """The bins with images in them."""
    bins = (record.get("calibration") or {}).get("bins", [])
    return [item for item in bins if item["count"] and None not in (item["confidence"], item["accuracy"])]
