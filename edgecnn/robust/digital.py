"""What happens to a picture between sensor and network: contrast, warping, resolution, compression."""

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecnn.data.images import decode
from edgecnn.robust.blur import BORDER
from edgecnn.robust.severity import Picture, Scale, side_of, to_picture

_CONTRAST: Final = Scale((0.75, 0.5, 0.4, 0.3, 0.15), (0.4, 0.3, 0.2, 0.1, 0.05))
# How far pixels move (root of the mean square) and over which length evenly (standard deviation sigma of a Gaussian);
# how far each of three points around the centre moves at most. The authors state the first by the factor a of blurred
# noise that is even over -1 to 1, which makes it a / (sqrt(12 pi) sigma).
_MOVED: Final = Scale((0, 0.041, 0.217, 0.407, 0.543), (0.465, 4.07, 0.814, 1.14, 1.954))
_EVEN: Final = Scale((0, 6.4, 1.92, 1.28, 0.96), (170.8, 19.52, 2.44, 2.44, 2.44))
_CORNER: Final = Scale((2.56, 2.24, 1.92, 1.6, 0.96), (24.4, 48.8, 4.88, 4.88, 4.88))
# Side of a block; the authors state its inverse.
_BLOCK: Final = Scale((1 / 0.95, 1 / 0.9, 1 / 0.85, 1 / 0.75, 1 / 0.65), (1 / 0.6, 1 / 0.5, 1 / 0.4, 1 / 0.3, 1 / 0.25))
_QUALITY: Final = Scale((80, 65, 58, 50, 40), (25, 18, 15, 10, 7))


def contrast(picture: Picture, severity: int, random: np.random.Generator) -> Picture:
    """Every channel is drawn towards its mean over the picture."""
    share = np.float32(_CONTRAST.ratio(severity, side_of(picture)))
    means = np.array(cv2.mean(picture)[:3], np.float32)
    return to_picture(picture * share + means * (1 - share))


def elastic_transform(picture: Picture, severity: int, random: np.random.Generator) -> Picture:
    """A random affine map, and small regions that are stretched or contracted (Simard, Steinkraus and Platt 2003).

    The authors resample twice; here both maps are one. Their severities 1 and 2 distort the whole, 3 to 5 small regions
    and the whole less: what moves furthest is severity 2.
    """
    height, width = picture.shape[:2]
    side = side_of(picture)
    corner = _CORNER.length(severity, side)
    middle, reach = np.array([width // 2, height // 2]), side // 3
    points = (middle + reach * np.array([(1, 1), (1, -1), (-1, -1)])).astype(np.float32)
    moved = points + random.uniform(-corner, corner, (3, 2)).astype(np.float32)
    matrix = np.asarray(cv2.getAffineTransform(points, moved), np.float32)
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    shift = smooth_noise(height, width, _EVEN.length(severity, side), random) * _MOVED.length(severity, side)
    map_x = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] + shift[..., 0]
    map_y = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] + shift[..., 1]
    return np.asarray(cv2.remap(picture, map_x, map_y, cv2.INTER_LINEAR, borderMode=BORDER), np.uint8)


def pixelate(picture: Picture, severity: int, random: np.random.Generator) -> Picture:
    """Too few pixels: blocks of whole pixels, of about the stated side, show their mean.

    This is the authors' way through Pillow's box filter and back, to a level. OpenCV's INTER_AREA would also blend the
    pixels between two blocks, which at 32 px changes more than the blocks do.
    """
    block = _BLOCK.length(severity, side_of(picture))
    (tops, heights), (lefts, widths) = (_blocks(length, block) for length in picture.shape[:2])
    sums = np.add.reduceat(np.add.reduceat(picture, tops, axis=0, dtype=np.uint32), lefts, axis=1)
    means = to_picture(sums / (heights[:, None] * widths)[..., None])
    return means.repeat(heights, axis=0).repeat(widths, axis=1)


def jpeg_compression(picture: Picture, severity: int, random: np.random.Generator) -> Picture:
    """JPEG of low quality, which keeps brightness (of BGR) better than colour."""
    quality = round(_QUALITY.ratio(severity, side_of(picture)))
    return decode(cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, quality))[1].tobytes())


def smooth_noise(height: int, width: int, sigma: float, random: np.random.Generator) -> NDArray[np.float32]:
    """Two fields of white noise, blurred by a Gaussian and scaled to a root mean square of 1.

    A wide Gaussian leaves nothing fine: from 4 px on the noise is drawn on a grid of half its width, and enlarged.

    Returns:
        float32 (height, width, 2).
    """
    cell = sigma / 2 if sigma >= 4 else 1.0
    rows, columns = math.ceil(height / cell), math.ceil(width / cell)
    noise = random.standard_normal((rows, columns, 2), np.float32)
    if sigma:
        size = 2 * round(3 * sigma / cell) + 1
        kernel = cv2.getGaussianKernel(size, sigma / cell)
        noise = np.asarray(cv2.sepFilter2D(noise, -1, kernel, kernel, borderType=cv2.BORDER_REFLECT), np.float32)
        noise /= np.float32(np.sum(kernel**2))
    if cell > 1:
        noise = np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)
    return noise


def _blocks(length: int, block: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each of int(length / block) blocks begins, and its length: pixels belong where their middle is."""
    count = max(int(length / block), 1)
    owners = ((np.arange(length) + 0.5) * count / length).astype(np.int64)
    return np.unique(owners, return_index=True)[1], np.bincount(owners)
