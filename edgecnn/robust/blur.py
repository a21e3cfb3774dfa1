"""Blur: of a lens, of frosted glass, of motion, of a zoom. None changes the mean but where the border comes in.

What lies outside of the picture is the picture mirrored at its border pixels.
"""

import math
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecnn.robust.severity import Picture, Scale, side_of, to_picture

BORDER: Final = cv2.BORDER_REFLECT_101

# Radius of the disk, and of the Gaussian that softens its edge, in pixels.
_DISK: Final = Scale((0.3, 0.4, 0.5, 1, 1.5), (3, 4, 6, 8, 10))
_SOFTENING: Final = Scale((0.4, 0.5, 0.6, 0.2, 0.1), (0.1, 0.5, 0.5, 0.5, 0.5))
# Standard deviation of the Gaussian, and how far the order of pixels is disturbed.
_GLASS: Final = Scale((0.05, 0.25, 0.4, 0.25, 0.4), (0.7, 0.9, 1, 1.1, 1.5))
_REACH: Final = Scale((2, 2, 2, 3, 3), (3, 3.2, 5.4, 6.2, 8))
# Radius, and standard deviation of the half Gaussian along the path.
_PATH: Final = Scale((6, 6, 6, 8, 9), (10, 15, 15, 15, 20))
_FADING: Final = Scale((1, 1.5, 2, 2, 2.5), (3, 5, 8, 12, 15))
# The largest enlargement.
_ZOOM: Final = Scale((0.05, 0.10, 0.15, 0.20, 0.25), (0.10, 0.15, 0.20, 0.24, 0.30))


def defocus_blur(picture: Picture, severity: int, random: np.random.Generator) -> Picture:
    """A lens out of focus: every point becomes a disk."""
    side = side_of(picture)
    kernel = disk(_DISK.length(severity, side), _SOFTENING.length(severity, side))
    return np.asarray(cv2.filter2D(picture, -1, kernel, borderType=BORDER), np.uint8)


def glass_blur(picture: Picture, severity: int, random: np.random.Generator) -> Picture:
    """Frosted glass: a Gaussian blur, pixels in disorder, the same blur again.

    The authors swap each pixel with a random one nearby, one after the other. Here whole rows and then columns are
    sorted by "place plus a random number", which moves pixels as far (root of the mean square, measured on the
    authors' swaps: 1.1 to 1.8 px at 32 px, 1.7 to 4.5 px at 224 px) and needs no loop.
    """
    side = side_of(picture)
    sigma = _GLASS.length(severity, side)
    disturbed = shuffle(gaussian(picture, sigma), _REACH.length(severity, side), random)
    return gaussian(disturbed, sigma)


def motion_blur(picture: Picture, severity: int, random: np.random.Generator) -> Picture:
    """The camera moves within 45 degrees of level. As in ImageMagick the trail lies to one side and fades."""
    side = side_of(picture)
    angle = random.uniform(-45, 45)
    return to_picture(drag(picture, _PATH.length(severity, side), _FADING.length(severity, side), angle))


def zoom_blur(picture: Picture, severity: int, random: np.random.Generator) -> Picture:
    """The camera nears fast: the mean of the picture, taken twice, and of enlargements of it.

    Their number is such that the border moves by a pixel from one to the next, or by three where that takes more than
    ten, as in the authors' table for 224 px.
    """
    height, width = picture.shape[:2]
    largest = _ZOOM.ratio(severity, side_of(picture))
    moved = side_of(picture) * largest / 2
    steps = max(3, min(10, math.ceil(moved)), math.ceil(moved / 3))
    total = picture.astype(np.float32) * 2
    for factor in 1 + largest * np.arange(1, steps + 1) / steps:
        matrix = np.array([(1, 0, (width - 1) / 2 * (factor - 1)), (0, 1, (height - 1) / 2 * (factor - 1))]) / factor
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        cv2.accumulate(cv2.warpAffine(picture, matrix, (width, height), flags=flags, borderMode=BORDER), total)
    return to_picture(total / (steps + 2))


