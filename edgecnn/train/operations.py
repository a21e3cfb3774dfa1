"""What can be done to one training picture: uint8 (height, width, channels) in, a new one of the same shape out.

Pictures are RGB or have one channel. Every function leaves its input as it is and keeps no state, so threads may
share them. Geometry is one affine matrix and one resampling; brightness, contrast, saturation and hue together are
one linear map of the colours.
"""

import math
from collections.abc import Callable
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

_LUMA: Final = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in Pillow, torchvision and OpenCV
# A colour is its gray plus its chroma; a turn of the hue moves chroma within the I-Q plane of YIQ.
_YIQ: Final = np.array([_LUMA, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112)])
_GRAY: Final = np.tile(np.array(_LUMA), (3, 1))
_CHROMA: Final = np.eye(3) - _GRAY
_QUARTER_TURN: Final = np.linalg.inv(_YIQ) @ np.array([(0, 0, 0), (0, 0, -1), (0, 1, 0)]) @ _YIQ
_SMOOTH: Final = np.array([(1, 1, 1), (1, 5, 1), (1, 1, 1)], np.float32) / 13  # Pillow's ImageFilter.SMOOTH
_INVERT: Final = np.uint8(255)


def affine(
    width: int,
    height: int,
    *,
    flip: bool = False,
    shift: tuple[float, float] = (0.0, 0.0),
    rotate: float = 0.0,
    zoom: float = 1.0,
    shear: tuple[float, float] = (0.0, 0.0),
) -> NDArray[np.float64]:
    """The matrix for `warp`: flip left-right, then shear, zoom and rotate about the centre, then shift.

    Args:
        width, height: of the picture, in pixels.
        flip: left becomes right.
        shift: to the right and down, in pixels.
        rotate: degrees counterclockwise.
        zoom: above 1 enlarges.
        shear: (x, y); x moves a pixel to the right by x times its distance below the centre, y likewise down.

    Returns:
        (2, 3): from a place (x, y, 1) in the result to the place in the picture that it shows.
    """
    cos, sin = math.cos(math.radians(rotate)), math.sin(math.radians(rotate))
    x, y = shear
    scale = 1 / (zoom * (1 - x * y))  # of the inverses of zoom and shear
    mirror = -scale if flip else scale
    xx, xy = mirror * (cos - x * sin), mirror * (-sin - x * cos)
    yx, yy = scale * (sin - y * cos), scale * (cos + y * sin)
    center_x, center_y = (width - 1) / 2, (height - 1) / 2
    from_x, from_y = center_x + shift[0], center_y + shift[1]
    return np.array(
        [
            (xx, xy, center_x - xx * from_x - xy * from_y),
            (yx, yy, center_y - yx * from_x - yy * from_y),
        ]
    )


