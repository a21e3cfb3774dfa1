"""Where pictures come from: one interface, and what opens each kind."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from edgecnn.errors import SourceError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgecnn.camera.frame import Picture


class Source(Protocol):
    """A camera, a stream, a clip or a folder of images.

    Attributes:
        live: pictures come by themselves whether they are read or not; when they stop, the source was lost.
        rate: pictures a second of a recording; None where it has none.
        skipped: pictures that could not be decoded.
    """

    live: bool
    rate: float | None
    skipped: int

    def read(self, into: NDArray[np.uint8] | None) -> Picture | None:
        """Wait for the next picture; None at the end of a recording.

        Args:
            into: memory for the picture, used where its shape fits.

        Raises:
            SourceError: a live source gives no more.
        """

    def close(self) -> None:
        """Give the device, file or connection back."""


def open_source(text: str, *, size: tuple[int, int] | None = None) -> Source:
    """Open what a user calls a source.

    Args:
        text: number of a USB camera or its path (/dev/video0); "picamera", or "picamera:1" for the second; a video
            file; a folder of images; or an RTSP or HTTP address.
        size: (width, height) to ask a camera for; the nearest one it has is used.

    Raises:
        SourceError: it cannot be opened.
    """
    from edgecnn.camera import capture

    kind, _, number = text.partition(":")
    if kind == "picamera":
        from edgecnn.camera.picamera import PiCamera

        if number and not number.isdecimal():
            raise SourceError(f"expected picamera or picamera:NUMBER, got {text}")
        return PiCamera(int(number or 0), size=size)
    if text.isdecimal() or text.startswith("/dev/video"):
        return capture.Device(text, size=size)
    if "://" in text:
        return capture.Stream(text)
    if os.path.isdir(text):
        from edgecnn.camera.folder import Folder

        return Folder(text)
    if not os.path.exists(text):
        raise SourceError(
            f"no source {text}: expected a camera's number, picamera, a video file, a folder of images or an address "
            "such as rtsp://…"
        )
    return capture.Clip(text)


def is_live(text: str) -> bool:
    """Whether a source is one that can be lost and come back: a camera or an address, no file or folder."""
    return text.partition(":")[0] == "picamera" or text.isdecimal() or text.startswith("/dev/video") or "://" in text
