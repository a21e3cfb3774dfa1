"""Axes with round ticks: values become fractions of an axis."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from edgecnn.report import numbers as n

_PERCENT_STEPS: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25)
_SMALLEST: Final = 1e-300  # spans below lose their digits when they are divided
_DECADES: Final = 0.9  # from so many decades on, values are easier to tell apart on a logarithmic axis


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    fraction: float
    text: str


@dataclass(frozen=True)
class Axis:
    """Ticks, and the values at both ends; of a logarithmic axis, their logarithms."""

    ticks: tuple[Tick, ...]
    low: float
    high: float
    is_log: bool = False

    def place(self, value: float) -> float:
        """The value as a fraction of the axis; beyond an end it is drawn at that end."""
        known = math.log10(value) if self.is_log else value
        return min(1.0, max(0.0, (known - self.low) / (self.high - self.low)))


def percent_axis(low: float, high: float) -> Axis:
    """An axis of shares inside [0, 1] that holds both ends: at most six round ticks."""
    low, high = max(0.0, min(low, 1.0)), max(0.0, min(high, 1.0))
    step = next((step for step in _PERCENT_STEPS if high - low <= 4 * step), 0.25)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    if first == last:
        first, last = (first - 1, last) if last * step >= 1 else (first, last + 1)
    digits = 1 if step < 0.01 else 0
    return _axis(first, last, step, lambda value: n.percent(value, digits))


def points_axis(low: float, high: float) -> Axis:
    """An axis of percentage points that holds both ends: at most eight round ticks."""
    return value_axis(low, high, least=0.1)


def value_axis(low: float, high: float, *, least: float = 0.0, steps: int = 6) -> Axis:
    """An axis that holds both ends: round ticks in steps of 1, 2 or 5.

    Args:
        least: the shortest span that is drawn.
        steps: that the span is divided into at most; one more at each end may be needed to hold it.
    """
    span = max(high - low, 1e-6 * max(abs(low), abs(high)), least)
    span = span if span > _SMALLEST else 1.0
    power = 10.0 ** math.floor(math.log10(span / steps))
    step = next(factor * power for factor in (1, 2, 5, 10) if span <= steps * factor * power * (1 + 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return _axis(first, max(last, first + 1), step, lambda value: n.decimal(value, digits))


def amount_axis(values: Iterable[float]) -> Axis:
    """An axis for amounts: logarithmic with ticks at 1, 2 and 5 where they span nearly a decade, else from 0."""
    known = list(values)
    least, most = min(known, default=0.0), max(known, default=0.0)
    if least <= 0 or math.log10(most) - math.log10(least) < _DECADES:
        return value_axis(0.0, most)
    first, last = math.floor(3 * math.log10(least)), math.ceil(3 * math.log10(most))
    # Thirds of a decade are nearly 1, 2 and 5; an axis of many decades keeps only the first of each.
    low = max(place for place in range(first - 1, first + 2) if _third(place) <= least)
    high = min(place for place in range(last - 1, last + 2) if _third(place) >= most)
    every = 1 if high - low <= 5 else 3 * math.ceil((high - low) / 18)
    start, end = math.log10(_third(low)), math.log10(_third(high))
    ticks = tuple(
        Tick((math.log10(_third(place)) - start) / (end - start), f"{_third(place):,g}")
        for place in range(low, high + 1)
        if place % every == 0
    )
    return Axis(ticks, start, end, is_log=True)


def _third(place: int) -> float:
    """1, 2, 5, 10, 20, …: the value that belongs to a third of a decade."""
    return float(f"{(1, 2, 5)[place % 3]}e{place // 3}")


def _axis(first: int, last: int, step: float, write: Callable[[float], str]) -> Axis:
    ticks = tuple(Tick((index - first) / (last - first), write(index * step)) for index in range(first, last + 1))
    return Axis(ticks, first * step, last * step)
