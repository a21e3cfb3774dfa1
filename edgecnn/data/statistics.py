"""Figures of one picture that tell dark, bright, flat and blurred; the same at conversion and in the camera."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import cv2

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SIDE: Final = 128  # pixels; larger pictures are shrunk, which averages noise away and bounds the cost
_GRAY: Final = {"rgb": cv2.COLOR_RGB2GRAY, "bgr": cv2.COLOR_BGR2GRAY}


class PictureStatistics(NamedTuple):
    """Figures of one picture.

    Attributes:
        brightness: mean luma, from 0 (black) to 1 (white).
        contrast: standard deviation of luma, on the same scale, so 0 to 0.5.
        sharpness: standard deviation of the Laplacian of luma, over that of luma, 0 to 8. More light or contrast leaves
            it as it is, blur lowers it. 0 where all pixels are equal.
    """

    brightness: float
    contrast: float
    sharpness: float


def picture_statistics(pixels: NDArray[np.uint8], color: str) -> PictureStatistics:
    """Measure a picture as the model gets it, so that blur which the model cannot see does not count.

    A picture whose shorter side is longer than 128 pixels is first reduced by a whole factor, each pixel the mean of
    those it replaces. The Laplacian is the one of four neighbours.
    Source of its variance as a measure of focus: J. L. Pech-Pacheco et al., "Diatom autofocusing in brightfield
    microscopy: a comparative study", ICPR 2000; here over the variance of luma, so that it does not depend on exposure.

    Args:
        pixels: uint8 (height, width, 3), or (height, width) or (height, width, 1) where they are gray.
        color: "rgb", "bgr" or "gray".
    """
    gray = cv2.cvtColor(pixels, _GRAY[color]) if color in _GRAY else pixels
    height, width = gray.shape[:2]
    if (factor := -(-min(height, width) // _SIDE)) > 1:
        gray = cv2.resize(gray, (width // factor, height // factor), interpolation=cv2.INTER_AREA)
    mean, deviation = cv2.meanStdDev(gray)
    spread = deviation.item()
    _, edges = cv2.meanStdDev(cv2.Laplacian(gray, cv2.CV_16S))
    return PictureStatistics(mean.item() / 255, spread / 255, edges.item() / spread if spread else 0.0)
