"""A classifier on every core, asked again and again about changed forms of one picture."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecnn.data.parallel import for_each
from edgecnn.runtime.classifier import Classifier

Progress = Callable[[int, int], None]  # (done, total)
_BLOCK = 2  # forms a worker takes at once: an inference costs far more than the question who is next


@dataclass(frozen=True)
class Subject:
    """A picture whose classification is explained, as the model sees it.

    Attributes:
        pixels: uint8 (height, width, channels) at the model's input size, in the model's colour order.
        fill: uint8 (channels,), the mean colour, which takes the place of what is hidden.
        index: the class that is explained.
        score: its probability.
    """

    pixels: NDArray[np.uint8]
    fill: NDArray[np.uint8]
    index: int
    score: float


class Crew:
    """Clones of one classifier, one a thread, kept from picture to picture.

    Args:
        classifier: any; what it holds is not changed.
        workers: threads; the number of cores by default.
    """

    def __init__(self, classifier: Classifier, *, workers: int | None = None) -> None:
        self.classifier = classifier
        count = max(1, workers or os.cpu_count() or 1)
        with ThreadPoolExecutor(count) as pool:  # loading a model takes as long as several inferences
            self.members = list(pool.map(lambda _: classifier.clone(), range(count)))

    @property
    def color(self) -> str:
        """Colour order of a subject's pixels."""
        return self.classifier.preprocess.color

    def subject(self, frame: NDArray[np.uint8], index: int | None = None) -> Subject:
        """A frame as the model sees it, and the class to explain: by default the most probable one.

        Args:
            frame: uint8 BGR or gray, of any size.
        """
        pixels = self.classifier.preprocessor.pixels(frame)
        row = self.members[0].probabilities(pixels, color=self.color)
        index = int(np.argmax(row)) if index is None else index
        fill = np.rint(pixels.mean(axis=(0, 1))).astype(np.uint8)
        return Subject(pixels, fill, index, float(row[index]))

    def run(
        self, total: int, worker: Callable[[Classifier], Callable[[int], None]], progress: Progress | None = None
    ) -> None:
        """Hand the numbers 0 to total - 1 out to the members.

        Args:
            worker: makes of a member what is called with numbers, in a thread of its own.
            progress: called with (done, total).
        """
        for_each(total, [worker(member) for member in self.members[:total]], progress, block=_BLOCK)

    def predict(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities (n, classes) of pictures (n, height, width, 3), uint8 RGB."""
        rows: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(pictures)

        def worker(member: Classifier) -> Callable[[int], None]:
            def ask(number: int) -> None:
                rows[number] = member.probabilities(pictures[number], color="rgb")

            return ask

        self.run(len(pictures), worker)
        return np.stack(rows)
