"""How many times faster one model is than another that was timed in the same rounds, with an interval."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_QUIET: Final = 5  # percent of the times, from below


@dataclass(frozen=True)
class Ratio:
    """Speed against another model: its median time over this one's, so 2.0 is twice as fast.

    Attributes:
        ci95: 95 % interval of `value`.
        undisturbed: the same of the 5 % points of the times: what the machine does when nothing else is on it. Far from
            `value`, other work slowed one of the two models more. A low point repeats where medians do not; source:
            J. Chen and J. Revels, Robust benchmarking in noisy environments, arXiv 1608.04295 (2016).
        rounds: pairs of times that it comes from.
    """

    value: float
    ci95: tuple[float, float]
    undisturbed: float
    rounds: int

    def to_dict(self) -> dict[str, Any]:
        """The `ratio` of a `benchmark` JSON record, without the name of the other model."""
        return {
            "value": self.value,
            "ci95": list(self.ci95),
            "undisturbed": self.undisturbed,
            "rounds": self.rounds,
        }


def speed_ratio(
    first: NDArray[np.float64], other: NDArray[np.float64], *, resamples: int = 2000, seed: int = 0
) -> Ratio:
    """median(first) / median(other), with the percentile interval of a bootstrap over rounds.

    Rounds are drawn whole: the two times of a round, taken within one moment of the machine, stay together, so that
    what slowed both does not widen the interval. Few rounds (below about 20) give an interval that is too narrow, and
    it knows of this run alone: where in memory a model was loaded, or a mood that lasted all along, is not in it.
    Source: B. Efron, R. J. Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.

    Args:
        first, other: (rounds,) times above 0, in one unit.
        resamples: bootstrap draws.
        seed: of the draws; the same times give the same interval.
    """
    rounds = len(first)
    drawn = np.random.default_rng(seed).integers(0, rounds, (resamples, rounds))
    ratios = np.median(first[drawn], axis=1) / np.median(other[drawn], axis=1)
    low, high = np.percentile(ratios, (2.5, 97.5))
    quiet = np.percentile(first, _QUIET) / np.percentile(other, _QUIET)
    return Ratio(float(np.median(first) / np.median(other)), (float(low), float(high)), float(quiet), rounds)
