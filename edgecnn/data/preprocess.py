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
_HIGH_BIT, _SEVEN = np.array(0x80, np.uint8), np.array(7, np.uint8)
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

    Not thread-safe: it keeps a buffer between frames.

    Args:
        preprocess: what the model needs.
        tensor: element type of the model's input; an integer type is quantized in the same table.
    """

    def __init__(self, preprocess: Preprocess, tensor: TensorType | None = None) -> None:
        self.preprocess = preprocess
        self.tensor = tensor or TensorType()
        self._table = lookup_table(preprocess, self.tensor)
        self._shortcut = _shortcut(self._table)
        self._interpolation = _INTERPOLATION.get(preprocess.interpolation)
        self._shape = (preprocess.height, preprocess.width, preprocess.channels)
        self._pixels = np.empty(self._shape, np.uint8)
        # What `_prepare` found for frames of one shape and colour order.
        self._known: tuple[tuple[int, ...], str] = (), ""
        self._part: tuple[slice, slice] | None = None  # of the frame that is used
        self._place: tuple[slice, slice] | None = None  # in the tensor that is filled
        self._conversion: int | None = None
        self._size = preprocess.size  # width, height of what is filled
        self._scaled: NDArray[np.uint8] | None = None  # the tensor's size, still in the frame's colours

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
        tensor = np.empty(self._shape, self._table.dtype)
        self.write(frame, tensor, color)
        return tensor

    def write(self, frame: NDArray[np.uint8], tensor: NDArray[Any], color: str = "bgr") -> None:
        """As a call, but into a contiguous tensor that is there: for frames of one size nothing is allocated.

        Raises:
            ImageError: the frame is not uint8 or has another shape.
        """
        if self._shortcut is None:
            self._write_pixels(frame, self._pixels, color)
            cv2.LUT(self._pixels, self._table, dst=tensor)
            return
        pixels = tensor.view(np.uint8)
        self._write_pixels(frame, pixels, color)
        halves_meet, high_bit = self._shortcut
        if halves_meet:
            np.right_shift(pixels, _SEVEN, self._pixels)
            np.subtract(pixels, self._pixels, pixels)
        if high_bit:
            np.bitwise_xor(pixels, _HIGH_BIT, pixels)

    def pixels(self, frame: NDArray[np.uint8], color: str = "bgr") -> NDArray[np.uint8]:
        """The frame in the tensor's size and colour order, still uint8: (height, width, channels)."""
        pixels = np.empty(self._shape, np.uint8)
        self._write_pixels(frame, pixels, color)
        return pixels

    def written(self, tensor: NDArray[Any]) -> NDArray[np.uint8]:
        """The pixels behind a tensor that `write` filled last, without the bars of a letterbox; no second resize.

        Some tables make one of the pixel values 127 and 128; here the upper half of the range is one lower then. What
        comes back may be a view of the tensor or of a buffer, which the next `write` changes.
        """
        pixels = self._pixels
        if self._shortcut is not None:
            pixels = tensor.view(np.uint8)
            if self._shortcut[1]:
                pixels = np.bitwise_xor(pixels, _HIGH_BIT)
        return pixels if self._place is None else pixels[self._place]

    def normalize(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        """What `pixels` gave, one picture (height, width, channels) or many, as the tensor that a call gives."""
        flat = cv2.LUT(pixels.reshape(-1, 1, pixels.shape[-1]), self._table)
        return flat.reshape(pixels.shape)

    def _write_pixels(self, frame: NDArray[np.uint8], pixels: NDArray[np.uint8], color: str) -> None:
        if (frame.shape, color) != self._known or frame.dtype != np.uint8:
            self._prepare(frame, color)
        if self._part is not None:
            frame = frame[self._part]
        if self._place is not None:
            pixels[:] = 0
            pixels = pixels[self._place]
        if self._conversion is None:
            self._scale(frame, pixels)
        elif self._scaled is None:
            cv2.cvtColor(frame, self._conversion, pixels)
        else:
            self._scale(frame, self._scaled)
            cv2.cvtColor(self._scaled, self._conversion, pixels)

    def _scale(self, frame: NDArray[np.uint8], pixels: NDArray[np.uint8]) -> None:
        """Resize the frame into `pixels`, which has as many channels."""
        if self._interpolation is not None:
            cv2.resize(frame, self._size, pixels, 0, 0, self._interpolation)  # copies where the size is right already
            return
        if max(frame.shape[:2]) > _MOST_REMAPPED:
            raise ImageError(
                f"expected a frame of at most {_MOST_REMAPPED} pixels a side for the interpolation corner, "
                f"got {frame.shape[1]}x{frame.shape[0]}; shrink it first"
            )
        maps = _corner_maps((frame.shape[1], frame.shape[0]), self._size)
        cv2.remap(frame, *maps, cv2.INTER_LINEAR, dst=pixels, borderMode=cv2.BORDER_REPLICATE)

    def _prepare(self, frame: NDArray[np.uint8], color: str) -> None:
        """What to do with frames of this shape: what part to take, where to put it, a buffer, a conversion."""
        want = self.preprocess
        self._conversion = _conversion(frame, color, want.color)
        self._part = self._place = self._scaled = None
        height, width = frame.shape[:2]
        size, target = (height, width), (want.height, want.width)
        if want.fit == "center-crop":
            size = _largest(target, size)
            self._part = _middle(size, (height, width))
        elif want.fit == "letterbox":
            target = _largest(size, target)
            self._place = _middle(target, (want.height, want.width))
        if self._conversion is not None and size != target:
            self._scaled = np.empty((*target, *frame.shape[2:]), np.uint8)
        self._size = target[::-1]
        self._known = frame.shape, color


def lookup_table(preprocess: Preprocess, tensor: TensorType) -> NDArray[Any]:
    """Table from pixel to tensor element: (1, 256, channels) if channels differ, else (1, 256, 1)."""
    pixel = np.arange(256, dtype=np.float64)[:, None]
    real = (pixel - np.array(preprocess.mean)) / np.array(preprocess.std)
    return np.ascontiguousarray(tensor.quantize(real)[None])


def real_range(preprocess: Preprocess) -> tuple[float, float]:
    """Smallest and largest real value that preprocessing can produce (pixels 0 and 255)."""
    table = lookup_table(preprocess, TensorType())
    return float(table.min()), float(table.max())


def _shortcut(table: NDArray[Any]) -> tuple[bool, bool] | None:
    """Whether the table is arithmetic on bytes, which is many times faster than looking up: (halves meet, high bit).

    "Halves meet" where the upper 128 pixel values are one lower, as around a zero point between two integers (the
    normalization "symmetric"); "high bit" where int8 = uint8 - 128. None where the table is needed.
    """
    if table.shape[-1] != 1 or table.dtype not in (np.uint8, np.int8):
        return None
    pixel = np.arange(256, dtype=np.uint8)
    for meet, high in ((False, False), (False, True), (True, False), (True, True)):
        if np.array_equal((pixel - (pixel >> 7) * meet) ^ np.uint8(0x80 * high), table.view(np.uint8).ravel()):
            return meet, high
    return None


def _conversion(frame: NDArray[np.uint8], color: str, wanted: str) -> int | None:
    channels = frame.shape[2] if frame.ndim == 3 else 1
    key = (channels, "gray" if channels == 1 else color, wanted)
    if frame.dtype != np.uint8 or frame.ndim not in (2, 3) or key not in _CONVERSIONS or 0 in frame.shape:
        raise ImageError(
            "expected a uint8 frame of shape (height, width[, 1, 3 or 4]) in bgr or rgb, "
            f"got {frame.dtype} {frame.shape} in {color!r}"
        )
    return _CONVERSIONS[key]


def _largest(aspect: tuple[int, int], box: tuple[int, int]) -> tuple[int, int]:
    """The largest (height, width) of an aspect inside a box, in whole pixels."""
    factor = min(box[0] / aspect[0], box[1] / aspect[1])
    return max(1, round(aspect[0] * factor)), max(1, round(aspect[1] * factor))


def _middle(size: tuple[int, int], box: tuple[int, int]) -> tuple[slice, slice]:
    """Where (height, width) lies in the middle of a box."""
    top, left = (box[0] - size[0]) // 2, (box[1] - size[1]) // 2
    return slice(top, top + size[0]), slice(left, left + size[1])


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
