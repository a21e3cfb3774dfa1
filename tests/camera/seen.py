"""Observations made by hand, for the tests of what is told them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.camera.drift import Drift
from edgecnn.camera.frame import Frame
from edgecnn.camera.observation import UNKNOWN, Observation

DARK = Drift("begun", "dark", "brightness", 0.13, (0.24, 0.75), 0.54, 0.0)
LABELS = ("ant", "bee", "cat")
BEGIN = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC


def picture(height: int = 90, width: int = 160, seed: int = 1) -> NDArray[np.uint8]:
    """Noise, BGR uint8 (height, width, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def seen(
    index: int | None = 0, *, at: float = 0.0, pixels: NDArray[np.uint8] | None = None, label: str = "", **changed: Any
) -> Observation:
    """An observation of the class, or of an unknown one whose best is "bee".

    Args:
        at: seconds after the first frame when it was captured.
        label: another name than that of the class.
        changed: other attributes of the observation; of the frame `number`.
    """
    number = changed.pop("number", round(at * 10))
    frame = Frame(picture() if pixels is None else pixels, number, BEGIN + at, 5000.0 + at)
    probabilities = np.array([0.2, 0.45, 0.35], np.float32)
    score = 0.45
    if index is not None:
        probabilities = np.roll(np.array([0.9, 0.06, 0.04], np.float32), index)
        score = 0.9
    name = label or (UNKNOWN if index is None else LABELS[index])
    observation = Observation(frame, name, index, score, probabilities, False, 12.3456, 1.23456)
    return observation._replace(**changed)
