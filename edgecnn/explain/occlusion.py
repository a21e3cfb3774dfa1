"""Occlusion: how much of its probability a class loses when a part of the picture is hidden.

Source: M. D. Zeiler, R. Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, section 4.2.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgecnn.explain.crew import Crew, Progress
from edgecnn.explain.maps import Map
from edgecnn.runtime.classifier import Classifier

_PATCH = 5  # patches beside each other in a side of the picture
_STEPS = 4  # in which the patch moves by its own side


def occlusion(
    crew: Crew, frame: NDArray[np.uint8], *, index: int | None = None, progress: Progress | None = None
) -> Map:
    """Slide a patch of the picture's mean colour over it; the patch is a fifth of a side and moves by a quarter of it.

    Pixels are hidden after the picture was brought to the model's input size.

    Args:
        frame: uint8 BGR or gray, of any size.
        index: class to explain; the most probable one by default.

    Returns:
        A map of the fall of the probability, averaged over the patches that a pixel lies under; below 0 where hiding
        a pixel makes the class more probable.
    """
    subject = crew.subject(frame, index)
    height, width, _ = subject.pixels.shape
    (tall, tops), (wide, lefts) = _places(height), _places(width)
    places = [(slice(top, top + tall), slice(left, left + wide)) for top in tops for left in lefts]
    falls = np.zeros(len(places))

    def worker(member: Classifier) -> Callable[[int], None]:
        pixels = subject.pixels.copy()

        def ask(number: int) -> None:
            pixels[places[number]] = subject.fill
            falls[number] = subject.score - float(member.probabilities(pixels, color=crew.color)[subject.index])
            pixels[places[number]] = subject.pixels[places[number]]

        return ask

    crew.run(len(places), worker, progress)
    sums, covers = np.zeros((height, width)), np.zeros((height, width))
    for place, fall in zip(places, falls, strict=True):
        sums[place] += fall
        covers[place] += 1
    return Map("occlusion", (sums / covers).astype(np.float32), subject.index, subject.score)


def _places(side: int) -> tuple[int, list[int]]:
    """Length of a patch along one side of the picture, and where it begins; together they cover the whole side."""
    length = max(1, round(side / _PATCH))
    begins = range(0, side - length + 1, max(1, round(length / _STEPS)))
    return length, sorted({*begins, side - length})
