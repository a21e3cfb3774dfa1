"""Geometry of the charts: values become fractions of an axis; the templates turn fractions into SVG."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from edgecnn.report import numbers as n
from edgecnn.report.axes import Tick, percent_axis, points_axis

_STAGES: Final = ("preprocessing", "inference", "postprocessing")


@dataclass(frozen=True)
class Bar:
    """A bar from 0 to `fraction` of the axis; `role` picks its colour, `reach` is a whisker's end."""

    label: str
    text: str
    fraction: float
    role: str
    reach: float | None = None


@dataclass(frozen=True)
class BarChart:
    """Bars on one axis that starts at 0."""

    title: str
    summary: str
    bars: tuple[Bar, ...]
    kind: str = "bars"


@dataclass(frozen=True)
class Stack:
    """A bar of parts laid end to end: (start, length) of each, as fractions of the axis."""

    label: str
    text: str
    parts: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class StackChart:
    """Stacked bars whose parts all have the same names; `roles` pick their colours."""

    title: str
    summary: str
    names: tuple[str, ...]
    stacks: tuple[Stack, ...]
    roles: tuple[str, ...] = ("before", "inference", "after")
    kind: str = "stacks"


@dataclass(frozen=True)
class Dot:
    """A value with its interval, as fractions of the axis."""

    label: str
    text: str
    fraction: float
    low: float
    high: float
    role: str


@dataclass(frozen=True)
class DotChart:
    """Values with intervals on an axis that need not start at 0; `limit` is a line that they should not cross."""

    title: str
    summary: str
    dots: tuple[Dot, ...]
    ticks: tuple[Tick, ...]
    limit: Tick | None = None
    kind: str = "dots"


@dataclass(frozen=True)
class Column:
    """A column of a histogram."""

    left: float
    width: float
    height: float


@dataclass(frozen=True)
class Histogram:
    """Counts over a range, with marks such as the median."""

    title: str
    summary: str
    columns: tuple[Column, ...]
    ticks: tuple[Tick, ...]
    marks: tuple[Tick, ...]
    kind: str = "histogram"


@dataclass(frozen=True)
class Moment:
    """A frame of a clip: its place in time, its score, and "right", "wrong" or "unknown"."""

    fraction: float
    score: float
    state: str


@dataclass(frozen=True)
class Timeline:
    """The score of each frame of a clip."""

    title: str
    summary: str
    moments: tuple[Moment, ...]
    ticks: tuple[Tick, ...]
    kind: str = "timeline"


def bar_chart(
    title: str,
    bars: Sequence[tuple[str, float, str, str]],
    *,
    top: float | None = None,
    reaches: Sequence[float] = (),
) -> BarChart:
    """Bars from (label, value, text, role).

    Args:
        top: end of the axis; the largest value by default.
        reaches: whisker ends, one a bar, in the bars' unit.
    """
    end = top or max([*(value for _, value, _, _ in bars), *reaches], default=0.0) or 1.0
    return BarChart(
        title,
        "; ".join(f"{label}: {text}" for label, _, text, _ in bars),
        tuple(
            Bar(label, text, min(1.0, value / end), role, reaches[index] / end if reaches else None)
            for index, (label, value, text, role) in enumerate(bars)
        ),
    )


def stage_chart(title: str, stages: Sequence[tuple[str, Sequence[float]]], *, is_live: bool = False) -> StackChart:
    """Milliseconds of stages one after the other, from (label, one a stage); a live source is read before them."""
    names, roles = (_STAGES, StackChart.roles) if not is_live else (("reading", *_STAGES), ("read", *StackChart.roles))
    top = max((sum(parts) for _, parts in stages), default=0.0) or 1.0
    stacks = tuple(
        Stack(
            label,
            n.milliseconds(sum(parts)),
            tuple((sum(parts[:index]) / top, part / top) for index, part in enumerate(parts)),
        )
        for label, parts in stages
    )
    summary = "; ".join(
        f"{label}: " + ", ".join(f"{name} {n.milliseconds(part)}" for name, part in zip(names, parts, strict=True))
        for label, parts in stages
    )
    return StackChart(title, summary, names, stacks, roles)


def dot_chart(title: str, dots: Sequence[tuple[str, float, Sequence[float] | None, str]]) -> DotChart:
    """Shares with their intervals, from (label, share, (low, high) or None, role), on an axis around them."""
    ends = [end for _, share, bounds, _ in dots for end in (share, *(bounds or ()))]
    axis = percent_axis(min(ends), max(ends))
    placed = []
    for label, share, bounds, role in dots:
        value, left, right = map(axis.place, (share, *(bounds or (share, share))))
        placed.append(Dot(label, n.percent(share, 2), value, left, right, role))
    return DotChart(title, "; ".join(f"{dot.label}: {dot.text}" for dot in placed), tuple(placed), axis.ticks)


