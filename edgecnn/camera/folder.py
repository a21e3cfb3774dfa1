"""A folder of images as a source: each one once, in the order of their names."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING

from edgecnn.camera.frame import Picture
from edgecnn.data.images import IMAGE_SUFFIXES, read_image
from edgecnn.errors import ImageError, SourceError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Folder:
    """The images directly inside a folder; numbers in names count as numbers, so 2.jpg comes before 10.jpg.

    Raises:
        SourceError: there are none.
    """

    live = False
    rate: float | None = None

    def __init__(self, path: str) -> None:
        self.skipped = 0
        names = [name for name in os.listdir(path) if os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES]
        if not names:
            raise SourceError(f"{path} holds no images; expected files such as .jpg or .png directly inside it")
        self._paths = [os.path.join(path, name) for name in sorted(names, key=_natural)]
        self._next = 0

    def read(self, into: NDArray[np.uint8] | None) -> Picture | None:
        """See `Source.read`; images that cannot be decoded are skipped and counted."""
        while self._next < len(self._paths):
            self._next += 1
            try:
                return Picture(read_image(self._paths[self._next - 1]), time.monotonic())
            except ImageError:
                self.skipped += 1
        return None

    def close(self) -> None:
        """See `Source.close`."""


def _natural(name: str) -> tuple[list[tuple[int, str]], str]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)], name
