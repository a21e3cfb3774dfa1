"""What was seen on one frame, and who wants to know."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgecnn.camera.drift import Drift
    from edgecnn.camera.frame import Frame

UNKNOWN = "unknown"


class Observation(NamedTuple):
    """The answer to one frame.

    Attributes:
        frame: the picture; valid until the next one is taken.
        label: class name after smoothing, or "unknown" where no class reaches the threshold.
        index: of the class, counted from 0; None for "unknown".
        score: smoothed probability of the class that is named, of the best one for "unknown".
        probabilities: smoothed, float32 (classes,); valid until the next frame.
        changed: whether the label differs from the frame's before; true for the first.
        age_ms: from capture to label.
        latency_ms: from taking the frame to label: region of interest, preprocessing, inference, smoothing.
        drift: the drift that began or ended with this frame; None for none.
    """

    frame: Frame
    label: str
    index: int | None  # type: ignore[assignment]  # hides tuple.index, which nobody needs of an observation
    score: float
    probabilities: NDArray[np.float32]
    changed: bool
    age_ms: float
    latency_ms: float
    drift: Drift | None = None


class Sink(Protocol):
    """Something that is told every observation, from the thread that classifies: `show` must return fast."""

    def show(self, observation: Observation) -> None:
        """Take one observation."""

    def close(self) -> None:
        """Nothing more comes; finish what is open."""
