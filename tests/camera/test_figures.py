"""The figures: percentiles as numpy's, rates as the clock says, memory that does not grow."""

import math
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.camera.figures import Durations, Figures
from edgecnn.camera.frame import Frame
from edgecnn.camera.observation import Observation

STAGES = (1.0, 2.0, 0.5)


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self) -> None:
        self.now = 500.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("edgecnn.camera.figures.time", clock)
    return clock


def seen(label: str = "cat", *, age_ms: float = 10.0, latency_ms: float = 5.0) -> Observation:
    frame = Frame(np.zeros((1, 1, 3), np.uint8), 0, 0.0, 0.0)
    return Observation(frame, label, 0, 1.0, np.ones(1, np.float32), False, age_ms, latency_ms)


def durations(values: Any) -> Durations:
    counted = Durations()
    for value in values:
        counted.add(value)
    return counted


@given(
    st.lists(st.floats(math.log(1e-3), math.log(2e7)).map(math.exp), min_size=1, max_size=200),
    st.sampled_from([0, 1, 50, 90, 99, 100]),
)
def test_percentiles_are_those_of_numpy(values: list[float], percent: float) -> None:
    exact = float(np.percentile(values, percent, method="inverted_cdf"))
    known = durations(values).percentile(percent)
    assert known == pytest.approx(exact, rel=0.01, abs=6e-5)  # printed to a ten-thousandth of a millisecond


def test_percentiles_of_many() -> None:
    values = np.random.default_rng(5).lognormal(3, 1, 20_000)
    counted = durations(values)
    for percent in (1, 10, 50, 90, 99):
        exact = float(np.percentile(values, percent, method="inverted_cdf"))
        assert counted.percentile(percent) == pytest.approx(exact, rel=0.0055)


@pytest.mark.parametrize(("value", "least", "most"), [(0.0, 0, 0.0011), (-1.0, 0, 0.0011), (1e12, 2e7, 1e8)])
def test_what_lies_outside_the_range_counts_at_its_end(value: float, least: float, most: float) -> None:
    known = durations([value]).percentile(50)
    assert known is not None
    assert least <= known <= most


def test_no_durations_have_no_percentile() -> None:
    assert Durations().percentile(50) is None


def test_memory_does_not_grow() -> None:
    figures, observation = Figures(), seen()
    for number in range(200):
        figures.add(observation, 1.0 + number, STAGES)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(5000):
            figures.add(observation, 1000.0 + number, STAGES)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 4000


def test_frames_a_second_of_known_times(clock: Clock) -> None:
    figures = Figures()
    for number in range(101):
        figures.add(seen(), 20 + number / 25, STAGES)
    clock.now = 24.0
    known = figures.to_dict()
    assert (known["frames"], known["fps"], known["seconds"]) == (101, 25.0, 4.0)
    assert figures.rate() == 25.0


def test_the_present_rate_is_that_of_the_newest_frames(clock: Clock) -> None:
    figures = Figures()
    for number in range(300):
        figures.add(seen(), 100 + number / 10, STAGES)
    for number in range(100):
        figures.add(seen(), 200 + number / 40, STAGES)
    clock.now = 200 + 99 / 40
    assert figures.rate() == 40.0
    fps = figures.to_dict()["fps"]
    assert fps == pytest.approx(399 / (100 + 99 / 40), abs=1e-3)


def test_the_present_rate_falls_when_nothing_comes(clock: Clock) -> None:
    figures = Figures()
    for number in range(60):
        figures.add(seen(), 100 + number / 10, STAGES)
    rates = []
    for clock.now in (105.9, 106.5, 107, 108, 110, 120, 200, 1000):
        rates.append(figures.rate())
    assert rates[:2] == [10.0, 10.0]
    assert rates == sorted(rates, reverse=True)
    assert len(set(rates[2:])) == 6
    assert rates[-1] < 0.1


def test_the_rate_of_one_frame_or_of_frames_at_one_time_is_none(clock: Clock) -> None:
    figures = Figures()
    assert figures.rate() == 0.0
    figures.add(seen(), clock.now, STAGES)
    assert figures.rate() == 0.0
    figures.add(seen(), clock.now, STAGES)
    assert figures.rate() == 0.0
    assert figures.to_dict()["fps"] is None


def test_without_frames_there_are_no_figures() -> None:
    assert Figures().to_dict() == {
        "frames": 0,
        "fps": None,
        "seconds": 0.0,
        "p50_ms": None,
        "p90_ms": None,
        "age_p50_ms": None,
        "age_p90_ms": None,
        "stages": {"preprocess_ms": None, "invoke_ms": None, "postprocess_ms": None},
        "labels": {},
    }


def test_each_figure_is_what_it_is_called() -> None:
    figures = Figures()
    for number in range(1, 101):
        observation = seen("bee" if number % 4 else "ant", age_ms=100.0 * number, latency_ms=1.0 * number)
        figures.add(observation, float(number), (0.1 * number, 10.0 * number, 0.001 * number))
    known = figures.to_dict()
    assert known["p50_ms"] == pytest.approx(50, rel=0.01)
    assert known["p90_ms"] == pytest.approx(90, rel=0.01)
    assert known["age_p50_ms"] == pytest.approx(5000, rel=0.01)
    assert known["age_p90_ms"] == pytest.approx(9000, rel=0.01)
    expected = {"preprocess_ms": 5, "invoke_ms": 500, "postprocess_ms": 0.05}
    assert known["stages"] == pytest.approx(expected, rel=0.01)
    assert known["labels"] == {"bee": 75, "ant": 25}
    assert list(known["labels"]) == ["bee", "ant"]  # most frequent first
