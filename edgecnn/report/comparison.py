"""Float against compressed: the numbers of one conversion, side by side."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from edgecnn.measure.intervals import paired_interval, wilson_interval
from edgecnn.report import numbers as n
from edgecnn.report.blocks import Cell

_NAMES: Final = {"auto": "int8", "dynamic": "dynamic int8", "float32": "the float32 output"}
_LATENCIES: Final = {
    "Inference p50": "p50_ms",
    "Inference p90": "p90_ms",
    "Inference p99": "p99_ms",
    "First inference": "first_ms",
    "Loading": "init_ms",
}
_VISIBLE: Final = 0.5  # points that count as a change where chance is not known
_SAME: Final = 0.03  # logarithm of a ratio up to which two quantities count as the same


@dataclass(frozen=True)
class Row:
    """One metric of the float model and of the output.

    Attributes:
        change: what came of it, in words.
        is_better: None where the change is too small to be called good or bad.
    """

    metric: str
    before: Cell
    after: Cell
    change: str
    is_better: bool | None = None


@dataclass(frozen=True)
class Loss:
    """What the conversion cost in top-1, in percentage points.

    Attributes:
        before, after: top-1 of float and of the output, shares in [0, 1].
        points: 100 * (before - after); negative where the output is right more often.
        noise: half width of a 95 % interval of `points`, or None when the agreement is not known.
    """

    before: float
    after: float
    points: float
    noise: float | None


def output_name(record: dict[str, Any]) -> str:
    """What the compressed model is called in sentences: "int8", "dynamic int8", …"""
    return _NAMES.get(record["quantize"], str(record["quantize"]))


def short_name(record: dict[str, Any]) -> str:
    """What the output is called in a table's head or a chart."""
    return {"auto": "int8", "float32": "output"}.get(record["quantize"], str(record["quantize"]))


def loss(record: dict[str, Any]) -> Loss | None:
    """The loss of a conversion, or None when its data had no labels."""
    accuracy = record["accuracy"]
    if accuracy["float"] is None or accuracy["output"] is None:
        return None
    return Loss(
        before=accuracy["float"],
        after=accuracy["output"],
        points=100 * (accuracy["float"] - accuracy["output"]),
        noise=noise(accuracy["agreement"], accuracy["samples"]),
    )


def noise(agreement: float | None, samples: int) -> float | None:
    """Half width, in percentage points, of a 95 % interval of a difference of two accuracies on the same images.

    Of the images that the two models label differently it is not known which one got right; the interval is widest
    where each got half of them.
    """
    if agreement is None or samples == 0:
        return None
    half = samples * max(0.0, 1 - agreement) / 2
    return 100 * paired_interval(half, half, samples)[1]


def interval(share: float | None, samples: int) -> tuple[float, float] | None:
    """95 % interval of a share of right answers."""
    return None if share is None or samples == 0 else wilson_interval(min(1.0, share) * samples, samples)


def allowed_loss(record: dict[str, Any]) -> float | None:
    """The accuracy budget in percentage points: what was asked for, or what the ladder climbed for."""
    ladder = record.get("ladder")
    allowed = ladder["max_drop"] if record["max_drop"] is None and ladder else record["max_drop"]
    return None if allowed is None else float(allowed)


def budget_is_missed(record: dict[str, Any]) -> bool:
    """Whether the allowed loss was exceeded, by the record's word or by its numbers."""
    cost, allowed = loss(record), allowed_loss(record)
    return not record["within_budget"] or (allowed is not None and cost is not None and cost.points > allowed + 1e-6)


def top1_interval(evaluation: dict[str, Any]) -> tuple[float, float] | None:
    """95 % interval of an evaluation's top-1: its own where it is stored."""
    stored = evaluation["top1_ci95"]
    return (stored[0], stored[1]) if stored else interval(evaluation["top1"], evaluation["samples"])


