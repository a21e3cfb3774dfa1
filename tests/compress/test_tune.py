"""Fine-tuning lowers the loss for every kind of head, with labels and with a teacher, and says how far it is."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.compress.tfmot import split_head
from edgecnn.compress.tune import TuneConfig, tune
from edgecnn.train.distill import DistillationLoss
from edgecnn.train.loop import Silent
from tests.compress.lessons import RandomLessons


def small(head: str | None, units: int) -> Any:
    library = import_module("tf_keras")
    library.utils.set_random_seed(3)
    layers = library.layers
    stack = [layers.Input((12, 12, 3)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(units, head)]
    return library.Sequential(stack)


@pytest.mark.parametrize(("head", "units"), [("softmax", 5), (None, 5), ("sigmoid", 5), ("sigmoid", 1), (None, 1)])
def test_the_loss_falls_for_every_head(head: str | None, units: int) -> None:
    model = split_head(small(head, units))
    lessons = RandomLessons(classes=max(2, units))
    history = tune(model, lessons, TuneConfig(epochs=15, rate=1e-2))
    assert history[-1].loss < 0.7 * history[0].loss
    assert history[-1].learning_rate < history[0].learning_rate
    assert lessons.started == list(range(15))


def test_the_first_loss_with_a_teacher_is_that_of_keras_3() -> None:
    model, lessons = split_head(small("softmax", 5)), RandomLessons(batches=1)
    logits = import_module("tf_keras").Model(model.inputs, model.layers[-2].output)
    pictures, labels, _ = lessons[0]
    own = np.asarray(logits(pictures))
    taught = np.random.default_rng(1).normal(size=own.shape).astype(np.float32)
    expected = DistillationLoss(3.0, 0.7)(labels, np.stack([own, taught], axis=1))
    config = TuneConfig(temperature=3.0, teacher_weight=0.7)
    (record,) = tune(model, lessons, config, teacher=lambda given: taught)
    assert record.loss == pytest.approx(float(np.mean(np.asarray(expected))), rel=1e-5)
    assert record.accuracy == np.mean(own.argmax(axis=1) == labels.argmax(axis=1))


def test_an_observer_hears_every_batch_and_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecnn.compress.tune._REPORT_SECONDS", 0.0)
    heard: list[Any] = []

    class Ear(Silent):
        def batch(self, epoch: int, done: int, total: int, accuracy: float) -> None:
            heard.append((epoch, done, total))

        def epoch(self, record: Any) -> None:
            heard.append(record)

    history = tune(split_head(small("softmax", 5)), RandomLessons(), TuneConfig(epochs=2), observer=Ear())
    assert heard == [(1, 1, 2), (1, 2, 2), history[0], (2, 1, 2), (2, 2, 2), history[1]]


def weights(model: Any) -> list[np.ndarray[Any, Any]]:
    return [variable.numpy() for variable in model.variables]


def test_an_interrupted_call_goes_on_and_comes_to_the_same_weights(tmp_path: Path) -> None:
    config, kept = TuneConfig(epochs=4, rate=1e-2), tmp_path / "tune.npz"
    through = split_head(small("softmax", 5))
    whole = tune(through, RandomLessons(), config)

    class Stopping(Silent):
        def epoch(self, record: Any) -> None:
            if record.epoch == 3:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(split_head(small("softmax", 5)), RandomLessons(), config, kept=kept, observer=Stopping())
    model, lessons = split_head(small("softmax", 5)), RandomLessons()
    history = tune(model, lessons, config, kept=kept)
    assert lessons.started == [3], "three of four epochs were kept"
    assert [record.loss for record in history] == [record.loss for record in whole]
    for mine, other in zip(weights(model), weights(through), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_the_state_of_another_call_is_not_used(tmp_path: Path) -> None:
    kept, lessons = tmp_path / "tune.npz", RandomLessons()
    tune(split_head(small("softmax", 5)), RandomLessons(), TuneConfig(epochs=2), kept=kept)
    tune(split_head(small("softmax", 5)), lessons, TuneConfig(epochs=2, rate=1e-3), kept=kept)
    assert lessons.started == [0, 1]


def test_statistics_of_slow_batch_normalization_follow_the_training() -> None:
    library = import_module("tf_keras")
    library.utils.set_random_seed(3)
    layers = library.layers
    stack = [layers.Input((12, 12, 3)), layers.Rescaling(1 / 255), layers.Conv2D(4, 3)]
    stack += [layers.BatchNormalization(momentum=0.999), layers.Flatten(), layers.Dense(5)]
    model, lessons = split_head(library.Sequential(stack)), RandomLessons()
    tune(model, lessons, TuneConfig(epochs=30))
    (norm,) = (layer for layer in model.layers if hasattr(layer, "moving_variance"))
    maps = library.Model(model.inputs, norm.input)(lessons[0][0]).numpy()
    np.testing.assert_allclose(np.sqrt(norm.moving_variance), maps.std(axis=(0, 1, 2)), rtol=0.1)
