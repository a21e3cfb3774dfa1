"""A pass over a data set: the same as one by one, and nothing lost silently."""

import os
import threading
import time
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.config import NORMALIZATIONS, Preprocess
from edgecnn.data.dataset import Dataset, Sample
from edgecnn.errors import DataError
from edgecnn.measure.score import Scores, score
from edgecnn.runtime.classifier import Classifier
from tests.measure.colors import NAMES, ColorPictures, nearest_color
from tests.models import quantized

UNIT = Preprocess(4, 4, "rgb", *NORMALIZATIONS["unit"])
BROKEN = ("test/black/001", "test/red/007", "test/yellow/019")


@pytest.fixture(scope="module")
def classifiers() -> list[Classifier]:
    model = nearest_color(UNIT)
    rng = np.random.default_rng(2)
    small = quantized(model, rng.random((16, 4, 4, 3)).astype(np.float32))
    return [Classifier(content, labels=NAMES, preprocess=UNIT) for content in (model, small)]


def one_by_one(classifier: Classifier, pictures: ColorPictures, samples: Sequence[Sample]) -> NDArray[np.float32]:
    return np.stack([classifier.probabilities(pictures.picture(sample.name)) for sample in samples])


@pytest.mark.parametrize("workers", [1, 2, 5, 64, None])
def test_any_number_of_workers_gives_what_one_by_one_gives(classifiers: list[Classifier], workers: int | None) -> None:
    pictures = ColorPictures(test=20, broken=BROKEN)
    samples = pictures.dataset.split("test")
    started = time.perf_counter()
    scores = score(classifiers, pictures.dataset, samples, workers=workers)
    assert 0 < scores.seconds <= time.perf_counter() - started
    assert scores.samples == tuple(sample for sample in samples if sample.name not in BROKEN)
    for classifier, probabilities in zip(classifiers, scores.probabilities, strict=True):
        np.testing.assert_array_equal(probabilities, one_by_one(classifier, pictures, scores.samples))
    assert sorted(pictures.names_read) == sorted(sample.name for sample in samples)  # each once, for all the models


@pytest.mark.parametrize(
    ("workers", "count", "crews"),
    [(1, 200, 1), (3, 200, 3), (64, 200, 7), (64, 32, 1), (64, 33, 2), (None, 1, 1), (None, 200, 5)],
)
def test_no_more_workers_than_there_is_work(
    classifiers: list[Classifier], monkeypatch: pytest.MonkeyPatch, workers: int | None, count: int, crews: int
) -> None:
    cloned, clone = [], Classifier.clone

    def watched(self: Classifier, *, batch: int) -> Classifier:
        cloned.append(self)
        return clone(self, batch=batch)

    monkeypatch.setattr(Classifier, "clone", watched)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    pictures = ColorPictures(test=20)
    score(classifiers, pictures.dataset, pictures.dataset.split("test")[:count], workers=workers)
    assert cloned == classifiers * (crews + 1), "one more of each, to see that it takes several pictures at once"


@pytest.mark.parametrize("count", [1, 31, 32, 33, 65])
def test_every_number_of_samples_is_covered(classifiers: list[Classifier], count: int) -> None:
    pictures = ColorPictures(test=20)
    samples = pictures.dataset.split("test")[:count]
    scores = score(classifiers[:1], pictures.dataset, samples, workers=3)
    assert scores.samples == samples
    np.testing.assert_array_equal(scores.probabilities[0], one_by_one(classifiers[0], pictures, samples))


def test_what_cannot_be_read_is_listed_in_order(classifiers: list[Classifier]) -> None:
    pictures = ColorPictures(test=20, broken=BROKEN[::-1])
    scores = score(classifiers, pictures.dataset, pictures.dataset.split("test"), workers=4)
    assert scores.skipped == tuple((name, f"{name}: broken on purpose") for name in BROKEN)
    assert len(scores.samples) == 197
    assert all(len(probabilities) == 197 for probabilities in scores.probabilities)


