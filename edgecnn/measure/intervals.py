"""How sure a count is: intervals of a share and of a difference of two shares, and a test of that difference."""

from typing import Final

import numpy as np

Z95: Final = 1.959963984540054  # 97.5 % point of the normal distribution


def wilson_interval(hits: float, samples: int, *, z: float = Z95) -> tuple[float, float]:
    """Interval of a proportion, 95 % unless `z` says otherwise. Source: E. B. Wilson, JASA 22 (1927), 209-212."""
    if samples == 0:
        return 0.0, 1.0
    share = hits / samples
    scale = 1 + z**2 / samples
    center = share + z**2 / (2 * samples)
    spread = z * np.sqrt(share * (1 - share) / samples + z**2 / (4 * samples**2))
    return max(0.0, float((center - spread) / scale)), min(1.0, float((center + spread) / scale))


def paired_interval(only_first: float, only_second: float, samples: int, *, z: float = Z95) -> tuple[float, float]:
    """Interval of how much larger the first of two shares is, both counted on the same samples.

    Only samples that count for exactly one of the two tell about the difference. The interval is Wald's for matched
    pairs with half a sample added to each of the four cells, cut at -1 and 1. Source: A. Agresti and Y. Min, "Simple
    improved confidence intervals for comparing matched proportions", Statistics in Medicine 24 (2005), 729-740.

    Args:
        only_first: samples that count for the first alone, for instance those that only the first model gets right.
        only_second: samples that count for the second alone.
        samples: all of them.
        z: the normal distribution's point; 95 % by default.

    Returns:
        (low, high) of (only_first - only_second) / samples.
    """
    if samples == 0:
        return -1.0, 1.0
    first, second, total = only_first + 0.5, only_second + 0.5, samples + 2
    center = (first - second) / total
    spread = z * np.sqrt(first + second - (first - second) ** 2 / total) / total
    return max(-1.0, float(center - spread)), min(1.0, float(center + spread))


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Two-sided p-value of McNemar's exact test: whether two shares of the same samples differ by more than chance.

    Where they do not, a sample that counts for one alone does so for either with probability 1/2; the p-value is that
    of so uneven a division or a more uneven one, counted in whole numbers. Source: Q. McNemar, Psychometrika 12
    (1947), 153-157, with the binomial distribution in place of its approximation.
    """
    flips, fewer = only_first + only_second, min(only_first, only_second)
    ways = tail = 1  # of choosing none of the flips
    for chosen in range(fewer):
        ways = ways * (flips - chosen) // (chosen + 1)
        tail += ways
    return min(1.0, 2 * tail / (1 << flips))