def warp(picture: Picture, matrix: NDArray[np.float64], *, exact: bool = False) -> Picture:
    """Resample a picture through a matrix of `affine`.

    What comes in from outside is the picture mirrored at the middle of its border pixels. So no invented colour and
    no black corner tells the network what was done, and no pixel is doubled into a flat edge.

    Args:
        picture: what to resample.
        matrix: as `affine` makes it.
        exact: copy pixels (nearest) where the matrix moves whole ones, instead of blending four.
    """
    height, width = picture.shape[:2]
    flags = (cv2.INTER_NEAREST if exact else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(picture, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    return _like(picture, warped)


def adjust(
    picture: Picture, *, brightness: float = 1.0, contrast: float = 1.0, saturation: float = 1.0, hue: float = 0.0
) -> Picture:
    """Change brightness, then contrast around the mean gray, then saturation and hue; values are cut off at the end.

    Args:
        picture: RGB, or with one channel, which has neither saturation nor hue.
        brightness, contrast, saturation: factors; 1 changes nothing, 0 gives black, the mean gray, grays.
        hue: degrees.
    """
    one, two, three, _ = cv2.mean(picture)
    gray = one if picture.shape[2] == 1 else _LUMA[0] * one + _LUMA[1] * two + _LUMA[2] * three
    factor, offset = brightness * contrast, (1 - contrast) * brightness * gray
    if picture.shape[2] == 1 or (saturation == 1 and hue == 0):
        return _like(picture, cv2.addWeighted(picture, factor, picture, 0, offset))
    turn = math.radians(hue)
    colors = _GRAY + saturation * math.cos(turn) * _CHROMA + saturation * math.sin(turn) * _QUARTER_TURN
    matrix = np.full((3, 4), offset)
    matrix[:, :3] = factor * colors
    return _like(picture, cv2.transform(picture, matrix))


def autocontrast(picture: Picture) -> Picture:
    """Stretch every channel to the range 0 to 255; a channel of one level stays."""
    return _channels(picture, _stretched)


def equalize(picture: Picture) -> Picture:
    """Make the histogram of every channel as flat as it can be, as Pillow does; a channel of one level stays."""
    return _channels(picture, _equalized)


def sharpen(picture: Picture, factor: float) -> Picture:
    """Away from the smoothed picture (factor above 1) or towards it (0: smoothed, 1: unchanged), as Pillow does."""
    smooth = _like(picture, cv2.filter2D(picture, -1, _SMOOTH))
    smooth[[0, -1]] = picture[[0, -1]]
    smooth[:, [0, -1]] = picture[:, [0, -1]]
    return _like(picture, cv2.addWeighted(picture, factor, smooth, 1 - factor, 0))


def posterize(picture: Picture, bits: int) -> Picture:
    """Keep the `bits` highest bits of each level, 1 to 8."""
    return picture & np.uint8(256 - (1 << (8 - bits)))


def solarize(picture: Picture, threshold: float) -> Picture:
    """Invert the levels from `threshold` on."""
    # A whole number, or numpy compares as float64.
    return np.where(picture < math.ceil(threshold), picture, _INVERT - picture)


def erase(picture: Picture, left: int, top: int, width: int, height: int) -> Picture:
    """Cover a box, in pixels, with the picture's mean colour."""
    result = picture.copy()
    result[top : top + height, left : left + width] = np.rint(cv2.mean(picture)[: picture.shape[2]])
    return result


def _translate(picture: Picture, x: float, y: float) -> Picture:
    """Shift by shares of the width and height, by whole pixels."""
    height, width = picture.shape[:2]
    return warp(picture, affine(width, height, shift=(round(x * width), round(y * height))), exact=True)


def _affine(picture: Picture, **change: Any) -> Picture:
    return warp(picture, affine(picture.shape[1], picture.shape[0], **change))


# RandAugment's operations (Cubuk et al. 2020) by the names of the paper, and how far each goes at level -1 to 1. The
# ranges are those of AutoAugment, which torchvision has too; where the sign has no meaning its size counts.
RAND_AUGMENT: Final[dict[str, Callable[[Picture, float], Picture]]] = {
    "identity": lambda picture, level: picture,
    "autocontrast": lambda picture, level: autocontrast(picture),
    "equalize": lambda picture, level: equalize(picture),
    "rotate": lambda picture, level: _affine(picture, rotate=30 * level),
    "solarize": lambda picture, level: solarize(picture, 256 - 256 * abs(level)),
    "color": lambda picture, level: adjust(picture, saturation=1 + 0.9 * level),
    "posterize": lambda picture, level: posterize(picture, 8 - round(4 * abs(level))),
    "contrast": lambda picture, level: adjust(picture, contrast=1 + 0.9 * level),
    "brightness": lambda picture, level: adjust(picture, brightness=1 + 0.9 * level),
    "sharpness": lambda picture, level: sharpen(picture, 1 + 0.9 * level),
    "shear-x": lambda picture, level: _affine(picture, shear=(0.3 * level, 0.0)),
    "shear-y": lambda picture, level: _affine(picture, shear=(0.0, 0.3 * level)),
    "translate-x": lambda picture, level: _translate(picture, 150 / 331 * level, 0.0),
    "translate-y": lambda picture, level: _translate(picture, 0.0, 150 / 331 * level),
}


def _stretched(channel: Picture) -> Picture:
    low, high, *_ = cv2.minMaxLoc(channel)
    if low == high:
        return channel
    scale = 255 / (high - low)
    return _like(channel, cv2.addWeighted(channel, scale, channel, 0, -low * scale))


def _equalized(channel: Picture) -> Picture:
    histogram = cv2.calcHist([channel], [0], None, [256], [0, 256]).ravel().astype(np.int64)
    last = histogram[np.flatnonzero(histogram)[-1]]
    step = (channel.size - last) // 255
    if step == 0:
        return channel
    darker = np.cumsum(histogram) - histogram
    table: Picture = np.minimum((step // 2 + darker) // step, 255).astype(np.uint8)
    return table.take(channel, mode="clip")  # nothing is to clip, but it spares numpy the check


def _channels(picture: Picture, change: Callable[[Picture], Picture]) -> Picture:
    """Change each channel by itself."""
    return np.dstack([change(np.ascontiguousarray(picture[:, :, index])) for index in range(picture.shape[2])])


def _like(picture: Picture, result: Any) -> Picture:
    """OpenCV's result in the shape of the picture: it drops the last axis where there is one channel."""
    shaped: Picture = result.reshape(picture.shape)
    return shaped
