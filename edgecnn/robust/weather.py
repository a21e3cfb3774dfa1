"""Weather: snow, frost on the window, fog, and a brighter day."""

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecnn.robust.blur import drag
from edgecnn.robust.frost import TEXTURE, TEXTURES, texture
from edgecnn.robust.severity import Picture, Scale, side_of, to_picture

# Of the flakes: mean and standard deviation of the noise they are made of, their size in pixels, the level below which
# there is none, radius and standard deviation of their trails; then the share of the picture that is not whitened.
_MEAN: Final = Scale((0.1, 0.1, 0.15, 0.25, 0.3), (0.1, 0.2, 0.55, 0.55, 0.55))
_DEVIATION: Final = Scale((0.2, 0.2, 0.3, 0.3, 0.3), (0.3, 0.3, 0.3, 0.3, 0.3))
_FLAKE: Final = Scale((1, 1, 1.75, 2.25, 1.25), (3, 2, 4, 4.5, 2.5))
_LEAST: Final = Scale((0.6, 0.5, 0.55, 0.6, 0.65), (0.5, 0.5, 0.9, 0.85, 0.85))
_TRAIL: Final = Scale((8, 10, 10, 12, 14), (10, 12, 12, 12, 12))
_FADING: Final = Scale((3, 4, 4, 6, 12), (4, 4, 8, 8, 12))
_PLAIN: Final = Scale((0.95, 0.9, 0.9, 0.85, 0.8), (0.8, 0.7, 0.7, 0.65, 0.55))
# Weights of the picture and of the ice; how large a pixel of the ice's picture is, in pixels.
_SEEN: Final = Scale((1, 1, 0.9, 0.85, 0.75), (1, 0.8, 0.7, 0.65, 0.6))
_ICE: Final = Scale((0.2, 0.3, 0.4, 0.4, 0.45), (0.4, 0.6, 0.7, 0.7, 0.75))
_ENLARGED: Final = Scale((0.2,) * 5, (1.0,) * 5)
# How thick fog is where white is 1, and what a step from coarse to fine divides its unevenness by.
_THICK: Final = Scale((0.2, 0.5, 0.75, 1, 1.5), (1.5, 2, 2.5, 2.5, 3))
_DECAY: Final = Scale((3, 3, 2.5, 2, 1.75), (2, 2, 1.7, 1.5, 1.4))
# What is added to the value of hue, saturation, value.
_BRIGHTER: Final = Scale((0.05, 0.1, 0.15, 0.2, 0.3), (0.1, 0.2, 0.3, 0.4, 0.5))


def snow(picture: Picture, severity: int, random: np.random.Generator) -> Picture:
    """Whitened, with flakes that fall within 45 degrees of straight down; the same flakes again, turned by 180 degrees.

    The picture is BGR: how far it is whitened depends on its gray.
    """
    height, width = picture.shape[:2]
    side = side_of(picture)
    flake = _FLAKE.length(severity, side)
    grid = math.ceil(height / flake), math.ceil(width / flake)
    noise = random.standard_normal(grid, np.float32)
    noise = noise * np.float32(_DEVIATION.ratio(severity, side)) + np.float32(_MEAN.ratio(severity, side))
    layer = np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    layer = np.where(layer < _LEAST.ratio(severity, side), np.float32(0), layer).clip(0, 1)
    angle = random.uniform(45, 135)
    trails = drag(layer, _TRAIL.length(severity, side), _FADING.length(severity, side), angle)
    plain = np.float32(_PLAIN.ratio(severity, side))
    gray = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.float32)[..., None]
    whitened = picture * plain + (1 - plain) * np.maximum(picture, gray * np.float32(1.5) + np.float32(127.5))
    return to_picture(whitened + (255 * (trails + trails[::-1, ::-1]))[..., None])


def frost(picture: Picture, severity: int, random: np.random.Generator) -> Picture:
    """Ice on the window before the camera: a weighted sum of the picture (BGR) and of a piece of a picture of ice.

    The authors add photographs. Here the ice is drawn: see `edgecnn.robust.frost`. Weights and scale are the authors'.
    """
    height, width = picture.shape[:2]
    side = side_of(picture)
    ice = texture(int(random.integers(TEXTURES)))
    # A long picture needs a larger piece than there is: it gets a coarser one.
    scale = max(_ENLARGED.length(severity, side), height / TEXTURE, width / TEXTURE)
    rows, columns = max(int(height / scale), 1), max(int(width / scale), 1)
    top, left = (int(random.integers(TEXTURE - length + 1)) for length in (rows, columns))
    piece = ice[top : top + rows, left : left + columns]
    if random.random() < 0.5:
        piece = piece[:, ::-1]
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    fitting = cv2.resize(np.ascontiguousarray(piece), (width, height), interpolation=method)
    weights = _SEEN.ratio(severity, side), _ICE.ratio(severity, side)
    return np.asarray(cv2.addWeighted(picture, weights[0], fitting, weights[1], 0), np.uint8)


def fog(picture: Picture, severity: int, random: np.random.Generator) -> Picture:
    """Uneven fog: a gray fractal is added, and the sum made as dark as the brightest value was."""
    side = side_of(picture)
    thick = _THICK.ratio(severity, side)
    brightest = float(picture.max()) / 255
    layer = fractal(picture.shape[0], picture.shape[1], _DECAY.ratio(severity, side), random)
    return to_picture((picture + (255 * thick * layer)[..., None]) * np.float32(brightest / (brightest + thick)))


def brightness(picture: Picture, severity: int, random: np.random.Generator) -> Picture:
    """More value, in terms of hue, saturation and value: the channels of a pixel keep their ratio."""
    blue, green, red = cv2.split(picture)
    value = np.asarray(cv2.max(cv2.max(blue, green), red), np.uint8)[..., None]
    added = 255 * _BRIGHTER.ratio(severity, side_of(picture))
    levels = np.arange(256)
    factors = (np.minimum(levels + added, 255) / np.maximum(levels, 1)).astype(np.float32)
    # Black has no hue: it becomes gray.
    return to_picture(np.maximum(picture, value == 0) * factors.take(value))


def fractal(height: int, width: int, decay: float, random: np.random.Generator) -> NDArray[np.float32]:
    """Clouds by midpoint displacement (Fournier, Fussell and Carpenter 1982).

    From 4x4 on, the map is doubled in size, blended, and made uneven by less and less. In the authors' program
    unevenness is the square of what is divided by `decay` at each step, and so it is here.

    Args:
        height, width: of the result.
        decay: what the root of the unevenness is divided by at each step.
        random: source of all random numbers.

    Returns:
        float32 (height, width), from 0 to 1 over the map that it is cut from.
    """
    size, uneven = 4, np.float32(1)
    layer = random.random((4, 4), np.float32) - np.float32(0.5)
    while size < max(height, width):
        size, uneven = 2 * size, np.float32(uneven / decay**2)
        layer = np.asarray(cv2.resize(layer, (size, size), interpolation=cv2.INTER_LINEAR), np.float32)
        layer += uneven * (random.random((size, size), np.float32) - np.float32(0.5))
    layer -= layer.min()
    return layer[:height, :width] / max(float(layer.max()), 1e-9)
