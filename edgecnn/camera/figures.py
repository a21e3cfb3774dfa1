"""What a camera did in figures: percentiles in constant memory, however many frames there were."""

from __future__ import annotations

import math
import time
from array import array
from collections import Counter, deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgecnn.camera.observation import Observation

_STEP = math.log(1.01)  # width of a bin: one percent
_LEAST_MS = 1e-3
_BINS = 2400  # from a microsecond to six hours
_RECENT = 60  # frames that the present rate is taken from


class Durations:
    """Counts of durations in bins of one percent, so that a percentile is right to half a percent."""

    def __init__(self) -> None:
        self._counts = array("Q", bytes(8 * _BINS))
        self._total = 0

    def add(self, milliseconds: float) -> None:
        """Count one duration."""
        place = int(math.log(milliseconds / _LEAST_MS) / _STEP) if milliseconds > _LEAST_MS else 0
        self._counts[min(place, _BINS - 1)] += 1
        self._total += 1

    def percentile(self, percent: float) -> float | None:
        """The duration that `percent` of all lie at or below, in milliseconds; None where there are none."""
        wanted, seen = max(1, math.ceil(percent / 100 * self._total)), 0
        for place, count in enumerate(self._counts):
            seen += count
            if seen >= wanted:
                return round(_LEAST_MS * math.exp((place + 0.5) * _STEP), 4)
        return None


class Figures:
    """Counts and times of the frames that were labelled.

    Attributes:
        frames: how many.
        labels: how many of each label.
        ages, latencies: from capture, and from taking the frame, to its label.
    """

    def __init__(self) -> None:
        self.frames = 0
        self.labels: Counter[str] = Counter()
        self.ages, self.latencies = Durations(), Durations()
        self._stages = {name: Durations() for name in ("preprocess_ms", "invoke_ms", "postprocess_ms")}
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self._first = self._last = 0.0

    def add(self, observation: Observation, labelled: float, stages: tuple[float, float, float]) -> None:
        """Count one observation.

        Args:
            labelled: `time.monotonic()` when its label was known.
            stages: milliseconds of preprocessing, inference and what follows.
        """
        self._first = self._first or labelled
        self._last = labelled
        self._recent.append(labelled)
        self.frames += 1
        self.labels[observation.label] += 1
        self.ages.add(observation.age_ms)
        self.latencies.add(observation.latency_ms)
        for durations, duration in zip(self._stages.values(), stages, strict=True):
            durations.add(duration)

    def rate(self) -> float:
        """Labelled frames a second just now; falls when none come."""
        if len(self._recent) < 2:
            return 0.0
        first = self._recent[0]
        interval = (self._recent[-1] - first) / (len(self._recent) - 1)
        if time.monotonic() - self._recent[-1] > 2 * interval + 0.5:
            return round(len(self._recent) / (time.monotonic() - first), 2)
        return round(1 / interval, 2) if interval else 0.0

    def to_dict(self) -> dict[str, Any]:
        """JSON form: counts, frames a second over the whole time, percentiles and median stage times."""
        seconds = self._last - self._first
        return {
            "frames": self.frames,
            "fps": round((self.frames - 1) / seconds, 3) if seconds > 0 else None,
            "seconds": round(seconds, 3),
            "p50_ms": self.latencies.percentile(50),
            "p90_ms": self.latencies.percentile(90),
            "age_p50_ms": self.ages.percentile(50),
            "age_p90_ms": self.ages.percentile(90),
            "stages": {name: durations.percentile(50) for name, durations in self._stages.items()},
            "labels": dict(self.labels.most_common()),
        }
