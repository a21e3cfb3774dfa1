"""The one function that turns a picture into a model's input tensor.

Calibration, evaluation, benchmark and runtime all call it, so what a model was measured with is what it
runs with. An 8-bit pixel has 256 values, so any normalization followed by any quantization is one lookup
table: the work per frame is a resize, a channel swap and a table.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edgecnn.config import Preprocess
from edgecnn.errors import ImageError
from edgecnn.quantization import TensorType

if TYPE_CHECKING:
    from numpy.typing import NDArray

_INTERPOLATION = {"linear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA, "nearest": cv2.INTER_NEAREST}
_MOST_REMAPPED = 32_766  # cv2.remap's 16-bit positions
# (channels of the frame, its order, order of the tensor) -> OpenCV's conversion, None where nothing is to do
_CONVERSIONS: dict[tuple[int, str, str], int | None] = {
    (3, "bgr", "rgb"): cv2.COLOR_BGR2RGB,
    (3, "rgb", "bgr"): cv2.COLOR_RGB2BGR,
    (3, "bgr", "bgr"): None,
    (3, "rgb", "rgb"): None,
    (3, "bgr", "gray"): cv2.COLOR_BGR2GRAY,
    (3, "rgb", "gray"): cv2.COLOR_RGB2GRAY,
    (4, "bgr", "rgb"): cv2.COLOR_BGRA2RGB,
    (4, "rgb", "bgr"): cv2.COLOR_RGBA2BGR,
    (4, "bgr", "bgr"): cv2.COLOR_BGRA2BGR,
    (4, "rgb", "rgb"): cv2.COLOR_RGBA2RGB,
    (4, "bgr", "gray"): cv2.COLOR_BGRA2GRAY,
    (4, "rgb", "gray"): cv2.COLOR_RGBA2GRAY,
    (1, "gray", "gray"): None,
    (1, "gray", "rgb"): cv2.COLOR_GRAY2RGB,
    (1, "gray", "bgr"): cv2.COLOR_GRAY2BGR,
}


class Preprocessor:
    """Turns uint8 frames of any size into tensors of one size, type and normalization.

    Args:
        preprocess: what the model needs.
        tensor: element type of the model's input; an integer type is quantized in the same table.
    """

    def __init__(self, preprocess: Preprocess, tensor: TensorType | None = None) -> None:
        self.preprocess = preprocess
        self.tensor = tensor or TensorType()
        self._table = lookup_table(preprocess, self.tensor)
        self._shortcut = _shortcut(self._table)

    def __call__(self, frame: NDArray[np.uint8], color: str = "bgr") -> NDArray[Any]:
        """One frame to one tensor.

        Args:
            frame: uint8, (height, width), (height, width, 1), (height, width, 3) or, with alpha dropped,
                (height, width, 4).
            color: channel order of a frame with 3 or 4 channels: "bgr" (OpenCV's) or "rgb".

        Returns:
            (height, width, channels) of the model's input, in the input tensor's dtype.

        Raises:
            ImageError: the frame is not uint8 or has another shape.
        """
        pixels = self.pixels(frame, color)
        if self._shortcut == "same":
            return pixels
        if self._shortcut == "flip":  # int8 = uint8 - 128, which is one bit
            return (pixels ^ np.uint8(0x80)).view(np.int8)
        return cv2.LUT(pixels, self._table).reshape(pixels.shape)

    def pixels(self, frame: NDArray[np.uint8], color: str = "bgr") -> NDArray[np.uint8]:
        """The frame in the tensor's size and colour order, still uint8: (height, width, channels)."""
        want = self.preprocess
        conversion = _conversion(frame, color, want.color)
        resized = _resize(frame, want)
        if conversion is not None:
            resized = np.asarray(cv2.cvtColor(resized, conversion), np.uint8)
        return np.ascontiguousarray(resized).reshape(want.height, want.width, want.channels)


def lookup_table(preprocess: Preprocess, tensor: TensorType) -> NDArray[Any]:
    """Table from pixel to tensor element: (1, 256, channels) if channels differ, else (1, 256, 1)."""
    pixel = np.arange(256, dtype=np.float64)[:, None]
    real = (pixel - np.array(preprocess.mean)) / np.array(preprocess.std)
    return np.ascontiguousarray(tensor.quantize(real)[None])


def real_range(preprocess: Preprocess) -> tuple[float, float]:
    """Smallest and largest real value that preprocessing can produce (pixels 0 and 255)."""
    table = lookup_table(preprocess, TensorType())
    return float(table.min()), float(table.max())


def _shortcut(table: NDArray[Any]) -> str:
    if table.shape[-1] == 1 and table.dtype == np.uint8 and np.array_equal(table[0, :, 0], np.arange(256)):
        return "same"
    if table.shape[-1] == 1 and table.dtype == np.int8 and np.array_equal(table[0, :, 0], np.arange(-128, 128)):
        return "flip"
    return ""


def _conversion(frame: NDArray[np.uint8], color: str, wanted: str) -> int | None:
    channels = frame.shape[2] if frame.ndim == 3 else 1
    key = (channels, "gray" if channels == 1 else color, wanted)
    if frame.dtype != np.uint8 or frame.ndim not in (2, 3) or key not in _CONVERSIONS or 0 in frame.shape:
        raise ImageError(
            "expected a uint8 frame of shape (height, width[, 1, 3 or 4]) in bgr or rgb, "
            f"got {frame.dtype} {frame.shape} in {color!r}"
        )
    return _CONVERSIONS[key]


def _resize(frame: NDArray[np.uint8], want: Preprocess) -> NDArray[np.uint8]:
    height, width = frame.shape[:2]
    if want.fit == "center-crop":
        crop_width = min(width, max(1, round(height * want.width / want.height)))
        crop_height = min(height, max(1, round(width * want.height / want.width)))
        top, left = (height - crop_height) // 2, (width - crop_width) // 2
        frame = frame[top : top + crop_height, left : left + crop_width]
        height, width = crop_height, crop_width
    if want.fit == "letterbox":
        factor = min(want.width / width, want.height / height)
        inner = (max(1, round(width * factor)), max(1, round(height * factor)))
        left, top = (want.width - inner[0]) // 2, (want.height - inner[1]) // 2
        picture = _scale(frame, inner, want.interpolation)
        bottom, right = want.height - inner[1] - top, want.width - inner[0] - left
        bordered = cv2.copyMakeBorder(picture, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0))
        return np.asarray(bordered, np.uint8)
    if (height, width) == (want.height, want.width):
        return frame
    return _scale(frame, (want.width, want.height), want.interpolation)


