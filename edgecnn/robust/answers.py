"""What models answer to spoilt pictures: each picture is read once, spoilt in every way and shown to every model."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from edgecnn.config import Preprocess
from edgecnn.data.dataset import Dataset, Sample
from edgecnn.data.parallel import for_each, threads_for
from edgecnn.data.preprocess import Preprocessor
from edgecnn.errors import ImageError
from edgecnn.robust.corruptions import corrupt
from edgecnn.robust.threat import Picture, Threat
from edgecnn.runtime.classifier import Classifier

_BLOCK: Final = 4  # pictures that a thread takes at once: each is answered for dozens of times

Progress = Callable[[int, int], None]  # (done, total)
Condition = tuple[str, int]  # a corruption and its severity
Crew = Sequence[Classifier]  # the models, for one thread


def crews_of(classifiers: Sequence[Classifier], samples: int, workers: int | None) -> list[Crew]:
    """The models once more for each of the threads that so many samples are worth; as many as cores by default."""
    return [[classifier.clone() for classifier in classifiers] for _ in range(threads_for(samples, workers))]


def random_for(seed: int, name: str, purpose: str) -> np.random.Generator:
    """Random numbers of one picture for one purpose, whatever else is measured and in whatever order."""
    return np.random.default_rng([seed, crc32(name.encode("utf-8", "surrogatepass")), crc32(purpose.encode())])


def corrupted_answers(
    crews: Sequence[Crew],
    dataset: Dataset,
    samples: Sequence[Sample],
    preprocess: Preprocess,
    conditions: Sequence[Condition],
    seed: int,
    progress: Progress | None,
) -> tuple[NDArray[np.int64], dict[int, str]]:
    """What models answer to pictures as they are, then under each condition.

    A corruption has the same random numbers at every severity, so that severities differ by their strength alone.

    Args:
        preprocess: pictures are corrupted in its size.

    Returns:
        The most probable classes, (1 + conditions, models, samples), and why samples could not be read, by place.
    """
    reasons: dict[int, str] = {}

    def pictures(preprocessor: Preprocessor, i: int) -> Iterator[Picture]:
        try:
            frame = preprocessor.pixels(dataset.read(samples[i]))
        except ImageError as exc:
            reasons[i] = str(exc)
            return
        yield frame
        for name, severity in conditions:
            yield corrupt(frame, name, severity, random_for(seed, samples[i].name, name))

    colored = replace(preprocess, color="bgr", mean=(0.0,), std=(1.0,))
    makers = [partial(pictures, Preprocessor(colored)) for _ in crews]
    return _answers(crews, len(samples), makers, 1 + len(conditions), "bgr", progress), reasons


def attacked_answers(
    crews: Sequence[Crew],
    dataset: Dataset,
    samples: Sequence[Sample],
    targets: NDArray[np.int64],
    threat: Threat,
    patch: Picture | None,
    seed: int,
    progress: Progress | None,
) -> NDArray[np.int64]:
    """What models answer to adversarial pictures.

    Args:
        targets: true classes, as the surrogate numbers them.

    Returns:
        The most probable classes, (conditions of the threat, models, samples).
    """
    found, color = [], threat.surrogate.preprocess.color
    for first in range(0, len(samples), threat.surrogate.batch):
        part = samples[first : first + threat.surrogate.batch]
        pixels = threat.surrogate.pixels([dataset.read(sample) for sample in part])
        wanted = targets[first : first + len(part)]
        made = threat.pictures(pixels, wanted, [s.name for s in part], patch, partial(random_for, seed))

        def pictures(i: int, made: list[Picture] = made) -> list[Picture]:
            return [several[i] for several in made]

        found.append(_answers(crews, len(part), [pictures] * len(crews), len(made), color, None))
        if progress:
            progress(first + len(part), len(samples))
    return np.concatenate(found, axis=2)


def _answers(
    crews: Sequence[Crew],
    total: int,
    makers: Sequence[Callable[[int], Iterable[Picture]]],
    conditions: int,
    color: str,
    progress: Progress | None,
) -> NDArray[np.int64]:
    """The most probable classes (conditions, models, total) of the pictures that each thread's maker gives."""
    found = np.zeros((conditions, len(crews[0]), total), np.int64)

    def work(crew: Crew, pictures: Callable[[int], Iterable[Picture]], i: int) -> None:
        for condition, picture in enumerate(pictures(i)):
            for model, classifier in enumerate(crew):
                found[condition, model, i] = np.argmax(classifier.probabilities(picture, color=color))

    workers = [partial(work, crew, maker) for crew, maker in zip(crews, makers, strict=True)]
    for_each(total, workers, progress, block=_BLOCK)
    return found
