"""A window with the annotated picture, where there is a display and an OpenCV that can open one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from edgecnn.errors import CameraError
from edgecnn.sinks.annotate import annotate

if TYPE_CHECKING:
    from edgecnn.camera.observation import Observation

TITLE: Final = "edgecnn"
_INTERVAL = 1 / 30  # seconds; more often than this nobody sees
_KEYS_TO_END: Final = (ord("q"), 27)  # 27: escape


def has_display() -> bool:
    """Whether this process was given a screen to draw on."""
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


class Window:
    """Shows pictures with their labels; to be used from the program's main thread.

    Attributes:
        closed: whether the user closed it or typed q or escape.

    Raises:
        CameraError: this OpenCV opens no windows, or there is no display.
    """

    def __init__(self, *, roi: tuple[int, int, int, int] | None = None) -> None:
        self.closed = self._visible = False
        self._roi, self._due = roi, 0.0
        self._picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] = np.empty((0, 0, 3), np.uint8)
        try:
            cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        except cv2.error as exc:
            raise CameraError(
                "no window can be opened: there is no display, or this is OpenCV's headless build (for one with "
                "windows type: pip uninstall opencv-python-headless && pip install opencv-python); use --headless"
            ) from exc

    def show(self, observation: Observation) -> None:
        """Draw the picture, at most thirty times a second, and look at the keyboard."""
        now = observation.frame.captured
        if now < self._due:
            return
        self._due = now + _INTERVAL
        pixels = observation.frame.pixels
        if self._picture.shape != pixels.shape:
            self._picture = np.empty_like(pixels)
            cv2.resizeWindow(TITLE, pixels.shape[1], pixels.shape[0])
        np.copyto(self._picture, pixels)
        annotate(self._picture, observation, roi=self._roi)
        cv2.imshow(TITLE, self._picture)
        typed = cv2.pollKey() & 0xFF
        visible = cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) >= 1
        self.closed = typed in _KEYS_TO_END or (self._visible and not visible)
        self._visible = visible  # OpenCV with GTK says of every window that it is not (opencv/opencv#25346)

    def close(self) -> None:
        """Close the window."""
        cv2.destroyWindow(TITLE)
