"""95 % intervals by bootstrap: how far a figure would move had other samples of the same kind been measured.

Source: B. Efron, "Bootstrap Methods: Another Look at the Jackknife", Annals of Statistics 7 (1979), 1-26. Samples
that count alike are drawn together: n draws with replacement put a multinomial number into each such group, so that
the cost hardly depends on how many samples there are.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.measure.calibration import BINS, bin_index

RESAMPLES: Final = 1000
_TAILS: Final = (2.5, 97.5)  # percentiles
_AT_ONCE: Final = 2_000_000  # drawn numbers in memory

Interval = tuple[float, float]


@dataclass(frozen=True)
class Intervals:
    """95 % intervals of an evaluation, (low, high); precision, recall and F1 are macro averages."""

    top1: Interval
    precision: Interval
    recall: Interval
    f1: Interval
    ece: Interval
    resamples: int
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """The "intervals" and "bootstrap" of an `evaluate` record."""
        names = ("top1", "precision", "recall", "f1", "ece")
        return {
            "intervals": {name: list(getattr(self, name)) for name in names},
            "bootstrap": {"resamples": self.resamples, "seed": self.seed},
        }


def bootstrap(
    confusion: NDArray[np.int64],
    confidence: NDArray[np.float64],
    hits: NDArray[np.bool_],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Intervals:
    """Intervals of everything that `Intervals` names.

    Args:
        confusion: counts (classes, classes), row is the true class.
        confidence: (samples,) score of the named class.
        hits: (samples,) whether it is the true one.
    """
    rng = np.random.default_rng(seed)
    averages = resampled_averages(confusion, resamples=resamples, rng=rng)
    low, high = np.percentile(averages, _TAILS, axis=0)
    top1, precision, recall, f1 = ((float(a), float(b)) for a, b in zip(low, high, strict=True))
    ece = ece_interval(confidence, hits, resamples=resamples, rng=rng)
    return Intervals(top1, precision, recall, f1, ece, resamples, seed)


def resampled_averages(
    confusion: NDArray[np.int64], *, resamples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """(resamples, 4): top-1 and macro precision, recall and F1 of samples drawn with replacement.

    As in `metrics.macro_average`, a class that a resample neither holds nor names does not count in it.
    """
    truth, named = np.nonzero(confusion)
    right = truth == named
    rows = []
    for draws in _draws(confusion[truth, named], resamples, rng):
        hits = _sums(draws[:, right], truth[right], len(confusion))
        support, predicted = _sums(draws, truth, len(confusion)), _sums(draws, named, len(confusion))
        used = np.count_nonzero(support + predicted, axis=1)
        shares = [_share(hits, predicted), _share(hits, support), _share(2 * hits, support + predicted)]
        rows.append(np.stack([hits.sum(axis=1) / confusion.sum(), *(s.sum(axis=1) / used for s in shares)], axis=1))
    return np.concatenate(rows)


def ece_interval(
    confidence: NDArray[np.float64], hits: NDArray[np.bool_], *, resamples: int, rng: np.random.Generator
) -> Interval:
    """Interval of the expected calibration error.

    The error of a finite sample lies above the true one, because chance opens a gap in every bin, and that of a
    resample lies above both: its percentiles miss the true value. So the resamples' distance is laid off from the
    estimate to the other side, [2 e - high percentile, 2 e - low percentile] (the basic interval: A. C. Davison,
    D. V. Hinkley, "Bootstrap Methods and Their Application", 1997, section 5.2), not beyond 0 and the estimate. The
    low end is 0 where a model without any error of calibration would come out with as much in more than 2.5 % of
    samples (J. Bröcker, L. A. Smith, Weather and Forecasting 22 (2007), 651-661, with normal instead of drawn gaps).
    Of 100 such intervals 90 to 97 held the true error in simulations of 500 to 10,000 samples.
    """
    samples, where = len(confidence), bin_index(confidence)
    estimate = float(np.abs(np.bincount(where, hits - confidence)).sum() / samples)
    errors = resampled_errors(confidence, hits, resamples=resamples, rng=rng)
    low, high = (2 * estimate - float(error) for error in np.percentile(errors, _TAILS[::-1]))
    spread = np.sqrt(np.bincount(where, confidence * (1 - confidence), BINS))
    chance = np.abs(rng.normal(size=(resamples, BINS)) * spread).sum(axis=1) / samples
    if estimate <= np.percentile(chance, _TAILS[1]):
        low = 0.0
    return min(max(low, 0.0), estimate), max(high, estimate)


def resampled_errors(
    confidence: NDArray[np.float64], hits: NDArray[np.bool_], *, resamples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """(resamples,) expected calibration errors of samples drawn with replacement.

    Samples of one bin, one outcome and one 256th of confidence are drawn together. They are equal where the output
    has 8 bits; of a float model it neglects what confidences differ inside 1/256, next to outcomes of 0 and 1.
    """
    where, samples = bin_index(confidence), len(confidence)
    key = (where * 257 + np.rint(confidence * 256).astype(np.int64)) * 2 + hits
    keys, group, counts = np.unique(key, return_inverse=True, return_counts=True)
    gaps = np.bincount(group, hits - confidence) / counts
    parts = [
        np.abs(_sums(draws * gaps, keys // (2 * 257), BINS)).sum(axis=1) / samples
        for draws in _draws(counts, resamples, rng)
    ]
    return np.concatenate(parts)


def _draws(counts: NDArray[np.int64], resamples: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Rows of new counts, each the groups' sizes in one resample; a part of the resamples at a time."""
    total, step = counts.sum(), max(1, _AT_ONCE // len(counts))
    for begin in range(0, resamples, step):
        yield rng.multinomial(total, counts / total, size=min(step, resamples - begin))


def _sums(columns: NDArray[Any], group: NDArray[np.int64], groups: int) -> NDArray[np.float64]:
    """Columns (rows, n) added up by the group (n,) of each: (rows, groups)."""
    sums = np.zeros((len(columns), groups))
    order = np.argsort(group, kind="stable")
    present, first = np.unique(group[order], return_index=True)
    if len(present):
        sums[:, present] = np.add.reduceat(columns[:, order], first, axis=1)
    return sums


def _share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
