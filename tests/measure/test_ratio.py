"""How many times faster: the interval against scipy's bootstrap, and what must hold for any times."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import bootstrap

from edgecnn.measure.ratio import speed_ratio


def times(seed: int, rounds: int = 60) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times of two models that share the moods of a machine; the second is about 2.5 times faster."""
    rng = np.random.default_rng(seed)
    mood = rng.gamma(20, 1 / 20, rounds)
    return 5 * mood * rng.normal(1, 0.03, rounds), 2 * mood * rng.normal(1, 0.03, rounds)


def test_the_interval_is_that_of_a_paired_bootstrap() -> None:
    first, other = times(0)

    def ratio(a: NDArray[np.float64], b: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
        return np.asarray(np.median(a, axis=axis) / np.median(b, axis=axis))

    theirs = bootstrap(
        (first, other), ratio, paired=True, vectorized=True, method="percentile", n_resamples=20_000, rng=1
    ).confidence_interval
    ours = speed_ratio(first, other, resamples=20_000)
    assert ours.value == np.median(first) / np.median(other)
    assert ours.ci95 == pytest.approx((theirs.low, theirs.high), rel=0.005)


def test_a_mood_that_both_share_does_not_widen_the_interval() -> None:
    first, other = times(1, 200)
    paired = speed_ratio(first, other)
    shuffled = speed_ratio(first, np.random.default_rng(0).permutation(other))
    width, apart = (result.ci95[1] - result.ci95[0] for result in (paired, shuffled))
    assert width < 0.8 * apart
    assert shuffled.value == paired.value


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(200):
        low, high = speed_ratio(*times(seed), resamples=400).ci95
        covered += low <= 2.5 <= high
    assert 0.9 <= covered / 200 <= 1


@settings(deadline=None)
@given(st.lists(st.floats(0.01, 1e4), min_size=1, max_size=30), st.floats(0.01, 100), st.integers(0, 5))
def test_a_scale_changes_the_ratio_alone(first: list[float], factor: float, seed: int) -> None:
    a = np.array(first)
    same, scaled = speed_ratio(a, a, resamples=50, seed=seed), speed_ratio(a, a / factor, resamples=50, seed=seed)
    assert (same.value, same.ci95, same.rounds) == (1, (1, 1), len(first))
    assert (scaled.value, *scaled.ci95) == pytest.approx((factor,) * 3)
    assert scaled == speed_ratio(a, a / factor, resamples=50, seed=seed)
    assert scaled.undisturbed == pytest.approx(factor)
    assert scaled.to_dict() == {
        "value": scaled.value,
        "ci95": list(scaled.ci95),
        "undisturbed": scaled.undisturbed,
        "rounds": len(first),
    }


def test_what_slows_most_rounds_does_not_touch_the_undisturbed_ratio() -> None:
    rng = np.random.default_rng(3)
    first, other = 3 + 0.01 * rng.random(400), 1 + 0.01 * rng.random(400)
    busy = rng.random(400) < 0.8
    ratio = speed_ratio(np.where(busy, 1.3 * first, first), np.where(busy, 1.7 * other, other))
    assert ratio.value == pytest.approx(3 * 1.3 / 1.7, rel=0.02)
    assert ratio.undisturbed == pytest.approx(3, rel=0.02)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)), min_size=1, max_size=30))
def test_the_interval_lies_between_the_extremes(pairs: list[tuple[float, float]]) -> None:
    first, other = np.array(pairs).T
    low, high = speed_ratio(first, other, resamples=100).ci95
    assert first.min() / other.max() <= low <= high <= first.max() / other.min()
