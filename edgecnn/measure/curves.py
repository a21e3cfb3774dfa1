"""ROC and precision-recall curves of a class against the rest, and the areas under them, as scikit-learn defines them.

Samples of equal score are told apart by no threshold, so they move a curve together. Scores are (samples,) floats
without NaN, `positive` (samples,) says which samples are of the class.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_POINTS = 200  # of a curve in a record: as fine as a chart can show


@dataclass(frozen=True)
class Curves:
    """Both curves of a model of two classes, from the highest threshold to the lowest.

    Attributes:
        positive: the class that a high score means.
        roc: (false positive rate, true positive rate) of each point.
        pr: (recall, precision) of each point.
    """

    positive: str
    roc: tuple[tuple[float, float], ...]
    pr: tuple[tuple[float, float], ...]

    def to_dict(self) -> dict[str, Any]:
        """The "curves" of an `evaluate` record."""
        return {"positive": self.positive, "roc": [list(p) for p in self.roc], "pr": [list(p) for p in self.pr]}


def roc_curve(
    scores: NDArray[np.floating], positive: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(false positive rate, true positive rate) from (0, 0) to (1, 1), one point a distinct score after the first.

    There must be samples of both kinds. Source: T. Fawcett, Pattern Recognition Letters 27 (2006), 861-874.
    """
    hits, alarms = _counts(scores, positive)
    return np.append(0, alarms) / alarms[-1], np.append(0, hits) / hits[-1]


def precision_recall_curve(
    scores: NDArray[np.floating], positive: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(recall, precision) from (0, 1) on, one point a distinct score after the first; a positive sample is needed."""
    hits, alarms = _counts(scores, positive)
    return np.append(0, hits / hits[-1]), np.append(1, hits / (hits + alarms))


def areas(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> tuple[float | None, float | None]:
    """(area under the ROC curve, average precision); None for both where all samples are of one kind.

    The first is the trapezoidal area, which is the share of pairs of a positive and a negative sample in which the
    positive has the higher score, ties counting half. The second is the sum of precision times the gain in recall
    over the thresholds, without interpolation: the mean over positive samples of the precision at their score.
    """
    everyone, hits = np.sort(scores), np.sort(scores[positive])
    others = len(everyone) - len(hits)
    if not len(hits) or not others:
        return None, None
    lower, hits_lower = np.searchsorted(everyone, hits), np.searchsorted(hits, hits)
    upper, hits_upper = np.searchsorted(everyone, hits, "right"), np.searchsorted(hits, hits, "right")
    pairs = np.sum(lower - hits_lower + upper - hits_upper) / 2  # whole numbers until here: exact
    precision = (len(hits) - hits_lower) / (len(everyone) - lower)
    return float(pairs / (len(hits) * others)), float(np.mean(precision))


def curves(scores: NDArray[np.floating], positive: NDArray[np.bool_], name: str) -> Curves | None:
    """Both curves with at most 200 points each, for a record; None where all samples are of one kind.

    Args:
        name: of the positive class.
    """
    if positive.all() or not positive.any():
        return None
    alarm_rate, hit_rate = roc_curve(scores, positive)
    recall, precision = precision_recall_curve(scores, positive)
    return Curves(name, _thin(alarm_rate, hit_rate, alarm_rate + hit_rate), _thin(recall, precision, recall))


def _counts(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(true positives, false positives) when everything from a score on is called positive, highest score first."""
    ordered = np.sort(scores)
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))  # of each distinct score
    of_score = np.bincount(np.searchsorted(ordered[first], scores[positive]), minlength=len(first))
    hits = np.cumsum(of_score[::-1])
    return hits, len(ordered) - first[::-1] - hits


def _thin(
    x: NDArray[np.float64], y: NDArray[np.float64], along: NDArray[np.float64]
) -> tuple[tuple[float, float], ...]:
    """Points of a curve, evenly spread along a quantity that never falls, the first and the last among them."""
    kept = np.arange(len(x))
    if len(x) > _POINTS:
        steps = np.linspace(along[0], along[-1], _POINTS - 1)
        kept = np.unique(np.append(np.searchsorted(along, steps), len(x) - 1))
    return tuple((round(float(x[i]), 6), round(float(y[i]), 6)) for i in kept)
