"""Accuracy against what it costs: one point a model, and the line of those that no other one beats in both."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgecnn.report import numbers as n
from edgecnn.report.axes import Tick, amount_axis, percent_axis


@dataclass(frozen=True)
class Option:
    """A model with its accuracy and one cost.

    Attributes:
        bounds: 95 % interval of the accuracy; reach: the cost in bad cases, such as a 90th percentile.
        role: "float" or "output".
    """

    label: str
    accuracy: float
    cost: float
    bounds: tuple[float, float] | None = None
    reach: float | None = None
    role: str = "output"


@dataclass(frozen=True)
class Point:
    """An option as fractions of both axes; `number` stands in its circle."""

    number: int
    label: str
    text: str
    x: float
    y: float
    low: float
    high: float
    reach: float
    role: str
    is_best: bool


@dataclass(frozen=True)
class Scatter:
    """Options, and the corners of the line through the best of them."""

    title: str
    summary: str
    points: tuple[Point, ...]
    front: tuple[tuple[float, float], ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    x_name: str
    kind: str = "scatter"


def latency_chart(options: Sequence[Option]) -> Scatter | None:
    """Accuracy against milliseconds; None for fewer than two options."""
    return _scatter("Accuracy against latency", "inference, median, ms", options, 1.0, n.milliseconds)


def size_chart(options: Sequence[Option]) -> Scatter | None:
    """Accuracy against bytes; None for fewer than two options."""
    largest = max((option.cost for option in options), default=0)
    scale, unit = (1e6, "MB") if largest >= 1e6 else (1e3, "kB")
    return _scatter("Accuracy against size", f"file size, {unit}", options, scale, lambda value: n.size(round(value)))


def front_of(options: Sequence[Option]) -> list[Option]:
    """The options that no other one beats in cost or accuracy without losing in the other, cheapest first.

    Of options that are equal in both, all stay.
    """
    return sorted(
        (
            option
            for option in options
            if not any(
                other.cost <= option.cost
                and other.accuracy >= option.accuracy
                and (other.cost, other.accuracy) != (option.cost, option.accuracy)
                for other in options
            )
        ),
        key=lambda option: option.cost,
    )


def _scatter(
    title: str, x_name: str, options: Sequence[Option], scale: float, write: Callable[[float], str]
) -> Scatter | None:
    if len(options) < 2:
        return None
    front = front_of(options)
    y_axis = percent_axis(
        min(min(option.bounds or (option.accuracy,)) for option in options),
        max(max(option.bounds or (option.accuracy,)) for option in options),
    )
    x_axis = amount_axis([cost / scale for option in options for cost in (option.cost, option.reach or option.cost)])
    points = []
    for number, option in enumerate(options, 1):
        low, high = option.bounds or (option.accuracy, option.accuracy)
        points.append(
            Point(
                number=number,
                label=option.label,
                text=f"{n.percent(option.accuracy)}, {write(option.cost)}",
                x=x_axis.place(option.cost / scale),
                y=y_axis.place(option.accuracy),
                low=y_axis.place(low),
                high=y_axis.place(high),
                reach=x_axis.place((option.reach or option.cost) / scale),
                role=option.role,
                is_best=option in front,
            )
        )
    corners: list[tuple[float, float]] = []
    for option in front:
        place = (x_axis.place(option.cost / scale), y_axis.place(option.accuracy))
        corners += [(place[0], corners[-1][1]), place] if corners else [place]
    summary = "; ".join(f"{point.label}: {point.text}{', best' if point.is_best else ''}" for point in points)
    name = f"{x_name}, logarithmic" if x_axis.is_log else x_name
    return Scatter(title, summary, tuple(points), tuple(corners), x_axis.ticks, y_axis.ticks, name)