@lru_cache(maxsize=32)
def disk(radius: float, softening: float) -> NDArray[np.float32]:
    """Kernel of a disk: the pixels within the radius, softened by a 3x3 Gaussian, 5x5 beyond a radius of 8 px.

    Args:
        radius: in pixels.
        softening: standard deviation of the Gaussian.

    Returns:
        float32 (n, n) with n odd and sum 1.
    """
    size = 3 if radius <= 8 else 5
    reach = int(radius) + size // 2
    places = np.arange(-reach, reach + 1)
    hard = np.array(places[:, None] ** 2 + places**2 <= radius**2, np.float32)
    soft = cv2.GaussianBlur(hard, (size, size), softening, borderType=cv2.BORDER_CONSTANT)
    soft = np.where(soft < 1e-6, 0, soft)  # denormal numbers would make the filter slow
    return np.asarray(soft / soft.sum(), np.float32)


def gaussian(picture: Picture, sigma: float) -> Picture:
    """Gaussian blur of four standard deviations either side."""
    size = 2 * round(4 * sigma) + 1
    return np.asarray(cv2.GaussianBlur(picture, (size, size), sigma, borderType=BORDER), np.uint8)


def shuffle(picture: Picture, reach: float, random: np.random.Generator) -> Picture:
    """The same pixels in another order, each at most twice the reach away along each axis."""
    height, width = picture.shape[:2]
    numbers = random.random((2, height, width), np.float32) * np.float32(2 * reach)
    across = np.argsort(numbers[0] + np.arange(width, dtype=np.float32), axis=1)
    down = np.argsort((numbers[1] + np.arange(height, dtype=np.float32)[:, None]).T, axis=1).T
    # The pixel at (y, x) comes from row down[y, x], and in that row from column across[down[y, x], x].
    source = down * width + np.take_along_axis(across, down, axis=0)
    pixels = picture.reshape(height * width, -1)
    return np.asarray(pixels.take(source.ravel(), axis=0).reshape(picture.shape), np.uint8)


def drag(picture: Picture | NDArray[np.float32], radius: float, sigma: float, angle: float) -> NDArray[np.float32]:
    """A trail behind every pixel: weights of a half Gaussian, cut off at 2 * radius pixels.

    Args:
        picture: (height, width) or (height, width, 3).
        radius, sigma: in pixels.
        angle: in degrees.

    Returns:
        float32 of the same shape.
    """
    height, width = picture.shape[:2]
    kernel = path(radius, sigma, angle)
    reach = len(kernel) // 2
    wide = cv2.copyMakeBorder(picture, reach, reach, reach, reach, BORDER).astype(np.float32)
    total = np.zeros(picture.shape, np.float32)
    # Few places of the kernel are not empty. From 12x12 on OpenCV would go through a Fourier transform, which takes
    # ten times as long.
    for y, x in np.argwhere(kernel).tolist():
        cv2.scaleAdd(wide[y : y + height, x : x + width], float(kernel[y, x]), total, total)
    return total


def path(radius: float, sigma: float, angle: float) -> NDArray[np.float64]:
    """Kernel of `drag`: (n, n) with n odd and sum 1, the steps rounded to whole pixels as in ImageMagick."""
    steps = np.arange(int(2 * radius) + 1)
    weights = np.exp(-(steps**2) / (2 * sigma**2))
    steps, weights = steps[weights > 1e-3], weights[weights > 1e-3]  # what is less is lost in rounding
    reach = len(steps) - 1
    rows = np.rint(steps * math.sin(math.radians(angle))).astype(np.int64)
    columns = np.rint(steps * math.cos(math.radians(angle))).astype(np.int64)
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    np.add.at(kernel, (reach + rows, reach + columns), weights)
    return np.asarray(kernel / kernel.sum(), np.float64)
