"""An annotated video file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edgecnn.errors import CameraError
from edgecnn.sinks.annotate import annotate
from edgecnn.sinks.worker import Worker

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecnn.camera.observation import Observation

_CODECS = {".avi": "MJPG", ".mp4": "mp4v"}
_MOST_REPEATS = 600  # pictures that stand in for a gap


class Recording:
    """Writes pictures with their labels into a video that plays as fast as it was recorded.

    It appears under its name when it is closed; until then it grows in a hidden file beside it.

    Args:
        path: .avi (Motion JPEG) or .mp4 (MPEG-4).
        rate: pictures a second of the video; a picture is repeated where labels come more slowly.
        wait: wait for the encoder rather than leave pictures out, and write each picture once.
        roi: region of interest to draw.

    Attributes:
        left_out: pictures that the encoder was too slow for.

    Raises:
        CameraError: an unknown format, or the file cannot be written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        rate: float = 15.0,
        wait: bool = False,
        roi: tuple[int, int, int, int] | None = None,
    ) -> None:
        self._path, self._rate, self._wait, self._roi = Path(path), rate, wait, roi
        suffix = self._path.suffix.lower()
        if suffix not in _CODECS:
            raise CameraError(f"expected a video file ending in {' or '.join(_CODECS)}, got {self._path}")
        if self._path.is_dir():
            raise CameraError(f"cannot write {self._path}: it is a folder")
        if not os.access(self._path.absolute().parent, os.W_OK):
            raise CameraError(f"cannot write {self._path}: its folder is missing or cannot be written")
        self._part = self._path.with_name(f".edgecnn-{os.getpid()}-{self._path.name}")
        self._codec = cv2.VideoWriter.fourcc(*_CODECS[suffix])
        self._video: Any = None
        self._size = (0, 0)
        self._first: float | None = None
        self._written = 0
        self._worker = Worker("recording", most=4)

    @property
    def left_out(self) -> int:
        """See above."""
        return self._worker.refused

    def show(self, observation: Observation) -> None:
        """Add the picture to the video."""
        if not self._worker.free(wait=self._wait):
            return
        frame = observation.frame
        if self._first is None:
            self._first = frame.captured
        due = self._written + 1 if self._wait else round((frame.captured - self._first) * self._rate) + 1
        repeats = min(due - self._written, _MOST_REPEATS)
        if repeats < 1:
            return
        self._written = due
        pixels = frame.pixels.copy()
        self._worker.do(self._task(pixels, observation, repeats))

    def close(self) -> None:
        """Finish the file; without any picture there is none."""
        try:
            self._worker.close()
        finally:
            if self._video is None:
                self._part.unlink(missing_ok=True)  # OpenCV may have made it before it found no encoder
            else:
                self._video.release()
                os.replace(self._part, self._path)

    def _task(self, pixels: NDArray[np.uint8], observation: Observation, repeats: int) -> Callable[[], None]:
        def write() -> None:
            annotate(pixels, observation, roi=self._roi)
            if self._video is None:
                self._size = (pixels.shape[1], pixels.shape[0])
                video = cv2.VideoWriter(os.fspath(self._part), self._codec, self._rate, self._size)
                if not video.isOpened():
                    raise CameraError(f"cannot write {self._path}: OpenCV has no encoder for it here")
                self._video = video
            fitting = pixels if pixels.shape[1::-1] == self._size else cv2.resize(pixels, self._size)
            for _ in range(repeats):
                self._video.write(fitting)

        return write
