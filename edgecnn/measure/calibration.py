"""Whether a model's scores mean what they say: of the answers given with 80 %, are 80 % right?"""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

BINS: Final = 15


@dataclass(frozen=True)
class Bin:
    """Samples whose top score lies in (low, high]; the first bin holds 0 too.

    Attributes:
        confidence: mean top score, None without samples.
        accuracy: share of them that is right, None without samples.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Calibration:
    """Errors of a model's probabilities.

    Attributes:
        ece: expected calibration error, the mean over samples of |accuracy - confidence| of their bin.
        mce: maximum calibration error, the largest |accuracy - confidence| of a bin.
        brier: Brier score, see `brier_score`.
        nll: negative log likelihood, see `negative_log_likelihood`.
        bins: of the reliability diagram, 15 of equal width.
    """

    ece: float
    mce: float
    brier: float
    nll: float
    bins: tuple[Bin, ...]

    def to_dict(self) -> dict[str, Any]:
        """The "calibration" of an `evaluate` record."""
        numbers = {"ece": self.ece, "mce": self.mce, "brier": self.brier, "nll": self.nll}
        return numbers | {"bins": [asdict(entry) for entry in self.bins]}


def calibration(
    probabilities: NDArray[np.floating], labels: NDArray[np.int64], predicted: NDArray[np.int64]
) -> Calibration:
    """All calibration figures.

    Source of the binned errors: C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On Calibration of Modern Neural
    Networks", ICML 2017.

    Args:
        probabilities: (samples, classes) in [0, 1].
        labels, predicted: (samples,) true and named class; the score of the named one is the confidence.
    """
    confidence = confidence_of(probabilities, predicted)
    where = bin_index(confidence)
    counts = np.bincount(where, minlength=BINS)
    sums = np.bincount(where, confidence, BINS), np.bincount(where, labels == predicted, BINS)
    meant, right = (total / np.maximum(counts, 1) for total in sums)
    gaps = np.abs(right - meant)
    edges = np.linspace(0, 1, BINS + 1)
    bins = tuple(
        Bin(float(edges[i]), float(edges[i + 1]), int(n), *((float(meant[i]), float(right[i])) if n else (None, None)))
        for i, n in enumerate(counts)
    )
    return Calibration(
        ece=float(counts @ gaps / len(labels)),
        mce=float(gaps.max()),
        brier=brier_score(probabilities, labels),
        nll=negative_log_likelihood(probabilities, labels),
        bins=bins,
    )


def confidence_of(probabilities: NDArray[np.floating], predicted: NDArray[np.int64]) -> NDArray[np.float64]:
    """Score of the named class of every sample, (samples,)."""
    return np.take_along_axis(probabilities, predicted[:, None], axis=1)[:, 0].astype(np.float64)


def bin_index(confidence: NDArray[np.float64]) -> NDArray[np.int64]:
    """The bin, 0 to 14, of every confidence in [0, 1]; a score on an edge belongs to the bin below it."""
    return np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], confidence, side="left")


def brier_score(probabilities: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """Mean squared distance of the probabilities from the truth, as scikit-learn's `brier_score_loss`.

    Summed over classes, so at most 2; of two classes half of it, which is that of the second class alone, at most 1.
    Source: G. W. Brier, Monthly Weather Review 78 (1950), 1-3.
    """
    squares = np.einsum("ij,ij->i", probabilities, probabilities, dtype=np.float64)
    score = float(np.mean(squares - 2 * confidence_of(probabilities, labels) + 1))
    return score / 2 if probabilities.shape[1] == 2 else score


def negative_log_likelihood(probabilities: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """Mean of -ln(probability of the true class), as scikit-learn's `log_loss`.

    Probabilities are kept the type's epsilon away from 0 and 1, in float32 1.2e-7. An 8-bit output cannot say less
    than 1/256 but 0: each true class at 0 counts 15.9, which weighs where float and int8 are compared.
    """
    epsilon = np.finfo(probabilities.dtype).eps
    return float(-np.mean(np.log(np.clip(confidence_of(probabilities, labels), epsilon, 1 - epsilon))))
