"""The label on the picture, for windows and recordings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecnn.camera.observation import Observation

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_WHITE, _YELLOW = (255, 255, 255), (0, 220, 255)


def annotate(
    picture: NDArray[np.uint8], observation: Observation, *, roi: tuple[int, int, int, int] | None = None
) -> None:
    """Draw label, score and age on a picture, and its region of interest.

    Args:
        picture: BGR uint8 (height, width, 3), changed in place.
        roi: (x, y, width, height) in pixels of the picture.
    """
    height, width = picture.shape[:2]
    scale = max(0.35, height / 450)
    thick = max(1, round(2 * scale))
    text = f"{ascii_only(observation.label)} {observation.score:.0%}"
    small = f"{observation.age_ms:.0f} ms old"
    if roi is not None:
        x, y, w, h = roi
        cv2.rectangle(picture, (x, y), (x + w - 1, y + h - 1), _YELLOW, max(1, round(height / 360)))
    (text_width, text_height), _ = cv2.getTextSize(text, _FONT, scale, thick)
    (small_width, _), _ = cv2.getTextSize(small, _FONT, 0.6 * scale, max(1, thick // 2))
    pad = round(14 * scale)
    bar = text_height + 2 * pad
    picture[-bar:] //= 3  # a dark band, so that the text is readable on any picture
    cv2.putText(picture, text, (pad, height - pad), _FONT, scale, _WHITE, thick, cv2.LINE_AA)
    if text_width + small_width + 3 * pad < width:
        place = (width - small_width - pad, height - pad)
        cv2.putText(picture, small, place, _FONT, 0.6 * scale, _WHITE, max(1, thick // 2), cv2.LINE_AA)


def ascii_only(text: str) -> str:
    """The text with "?" for what OpenCV's built-in font has no letter for."""
    return text.encode("ascii", "replace").decode()
