"""Intervals and McNemar's test against SciPy, a covariance matrix, and exact coverage."""

from itertools import product
from math import factorial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from edgecnn.measure.intervals import mcnemar_exact, paired_interval, wilson_interval

EXACT = 1e-12
counts = st.integers(0, 3000)


@given(st.integers(1, 50_000), st.floats(0, 1), st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_wilson_interval_is_that_of_scipy(samples: int, share: float, level: float) -> None:
    hits = round(share * samples)
    expected = binomtest(hits, samples).proportion_ci(level, method="wilson")
    got = wilson_interval(hits, samples, z=float(norm.ppf((1 + level) / 2)))
    assert got == pytest.approx((expected.low, expected.high), abs=EXACT)
    assert 0 <= got[0] <= hits / samples + EXACT
    assert hits / samples - EXACT <= got[1] <= 1


@pytest.mark.parametrize("hits", [0, 1, 50, 99, 100])
def test_wilson_interval_is_of_95_percent(hits: int) -> None:
    expected = binomtest(hits, 100).proportion_ci(0.95, method="wilson")
    assert wilson_interval(hits, 100) == pytest.approx((expected.low, expected.high), abs=EXACT)


def test_nothing_is_known_without_samples() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert paired_interval(0, 0, 0) == (-1.0, 1.0)
    assert mcnemar_exact(0, 0) == 1.0


@given(counts, counts, counts, counts, st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_paired_interval_is_wald_s_of_a_table_with_half_a_sample_more_a_cell(
    both: int, lost: int, won: int, neither: int, level: float
) -> None:
    """By the covariance matrix of the four cells' shares, (diag(p) - p p') / n, and the contrast that subtracts."""
    table = np.array([both, lost, won, neither]) + 0.5
    shares, total = table / table.sum(), table.sum()
    contrast = np.array([0, 1, -1, 0])
    variance = contrast @ (np.diag(shares) - np.outer(shares, shares)) @ contrast / total
    z = float(norm.ppf((1 + level) / 2))
    expected = contrast @ shares + z * np.sqrt(variance) * np.array([-1, 1])
    samples = both + lost + won + neither
    if samples:
        got = paired_interval(lost, won, samples, z=z)
        assert got == pytest.approx(np.clip(expected, -1, 1), abs=EXACT)
        assert paired_interval(won, lost, samples, z=z) == pytest.approx((-got[1], -got[0]), abs=EXACT)


def test_paired_interval_of_known_numbers() -> None:
    """8 lost and 3 won of 100: (8.5 - 3.5) / 102 with the variance (12 - 25 / 102) / 102²."""
    low, high = paired_interval(8, 3, 100)
    spread = 1.959964 * (12 - 25 / 102) ** 0.5 / 102
    assert (low, high) == pytest.approx((5 / 102 - spread, 5 / 102 + spread), abs=1e-8)


@pytest.mark.parametrize(
    ("lost", "won", "samples"), [(0.05, 0.05, 60), (0.12, 0.04, 60), (0.3, 0.1, 30), (0.02, 0.01, 60)]
)
def test_paired_interval_holds_the_truth_95_times_in_100(lost: float, won: float, samples: int) -> None:
    """Its coverage, summed over every possible outcome of the sampling."""
    covered = 0.0
    for first, second in product(range(samples + 1), repeat=2):
        same = samples - first - second
        if same >= 0:
            low, high = paired_interval(first, second, samples)
            ways = factorial(samples) // (factorial(first) * factorial(second) * factorial(same))
            chance = ways * lost**first * won**second * (1 - lost - won) ** same
            covered += chance * (low <= lost - won <= high)
    assert 0.93 <= covered <= 0.999


def test_few_samples_leave_everything_open() -> None:
    assert paired_interval(1, 0, 1) == pytest.approx((1 / 3 - 1.959964 * (5 / 3) ** 0.5 / 3, 1.0), abs=1e-6)


@given(counts, counts)
def test_mcnemar_is_the_binomial_test_of_scipy(lost: int, won: int) -> None:
    expected = binomtest(lost, lost + won).pvalue if lost + won else 1.0
    assert mcnemar_exact(lost, won) == pytest.approx(expected, rel=1e-9, abs=1e-300)
    assert mcnemar_exact(won, lost) == mcnemar_exact(lost, won)


@pytest.mark.parametrize(
    ("lost", "won", "expected"),
    [(0, 1, 1.0), (0, 5, 2 / 32), (5, 0, 2 / 32), (1, 5, 14 / 64), (7, 7, 1.0), (6, 7, 1.0), (0, 2000, 0.0)],
)
def test_mcnemar_of_known_numbers(lost: int, won: int, expected: float) -> None:
    assert mcnemar_exact(lost, won) == expected


def test_mcnemar_takes_as_many_flips_as_large_data_sets_have() -> None:
    assert mcnemar_exact(10_000, 10_400) == pytest.approx(binomtest(10_000, 20_400).pvalue, rel=1e-9)
