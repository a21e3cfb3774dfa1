"""What a small camera does to a picture: too little light or too much, askew, moving, under a lamp.

These are not in the paper. Exposure, colour and flicker happen to light before it is encoded, so they are computed in
linear light (sRGB, IEC 61966-2-1). None depends on the size of the picture.
"""

import math
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecnn.robust.blur import BORDER
from edgecnn.robust.noise import LEVELS, THRESHOLDS, draw, normal_below, poisson, tabulate
from edgecnn.robust.severity import Picture

# Stops: each doubles or halves the light.
_OVER: Final = (0.5, 1.0, 1.5, 2.0, 2.5)
_UNDER: Final = (1.0, 2.0, 3.0, 4.0, 5.0)
# How many stops too dark, and how many electrons white makes in a pixel; what reading adds to them.
_DARK: Final = (1.0, 1.5, 2.0, 2.5, 3.0)
_ELECTRONS: Final = (400, 200, 100, 50, 25)
_READ_NOISE: Final = 2.0
_DEGREES: Final = (5.0, 10.0, 15.0, 20.0, 30.0)
_SKEW: Final = (0.05, 0.1, 0.15, 0.2, 0.3)  # share of the width that the scene moves by from first row to last
_CAST: Final = (0.15, 0.3, 0.45, 0.6, 0.9)  # stops of red up and of blue down, or the other way
_FLICKER: Final = (0.2, 0.4, 0.6, 0.8, 0.95)  # share of the light that goes at the darkest
_BANDS: Final = 100 / 30  # mains of 50 Hz flicker at 100 Hz; a small sensor reads its rows in a thirtieth of a second


def low_light(picture: Picture, severity: int, random: np.random.Generator) -> Picture:
    """Dark and noisy: few photons, an amplifier that makes up for a part of it, and noise of reading.

    Electrons are Poisson, reading adds normal noise; sensor model of EMVA 1288 without fixed patterns.
    """
    return draw(picture, _low_light_table(_DARK[severity - 1], _ELECTRONS[severity - 1]), random)


def over_exposure(picture: Picture, severity: int, random: np.random.Generator) -> Picture:
    """Too much light: bright regions are cut off at white."""
    return expose(_OVER[severity - 1]).take(picture)


def under_exposure(picture: Picture, severity: int, random: np.random.Generator) -> Picture:
    """Too little light, without its noise."""
    return expose(-_UNDER[severity - 1]).take(picture)


def rotation(picture: Picture, severity: int, random: np.random.Generator) -> Picture:
    """A camera mounted askew, to either side; what comes in at the corners is the picture mirrored."""
    height, width = picture.shape[:2]
    angle = _DEGREES[severity - 1] * _sign(random)
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1)
    return _warp(picture, matrix)


def rolling_shutter(picture: Picture, severity: int, random: np.random.Generator) -> Picture:
    """Rows are read one after the other while the camera turns to either side: upright lines lean."""
    height, width = picture.shape[:2]
    slope = _SKEW[severity - 1] * width / height * _sign(random)
    return _warp(picture, np.array([(1, slope, -slope * (height - 1) / 2), (0, 1, 0)]))


def white_balance(picture: Picture, severity: int, random: np.random.Generator) -> Picture:
    """A balance for the wrong light: a warm or a cold cast over a BGR picture."""
    stops = _CAST[severity - 1] * _sign(random)
    tables = np.stack([expose(-stops), expose(0), expose(stops)])  # of blue, green and red
    return tables.ravel().take(picture + np.array([0, LEVELS, 2 * LEVELS], np.int32))


def light_flicker(picture: Picture, severity: int, random: np.random.Generator) -> Picture:
    """A lamp on the mains flickers while the rows are read: dark bands across the picture."""
    rows = np.arange(len(picture)) / len(picture)
    wave = (1 - np.cos(2 * np.pi * (_BANDS * rows + random.random()))) / 2
    gains = 1 - _FLICKER[severity - 1] * wave
    tables = encode(linear() * gains[:, None])
    return np.asarray(tables[np.arange(len(picture))[:, None, None], picture], np.uint8)


@lru_cache(maxsize=32)
def expose(stops: float) -> Picture:
    """uint8 (256,): every level under so many stops more light. Not to be written to."""
    return encode(linear() * 2**stops)


def linear() -> NDArray[np.float64]:
    """(256,): the light of every level of sRGB, where white is 1."""
    return decode_srgb(np.arange(LEVELS) / 255)


def decode_srgb(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """From sRGB to light, both 0 to 1."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def encode(light: NDArray[np.float64]) -> Picture:
    """From light, cut off at 0 and 1, to levels of sRGB."""
    light = light.clip(0, 1)
    values = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(255 * values), np.uint8)


@lru_cache(maxsize=8)
def _low_light_table(stops: float, electrons: int) -> Picture:
    most = math.ceil(electrons + 8 * math.sqrt(electrons))
    counts = poisson(linear() * electrons, most)
    # From a result back to the electrons that make it.
    thresholds = decode_srgb(THRESHOLDS / 255) * 2**stops * electrons
    return tabulate(counts @ normal_below((thresholds - np.arange(most + 1)[:, None]) / _READ_NOISE))


def _sign(random: np.random.Generator) -> int:
    return 1 if random.random() < 0.5 else -1


def _warp(picture: Picture, matrix: NDArray[np.float64] | cv2.typing.MatLike) -> Picture:
    """The place (x, y) of the result shows the place matrix @ (x, y, 1) of the picture."""
    height, width = picture.shape[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(picture, matrix, (width, height), flags=flags, borderMode=BORDER), np.uint8)
