"""How strong a corruption is, from severity and size: the tables of Hendrycks & Dietterich (2019) and between them.

The authors' programs have one table for photographs of 224 px (ImageNet-C) and a weaker one for 32 px (CIFAR-10-C):
a blur of 10 px, or noise that hides what one pixel shows, leaves nothing of a picture that is 32 px in all. Between
the two, lengths in pixels are linear in the picture's shorter side, and strengths without a unit follow a power of
it. These two rules were chosen by the authors' third table, for 64 px (Tiny ImageNet-C), which is not used here: they
meet its noise and fog within half of the value, a quarter on the average, and its disks and blocks within 0.4 px.
Trails of motion come out half as long again as there.

Beyond 224 px lengths are in proportion, so that a large photograph looks as its small copy would, and strengths without
a unit stay. Below 32 px the strengths for 32 px hold: most lengths are of one pixel there and cannot be smaller.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
SEVERITIES: Final = range(1, 6)

_SMALL: Final = 32
_LARGE: Final = 224


@dataclass(frozen=True)
class Scale:
    """One strength at severities 1 to 5.

    Attributes:
        small: for pictures of 32 px and less.
        large: for pictures of 224 px.
    """

    small: tuple[float, ...]
    large: tuple[float, ...]

    def ratio(self, severity: int, side: int) -> float:
        """A strength without a unit: a power of the side from 32 to 224 px, constant outside."""
        small, large = self.small[severity - 1], self.large[severity - 1]
        share = math.log(min(max(side, _SMALL), _LARGE) / _SMALL) / math.log(_LARGE / _SMALL)
        return float(small ** (1 - share) * large**share)

    def length(self, severity: int, side: int) -> float:
        """A strength in pixels: linear in the side from 32 to 224 px, constant below, proportional to it above."""
        small, large = self.small[severity - 1], self.large[severity - 1]
        share = (min(max(side, _SMALL), _LARGE) - _SMALL) / (_LARGE - _SMALL)
        return (small + (large - small) * share) * max(side / _LARGE, 1)


def side_of(picture: Picture) -> int:
    """Shorter side in pixels: the authors cut their squares from it."""
    height, width = picture.shape[:2]
    return int(min(height, width))


def to_picture(values: NDArray[np.floating[Any]]) -> Picture:
    """Levels rounded and cut off to 0 to 255, as uint8."""
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)
