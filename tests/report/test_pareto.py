from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.report import numbers as n
from edgecnn.report.pareto import Option, front_of, latency_chart, size_chart

OPTIONS = st.lists(
    st.builds(
        Option,
        st.just("m"),
        st.sampled_from([0.0, 0.5, 0.75, 1.0]) | st.floats(0, 1),
        st.integers(0, 5) | st.floats(0, 9),
    ),
    max_size=8,
)


@given(OPTIONS)
def test_no_option_beats_one_of_the_front_and_some_one_beats_every_other(options: list[Option]) -> None:
    front = front_of(options)
    for option in options:
        beaten_by = [
            other for other in options
            if other.cost <= option.cost and other.accuracy >= option.accuracy
            and (other.cost < option.cost or other.accuracy > option.accuracy)
        ]  # fmt: skip
        assert (option in front) == (not beaten_by)
    for cheap, dear in pairwise(front):
        assert cheap.cost <= dear.cost
        assert cheap.accuracy <= dear.accuracy


@given(OPTIONS)
def test_every_option_is_a_point_inside_the_chart(options: list[Option]) -> None:
    chart = latency_chart(options)
    assert (chart is None) == (len(options) < 2)
    for point in chart.points if chart else ():
        assert all(0 <= value <= 1 for value in (point.x, point.y, point.low, point.high, point.reach))


def test_whiskers_reach_and_the_front_is_a_stair() -> None:
    options = [
        Option("float", 0.87, 0.4, (0.85, 0.89), 0.5, "float"),
        Option("int8", 0.86, 0.1, (0.84, 0.88), 0.15),
        Option("dynamic", 0.86, 0.3),
    ]
    chart = latency_chart(options)
    assert chart is not None
    first, second, third = chart.points
    assert (first.number, first.role, second.role) == (1, "float", "output")
    assert [point.is_best for point in chart.points] == [True, True, False]
    assert second.low < second.y < second.high
    assert second.x < second.reach < third.x < first.x < first.reach
    assert (third.low, third.high, third.reach) == (third.y, third.y, third.x)
    assert chart.front == ((second.x, second.y), (first.x, second.y), (first.x, first.y))
    assert chart.summary.replace(n.SPACE, " ") == (
        "float: 87.0 %, 0.400 ms, best; int8: 86.0 %, 0.100 ms, best; dynamic: 86.0 %, 0.300 ms"
    )


@pytest.mark.parametrize(
    ("sizes", "unit", "text"),
    [((98_496, 318_144), "file size, kB", "98.5 kB"), ((98_496, 2_000_000), "file size, MB, logarithmic", "98.5 kB")],
)
def test_sizes_have_the_unit_of_the_largest(sizes: tuple[int, int], unit: str, text: str) -> None:
    chart = size_chart([Option("a", 0.8, sizes[0]), Option("b", 0.9, sizes[1])])
    assert chart is not None
    assert chart.x_name == unit
    assert chart.points[0].text.replace(n.SPACE, " ") == f"80.0 %, {text}"
