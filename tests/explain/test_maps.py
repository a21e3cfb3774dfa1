"""Maps: what is measured of them, against published figures and closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import stats

from edgecnn.explain.maps import correlation, mass, normalized, overlay, pointing, rank_correlation, small

MAPS = arrays(np.float64, (5, 6), elements=st.integers(-4, 4).map(float))


@settings(max_examples=40)
@given(MAPS, MAPS)
def test_correlations_are_those_of_scipy(first: NDArray[np.float64], second: NDArray[np.float64]) -> None:
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        assert np.isnan(correlation(first, second))
        assert np.isnan(rank_correlation(first, second))
        return
    assert correlation(first, second) == pytest.approx(stats.pearsonr(first.ravel(), second.ravel())[0], abs=1e-9)
    ranks = stats.spearmanr(first.ravel(), second.ravel())[0]
    assert rank_correlation(first, second) == pytest.approx(ranks, abs=1e-9)


def test_ranks_see_order_only() -> None:
    values = np.random.default_rng(0).random((9, 9))
    assert rank_correlation(values, np.exp(9 * values)) == 1.0
    assert rank_correlation(values, -values) == pytest.approx(-1)
    assert correlation(values, np.exp(9 * values)) < 0.9
    assert correlation(values, 5 - 2 * values) == pytest.approx(-1)


def test_mass_of_an_even_map_a_spot_and_a_ramp() -> None:
    assert mass(np.ones((10, 20))) == pytest.approx(0.1)
    assert mass(np.ones((10, 20)), 0.25) == pytest.approx(0.25)
    spot = np.full((10, 10), -3.0)
    spot[4, 5] = 2
    assert mass(spot) == 1
    assert mass(-spot - 4) == 0  # nothing speaks for the class
    ramp = np.arange(100.0)
    assert mass(ramp.reshape(10, 10)) == pytest.approx(ramp[90:].sum() / ramp.sum())
    assert mass(np.array([[0.0, 7.0]])) == 1  # at least one pixel is the best tenth


@settings(max_examples=40)
@given(MAPS)
def test_mass_is_a_share_and_order_and_unit_do_not_matter(values: NDArray[np.float64]) -> None:
    found = mass(values)
    assert 0 <= found <= 1
    assert mass(3 * values[::-1]) == pytest.approx(found)
    if values.max() > 0:
        assert found >= 0.1 * (1 - 1e-9)  # the best tenth has no less than any other


@settings(max_examples=40)
@given(MAPS)
def test_normalized_is_in_0_to_1_and_keeps_order(values: NDArray[np.float64]) -> None:
    found = normalized(values)
    assert found.dtype == np.float32
    if np.ptp(values) == 0:
        assert not found.any()
        return
    assert (found.min(), found.max()) == (0, 1)
    assert rank_correlation(found, values) == pytest.approx(1)


def test_pointing_takes_the_largest_value() -> None:
    values = np.zeros((6, 9))
    values[5, 2] = 1
    assert pointing(values, (2, 5, 1, 1))
    assert pointing(values, (0, 3, 3, 3))
    assert not pointing(values, (0, 3, 2, 3))
    assert not pointing(values, (2, 0, 5, 5))


def test_small_averages_areas() -> None:
    values = np.random.default_rng(0).random((64, 96)).astype(np.float32)
    expected = values.reshape(32, 2, 32, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(small(values), expected, atol=1e-6)
    assert small(values[:20, :30]).tolist() == values[:20, :30].tolist()
    assert small(values[:20]).shape == (20, 32)


def test_overlay_colours_by_the_map_and_lets_the_picture_through() -> None:
    frame = np.full((40, 60, 3), 100, np.uint8)
    values = np.zeros((4, 6))
    values[0, 0] = 1
    drawn = overlay(frame, values)
    assert drawn.shape == frame.shape
    assert drawn.dtype == np.uint8
    blue, red = drawn[-1, -1].astype(int), drawn[0, 0].astype(int)
    assert blue[0] > blue[2]
    assert red[2] > red[0] + 30
    brighter = overlay(frame + 50, values)
    assert np.all(brighter.astype(int) - drawn > 20)
    assert np.ptp(overlay(frame, np.ones((4, 6))).reshape(-1, 3), axis=0).tolist() == [0, 0, 0]