def test_the_models_own_threads_and_tensors_are_left_alone(classifiers: list[Classifier]) -> None:
    pictures = ColorPictures(test=4)
    engine = classifiers[0].engine
    before = engine.run(np.full((4, 4, 3), 0.5, np.float32))
    score(classifiers, pictures.dataset, pictures.dataset.split("test"))
    assert classifiers[0].engine is engine
    np.testing.assert_array_equal(engine.output(), before)


def test_predictions_and_agreement() -> None:
    samples = tuple(Sample(f"{i}", 0) for i in range(4))
    first = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [0.4, 0.6]], np.float32)
    second = np.array([[0.6, 0.4], [0.7, 0.3], [0.9, 0.1], [0.0, 1.0]], np.float32)
    scores = Scores(samples, (first, second), (), 1.0)
    assert scores.predicted().tolist() == [0, 1, 0, 1]
    assert scores.predicted(1).tolist() == [0, 0, 0, 1]
    assert scores.agreement() == 0.75


def test_no_sample_is_an_error(classifiers: list[Classifier]) -> None:
    pictures = ColorPictures(train=1)
    with pytest.raises(DataError, match=r"^colours has no images to measure on$"):
        score(classifiers, pictures.dataset, pictures.dataset.split("test"))


def test_no_readable_sample_is_an_error(classifiers: list[Classifier]) -> None:
    names = [f"test/{name}/{i:03d}" for name in NAMES for i in range(4)]
    pictures = ColorPictures(test=4, broken=names)
    with pytest.raises(DataError, match=r"^none of the 40 images of colours could be read: test/black/000: broken on"):
        score(classifiers, pictures.dataset, pictures.dataset.split("test"), workers=3)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_progress_rises_to_the_end_and_is_told_by_one_at_a_time(classifiers: list[Classifier], workers: int) -> None:
    pictures = ColorPictures(test=20, broken=BROKEN)
    seen: list[tuple[int, int]] = []
    inside = threading.Lock()

    def progress(done: int, total: int) -> None:
        assert inside.acquire(blocking=False)
        time.sleep(0.002)  # so that another thread would come in between
        seen.append((done, total))
        inside.release()

    score(classifiers, pictures.dataset, pictures.dataset.split("test"), workers=workers, progress=progress)
    done = [count for count, _ in seen]
    assert done == sorted(set(done))
    assert done[-1] == 200
    assert {total for _, total in seen} == {200}
    assert len(done) == 7  # six blocks of 32 samples and one of 8


def failing_dataset(names_read: list[str]) -> tuple[Dataset, tuple[Sample, ...]]:
    """Picture 40 is a defect of the program, not of the file; the others take their time."""
    samples = tuple(Sample(f"{i:04d}", 0) for i in range(2000))

    def read(name: str) -> NDArray[np.uint8]:
        names_read.append(name)
        if name == "0040":
            raise ZeroDivisionError("a defect")
        time.sleep(0.0005)
        return np.zeros((4, 4, 3), np.uint8)

    return Dataset("failing", NAMES, {"train": (), "val": (), "test": samples}, read), samples


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_a_defect_in_a_worker_surfaces_and_ends_the_others(classifiers: list[Classifier], workers: int) -> None:
    names_read: list[str] = []
    dataset, samples = failing_dataset(names_read)
    threads = threading.active_count()
    with pytest.raises(ZeroDivisionError, match="a defect"):
        score(classifiers[:1], dataset, samples, workers=workers)
    assert len(names_read) < 400
    assert threading.active_count() == threads


def test_a_defect_in_progress_surfaces(classifiers: list[Classifier]) -> None:
    def progress(done: int, total: int) -> None:
        raise ZeroDivisionError(f"{done} of {total}")

    pictures = ColorPictures(test=20)
    with pytest.raises(ZeroDivisionError, match="of 200"):
        score(classifiers, pictures.dataset, pictures.dataset.split("test"), workers=2, progress=progress)
