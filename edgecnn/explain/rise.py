"""RISE: what the class's probability owes to each pixel, from many random masks.

Source: V. Petsiuk, A. Das, K. Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box Models",
BMVC 2018. A mask is a coarse random grid of kept and hidden cells, enlarged bilinearly and shifted at random.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecnn.explain.crew import Crew, Progress, Subject
from edgecnn.explain.maps import Map
from edgecnn.runtime.classifier import Classifier

_CELLS = 7  # of a grid, a side
_KEEP = 0.5  # probability that a cell is kept


@dataclass(frozen=True)
class Masks:
    """Random masks of one size, the same for the same seed.

    Attributes:
        grids: bool (masks, cells, cells), which cells are kept.
        shifts: (masks, 2), by how many pixels (down, right) a grid is shifted, less than a cell.
        size: (height, width) of a mask.
        cell: (height, width) of a cell in pixels.
    """

    grids: NDArray[np.bool_]
    shifts: NDArray[np.int64]
    size: tuple[int, int]
    cell: tuple[int, int]

    def sum(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum of all masks (height, width), each times its weight; a mask is 1 where pixels are kept, 0 where hidden.

        Enlarging is linear, one side after the other: masks with one shift down are added up before they get their
        height, so that this takes no longer than a few inferences.
        """
        (height, width), (tall, wide) = self.size, self.cell
        down, right = _enlarging(tall), _enlarging(wide)
        across = np.stack([right[shift : shift + width].T for shift in range(wide)])  # (shifts, cells, width)
        total = np.zeros(self.size)
        for shift in range(tall):
            chosen = np.flatnonzero(self.shifts[:, 0] == shift)
            grids = self.grids[chosen] * weights[chosen, None, None]
            rows = np.tensordot(grids, across[self.shifts[chosen, 1]], axes=((0, 2), (0, 1)))  # (cells, width)
            total += down[shift : shift + height] @ rows
        return total


def random_masks(size: tuple[int, int], count: int, seed: int) -> Masks:
    """So many masks (height, width) of 7 x 7 cells, kept with probability 1/2."""
    random = np.random.default_rng(seed)
    grids = random.random((count, _CELLS, _CELLS)) < _KEEP
    cell = -(-size[0] // _CELLS), -(-size[1] // _CELLS)
    return Masks(grids, random.integers(0, cell, (count, 2)), size, cell)


def rise(
    crew: Crew,
    frame: NDArray[np.uint8],
    *,
    index: int | None = None,
    masks: int = 1000,
    seed: int = 0,
    progress: Progress | None = None,
) -> Map:
    """Mean of random masks, each weighted with the probability of the class in the picture behind it.

    Pixels are hidden after the picture was brought to the model's input size: they are blended towards the picture's
    mean colour. As in the source, the sum is divided by how often a pixel is kept on average; besides, the mean
    probability over all masks is taken off, which leaves 0 where a pixel does not matter, and less noise.

    Args:
        frame: uint8 BGR or gray, of any size.
        index: class to explain; the most probable one by default.
        masks: more make a finer and slower map.
        seed: of the masks; the map does not depend on the number of threads.

    Returns:
        A map of what the probability gains where a pixel is seen, against the mean over all masks.
    """
    subject = crew.subject(frame, index)
    height, width, _ = subject.pixels.shape
    drawn = random_masks((height, width), masks, seed)
    scores = np.zeros(masks)

    def worker(member: Classifier) -> Callable[[int], None]:
        masked = Masked(subject, drawn)

        def ask(number: int) -> None:
            scores[number] = member.probabilities(masked.picture(number), color=crew.color)[subject.index]

        return ask

    crew.run(masks, worker, progress)
    values = drawn.sum(scores - scores.mean()) / (masks * _KEEP)
    return Map("rise", values.astype(np.float32), subject.index, subject.score)


class Masked:
    """A picture behind masks, made by OpenCV in memory that is there and without Python's lock; for one thread."""

    def __init__(self, subject: Subject, masks: Masks) -> None:
        self._masks, self._seen = masks, subject.pixels
        self._grids = masks.grids.astype(np.uint8) * np.uint8(255)
        self._whole = np.empty([(_CELLS + 1) * side for side in masks.cell], np.uint8)
        self._mask, self._blended, self._rest = (np.empty_like(subject.pixels) for _ in range(3))
        self._hidden = np.empty_like(subject.pixels)
        self._hidden[:] = subject.fill

    def picture(self, number: int) -> NDArray[np.uint8]:
        """The pixels (height, width, channels) behind one mask; the next call writes over them."""
        cv2.resize(self._grids[number], self._whole.shape[::-1], self._whole, 0, 0, cv2.INTER_LINEAR)
        (height, width), (down, right) = self._masks.size, self._masks.shifts[number]
        mask = self._whole[down : down + height, right : right + width]
        if self._seen.shape[2] == 3:
            cv2.cvtColor(mask, cv2.COLOR_GRAY2BGR, self._mask)
            mask = self._mask
        cv2.multiply(self._seen, mask, self._blended, 1 / 255)
        cv2.multiply(self._hidden, cv2.bitwise_not(mask, self._mask), self._rest, 1 / 255)
        cv2.add(self._blended, self._rest, self._blended)
        return self._blended


def _enlarging(cell: int) -> NDArray[np.float64]:
    """What pixels of one side of an enlarged grid take from its cells, (pixels, cells), as cv2.INTER_LINEAR does."""
    pixels = (_CELLS + 1) * cell
    place = np.clip((np.arange(pixels) + 0.5) * _CELLS / pixels - 0.5, 0, _CELLS - 1)
    return np.asarray(np.maximum(0, 1 - np.abs(place[:, None] - np.arange(_CELLS))))
