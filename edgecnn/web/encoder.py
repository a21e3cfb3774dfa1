"""Pictures for those who watch: one small copy on the thread that classifies, one JPEG on another."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from edgecnn.sinks.worker import Worker

if TYPE_CHECKING:
    from numpy.typing import NDArray

_QUALITY: Final = [cv2.IMWRITE_JPEG_QUALITY, 80]
_LIGHT, _DARK = (255, 255, 255), (0, 0, 0)


class Encoder:
    """Makes JPEGs of pictures, at most so many a second; those that come while it is busy are left out.

    Args:
        publish: takes each JPEG, on the encoder's thread.
        roi: region of interest (x, y, width, height) in pixels of the picture, drawn as a rectangle.
        max_fps: pictures a second at most.
        max_width: pixels; wider pictures are shrunk.

    Attributes:
        encoded: JPEGs made so far.
    """

    def __init__(
        self, publish: Callable[[bytes], None], *, roi: tuple[int, int, int, int] | None, max_fps: float, max_width: int
    ) -> None:
        self.encoded = 0
        self._publish = publish
        self._roi = roi
        self._interval = 1 / max_fps
        self._max_width = max_width
        self._due = 0.0
        self._picture: NDArray[np.uint8] = np.empty((0, 0, 3), np.uint8)
        self._scale = 1.0
        self._worker = Worker("encoder", most=1)  # so that the picture is the encoder's while it is busy

    def close(self) -> None:
        """End the thread, after the picture it is at; nothing is published afterwards."""
        self._worker.close()

    def take(self, pixels: NDArray[np.uint8]) -> None:
        """Copy a picture (height, width, 3) in BGR, if it is time for one and the encoder is free."""
        now = time.monotonic()
        if now < self._due or not self._worker.free():
            return
        # Counted from when this one was due, so that 30 pictures a second thin out to 15 and not to 10.
        self._due = max(self._due + self._interval, now)
        height, width = pixels.shape[:2]
        self._scale = min(1.0, self._max_width / width)
        size = (round(width * self._scale), max(1, round(height * self._scale)))
        if self._picture.shape != (size[1], size[0], 3):
            self._picture = np.empty((size[1], size[0], 3), np.uint8)
        # Linear takes a sixth of the time of area where the sizes are no multiples of each other.
        cv2.resize(pixels, size, dst=self._picture, interpolation=cv2.INTER_LINEAR)
        self._worker.do(self._encode)

    def _encode(self) -> None:
        if self._roi:
            self._draw_roi(self._roi)
        jpeg = cv2.imencode(".jpg", self._picture, _QUALITY)[1].tobytes()
        self.encoded += 1
        self._publish(jpeg)

    def _draw_roi(self, roi: tuple[int, int, int, int]) -> None:
        """A white line in a dark one, to be seen on any picture."""
        x, y, width, height = roi
        first = (round(x * self._scale), round(y * self._scale))
        last = (round((x + width) * self._scale) - 1, round((y + height) * self._scale) - 1)
        cv2.rectangle(self._picture, first, last, _DARK, 3)
        cv2.rectangle(self._picture, first, last, _LIGHT, 1)
