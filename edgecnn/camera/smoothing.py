"""Steady labels from noisy frames: an average over frames, hysteresis, and "unknown" below a threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from edgecnn.errors import CameraError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Smoother:
    """Averages probabilities over frames and names a class that stays until another is clearly better.

    The average is exponential with weight 2 / (frames + 1) for the newest frame, which weighs frames as old as a moving
    average of that many does; the first frames are averaged evenly (the bias correction of Adam, Kingma and Ba 2015,
    does the same for the start of such averages).

    Args:
        frames: how many frames the average spans; 1 for none.
        threshold: smallest averaged probability at which a class is named, in [0, 1]; 0: always the best one.
        margin: a named class is left for one that is this much more probable, or when it falls this far below the
            threshold; in [0, 1].

    Attributes:
        index: the class that is named, None for none.

    Raises:
        CameraError: an argument outside its range.
    """

    def __init__(self, *, frames: int = 5, threshold: float = 0.5, margin: float = 0.1) -> None:
        if frames < 1:
            raise CameraError(f"expected to smooth over at least 1 frame, got {frames}")
        for name, value in (("threshold", threshold), ("margin", margin)):
            if not 0 <= value <= 1:
                raise CameraError(f"expected a {name} in [0, 1], got {value}")
        self._least, self._threshold, self._margin = 2 / (frames + 1), threshold, margin
        self.reset()

    def reset(self) -> None:
        """Forget what was seen, as after a source was lost."""
        self._average: NDArray[np.float32] | None = None
        self.index: int | None = None
        self._seen = 0

    def update(self, probabilities: NDArray[np.float32]) -> tuple[NDArray[np.float32], int | None, float]:
        """Take one frame's probabilities (classes,); the first ones become the average.

        Returns:
            The average, which the next call changes; the class that is named, None for unknown; and that class's
            average, for unknown the best one.
        """
        self._seen += 1
        weight = max(self._least, 1 / self._seen)
        if self._average is None:
            self._average = probabilities
        else:
            cv2.accumulateWeighted(probabilities, self._average, weight)
        average = self._average
        best = int(average.argmax())
        score = average.item(best)
        if score != score:  # a NaN would stay in the average for good
            self.reset()
            average.fill(0)
            return average, None, 0.0
        named = self.index
        if named is None:
            self.index = best if score >= self._threshold else None
        elif named != best:
            kept = average.item(named)
            if score >= max(self._threshold, kept + self._margin):
                self.index = best
            elif kept < self._threshold - self._margin:
                self.index = None
            else:
                score = kept
        elif score < self._threshold - self._margin:
            self.index = None
        return average, self.index, score