def intervals(record: dict[str, Any]) -> dict[str, tuple[float, float] | None]:
    """95 % intervals of the top-1 of "float" and "output"."""
    evaluation, accuracy = record.get("evaluation"), record["accuracy"]
    if evaluation:
        return {side: top1_interval(evaluation[side]) for side in ("float", "output")}
    return {side: interval(accuracy[side], accuracy["samples"]) for side in ("float", "output")}


def frame_to_label(benchmark: dict[str, Any]) -> float | None:
    """Milliseconds from a frame to sorted labels: the sum of the three stages' medians."""
    stages = [benchmark["stages"][f"{name}_ms"] for name in ("preprocess", "invoke", "postprocess")]
    return None if None in stages else float(sum(stages))


def rows(record: dict[str, Any]) -> list[Row]:
    """The table of a conversion; metrics that were not measured are left out."""
    found = [*_accuracy_rows(record)]
    for metric, key in (("File size", "size_bytes"), ("Size after gzip", "gzip_bytes")):
        found.append(_less(metric, record[f"float_{key}"], record[key], n.size_exact, "smaller", "larger"))
    work = (record.get("float_macs"), record.get("macs"))
    if None not in work and work[0] != work[1]:
        found.append(_less("Multiply-accumulates", *work, n.count, "fewer", "more"))
    if record.get("benchmark"):
        before, after = record["benchmark"]
        for metric, key in _LATENCIES.items():
            found.append(_less(metric, before[key], after[key], n.milliseconds, "faster", "slower"))
        whole = (frame_to_label(before), frame_to_label(after))
        found.append(_less("Frame to label", *whole, n.milliseconds, "faster", "slower"))
        found.append(_less("Peak memory", before["peak_rss_mb"], after["peak_rss_mb"], n.megabytes, "less", "more"))
    return [row for row in found if row.before.value is not None or row.after.value is not None]


def _accuracy_rows(record: dict[str, Any]) -> Iterator[Row]:
    accuracy, evaluation, bounds = record["accuracy"], record.get("evaluation"), intervals(record)
    spread = noise(accuracy["agreement"], accuracy["samples"])
    visible = _VISIBLE if spread is None else spread
    notes = (interval_text(bounds["float"]), interval_text(bounds["output"]))
    yield _more("Top-1 accuracy", accuracy["float"], accuracy["output"], visible, notes)
    if evaluation:
        before, after = evaluation["float"], evaluation["output"]
        if len(after["labels"]) > 5:
            yield _more("Top-5 accuracy", before["top5"], after["top5"], visible)
        yield _more("F1, average of classes", before["f1"], after["f1"], visible)
    agreement = accuracy["agreement"]
    yield Row("Same label as float", Cell(None, n.NONE), Cell(agreement, n.percent(agreement, 2)), "")


def _more(
    metric: str, before: float | None, after: float | None, visible: float, notes: tuple[str, str] = ("", "")
) -> Row:
    """A share of which more is better; a change up to `visible` points is neither good nor bad."""
    gain = None if before is None or after is None else 100 * (after - before)
    is_better = None if gain is None or abs(gain) <= visible else gain > 0
    first, second = Cell(before, n.percent(before, 2), notes[0]), Cell(after, n.percent(after, 2), notes[1])
    return Row(metric, first, second, n.points(gain), is_better)


def _less(
    metric: str, before: float | None, after: float | None, text: Callable[[Any], str], better: str, worse: str
) -> Row:
    """A quantity of which less is better; a change of a few percent is neither good nor bad."""
    factor = n.divide(before, after)
    is_better = None if not factor or abs(math.log(factor)) < _SAME else factor > 1
    change = n.change(before, after, better, worse)
    return Row(metric, Cell(before, text(before)), Cell(after, text(after)), change, is_better)


def interval_text(bounds: tuple[float, float] | None) -> str:
    """ "74.6 to 76.3", in percent; empty when there is none."""
    return f"{100 * bounds[0]:.1f} to {100 * bounds[1]:.1f}" if bounds else ""


def tone(is_better: bool | None) -> str:
    """How a change is coloured."""
    return {True: "better", False: "worse", None: ""}[is_better]
