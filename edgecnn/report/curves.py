"""Lines over two axes: learning curves, ROC and precision-recall curves, severities, a long run over time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from edgecnn.report import numbers as n
from edgecnn.report.axes import Axis, Tick, amount_axis, percent_axis, value_axis

_ROLES: Final = ("float", "output", "best", "second")  # lines that can be told apart in one chart

_WORST: Final = 5  # severity

# (x, y) in the units of the axes; no y where nothing was measured
Points = Sequence[tuple[float, float | None]]


@dataclass(frozen=True)
class Series:
    """A line: each run of points without a gap, as fractions of both axes; `role` picks its colour."""

    label: str
    role: str
    runs: tuple[tuple[tuple[float, float], ...], ...]


@dataclass(frozen=True)
class LineChart:
    """Lines over two axes.

    Attributes:
        marks: upright lines, such as the epoch that was kept.
        shades: (start, length) of stretches that stand out, named by `shade_name`.
        diagonal: what the line from corner to corner means; empty without one.
        height: of the drawing area in pixels, which is 282 wide.
        is_named: what the lines are is said even of a single one.
    """

    title: str
    summary: str
    series: tuple[Series, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    x_name: str
    marks: tuple[Tick, ...] = ()
    shades: tuple[tuple[float, float], ...] = ()
    shade_name: str = ""
    diagonal: str = ""
    height: int = 150
    is_named: bool = False
    kind: str = "lines"


def learning_curves(history: Sequence[dict[str, Any]], kept: int) -> list[LineChart]:
    """Loss and accuracy of a training over its epochs; none for fewer than two.

    Args:
        history: of a `train` record.
        kept: number of the epoch whose weights the model has.
    """
    if len(history) < 2:
        return []
    found = []
    for title, key, is_share in (("Loss", "loss", False), ("Accuracy", "accuracy", True)):
        lines = [
            (name, [(item["epoch"], item[column]) for item in history])
            for name, column in (("training", key), ("validation", f"val_{key}"))
        ]
        values = [value for _, points in lines for _, value in points if value is not None]
        axis = percent_axis(min(values), max(values)) if is_share else _loss_axis(values)
        epochs = _whole_axis([item["epoch"] for item in history])
        ends = [
            f"{name} ends at {n.percent(last) if is_share else n.significant(last)}"
            for name, points in lines
            if (last := points[-1][1]) is not None
        ]
        marks = (Tick(epochs.place(kept), f"kept: {kept}"),) if epochs.low <= kept <= epochs.high else ()
        found.append(
            LineChart(
                title=f"{title}{', logarithmic' if axis.is_log else ''}",
                summary="; ".join(ends),
                series=_series(lines, epochs, axis),
                x_ticks=epochs.ticks,
                y_ticks=axis.ticks,
                x_name="epoch",
                marks=marks,
            )
        )
    return found


def class_curves(evaluations: Sequence[tuple[str, dict[str, Any]]]) -> list[LineChart]:
    """ROC and precision-recall curves of (name, evaluation) of two classes; none where none were stored."""
    known = [(name, record) for name, record in evaluations if record.get("curves")][: len(_ROLES)]
    positive = next((record["curves"]["positive"] for _, record in known), "")
    known = [(name, record) for name, record in known if record["curves"]["positive"] == positive]
    found = []
    for key, title, x_name, area, short, diagonal in (
        ("roc", "ROC: true over false positive rate", "false positive rate", "roc_auc", "AUC", "guessing"),
        ("pr", "Precision over recall", "recall", "average_precision", "average precision", ""),
    ):
        lines = [
            (f"{name}: {short} {n.decimal(record.get(area), 4)}", [(x, y) for x, y in record["curves"][key]])
            for name, record in known
        ]
        if any(points for _, points in lines):
            axis = percent_axis(0, 1)
            found.append(
                LineChart(
                    title=f"{title}, “{positive}” being positive",
                    summary="; ".join(label for label, _ in lines),
                    series=_series(lines, axis, axis),
                    x_ticks=axis.ticks,
                    y_ticks=axis.ticks,
                    x_name=x_name,
                    diagonal=diagonal,
                    height=220,
                    is_named=True,
                )
            )
    return found


def severity_curves(title: str, lines: Sequence[tuple[str, Points]], ends: tuple[float, float]) -> list[LineChart]:
    """Accuracy over severity from (name, points), severity 0 being clean pictures; none without any point.

    Args:
        ends: smallest and largest share that the axis must hold, the same for charts that are compared.
    """
    axis = percent_axis(*ends)
    severities = Axis(tuple(Tick(x / _WORST, str(x) if x else "clean") for x in range(_WORST + 1)), 0, _WORST)
    series = _series(lines, severities, axis)
    if not series:
        return []
    ends_at = [f"{name} ends at {n.percent(points[-1][1])}" for name, points in lines if points]
    return [LineChart(title, "; ".join(ends_at), series, severities.ticks, axis.ticks, "severity")]


def sustained_charts(name: str, windows: Sequence[dict[str, Any]]) -> list[LineChart]:
    """Latency, temperature and clock of a long run over its time, one above the other; none for fewer than two."""
    if len(windows) < 2:
        return []
    seconds = value_axis(0.0, max(item["seconds"] for item in windows))
    shades = tuple(
        (start, end - start)
        for start, end in (
            (seconds.place(first["seconds"]), seconds.place(last["seconds"]))
            for first, last in zip([{"seconds": 0.0}, *windows], windows, strict=False)
            if last["throttled"]
        )
    )
    found = []
    for title, columns, unit, roles in (
        (f"Frame to label of {name} over time, ms", {"p50": "p50_ms", "p99": "p99_ms"}, "ms", ("output", "float")),
        ("Temperature, °C", {"temperature": "temperature_c"}, "°C", ("bad",)),
        ("Clock, MHz", {"clock": "clock_mhz"}, "MHz", ("best",)),
    ):
        lines = [(label, [(item["seconds"], item[key]) for item in windows]) for label, key in columns.items()]
        values = [value for _, points in lines for _, value in points if value is not None]
        if not values:
            continue
        least = {"°C": 5.0, "MHz": 0.1 * max(values)}.get(unit, 0.0)
        axis = amount_axis(values) if unit == "ms" else value_axis(min(values), max(values), least=least, steps=3)
        ends = [
            f"{label} from {n.significant(known[0])} to {n.significant(known[-1])}{n.SPACE}{unit}"
            for label, points in lines
            if (known := [value for _, value in points if value is not None])
        ]
        found.append(
            LineChart(
                title=f"{title}{', logarithmic' if axis.is_log else ''}",
                summary="; ".join(ends),
                series=_series(lines, seconds, axis, roles),
                x_ticks=seconds.ticks,
                y_ticks=axis.ticks,
                x_name="seconds",
                shades=shades,
                shade_name="slowed down" if shades else "",
                height=130 if unit == "ms" else 80,
            )
        )
    return found


def _loss_axis(values: Sequence[float]) -> Axis:
    """An axis for losses: as for amounts, except where one is negative."""
    return amount_axis(values) if min(values, default=0.0) >= 0 else value_axis(min(values), max(values))


def _whole_axis(values: Sequence[int]) -> Axis:
    """Round ticks at whole numbers."""
    axis = value_axis(min(values), max(values), least=6)
    span = axis.high - axis.low
    first, last = min(values), max(max(values), min(values) + 1)
    ticks = [Tick((axis.low + tick.fraction * span - first) / (last - first), tick.text) for tick in axis.ticks]
    return Axis(tuple(tick for tick in ticks if -1e-9 <= tick.fraction <= 1 + 1e-9), first, last)


def _series(
    lines: Sequence[tuple[str, Points]], x_axis: Axis, y_axis: Axis, roles: Sequence[str] = ()
) -> tuple[Series, ...]:
    """Lines with something to draw; a single one is drawn as the output."""
    found = []
    for (label, points), role in zip(lines, roles or (_ROLES if len(lines) > 1 else ("output",)), strict=False):
        runs: list[list[tuple[float, float]]] = [[]]
        for x, y in points:
            if y is None:
                runs.append([])
            else:
                runs[-1].append((x_axis.place(x), y_axis.place(y)))
        kept = tuple(tuple(run) for run in runs if run)
        if kept:
            found.append(Series(label, role, kept))
    return tuple(found)
