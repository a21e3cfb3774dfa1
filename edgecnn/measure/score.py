"""Every picture of a data set through one or more models: decode once, all cores, nothing lost silently."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.data.dataset import Dataset, Sample
from edgecnn.data.parallel import for_each, threads_for
from edgecnn.data.statistics import PictureStatistics, picture_statistics
from edgecnn.errors import DataError, ImageError, ModelError
from edgecnn.runtime.classifier import Classifier

Progress = Callable[[int, int], None]  # (done, total)

_MOST: Final = 16  # pictures in one invoke: more bring little
_ELEMENTS: Final = 1 << 18  # of their tensors in one invoke: larger ones leave the processor's cache
_BLOCK: Final = 32  # pictures a thread takes at once


@dataclass(frozen=True)
class Scores:
    """Probabilities of each model for each picture that could be read.

    Attributes:
        samples: the pictures, in the order given.
        probabilities: one (samples, classes) float32 array a model.
        skipped: (name, reason) of pictures that could not be read.
        seconds: wall time.
        pictures: their statistics as the last model gets them; None where nobody asked.
    """

    samples: tuple[Sample, ...]
    probabilities: tuple[NDArray[np.float32], ...]
    skipped: tuple[tuple[str, str], ...]
    seconds: float
    pictures: tuple[PictureStatistics, ...] | None = None

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
    describe: bool = False,
) -> Scores:
    """Run models over samples.

    Args:
        classifiers: the models; each worker thread works with clones of its own.
        workers: threads; the number of cores by default.
        progress: called from worker threads, one at a time, with (done, total).
        describe: measure the statistics of the pictures too.

    Raises:
        DataError: there is no sample, or none could be read.
    """
    if not samples:
        raise DataError(f"{dataset.name} has no images to measure on")
    started = time.perf_counter()
    raw = [np.zeros((len(samples), c.engine.classes), c.engine.output_type.dtype) for c in classifiers]
    reasons: dict[int, str] = {}
    described: dict[int, PictureStatistics] = {}
    size = min(_pictures_at_once(classifier) for classifier in classifiers)

    def measure(crew: list[Classifier], block: int) -> None:
        found: list[int] = []
        for i in range(block * size, min((block + 1) * size, len(samples))):
            try:
                frame = dataset.read(samples[i])
            except ImageError as exc:
                reasons[i] = str(exc)
                continue
            for classifier in crew:
                tensor = classifier.engine.inputs[len(found)]
                classifier.preprocessor.write(frame, tensor)
            if describe:
                described[i] = picture_statistics(classifier.preprocessor.written(tensor), classifier.preprocess.color)
            found.append(i)
        for values, classifier in zip(raw, crew, strict=True):
            classifier.engine.invoke()
            values[found] = classifier.engine.outputs()[: len(found)]

    def told(done: int, total: int) -> None:
        if progress:
            progress(min(done * size, len(samples)), len(samples))

    count = threads_for(len(samples), workers)
    crews = [[classifier.clone(batch=size) for classifier in classifiers] for _ in range(count)]
    for_each(-(-len(samples) // size), [partial(measure, crew) for crew in crews], told, block=max(1, _BLOCK // size))
    kept = np.array([i for i in range(len(samples)) if i not in reasons], np.int64)
    if not len(kept):
        raise DataError(f"none of the {len(samples)} images of {dataset.name} could be read: {reasons[0]}")
    return Scores(
        samples=tuple(samples[i] for i in kept),
        probabilities=tuple(c.head.probabilities(values[kept]) for c, values in zip(classifiers, raw, strict=True)),
        skipped=tuple((samples[i].name, reasons[i]) for i in sorted(reasons)),
        seconds=time.perf_counter() - started,
        pictures=tuple(described[i] for i in kept) if describe else None,
    )


def _pictures_at_once(classifier: Classifier) -> int:
    """How many pictures an invoke is to compute: small models are faster with several, where they can."""
    batch = max(1, min(_MOST, _ELEMENTS // classifier.engine.input.size))
    try:
        return classifier.clone(batch=batch).engine.inputs.shape[0] if batch > 1 else 1
    except ModelError:
        return 1
