"""Maps of what a classifier's answer rests on: measured, compared with each other, and laid over the picture."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_SMALL = 32  # pixels a side of the map that a record keeps
_OPACITY = 0.5  # of the colours over the picture


@dataclass(frozen=True)
class Map:
    """How much each pixel speaks for one class of one picture.

    Attributes:
        method: what made it, as "rise" or "grad-cam".
        values: (height, width) float32 at the model's input size, in the unit of the method; more is more important.
        index: the class that is explained.
        score: its probability for the whole picture.
    """

    method: str
    values: NDArray[np.float32]
    index: int
    score: float


def normalized(values: NDArray[Any]) -> NDArray[np.float32]:
    """The map stretched to [0, 1], same shape; zeros where all values are equal."""
    low, high = float(values.min()), float(values.max())
    if not high > low:
        return np.zeros(values.shape, np.float32)
    return np.asarray((values - low) / (high - low), np.float32)


def mass(values: NDArray[Any], share: float = 0.1) -> float:
    """Share of the positive mass that lies in the best pixels: 1 is a map of one spot, `share` an even one.

    Args:
        values: the map; what speaks against the class, below 0, has no mass.
        share: of the pixels that are counted as the best, above 0.

    Returns:
        In [0, 1]; 0 for a map without anything positive.
    """
    positive = np.sort(np.maximum(values, 0).astype(np.float64), axis=None)[::-1]
    whole = float(positive.sum())
    best = positive[: max(1, round(share * positive.size))]
    return min(1.0, float(best.sum()) / whole) if whole > 0 else 0.0


def correlation(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Pearson's correlation of two maps of one shape; NaN where one of them is even."""
    a, b = (np.asarray(values, np.float64).ravel() - np.mean(values, dtype=np.float64) for values in (first, second))
    # an even map's differences from its mean are rounding
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.clip(a @ b / np.sqrt((a @ a) * (b @ b)), -1, 1))


def rank_correlation(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Spearman's correlation of two maps of one shape, that of their ranks; NaN where one of them is even."""
    return correlation(_ranks(first), _ranks(second))


def pointing(values: NDArray[Any], box: tuple[int, int, int, int]) -> bool:
    """Whether the largest value lies inside a box, the pointing game.

    Source: J. Zhang, Z. Lin, J. Brandt, X. Shen, S. Sclaroff, "Top-down Neural Attention by Excitation Backprop",
    ECCV 2016.

    Args:
        values: (height, width).
        box: left, top, width, height in pixels of the map.
    """
    y, x = np.unravel_index(int(np.argmax(values)), values.shape)
    left, top, width, height = box
    return bool(left <= x < left + width and top <= y < top + height)


def small(values: NDArray[Any], side: int = _SMALL) -> NDArray[np.float32]:
    """The map in at most `side` x `side` pixels, each the average of its area; a smaller map as it is."""
    height, width = values.shape
    plain = np.ascontiguousarray(values, np.float32)
    if max(height, width) <= side:
        return plain
    size = min(width, side), min(height, side)
    return np.asarray(cv2.resize(plain, size, interpolation=cv2.INTER_AREA), np.float32)


def overlay(frame: NDArray[np.uint8], values: NDArray[Any]) -> NDArray[np.uint8]:
    """A picture under the colours of its map: dark blue says little, dark red much.

    Args:
        frame: uint8 (height, width, 3) BGR, what the map is of; of any size.
        values: (rows, columns), stretched over the frame.

    Returns:
        uint8 (height, width, 3) BGR.
    """
    height, width = frame.shape[:2]
    spread = cv2.resize(normalized(values), (width, height), interpolation=cv2.INTER_LINEAR)
    colors = cv2.applyColorMap(np.rint(255 * spread).astype(np.uint8), cv2.COLORMAP_TURBO)
    return np.asarray(cv2.addWeighted(frame, 1 - _OPACITY, colors, _OPACITY, 0), np.uint8)


def _ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    """Ranks of all values, flat; equal values share the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[places.ravel()], np.float64)
