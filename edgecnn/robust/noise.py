"""Noise of single pixels, and the fast way to draw it.

Noise is drawn for each channel, and once for all three where the picture is gray: a gray camera makes gray noise.
It is a matter of pixels: a picture that is made smaller afterwards loses most of it. Corrupt what the network sees.

A picture has 256 levels, so noise that treats pixels alike is 256 distributions of a result from 0 to 255. They are
tabulated at 4096 equally probable places, and a pixel takes one of these at random. What is rare, below 1/4096, is
lost; else this is the same as drawing (inverse transform sampling), and 20 times as fast for a Poisson distribution.
"""

import math
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.robust.severity import Picture, Scale, side_of

LEVELS: Final = 256
# Between two results lies the value from which on the upper one is nearer.
THRESHOLDS: Final = np.arange(255) + 0.5

_PLACES: Final = 4096
# Standard deviation, where white is 1; photons of white; share of values that are lost.
_GAUSSIAN: Final = Scale((0.04, 0.06, 0.08, 0.09, 0.10), (0.08, 0.12, 0.18, 0.26, 0.38))
_SHOT: Final = Scale((500, 250, 100, 75, 50), (60, 25, 12, 5, 3))
_IMPULSE: Final = Scale((0.01, 0.02, 0.03, 0.05, 0.07), (0.03, 0.06, 0.09, 0.17, 0.27))


def gaussian_noise(picture: Picture, severity: int, random: np.random.Generator) -> Picture:
    """Noise of the same normal distribution on every level, as of an amplifier."""
    return draw(picture, _gaussian_table(_GAUSSIAN.ratio(severity, side_of(picture))), random)


def shot_noise(picture: Picture, severity: int, random: np.random.Generator) -> Picture:
    """Light counted in photons: a Poisson distribution, whose variance grows with the level."""
    return draw(picture, _shot_table(_SHOT.ratio(severity, side_of(picture))), random)


def impulse_noise(picture: Picture, severity: int, random: np.random.Generator) -> Picture:
    """Salt and pepper: values that are lost, half of them to 255 and half to 0."""
    share = _IMPULSE.ratio(severity, side_of(picture))
    numbers = random.random(_draws(picture), np.float32)
    return np.where(numbers < share, np.where(numbers < share / 2, np.uint8(0), np.uint8(255)), picture)


def draw(picture: Picture, table: Picture, random: np.random.Generator) -> Picture:
    """A result for every value of the picture.

    Args:
        picture: uint8 (height, width, 3).
        table: of `tabulate`.
        random: source of all random numbers.
    """
    places = random.integers(0, _PLACES, _draws(picture), np.uint16)
    drawn: Picture = table.take(picture * np.int32(_PLACES) + places)
    return drawn


def tabulate(below: NDArray[np.float64]) -> Picture:
    """The results of every level at places of the same probability.

    Args:
        below: (256, 255), the probability that level i leads to a result of at most j.

    Returns:
        uint8 (256 * 4096,), 4096 results in rising order for each level.
    """
    # Place p has the probability (p + 0.5) / 4096 below it; its result is the number of columns that are no larger.
    first = np.ceil(below.clip(0, 1) * _PLACES - 0.5).astype(np.int64)
    first += np.arange(LEVELS)[:, None] * (_PLACES + 1)
    passed = np.bincount(first.ravel(), minlength=LEVELS * (_PLACES + 1)).reshape(LEVELS, -1)
    return np.cumsum(passed, axis=1, dtype=np.int16)[:, :_PLACES].astype(np.uint8).ravel()


def normal_below(values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The probability that a standard normal variable is below each value, to 1e-5."""
    grid = np.linspace(-6, 6, 1201)
    below = [(1 + math.erf(value / math.sqrt(2))) / 2 for value in grid.tolist()]
    return np.asarray(np.interp(values, grid, below), np.float64)


def poisson(means: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """(means, most + 1): the probability of each count from 0 to `most`, for each mean."""
    counts = np.arange(most + 1)
    factorials = np.cumsum(np.log(np.maximum(counts, 1)))
    with np.errstate(divide="ignore", invalid="ignore"):
        exponents = counts * np.log(means)[:, None] - means[:, None] - factorials
    return np.asarray(np.where(means[:, None] > 0, np.exp(exponents), counts == 0), np.float64)


@lru_cache(maxsize=8)
def _gaussian_table(deviation: float) -> Picture:
    return tabulate(normal_below((THRESHOLDS - np.arange(LEVELS)[:, None]) / (255 * deviation)))


@lru_cache(maxsize=8)
def _shot_table(photons: float) -> Picture:
    most = math.ceil(photons)  # more are white too
    below = np.cumsum(poisson(np.arange(LEVELS) / 255 * photons, most), axis=1)
    # A threshold that is itself a count rounds up.
    return tabulate(below[:, np.ceil(THRESHOLDS / 255 * photons).astype(np.int64) - 1])


def _draws(picture: Picture) -> tuple[Any, ...]:
    """Shape of the random numbers: one for all three channels where the picture is gray."""
    blue = picture[..., 0]
    gray = np.array_equal(blue, picture[..., 1]) and np.array_equal(blue, picture[..., 2])
    return (*picture.shape[:2], 1) if gray else picture.shape
