"""Minutes of work in milliseconds: time, temperature and clock are made up."""

import json
from collections.abc import Iterator
from itertools import chain, count, repeat
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.config import NORMALIZATIONS, Preprocess
from edgecnn.errors import EdgecnnError
from edgecnn.measure import sustained as module
from edgecnn.measure.sustained import Moment, slowdown, sustain
from edgecnn.runtime.classifier import Classifier
from tests.models import linear

FRAMES = [np.full((6, 8, 3), shade, np.uint8) for shade in (0, 100, 200)]


class Board:
    """A machine whose time passes only while it classifies.

    Attributes:
        seen: shades of the frames, in the order in which they were classified.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, milliseconds: Iterator[float]) -> None:
        self.microseconds, self.seen = 50_000_000, list[int]()
        preprocess = Preprocess(4, 4, "rgb", *NORMALIZATIONS["unit"])
        self.classifier = Classifier(linear(np.eye(3)), labels=("ant", "bee", "cat"), preprocess=preprocess)
        classify = self.classifier.classify

        def timed(frame: Any) -> Any:
            self.seen.append(int(frame[0, 0, 0]))
            self.microseconds += round(1000 * next(milliseconds))
            return classify(frame)

        monkeypatch.setattr(self.classifier, "classify", timed)
        monkeypatch.setattr(module, "time", self)
        heat = count(40.0, 0.5)
        self.flags: list[str] | None = None
        monkeypatch.setattr(module, "temperature_c", lambda: next(heat))
        monkeypatch.setattr(module, "clock_mhz", lambda: 1500.0)
        monkeypatch.setattr(module, "throttled", lambda: self.flags)

    def perf_counter(self) -> float:
        return self.microseconds / 1e6


def test_a_moment_is_an_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board(monkeypatch, chain([500.0], [10.0] * 100, [40.0] * 50))  # the first does not count
    shown: list[Moment] = []
    moments = sustain(board.classifier, FRAMES, seconds=3, interval=1, on_moment=shown.append)
    assert shown == list(moments)
    assert [(m.runs, m.temperature_c) for m in moments] == [(100, 40.0), (25, 40.5), (25, 41.0)]
    assert [m.p50_ms for m in moments] == pytest.approx([10, 40, 40])
    assert [m.seconds for m in moments] == pytest.approx([1, 2, 3])
    assert {(m.clock_mhz, m.throttled) for m in moments} == {(1500.0, None)}
    assert board.seen == [0, *([0, 100, 200] * 50)]


def test_percentiles_are_those_of_its_own_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    times = np.random.default_rng(0).permutation(np.arange(1.0, 101.0)).tolist()  # 5.05 s
    board = Board(monkeypatch, chain([1.0], times))
    (moment,) = sustain(board.classifier, FRAMES, seconds=5.05 - 1e-6, interval=60)
    assert moment.runs == 100
    assert moment.seconds == pytest.approx(5.05)
    assert (moment.p50_ms, moment.p99_ms) == pytest.approx((50.5, 99.01))


def test_the_last_interval_may_be_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board(monkeypatch, repeat(100.0))
    moments = sustain(board.classifier, FRAMES, seconds=2.45, interval=1)
    assert [m.runs for m in moments] == [10, 10, 5]


def test_a_slow_model_has_one_frame_in_each(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board(monkeypatch, repeat(700.0))
    moments = sustain(board.classifier, FRAMES, seconds=2, interval=0.1)
    assert [m.runs for m in moments] == [1, 1, 1]
    assert [m.seconds for m in moments] == pytest.approx([0.7, 1.4, 2.1])


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (None, None),
        ([], False),
        (["throttled since start"], False),
        (["frequency capped now"], True),
        (["throttled now", "under-voltage since start"], True),
    ],
)
def test_a_board_is_throttled_when_it_is_now(
    monkeypatch: pytest.MonkeyPatch, flags: list[str] | None, expected: bool | None
) -> None:
    board = Board(monkeypatch, repeat(100.0))
    board.flags = flags
    assert {m.throttled for m in sustain(board.classifier, FRAMES, seconds=1)} == {expected}


class Interrupted:
    """Milliseconds, and Ctrl-C after so many."""

    def __init__(self, before: int) -> None:
        self.left = before

    def __iter__(self) -> Iterator[float]:
        return self

    def __next__(self) -> float:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        return 100.0


@pytest.mark.parametrize(("before", "runs"), [(0, []), (1, []), (2, [1]), (11, [10]), (15, [10, 4])])
def test_ctrl_c_keeps_what_was_measured(monkeypatch: pytest.MonkeyPatch, before: int, runs: list[int]) -> None:
    board = Board(monkeypatch, iter(Interrupted(before)))
    assert [m.runs for m in sustain(board.classifier, FRAMES, seconds=60)] == runs


def test_ctrl_c_while_a_moment_is_shown_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(moment: Moment) -> None:
        if moment.seconds > 1.5:
            raise KeyboardInterrupt

    board = Board(monkeypatch, repeat(100.0))
    assert [m.runs for m in sustain(board.classifier, FRAMES, seconds=60, on_moment=stop)] == [10, 10]


def test_real_time_passes() -> None:
    preprocess = Preprocess(4, 4, "rgb", *NORMALIZATIONS["unit"])
    classifier = Classifier(linear(np.eye(3)), labels=("ant", "bee", "cat"), preprocess=preprocess)
    moments = sustain(classifier, FRAMES, seconds=0.05, interval=0.02)
    assert 1 <= len(moments) <= 4
    assert moments[-1].seconds >= 0.05
    assert all(0 < m.p50_ms <= m.p99_ms < 1000 * m.seconds for m in moments)


@pytest.mark.parametrize(
    ("frames", "seconds", "interval"), [([], 1, 1), (FRAMES, 0, 1), (FRAMES, -1, 1), (FRAMES, 1, 0), (FRAMES, 1, -1)]
)
def test_what_makes_no_sense_is_refused(frames: list[Any], seconds: float, interval: float) -> None:
    classifier: Any = None
    with pytest.raises(EdgecnnError, match="expected frames, and seconds and interval above 0"):
        sustain(classifier, frames, seconds=seconds, interval=interval)


def moments_of(times: list[float]) -> list[Moment]:
    return [Moment(n + 1, 10, ms, 2 * ms, None, None, None) for n, ms in enumerate(times)]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([7.0], 1.0),
        ([2.0, 3.0], 1.5),
        ([4.0, 9.0, 9.0, 5.0], 1.25),  # the first and the last one
        ([1.0, 3.0, *[9.0] * 6, 5.0, 7.0], 3.0),  # the first two and the last two of ten
    ],
)
def test_slowdown_compares_the_last_fifth_with_the_first(times: list[float], expected: float) -> None:
    assert slowdown(moments_of(times)) == pytest.approx(expected)


@given(st.lists(st.floats(0.01, 1e4), min_size=1, max_size=40), st.floats(0.1, 10))
def test_slowdown_has_no_unit_and_reverses_with_time(times: list[float], factor: float) -> None:
    value = slowdown(moments_of(times))
    assert slowdown(moments_of([factor * ms for ms in times])) == pytest.approx(value)
    assert slowdown(moments_of(times[::-1])) == pytest.approx(1 / value)


def test_slowdown_of_nothing_is_refused() -> None:
    with pytest.raises(EdgecnnError, match="expected the moments of a sustained run, got none"):
        slowdown([])


def test_the_record() -> None:
    moment = Moment(1.0, 100, 9.5, 12.25, 61.2, 1500.0, False)
    assert json.loads(json.dumps(moment.to_dict())) == {
        "seconds": 1.0,
        "runs": 100,
        "p50_ms": 9.5,
        "p99_ms": 12.25,
        "temperature_c": 61.2,
        "clock_mhz": 1500.0,
        "throttled": False,
    }
