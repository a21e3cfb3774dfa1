"""The choice of threads, with times made up."""

from collections.abc import Sequence

import numpy as np
import pytest

from edgecnn.camera.threads import choose_threads
from edgecnn.runtime.classifier import Classifier
from edgecnn.runtime.interpreter import Engine
from tests.models import build


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(build(), labels=["ant", "bee", "cat"], preprocess="unit")


def chosen(
    monkeypatch: pytest.MonkeyPatch, classifier: Classifier, seconds: Sequence[float], cores: int | None
) -> tuple[int, list[int]]:
    """What is chosen where inference with 1, 2, … threads takes so long, and which numbers were tried."""
    tried: list[int] = []
    clone = Classifier.clone

    def watched(self: Classifier, *, threads: int | None = None) -> Classifier:
        tried.append(threads or 0)
        return clone(self, threads=threads)

    monkeypatch.setattr(Classifier, "clone", watched)
    monkeypatch.setattr("edgecnn.camera.threads._seconds", lambda engine: seconds[tried[-1] - 1])
    return choose_threads(classifier, cores=cores), tried


@pytest.mark.parametrize("cores", [1, 2])
def test_with_few_cores_there_is_nothing_to_try(
    monkeypatch: pytest.MonkeyPatch, classifier: Classifier, cores: int
) -> None:
    assert chosen(monkeypatch, classifier, [], cores) == (1, [])


@pytest.mark.parametrize(
    ("seconds", "cores", "threads", "most_tried"),
    [
        ([1.0, 0.5, 0.34, 0.25], 4, 3, 3),  # one core stays free
        ([1.0, 0.5, 0.34, 0.25, 0.2, 0.1], 16, 4, 4),  # more than 4 are never tried
        ([1.0, 0.5, 0.45], 4, 2, 3),  # the third brings a tenth
        ([1.0, 0.86, 0.1], 4, 1, 2),  # nor is tried what lies beyond
        ([1.0, 0.84, 0.8], 4, 2, 3),
        ([1.0, 1.3], 3, 1, 2),
    ],
)
def test_one_more_as_long_as_it_is_worth_it(
    monkeypatch: pytest.MonkeyPatch,
    classifier: Classifier,
    seconds: list[float],
    cores: int,
    threads: int,
    most_tried: int,
) -> None:
    assert chosen(monkeypatch, classifier, seconds, cores) == (threads, list(range(1, most_tried + 1)))


def test_the_machine_is_asked_for_its_cores(monkeypatch: pytest.MonkeyPatch, classifier: Classifier) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    assert chosen(monkeypatch, classifier, [1.0, 0.5], None) == (2, [1, 2])
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert choose_threads(classifier) == 1


def test_real_inference_is_timed_and_the_classifier_left_alone(
    monkeypatch: pytest.MonkeyPatch, classifier: Classifier
) -> None:
    monkeypatch.setattr("edgecnn.camera.threads._SECONDS", 0.005)
    invoked = []
    invoke = Engine.invoke

    def watched(self: Engine) -> None:
        invoked.append(self)
        invoke(self)

    monkeypatch.setattr(Engine, "invoke", watched)
    before = np.array(classifier.engine.input)
    assert 1 <= choose_threads(classifier, cores=4) <= 3
    assert len(invoked) > 4
    assert classifier.engine not in invoked
    assert classifier.threads == 1
    np.testing.assert_array_equal(classifier.engine.input, before)
