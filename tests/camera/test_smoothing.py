"""Smoothing: its laws as properties, its hysteresis step by step."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from edgecnn.camera.smoothing import Smoother
from edgecnn.errors import CameraError

SLACK = 1e-5  # of float32 averages


@st.composite
def sequences(draw: st.DrawFn) -> NDArray[np.float32]:
    """Probabilities (frames, classes) of some frames in a row."""
    shape = draw(st.tuples(st.integers(1, 30), st.integers(2, 6)))
    weights = draw(arrays(np.float64, shape, elements=st.floats(0, 1)))
    weights[:, 0] += 1e-3
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


FRAMES = st.integers(1, 20)
SHARES = st.floats(0, 1)


def averages(probabilities: NDArray[Any], frames: int) -> NDArray[np.float64]:
    """Even at first, then exponential: written as the weight that every frame has in every average."""
    count = len(probabilities)
    weights = np.zeros((count, count))
    for row in range(count):
        share = max(2 / (frames + 1), 1 / (row + 1))
        weights[row] = (1 - share) * weights[row - 1] if row else 0
        weights[row, row] = share
    return np.asarray(weights @ probabilities.astype(np.float64))


def named(smoother: Smoother, *best: float) -> int | None:
    """Feed frames of three classes: the given probabilities of class 0, the rest for class 1."""
    index = None
    for value in best:
        _, index, _ = smoother.update(np.array([value, 1 - value, 0], np.float32))
    return index


@given(sequences(), FRAMES)
def test_the_average_is_the_average(probabilities: NDArray[np.float32], frames: int) -> None:
    smoother = Smoother(frames=frames)
    for frame, expected in zip(probabilities, averages(probabilities, frames), strict=True):
        average, _, _ = smoother.update(frame.copy())
        assert average.dtype == np.float32
        np.testing.assert_allclose(average, expected, atol=SLACK)
        assert float(average.sum()) == pytest.approx(1, abs=SLACK)
        assert average.min() >= 0


@given(sequences(), FRAMES, SHARES, SHARES)
def test_a_class_is_left_only_for_a_clearly_better_one(
    probabilities: NDArray[np.float32], frames: int, threshold: float, margin: float
) -> None:
    smoother = Smoother(frames=frames, threshold=threshold, margin=margin)
    before: int | None = None
    for frame in probabilities:
        average, index, score = smoother.update(frame.copy())
        if index is None:
            assert score == average.max()
            assert score < threshold + SLACK  # a class at the threshold would have been named
        else:
            assert score == average[index]
            assert score >= threshold - margin
        if index is not None and before is not None and index != before:
            assert average[index] >= average[before] + margin - SLACK
        if index is not None and index != before:
            assert index == average.argmax()
            assert score >= threshold
        before = index


@given(sequences(), FRAMES, SHARES)
def test_without_a_threshold_something_is_always_named(
    probabilities: NDArray[np.float32], frames: int, margin: float
) -> None:
    smoother = Smoother(frames=frames, threshold=0, margin=margin)
    assert all(smoother.update(frame.copy())[1] is not None for frame in probabilities)


@given(sequences())
def test_one_frame_without_margin_is_the_most_probable_class(probabilities: NDArray[np.float32]) -> None:
    smoother = Smoother(frames=1, threshold=0, margin=0)
    for frame in probabilities:
        average, index, score = smoother.update(frame.copy())
        np.testing.assert_array_equal(average, frame)
        assert (index, score) == (frame.argmax(), frame.max())


@given(sequences(), FRAMES)
def test_the_same_frame_again_and_again_is_its_own_average(probabilities: NDArray[np.float32], frames: int) -> None:
    smoother = Smoother(frames=frames)
    for _ in range(20):
        average, _, _ = smoother.update(probabilities[0].copy())
    np.testing.assert_allclose(average, probabilities[0], atol=SLACK)


@given(sequences(), sequences(), FRAMES)
def test_after_reset_it_is_as_new(
    earlier: NDArray[np.float32], probabilities: NDArray[np.float32], frames: int
) -> None:
    used, new = Smoother(frames=frames), Smoother(frames=frames)
    for frame in earlier:
        used.update(frame.copy())
    used.reset()
    assert used.index is None
    for frame in probabilities:
        (average, *rest), (expected, *wanted) = used.update(frame.copy()), new.update(frame.copy())
        np.testing.assert_array_equal(average, expected)
        assert rest == wanted


def test_around_the_threshold_a_label_does_not_flicker() -> None:
    smoother = Smoother(frames=1, threshold=0.75, margin=0.125)
    assert named(smoother, 0.70) is None  # not yet
    assert named(smoother, 0.75) == 0  # reached
    assert named(smoother, 0.70, 0.64) == 0  # it stays a little below
    assert named(smoother, 0.62) is None  # but not far below
    assert named(smoother, 0.70) is None  # and does not come back before the threshold


def test_between_two_classes_a_label_does_not_flicker() -> None:
    smoother = Smoother(frames=1, threshold=0.25, margin=0.25)
    assert named(smoother, 0.75) == 0
    assert named(smoother, 0.5, 0.4) == 0  # the other is better, though not by much
    assert named(smoother, 0.36) == 1
    assert named(smoother, 0.6) == 1
    assert named(smoother, 0.64) == 0


def test_the_score_is_that_of_the_class_that_is_named() -> None:
    smoother = Smoother(frames=1, threshold=0, margin=0.5)
    smoother.update(np.array([0.75, 0.25], np.float32))
    assert smoother.update(np.array([0.375, 0.625], np.float32))[1:] == (0, 0.375)


def test_a_class_that_falls_is_unknown_though_another_is_not_yet_named() -> None:
    smoother = Smoother(frames=1, threshold=0.5, margin=0.0625)
    smoother.update(np.array([0.5, 0.25, 0.25], np.float32))
    assert smoother.update(np.array([0.40625, 0.4375, 0.15625], np.float32))[1:] == (None, 0.4375)


@pytest.mark.parametrize("frames", [1, 5])
def test_a_nan_does_not_stay(frames: int) -> None:
    smoother, new = Smoother(frames=frames), Smoother(frames=frames)
    named(smoother, 0.9, 0.8)
    average, index, score = smoother.update(np.array([0.5, np.nan, 0.5], np.float32))
    assert (index, score) == (None, 0.0)
    assert np.isfinite(average).all()
    for value in (0.9, 0.2, 0.6):
        frame = np.array([value, 1 - value, 0], np.float32)
        (average, *rest), (expected, *wanted) = smoother.update(frame.copy()), new.update(frame.copy())
        np.testing.assert_array_equal(average, expected)
        assert rest == wanted


def test_for_long_it_follows_the_newest_frames() -> None:
    smoother = Smoother(frames=5)
    named(smoother, *[1.0] * 1000)
    assert named(smoother, *[0.0] * 3) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 0}, "at least 1 frame, got 0"),
        ({"threshold": 1.1}, r"threshold in \[0, 1\], got 1.1"),
        ({"threshold": float("nan")}, r"threshold in \[0, 1\], got nan"),
        ({"margin": -0.1}, r"margin in \[0, 1\], got -0.1"),
    ],
)
def test_options_outside_their_range(options: Any, message: str) -> None:
    with pytest.raises(CameraError, match=message):
        Smoother(**options)
