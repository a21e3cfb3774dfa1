import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgecnn.report import axes, charts
from edgecnn.report import numbers as n
from tests.report import samples


def test_bars_share_one_axis_from_zero() -> None:
    chart = charts.bar_chart("Size", [("a", 50, "50 B", "float"), ("b", 100, "100 B", "output")], reaches=[60, 200])
    assert [bar.fraction for bar in chart.bars] == [0.25, 0.5]
    assert [bar.reach for bar in chart.bars] == [0.3, 1.0]
    assert chart.summary == "a: 50 B; b: 100 B"


def test_bars_of_nothing_have_no_length() -> None:
    assert [bar.fraction for bar in charts.bar_chart("", [("a", 0, "0", "plain")]).bars] == [0]
    assert charts.bar_chart("", []).bars == ()


def test_stages_lie_end_to_end() -> None:
    chart = charts.stage_chart("", [("a", (1, 2, 1)), ("b", (1, 0, 1))])
    assert chart.stacks[0].parts == ((0, 0.25), (0.25, 0.5), (0.75, 0.25))
    assert chart.stacks[1].parts == ((0, 0.25), (0.25, 0), (0.25, 0.25))


@given(st.floats(0, 1), st.floats(0, 1))
def test_an_axis_of_shares_holds_its_values_with_few_round_ticks(one: float, two: float) -> None:
    axis = axes.percent_axis(min(one, two), max(one, two))
    ticks, low, high = axis.ticks, axis.low, axis.high
    assert -1e-9 <= low <= min(one, two) + 1e-9
    assert max(one, two) - 1e-9 <= high <= 1 + 1e-9
    assert 2 <= len(ticks) <= 6
    assert [tick.fraction for tick in ticks][:: len(ticks) - 1] == [0, 1]
    written = [float(tick.text.partition(n.SPACE)[0]) for tick in ticks]
    assert written == pytest.approx([100 * (low + tick.fraction * (high - low)) for tick in ticks], abs=1e-6)


def test_dots_are_placed_on_their_axis() -> None:
    chart = charts.dot_chart("", [("a", 0.75, (0.74, 0.76), "float"), ("b", 0.72, None, "output")])
    dot = chart.dots[0]
    assert (
        0 <= chart.dots[1].low == chart.dots[1].fraction == chart.dots[1].high < dot.low < dot.fraction < dot.high <= 1
    )


@given(st.floats(-1e15, 1e15), st.floats(-1e15, 1e15))
@example(0.3, 0.3)
@example(-0.52, 0.64)
def test_an_axis_of_points_holds_its_values_with_few_round_ticks(one: float, two: float) -> None:
    low, high = sorted((one, two))
    axis = axes.points_axis(low, high)
    ticks, start, end = axis.ticks, axis.low, axis.high
    slack = 1e-6 * (end - start)
    assert start - slack <= low <= high <= end + slack
    assert 2 <= len(ticks) <= 9
    assert [tick.fraction for tick in ticks][:: len(ticks) - 1] == [0, 1]
    assert len({tick.text for tick in ticks}) == len(ticks)


def test_losses_are_placed_against_their_limit() -> None:
    dots = [("a", 0.4, (0.1, 0.7), "output"), ("b", -0.1, (-0.4, 0.2), "best")]
    chart = charts.loss_chart("Loss", dots, (0.5, "budget"))
    assert chart.limit is not None
    assert chart.dots[0].high > chart.limit.fraction > chart.dots[1].high > chart.dots[1].fraction > chart.dots[1].low
    assert chart.limit.fraction == pytest.approx((0.5 - -0.4) / (0.8 - -0.4))
    assert chart.summary == "a: 0.40 (0.10 to 0.70); b: \u22120.10 (\u22120.40 to 0.20); budget"
    assert [tick.text for tick in chart.ticks] == ["\u22120.4", "\u22120.2", "0.0", "0.2", "0.4", "0.6", "0.8"]


def test_a_histogram_has_its_bins_side_by_side() -> None:
    chart = charts.histogram("a", samples.benchmark(1.0, histogram=[[0.9, 20], [1.0, 150], [1.2, 30]]))
    assert chart is not None
    assert [round(column.left, 3) for column in chart.columns] == [0, 0.2, 0.6]
    assert [round(column.width, 3) for column in chart.columns] == [0.2, 0.4, 0.4]
    assert [column.height for column in chart.columns] == pytest.approx([20 / 150, 1, 30 / 150])
    assert [mark.text for mark in chart.marks] == ["p50", "p90"]
    assert chart.marks[0].fraction == pytest.approx(0.2)


@pytest.mark.parametrize("bins", [None, [], [[1.0, 5]], [[1.0, 5], [1.0, 5]]])
def test_too_few_bins_are_no_histogram(bins: Any) -> None:
    assert charts.histogram("a", samples.benchmark(histogram=bins)) is None


@given(st.lists(st.tuples(st.floats(0, 1e15), st.integers(0, 10**15)).map(list), max_size=5))
def test_a_histogram_is_finite(bins: list[Any]) -> None:
    chart = charts.histogram("a", samples.benchmark(histogram=bins))
    for column in chart.columns if chart else ():
        assert all(
            0 <= value <= 1 + 1e-9 and math.isfinite(value) for value in (column.left, column.width, column.height)
        )


def test_a_timeline_marks_what_is_wrong_and_what_is_not_known() -> None:
    chart = charts.timeline(samples.demo()["frames"])
    assert chart is not None
    assert [moment.state for moment in chart.moments] == ["right", "wrong", "unknown"]
    assert [moment.fraction for moment in chart.moments] == [0, 0.5, 1]
    assert chart.summary.replace(n.SPACE, " ") == "3 frames, 1 wrong"
    assert charts.timeline(samples.demo()["frames"][:1]) is None
