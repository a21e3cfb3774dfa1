"""One picture of a camera, with when it was captured."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Picture(NamedTuple):
    """A picture as a source gives it: uint8 (height, width, 3) in BGR, and `time.monotonic()` when it was captured."""

    pixels: NDArray[np.uint8]
    captured: float


class Frame(NamedTuple):
    """One picture; its memory is used again for later ones, so copy what you keep.

    Attributes:
        pixels: uint8 (height, width, 3) in BGR.
        number: counts the source's pictures from 0, those that were dropped too.
        captured_at: seconds since 1970.
        captured: `time.monotonic()` when it was captured, in seconds.
    """

    pixels: NDArray[np.uint8]
    number: int
    captured_at: float
    captured: float