def loss_chart(
    title: str, dots: Sequence[tuple[str, float, tuple[float, float], str]], limit: tuple[float, str]
) -> DotChart:
    """Losses in percentage points with their intervals, from (label, points, (low, high), role).

    Args:
        limit: the largest loss that is allowed, and what its line is called.
    """
    ends = [0.0, limit[0], *(end for _, value, bounds, _ in dots for end in (value, *bounds))]
    axis = points_axis(min(ends), max(ends))
    placed = []
    for label, value, bounds, role in dots:
        place, left, right = map(axis.place, (value, *bounds))
        text = f"{n.decimal(value)} ({n.decimal(bounds[0])} to {n.decimal(bounds[1])})"
        placed.append(Dot(label, text, place, left, right, role))
    summary = "; ".join([*(f"{dot.label}: {dot.text}" for dot in placed), limit[1]])
    return DotChart(title, summary, tuple(placed), axis.ticks, Tick(axis.place(limit[0]), limit[1]))


def histogram(name: str, record: dict[str, Any]) -> Histogram | None:
    """Distribution of a benchmark's latencies, or None when it was not stored.

    The record holds the lower edge of each bin; the last bin is as wide as the one before it.
    """
    bins = sorted(record.get("histogram") or [])
    if len(bins) < 2 or bins[0][0] == bins[-1][0]:
        return None
    edges = [float(edge) for edge, _ in bins]
    edges.append(2 * edges[-1] - edges[-2])
    low, span = edges[0], edges[-1] - edges[0]
    top = max(number for _, number in bins) or 1
    columns = tuple(
        Column((left - low) / span, (right - left) / span, number / top)
        for left, right, (_, number) in zip(edges, edges[1:], bins, strict=False)
    )
    marks = tuple(
        Tick((record[key] - low) / span, text)
        for key, text in (("p50_ms", "p50"), ("p90_ms", "p90"))
        if low <= record[key] <= edges[-1]
    )
    ticks = tuple(Tick(part, n.milliseconds(low + part * span)) for part in (0.0, 0.5, 1.0))
    p50, p90 = n.milliseconds(record["p50_ms"]), n.milliseconds(record["p90_ms"])
    summary = f"{n.noun(record['runs'], 'run')}, p50 {p50}, p90 {p90}"
    return Histogram(f"Inference times of {name}", summary, columns, ticks, marks)


def drift_histogram(drift: dict[str, Any] | None, first: str, second: str) -> Histogram | None:
    """How far the second model's probabilities moved from the first's, on an axis with 0 in its middle.

    Heights are logarithms: most probabilities hardly move, and the few that do would not be seen beside them.

    Args:
        drift: of a `compare` record; its histogram has lower edges and counts.
    """
    bins = [(float(edge), number) for edge, number in (drift or {}).get("histogram", []) if number]
    if drift is None or not bins:
        return None
    width = drift["width"]
    reach = max(max(abs(edge), abs(edge + width)) for edge, _ in bins) or 1.0
    top = math.log10(1 + max(number for _, number in bins))
    columns = tuple(
        Column((edge + reach) / (2 * reach), width / (2 * reach), math.log10(1 + number) / top)
        for edge, number in sorted(bins)
    )
    ticks = tuple(Tick(part, n.points(100 * (2 * part - 1) * reach, 1)) for part in (0.0, 0.5, 1.0))
    size, most, furthest = (n.decimal(100 * drift[key], 1) for key in ("mean_abs", "p99_abs", "max_abs"))
    summary = (
        f"{n.points(100 * drift['mean'])} on average; by {size} points without the sign, 99{n.SPACE}% by less than "
        f"{most}, at most {furthest}"
    )
    title = f"Probability of {first}'s label: {second} minus {first}; logarithmic heights"
    return Histogram(title, summary, columns, ticks, ())


def timeline(frames: Sequence[dict[str, Any]]) -> Timeline | None:
    """Scores of a clip's frames, or None for fewer than two."""
    if len(frames) < 2:
        return None
    moments = tuple(
        Moment(
            index / (len(frames) - 1),
            min(1.0, max(0.0, frame["score"])),
            "unknown" if frame["truth"] is None else "right" if frame["truth"] == frame["label"] else "wrong",
        )
        for index, frame in enumerate(frames)
    )
    wrong = sum(moment.state == "wrong" for moment in moments)
    ticks = (Tick(0.0, f"frame {frames[0]['frame']}"), Tick(1.0, f"frame {frames[-1]['frame']}"))
    return Timeline("Score of each frame", f"{n.noun(len(frames), 'frame')}, {wrong} wrong", moments, ticks)