def _scale(frame: NDArray[np.uint8], size: tuple[int, int], interpolation: str) -> NDArray[np.uint8]:
    """The frame resized to (width, height)."""
    if interpolation == "corner":
        if max(frame.shape[:2]) > _MOST_REMAPPED:
            raise ImageError(
                f"expected a frame of at most {_MOST_REMAPPED} pixels a side for the interpolation corner, "
                f"got {frame.shape[1]}x{frame.shape[0]}; shrink it first"
            )
        maps = _corner_maps((frame.shape[1], frame.shape[0]), size)
        return np.asarray(cv2.remap(frame, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)
    return np.asarray(cv2.resize(frame, size, interpolation=_INTERPOLATION[interpolation]), np.uint8)


@lru_cache(maxsize=8)
def _corner_maps(source: tuple[int, int], size: tuple[int, int]) -> tuple[NDArray[np.int16], NDArray[np.uint16]]:
    """Where each target pixel reads: x * source / size, not shifted to pixel centres, in steps of 1/32.

    The steps are those of OpenCV's fixed-point warp, which MediaPipe uses, so that scores are the same.

    Returns:
        Whole positions (height, width, 2) and the index of their fractions (height, width), as cv2.remap takes them.
    """
    x, y = (np.rint(np.arange(n) * (whole / n) * 32).astype(np.int64) for n, whole in zip(size, source, strict=True))
    positions = np.stack(np.meshgrid(x // 32, y // 32), axis=-1).astype(np.int16)
    fractions = (y % 32)[:, None] * 32 + (x % 32)[None]
    return positions, fractions.astype(np.uint16)
