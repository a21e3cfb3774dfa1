"""Noise against the distributions it stands for."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from edgecnn.robust.corruptions import corrupt
from edgecnn.robust.noise import normal_below, poisson, tabulate
from tests.robust.textured import textured

DEVIATIONS = {32: (0.04, 0.06, 0.08, 0.09, 0.10), 224: (0.08, 0.12, 0.18, 0.26, 0.38)}
PHOTONS = {32: (500, 250, 100, 75, 50), 224: (60, 25, 12, 5, 3)}
SHARES = {32: (0.01, 0.02, 0.03, 0.05, 0.07), 224: (0.03, 0.06, 0.09, 0.17, 0.27)}


def flat(level: int, side: int) -> NDArray[np.uint8]:
    """One level in blue and green and the next in red, so that the picture is not gray; long enough to count."""
    picture = np.full((side, 60_000 // side, 3), level, np.uint8)
    picture[..., 2] += 1
    return picture


def drawn(name: str, level: int, side: int, severity: int) -> NDArray[np.uint8]:
    return corrupt(flat(level, side), name, severity, np.random.default_rng(level))[..., :2]


def shares_below(values: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(255,): the share of results of at most 0, 1, ... 254."""
    counts = np.bincount(values.ravel(), minlength=256)
    return np.asarray(np.cumsum(counts)[:255] / values.size)


@pytest.mark.parametrize("side", [32, 224])
@pytest.mark.parametrize("severity", range(1, 6))
@pytest.mark.parametrize("level", [0, 30, 128, 254])
def test_gaussian_noise_is_a_normal_distribution_cut_off_at_black_and_white(
    level: int, severity: int, side: int
) -> None:
    values = drawn("gaussian_noise", level, side, severity)
    expected = stats.norm.cdf(np.arange(255) + 0.5, level, 255 * DEVIATIONS[side][severity - 1])
    assert np.abs(shares_below(values) - expected).max() < 0.01


def test_the_deviation_of_gaussian_noise_is_that_of_the_table() -> None:
    for severity, deviation in enumerate(DEVIATIONS[32], 1):
        values = drawn("gaussian_noise", 128, 32, severity).astype(float)
        assert values.mean() == pytest.approx(128, abs=0.3)
        assert values.std() == pytest.approx(255 * deviation, rel=0.01)


@pytest.mark.parametrize("side", [32, 224])
@pytest.mark.parametrize("severity", range(1, 6))
@pytest.mark.parametrize("level", [0, 7, 100, 254])
def test_shot_noise_is_a_poisson_distribution_of_photons(level: int, severity: int, side: int) -> None:
    photons = PHOTONS[side][severity - 1]
    values = drawn("shot_noise", level, side, severity)
    counts = np.arange(2000)
    results = np.minimum(np.floor(255 * counts / photons + 0.5), 255).astype(int)
    weights = np.bincount(results, stats.poisson.pmf(counts, level / 255 * photons), 256)
    assert np.abs(shares_below(values) - np.cumsum(weights)[:255]).max() < 0.01


def test_the_variance_of_shot_noise_is_in_proportion_to_the_mean() -> None:
    for level in (10, 20, 40):  # a photon of five is 51 levels, so that nothing is rounded, and hardly any is white
        values = drawn("shot_noise", level, 224, 4).astype(float)
        assert values.mean() == pytest.approx(level, rel=0.02)
        assert values.var() == pytest.approx(level * 51, rel=0.03)
    assert not drawn("shot_noise", 0, 32, 5).any()


@pytest.mark.parametrize("side", [32, 224])
@pytest.mark.parametrize("severity", range(1, 6))
def test_a_share_of_values_is_salt_or_pepper_and_the_rest_untouched(severity: int, side: int) -> None:
    values = drawn("impulse_noise", 90, side, severity)
    share = SHARES[side][severity - 1]
    assert set(np.unique(values)) == {0, 90, 255}
    for lost in (0, 255):
        assert np.mean(values == lost) == pytest.approx(share / 2, abs=4 * np.sqrt(share / values.size))


@pytest.mark.parametrize("name", ["gaussian_noise", "shot_noise", "impulse_noise", "low_light"])
def test_noise_of_pixels_and_channels_is_independent(name: str) -> None:
    noise = corrupt(flat(120, 224), name, 3, np.random.default_rng(5)).astype(float)
    for one, other in (
        (noise[..., 0], noise[..., 1]),
        (noise[..., 1], noise[..., 2]),
        (noise[1:], noise[:-1]),
        (noise[:, 1:], noise[:, :-1]),
    ):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.02


@pytest.mark.parametrize("name", ["gaussian_noise", "shot_noise", "impulse_noise", "low_light"])
def test_a_gray_picture_gets_noise_of_the_same_strength(name: str) -> None:
    gray = np.full((224, 224, 3), 120, np.uint8)
    noise = corrupt(gray, name, 3, np.random.default_rng(5))
    colored = corrupt(flat(120, 224), name, 3, np.random.default_rng(6))[..., :2]
    assert np.abs(shares_below(noise[..., 0]) - shares_below(colored)).max() < 0.015
    assert np.array_equal(noise[..., 0], noise[..., 2])


@pytest.mark.parametrize("seed", range(5))
def test_a_table_holds_every_result_as_often_as_it_is_probable(seed: int) -> None:
    random = np.random.default_rng(seed)
    below = np.sort(random.random((256, 255)) ** random.integers(1, 9), axis=1)
    table = tabulate(below).reshape(256, 4096)
    level = int(random.integers(256))
    places = (np.arange(4096) + 0.5) / 4096
    assert table[level].tolist() == (below[level] <= places[:, None]).sum(axis=1).tolist()


def test_distributions_are_those_of_scipy() -> None:
    values = np.linspace(-7, 7, 999)
    assert np.abs(normal_below(values) - stats.norm.cdf(values)).max() < 1e-5
    means = np.array([0, 0.01, 1, 17.3, 500])
    assert poisson(means, 700) == pytest.approx(stats.poisson.pmf(np.arange(701), means[:, None]), abs=1e-9)


def test_a_picture_is_not_gray_because_its_mean_is() -> None:
    picture = textured(40, 40)
    noise = corrupt(picture, "gaussian_noise", 5, np.random.default_rng(1)).astype(int) - picture
    assert np.abs(noise[..., 0] - noise[..., 1]).max() > 20
