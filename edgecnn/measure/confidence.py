"""Scores that mean what they say: a temperature, and a score below which a picture is called unknown."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle.card import TEMPERATURES, Confidence
from edgecnn.measure.calibration import calibration
from edgecnn.runtime.head import Head

_HALVINGS: Final = 30  # of the interval of temperatures, on a logarithmic scale: 4e-9 of it are left
_DIGITS: Final = 4
_GRID: Final = 1_000_000  # thresholds have six decimals
_ROUNDING: Final = 2e-7  # what the same score may differ by on another processor
_Z999: Final = 3.290526731491926  # 99.95 % point of the normal distribution


def measure_confidence(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], head: Head, *, split: str, keep_right: float = 0.95
) -> Confidence:
    """Temperature and threshold of a model, from its answers to labelled pictures.

    Args:
        probabilities: (samples, classes) with temperature 1.
        labels: (samples,) true classes.
        head: of the model.
        split: where the pictures are from, for the record.
        keep_right: share of the rightly labelled pictures that must keep their label.
    """
    temperature = best_temperature(probabilities, labels, head)
    predicted = np.asarray(probabilities.argmax(axis=1), np.int64)
    scaled = head.scaled(probabilities, temperature) if temperature != 1 else probabilities
    right = scaled.max(axis=1)[predicted == labels]
    threshold = unknown_threshold(right, keep_right)
    return Confidence(
        temperature=temperature,
        unknown_below=threshold,
        kept_right=1.0 if threshold is None else float(np.mean(right >= threshold)),
        samples=len(labels),
        split=split,
        ece_before=calibration(probabilities, labels, predicted).ece,
        ece_after=calibration(scaled, labels, predicted).ece,
    )


def too_sure(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> tuple[float, float] | None:
    """Whether a model is right less often than its scores say, by more than chance explains (z test, 0.05 %).

    Args:
        probabilities: (samples, classes).
        labels: (samples,) true classes.

    Returns:
        Mean best score and share of right answers where it is; else None.
    """
    scores, right = probabilities.max(axis=1).astype(np.float64), probabilities.argmax(axis=1) == labels
    gaps = scores - right
    if gaps.mean() <= _Z999 * gaps.std() / math.sqrt(len(gaps)):
        return None
    return float(scores.mean()), float(right.mean())


def best_temperature(probabilities: NDArray[np.float32], labels: NDArray[np.int64], head: Head) -> float:
    """The temperature with the smallest negative log likelihood of the true classes, to four decimals.

    With e the evidence of the classes, the likelihood's logarithm is concave in b = 1 / T, so its slope, the mean of
    e[label] - sum(p e), crosses zero once: the interval is halved until the crossing is found. For several sigmoids the
    likelihood is that of each of them saying yes for its own class and no for the others.
    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.

    Args:
        probabilities: (samples, classes) with temperature 1.
        labels: (samples,) true classes.
        head: of the model.

    Returns:
        T from 0.1 to 10; 1 where no picture is labelled wrongly and even the smallest is not small enough: then the
        pictures do not tell how sure is too sure.
    """
    evidence = head.evidence(probabilities)
    stated = float(np.take_along_axis(evidence, labels[:, None], axis=1).mean())

    def too_sure(temperature: float) -> bool:
        meant = np.einsum("ij,ij->i", head.activated(evidence / temperature), evidence)
        return bool(meant.mean() > stated)

    low, high = TEMPERATURES
    if not too_sure(low):
        return low if (probabilities.argmax(axis=1) != labels).any() else 1.0
    if too_sure(high):
        return high
    for _ in range(_HALVINGS):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if too_sure(middle) else (low, middle)
    return round(math.sqrt(low * high), _DIGITS)


def unknown_threshold(right: NDArray[np.float32], keep_right: float) -> float | None:
    """The largest score, to six decimals, below which a picture may be called unknown.

    This is the detection threshold at a true positive rate of `keep_right`. Source: D. Hendrycks, K. Gimpel, "A
    Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural Networks", ICLR 2017.

    Args:
        right: (samples,) best scores of the pictures that are labelled rightly.
        keep_right: share of them that must not lie below it, above 0.

    Returns:
        It; None where no picture is labelled rightly.
    """
    if not len(right):
        return None
    kept = max(1, math.ceil(keep_right * len(right) - 1e-9))
    least = float(np.sort(right)[len(right) - kept])
    return max(0.0, math.floor((least - _ROUNDING) * _GRID) / _GRID)
