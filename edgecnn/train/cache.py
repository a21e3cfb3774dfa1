"""Pictures decoded once: in memory while they fit, else in a temporary file that is read sample by sample."""

import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from edgecnn.config import Preprocess
from edgecnn.data.dataset import Dataset, Sample
from edgecnn.data.parallel import for_each, threads_for
from edgecnn.data.preprocess import Preprocessor
from edgecnn.errors import DataError, ImageError


class PictureCache:
    """uint8 pixels of samples, resized and in the model's colours; a context manager. Several threads may read.

    Attributes:
        samples: the pictures that could be read, in the order given.
        labels: (samples,) class indices.
        skipped: (name, reason) of pictures that could not be read.
        in_memory: False where they lie in a temporary file.
    """

    def __init__(
        self,
        dataset: Dataset,
        samples: Sequence[Sample],
        preprocess: Preprocess,
        *,
        memory: int,
        folder: Path,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Decode everything.

        Args:
            memory: bytes of pixels that may be kept in memory.
            folder: where the temporary file goes, which the system removes even if the process is killed.
            progress: called from worker threads, one at a time, with (done, total).

        Raises:
            DataError: none could be read, or the disk is too full.
        """
        self._shape = (preprocess.height, preprocess.width, preprocess.channels)
        self._size = int(np.prod(self._shape))
        self._resources = ExitStack()
        self.in_memory = self._size * len(samples) <= memory
        with ExitStack() as on_error:
            on_error.callback(self.close)
            if self.in_memory:
                self._pixels = np.empty((len(samples), *self._shape), np.uint8)
            else:
                self._file = self._resources.enter_context(tempfile.TemporaryFile(dir=folder))
            reasons = self._decode(dataset, samples, preprocess, progress)
            self._rows = np.array([i for i in range(len(samples)) if i not in reasons], np.int64)
            if not len(self._rows):
                reason = f": {next(iter(reasons.values()))}" if reasons else ""
                raise DataError(f"none of the {len(samples)} images of {dataset.name} could be read{reason}")
            on_error.pop_all()
        self.samples = tuple(samples[i] for i in self._rows)
        self.labels = np.array([-1 if sample.label is None else sample.label for sample in self.samples], np.int64)
        self.skipped = tuple((samples[i].name, reasons[i]) for i in sorted(reasons))

    def __len__(self) -> int:
        return len(self.samples)

    def gather(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Pixels of samples by index: uint8 (indices, height, width, channels), a copy that may be changed."""
        rows = self._rows[indices]
        if self.in_memory:
            return self._pixels[rows]
        pixels = np.empty((len(rows), *self._shape), np.uint8)
        for picture, row in zip(pixels, rows, strict=True):
            os.preadv(self._file.fileno(), [picture.data], int(row) * self._size)
        return pixels

    def close(self) -> None:
        """Drop the temporary file; nothing can be read from it afterwards."""
        self._resources.close()

    def __enter__(self) -> "PictureCache":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _decode(
        self,
        dataset: Dataset,
        samples: Sequence[Sample],
        preprocess: Preprocess,
        progress: Callable[[int, int], None] | None,
    ) -> dict[int, str]:
        """Fill the memory or file; returns why samples could not be read, by index."""
        reasons: dict[int, str] = {}

        def put(prepare: Preprocessor, i: int) -> None:
            try:
                self._put(i, prepare.pixels(dataset.read(samples[i])))
            except ImageError as exc:
                reasons[i] = str(exc)

        crew = [partial(put, Preprocessor(preprocess)) for _ in range(threads_for(len(samples)))]
        for_each(len(samples), crew, progress)
        return reasons

    def _put(self, row: int, pixels: NDArray[np.uint8]) -> None:
        if self.in_memory:
            self._pixels[row] = pixels
            return
        try:
            written = os.pwrite(self._file.fileno(), pixels.data, row * self._size)
        except OSError as exc:
            raise DataError(f"cannot keep the decoded images in a temporary file: {exc.strerror or exc}") from exc
        if written < self._size:
            raise DataError("no space left for the decoded images; free some, or name an output on a larger disk")
