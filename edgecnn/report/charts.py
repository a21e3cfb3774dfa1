"""Geometry of the charts: values become fractions of an axis; the templates turn fractions into SVG."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgecnn.report import numbers as n


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
    """Stacked bars whose parts all have the same names."""

    title: str
    summary: str
    names: tuple[str, ...]
    stacks: tuple[Stack, ...]
    kind: str = "stacks"


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    fraction: float
    text: str


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


def stage_chart(title: str, stages: Sequence[tuple[str, Sequence[float]]]) -> StackChart:
    """Milliseconds of preprocessing, inference and postprocessing, from (label, the three)."""
    top = max((sum(parts) for _, parts in stages), default=0.0) or 1.0
    stacks = tuple(
        Stack(
            label,
            n.milliseconds(sum(parts)),
            tuple((sum(parts[:index]) / top, part / top) for index, part in enumerate(parts)),
        )
        for label, parts in stages
    )
    names = ("preprocessing", "inference", "postprocessing")
    summary = "; ".join(
        f"{label}: " + ", ".join(f"{name} {n.milliseconds(part)}" for name, part in zip(names, parts, strict=True))
        for label, parts in stages
    )
    return StackChart(title, summary, names, stacks)


def dot_chart(title: str, dots: Sequence[tuple[str, float, Sequence[float] | None, str]]) -> DotChart:
    """Shares with their intervals, from (label, share, (low, high) or None, role), on an axis around them."""
    ends = [end for _, share, bounds, _ in dots for end in (share, *(bounds or ()))]
    ticks, low, high = percent_axis(min(ends), max(ends))
    placed = []
    for label, share, bounds, role in dots:
        value, left, right = ((end - low) / (high - low) for end in (share, *(bounds or (share, share))))
        placed.append(Dot(label, n.percent(share, 2), value, left, right, role))
    return DotChart(title, "; ".join(f"{dot.label}: {dot.text}" for dot in placed), tuple(placed), ticks)


def loss_chart(
    title: str, dots: Sequence[tuple[str, float, tuple[float, float], str]], limit: tuple[float, str]
) -> DotChart:
    """Losses in percentage points with their intervals, from (label, points, (low, high), role).

    Args:
        limit: the largest loss that is allowed, and what its line is called.
    """
    ends = [0.0, limit[0], *(end for _, value, bounds, _ in dots for end in (value, *bounds))]
    ticks, low, high = points_axis(min(ends), max(ends))
    placed = []
    for label, value, bounds, role in dots:
        place, left, right = ((end - low) / (high - low) for end in (value, *bounds))
        text = f"{n.decimal(value)} ({n.decimal(bounds[0])} to {n.decimal(bounds[1])})"
        placed.append(Dot(label, text, place, left, right, role))
    summary = "; ".join([*(f"{dot.label}: {dot.text}" for dot in placed), limit[1]])
    return DotChart(title, summary, tuple(placed), ticks, Tick((limit[0] - low) / (high - low), limit[1]))


def points_axis(low: float, high: float) -> tuple[tuple[Tick, ...], float, float]:
    """An axis that holds both ends: at most eight round ticks (steps of 1, 2 or 5), its start and its end."""
    span = max(high - low, 1e-6 * max(abs(low), abs(high)), 0.1)
    power = 10.0 ** math.floor(math.log10(span / 6))
    step = next(factor * power for factor in (1, 2, 5, 10) if span <= 6 * factor * power * (1 + 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    last = max(last, first + 1)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    ticks = tuple(
        Tick((index - first) / (last - first), n.decimal(index * step, digits)) for index in range(first, last + 1)
    )
    return ticks, first * step, last * step


def percent_axis(low: float, high: float) -> tuple[tuple[Tick, ...], float, float]:
    """An axis of shares inside [0, 1] that holds both ends: at most six round ticks, its start and its end."""
    low, high = max(0.0, min(low, 1.0)), max(0.0, min(high, 1.0))
    steps = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
    step = next((step for step in steps if high - low <= 4 * step), 0.25)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    if first == last:
        first, last = (first - 1, last) if last * step >= 1 else (first, last + 1)
    digits = 1 if step < 0.01 else 0
    ticks = tuple(
        Tick((index - first) / (last - first), n.percent(index * step, digits)) for index in range(first, last + 1)
    )
    return ticks, first * step, last * step


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
