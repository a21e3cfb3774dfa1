"""Pictures that no class fits, kept for labelling and training later."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from edgecnn.errors import CameraError
from edgecnn.files import write_atomic
from edgecnn.sinks.worker import Worker

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecnn.camera.observation import Observation

QUALITY: Final = 90
_OURS = re.compile(r"\d{8}T\d{6}\.\d{3}Z_.*\.jpg")


class UncertainPictures:
    """Saves pictures as JPEG while the label is "unknown", until a folder is full.

    Args:
        folder: made if missing; pictures of earlier runs in it count.
        labels: class names, for the names of the files: time, best class and its score.
        budget: bytes that all of them together may take.
        every: seconds between two pictures at least.

    Attributes:
        saved: pictures saved by this object.
        full: whether the budget kept a picture from being saved.

    Raises:
        CameraError: the folder cannot be made.
    """

    def __init__(
        self, folder: str | os.PathLike[str], *, labels: tuple[str, ...], budget: int = 100_000_000, every: float = 1.0
    ) -> None:
        self.saved, self.full = 0, False
        self._folder, self._labels, self._budget, self._every = Path(folder), labels, budget, every
        self._due = 0.0
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            ours = [item for item in self._folder.iterdir() if _OURS.fullmatch(item.name)]
            self._used = sum(item.stat().st_size for item in ours)
        except OSError as exc:
            raise CameraError(f"cannot keep pictures in {self._folder}: {exc.strerror or exc}") from exc
        self._worker = Worker("uncertain")

    def show(self, observation: Observation) -> None:
        """Save the picture if no class fits and another is due."""
        now = observation.frame.captured
        if observation.index is not None or self.full or now < self._due or not self._worker.free():
            return
        self._due = now + self._every
        name = self._name(observation)
        pixels = observation.frame.pixels.copy()
        self._worker.do(lambda: self._save(name, pixels))

    def close(self) -> None:
        """Wait for the last picture to be written."""
        self._worker.close()

    def _name(self, observation: Observation) -> str:
        taken = observation.frame.captured_at
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(taken)) + f".{int(taken % 1 * 1000):03d}Z"
        best = self._labels[int(observation.probabilities.argmax())]
        safe = re.sub(r"[^\w-]+", "-", best)[:40]
        return f"{stamp}_{safe}_{observation.score:.2f}.jpg"

    def _save(self, name: str, pixels: NDArray[np.uint8]) -> None:
        done, content = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        if not done:
            raise CameraError(f"cannot encode a picture of {pixels.shape[1]}x{pixels.shape[0]} as JPEG")
        if self._used + len(content) > self._budget:
            self.full = True
            return
        write_atomic(self._folder / name, content.tobytes())
        self._used += len(content)
        self.saved += 1
