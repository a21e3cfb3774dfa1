"""Sources that OpenCV reads: USB cameras, video files and network streams."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edgecnn.camera.frame import Picture
from edgecnn.errors import SourceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TIMEOUT_MS = 3000  # an address that neither answers nor refuses
_MOST_AGE = 10.0  # seconds; an older driver's time stamp is from another clock


class _Capture:
    """What all of them share: grab, look at the clock, decode."""

    live = True
    rate: float | None = None

    def __init__(self, name: str, capture: Any, trouble: str) -> None:
        self.skipped = 0
        self._name, self._capture = name, capture
        if not capture.isOpened():
            capture.release()
            raise SourceError(f"cannot open {name}: {trouble}")

    def read(self, into: NDArray[np.uint8] | None) -> Picture | None:
        """See `Source.read`."""
        try:
            if not self._capture.grab():
                return self._end()
            captured = self._captured()
            done, pixels = self._capture.retrieve(into) if into is not None else self._capture.retrieve()
        except cv2.error as exc:
            raise SourceError(f"{self._name} cannot be read on: {exc.err or exc}") from exc
        return Picture(_bgr(pixels), captured) if done else self._end()

    def _captured(self) -> float:
        return time.monotonic()

    def _end(self) -> Picture | None:
        raise SourceError(f"{self._name} gives no more pictures")

    def close(self) -> None:
        """See `Source.close`."""
        self._capture.release()


class Device(_Capture):
    """A USB or other V4L2 camera, by its number or path.

    Raises:
        SourceError: there is none, it is in use, or it is no camera.
    """

    def __init__(self, text: str, *, size: tuple[int, int] | None = None) -> None:
        path = f"/dev/video{text}" if text.isdecimal() else text
        trouble = (
            "another program may use it, or it is no camera (a camera often has two devices; try the next number)"
            if os.path.exists(path)
            else f"there is no {path}; is it plugged in? For a CSI camera of a Raspberry Pi use --source picamera"
        )
        if os.path.exists(path) and not os.access(path, os.R_OK | os.W_OK):
            trouble = "no permission; type: sudo usermod -aG video $USER, and log in again"
        target: int | str = int(text) if text.isdecimal() else text
        super().__init__(f"camera {text}", cv2.VideoCapture(target, cv2.CAP_V4L2), trouble)
        if size:  # over USB 2 larger pictures are fast only as JPEG
            self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
            self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
            self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)

    def _captured(self) -> float:
        """The driver's time stamp, which is earlier than ours; ours where it gives none of the same clock."""
        now = time.monotonic()
        stamped = float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1e3
        return stamped if 0 <= now - stamped < _MOST_AGE else now


class Clip(_Capture):
    """A video file, which has an end and a rate of its own.

    Raises:
        SourceError: it is no video.
    """

    live = False

    def __init__(self, path: str) -> None:
        super().__init__(path, cv2.VideoCapture(path), "expected a video file, such as .mp4 or .avi")
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.rate = rate if 0 < rate <= 1000 else None

    def _end(self) -> None:
        return None


class Stream(_Capture):
    """An RTSP or HTTP address; one of a whole video file ends as the file does.

    Raises:
        SourceError: nothing answers there, or it is no video.
    """

    def __init__(self, address: str) -> None:
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _TIMEOUT_MS]
        limits += [cv2.CAP_PROP_N_THREADS, 1]  # each further thread of the decoder holds back one picture
        super().__init__(
            without_password(address),
            cv2.VideoCapture(address, cv2.CAP_FFMPEG, limits),
            "nothing there sends a video that FFmpeg can read; check the address and that the sender runs",
        )
        self.live = self._capture.get(cv2.CAP_PROP_FRAME_COUNT) <= 0
        if not self.live:
            self.rate = float(self._capture.get(cv2.CAP_PROP_FPS)) or None

    def _end(self) -> Picture | None:
        return super()._end() if self.live else None


def without_password(address: str) -> str:
    """The address for messages, without what may hold a password: the user's part, and what follows a question mark."""
    scheme, mark, rest = address.partition("?")[0].partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"


def _bgr(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Some cameras give gray; the rest of the way is BGR."""
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR) if pixels.ndim == 2 else pixels, np.uint8)
