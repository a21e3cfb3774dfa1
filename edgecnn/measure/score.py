"""Every picture of a data set through one or more models: decode once, all cores, nothing lost silently."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edgecnn.data.dataset import Dataset, Sample
from edgecnn.data.parallel import for_each, threads_for
from edgecnn.errors import DataError, ImageError
from edgecnn.runtime.classifier import Classifier

Progress = Callable[[int, int], None]  # (done, total)


@dataclass(frozen=True)
class Scores:
    """Probabilities of each model for each picture that could be read.

    Attributes:
        samples: the pictures, in the order given.
        probabilities: one (samples, classes) float32 array a model.
        skipped: (name, reason) of pictures that could not be read.
        seconds: wall time.
    """

    samples: tuple[Sample, ...]
    probabilities: tuple[NDArray[np.float32], ...]
    skipped: tuple[tuple[str, str], ...]
    seconds: float

    def predicted(self, model: int = 0) -> NDArray[np.int64]:
        """Most probable class of every sample, (samples,)."""
        return np.asarray(np.argmax(self.probabilities[model], axis=1), np.int64)

    def agreement(self) -> float:
        """Share of samples on which the first two models name the same class."""
        return float(np.mean(self.predicted(0) == self.predicted(1)))


def score(
    classifiers: Sequence[Classifier],
    dataset: Dataset,
    samples: Sequence[Sample],
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Scores:
    """Run models over samples.

    Args:
        classifiers: the models; each worker thread works with clones of its own.
        workers: threads; the number of cores by default.
        progress: called from worker threads, one at a time, with (done, total).

    Raises:
        DataError: there is no sample, or none could be read.
    """
    if not samples:
        raise DataError(f"{dataset.name} has no images to measure on")
    started = time.perf_counter()
    raw = [np.zeros((len(samples), c.engine.classes), c.engine.output_type.dtype) for c in classifiers]
    reasons: dict[int, str] = {}

    def measure(crew: list[Classifier], i: int) -> None:
        try:
            frame = dataset.read(samples[i])
        except ImageError as exc:
            reasons[i] = str(exc)
            return
        for values, classifier in zip(raw, crew, strict=True):
            classifier.preprocessor.write(frame, classifier.engine.input)
            classifier.engine.invoke()
            values[i] = classifier.engine.output()

    crews = [[classifier.clone() for classifier in classifiers] for _ in range(threads_for(len(samples), workers))]
    for_each(len(samples), [partial(measure, crew) for crew in crews], progress)
    kept = np.array([i for i in range(len(samples)) if i not in reasons], np.int64)
    if not len(kept):
        raise DataError(f"none of the {len(samples)} images of {dataset.name} could be read: {reasons[0]}")
    return Scores(
        samples=tuple(samples[i] for i in kept),
        probabilities=tuple(c.head.probabilities(values[kept]) for c, values in zip(classifiers, raw, strict=True)),
        skipped=tuple((samples[i].name, reasons[i]) for i in sorted(reasons)),
        seconds=time.perf_counter() - started,
    )
