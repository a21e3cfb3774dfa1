"""What a viewer is told beside the picture: the newest observation and the figures of the run, as JSON knows them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecnn.camera.observation import Observation

_STATUS_S: Final = 0.5


class Seen(NamedTuple):
    """What stays of an observation after the call that handed it over; the names are the observation's."""

    frame: int
    captured_at: float
    captured: float
    width: int
    height: int
    label: str
    index: int | None  # type: ignore[assignment]  # hides tuple.index, which nobody needs here
    score: float
    age_ms: float
    latency_ms: float
    probabilities: NDArray[np.float32]


class Facts:
    """Keeps the newest observation for other threads to read.

    Args:
        labels: class names in output order.
        status: figures of the run by name; called at most twice a second, by whoever asks for a record.
        top_k: classes in a record.

    Attributes:
        seen: of the newest observation; None before the first.
        top_k: at most the number of labels.
    """

    def __init__(self, labels: Sequence[str], status: Callable[[], dict[str, Any]], top_k: int) -> None:
        self.seen: Seen | None = None
        self.top_k = min(top_k, len(labels))
        self._labels = tuple(labels)
        self._status = status
        self._asked = float("-inf")
        self._answer: dict[str, Any] = {}

    def note(self, observation: Observation) -> None:
        """Keep an observation; a few microseconds."""
        frame = observation.frame
        height, width = frame.pixels.shape[:2]
        self.seen = Seen(
            frame.number,
            frame.captured_at,
            frame.captured,
            width,
            height,
            observation.label,
            observation.index,
            observation.score,
            observation.age_ms,
            observation.latency_ms,
            observation.probabilities.copy(),
        )

    def record(self) -> dict[str, Any]:
        """The newest observation, its most probable classes best first, and the figures of the run."""
        now, seen = time.monotonic(), self.seen
        if now - self._asked >= _STATUS_S:
            self._asked, self._answer = now, self._status()
        if seen is None:
            return {"frame": None, "label": None, "index": None, "score": None, "top": [], **self._answer}
        best = np.argsort(-seen.probabilities, kind="stable")[: self.top_k].tolist()
        return {
            "frame": seen.frame,
            "captured_at": seen.captured_at,
            "label": seen.label,
            "index": seen.index,
            "score": round(float(seen.score), 4),
            "age_ms": round(seen.age_ms, 1),
            "latency_ms": round(seen.latency_ms, 2),
            "since_capture_ms": round(1e3 * (now - seen.captured), 1),
            "width": seen.width,
            "height": seen.height,
            "top": [
                {"label": self._labels[i], "index": i, "score": round(float(seen.probabilities[i]), 4)} for i in best
            ],
            **self._answer,
        }
