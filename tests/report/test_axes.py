import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.report import axes
from edgecnn.report import numbers as n

AMOUNTS = st.one_of(st.floats(0, 1e15), st.floats(1e-3, 1e3), st.just(0.0))


@given(st.lists(AMOUNTS, min_size=1, max_size=5))
def test_amounts_lie_on_their_axis_in_their_order_with_few_ticks(values: list[float]) -> None:
    axis = axes.amount_axis(values)
    places = [axis.place(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(0 <= place <= 1 and math.isfinite(place) for place in places)
    assert 1 <= len(axis.ticks) <= 9
    assert all(-1e-9 <= tick.fraction <= 1 + 1e-9 for tick in axis.ticks)


@given(st.floats(1e-6, 1e6), st.floats(8, 1e6))
def test_a_logarithmic_axis_gives_each_decade_the_same_length(least: float, factor: float) -> None:
    axis = axes.amount_axis([least, least * factor])
    assert axis.is_log
    for tick in axis.ticks:
        assert axis.place(float(tick.text.replace(",", ""))) == pytest.approx(tick.fraction, abs=1e-6)
    middle = axis.place(least * math.sqrt(factor))
    assert middle - axis.place(least) == pytest.approx(axis.place(least * factor) - middle, abs=1e-9)


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.14, 0.376], ["0.0", "0.1", "0.2", "0.3", "0.4"]),
        ([0.1, 0.9], ["0.1", "0.2", "0.5", "1"]),
        ([0.03, 7.0], ["0.1", "1", "10"]),
        ([0.0, 5.0], ["0", "1", "2", "3", "4", "5"]),
        ([], ["0.0", "0.2"]),
    ],
)
def test_ticks_are_round(values: list[float], ticks: list[str]) -> None:
    assert [tick.text for tick in axes.amount_axis(values).ticks] == ticks


def test_what_lies_beyond_an_axis_is_drawn_at_its_end() -> None:
    axis = axes.value_axis(0.0, 10.0)
    assert (axis.place(-5), axis.place(2.5), axis.place(99)) == (0, 0.25, 1)


@given(st.floats(-1e6, 1e6), st.integers(1, 6))
def test_an_axis_has_no_more_steps_than_asked_for(value: float, steps: int) -> None:
    axis = axes.value_axis(value, value + 7.3, steps=steps)
    assert 2 <= len(axis.ticks) <= steps + 2
    assert axis.low <= value + 1e-6
    assert value + 7.3 <= axis.high + 1e-6


def test_a_short_span_is_widened() -> None:
    axis = axes.value_axis(50.0, 50.1, least=5.0)
    assert axis.high - axis.low >= 0.5
    assert [tick.text for tick in axis.ticks][:2] == ["50", "51"]


def test_shares_have_their_unit() -> None:
    assert [tick.text for tick in axes.percent_axis(0, 1).ticks] == [
        f"{part}{n.SPACE}%" for part in (0, 25, 50, 75, 100)
    ]
