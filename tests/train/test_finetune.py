"""Training of a network that is there already."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.config import Preprocess
from edgecnn.data.dataset import open_dataset
from edgecnn.data.preprocess import Preprocessor
from edgecnn.train.augment import Augment
from edgecnn.train.batches import Batches
from edgecnn.train.cache import PictureCache
from edgecnn.train.checkpoint import EpochRecord
from edgecnn.train.finetune import finetune
from edgecnn.train.loop import Silent
from edgecnn.train.options import TrainConfig

PREPROCESS = Preprocess(12, 10, mean=(127.5,), std=(127.5,))
CONFIG = TrainConfig(epochs=3, batch_size=16, learning_rate=0.01, warmup_epochs=0.5, teacher_weight=1.0)


class Stopping(Silent):
    def __init__(self, after: int) -> None:
        self.epochs, self._after = 0, after

    def epoch(self, record: EpochRecord) -> None:
        self.epochs += 1
        if self.epochs == self._after:
            raise KeyboardInterrupt


@pytest.fixture
def batches(colors: Path, tmp_path: Path) -> Any:
    with (
        open_dataset(colors) as dataset,
        PictureCache(dataset, dataset.split("train"), PREPROCESS, memory=1 << 30, folder=tmp_path) as cache,
    ):
        yield Batches(cache, np.arange(len(cache)), 3, Preprocessor(PREPROCESS), 16, options=Augment(flip=True), seed=1)


def network(seed: int) -> Any:
    import keras

    keras.utils.set_random_seed(seed)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((10, 12, 3)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ]
    )


def functional(seed: int) -> Any:
    from edgecnn.keras_io.graph import flat_copy

    return flat_copy(network(seed))


def test_it_learns_from_labels_in_place(batches: Batches) -> None:
    student = functional(1)
    before = student.get_weights()
    history = finetune(student, batches, PREPROCESS, CONFIG)
    assert history[-1].loss < history[0].loss
    assert not np.array_equal(before[0], student.get_weights()[0])


def test_with_the_teacher_s_weight_at_1_its_answers_are_learned_and_it_stays_as_it_is(batches: Batches) -> None:
    parent, student = functional(1), functional(2)
    weights = [array.copy() for array in parent.get_weights()]
    pictures = batches[0][0]

    def distance() -> float:
        return float(np.abs(np.asarray(parent(pictures)) - np.asarray(student(pictures))).mean())

    before = distance()
    finetune(student, batches, PREPROCESS, CONFIG, parent=parent)
    assert distance() < 0.7 * before
    for old, new in zip(weights, parent.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_an_interrupted_call_goes_on_to_the_same_weights(batches: Batches, tmp_path: Path) -> None:
    whole = functional(3)
    finetune(whole, batches, PREPROCESS, CONFIG)
    kept = tmp_path / "state.npz"
    with pytest.raises(KeyboardInterrupt):
        finetune(functional(3), batches, PREPROCESS, CONFIG, kept=kept, observer=Stopping(2))
    rest, again = Stopping(0), functional(3)
    history = finetune(again, batches, PREPROCESS, CONFIG, kept=kept, observer=rest)
    assert (rest.epochs, len(history)) == (1, 3)
    for expected, got in zip(whole.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(got, expected)
    finished, third = Stopping(0), functional(3)
    finetune(third, batches, PREPROCESS, CONFIG, kept=kept, observer=finished)
    assert finished.epochs == 0
    np.testing.assert_array_equal(third.get_weights()[0], whole.get_weights()[0])


def test_the_state_of_another_network_is_not_taken(batches: Batches, tmp_path: Path) -> None:
    kept = tmp_path / "state.npz"
    finetune(functional(3), batches, PREPROCESS, CONFIG, kept=kept)
    other = Stopping(0)
    finetune(functional(4), batches, PREPROCESS, CONFIG, kept=kept, observer=other)
    assert other.epochs == 3


def test_statistics_of_slow_batch_normalization_are_those_of_the_trained_network(batches: Batches) -> None:
    """Published networks have a momentum of 0.999: after a few batches they would answer from old statistics."""
    import keras

    from edgecnn.keras_io.graph import flat_copy

    keras.utils.set_random_seed(4)
    image = keras.Input((10, 12, 3))
    x = keras.layers.Conv2D(8, 3)(image)
    x = keras.layers.BatchNormalization(momentum=0.999)(x)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(x))
    student = flat_copy(keras.Model(image, keras.layers.Dense(3)(x)))
    finetune(student, batches, PREPROCESS, TrainConfig(epochs=12, batch_size=16, learning_rate=0.01))
    pictures = batches[0][0]
    (norm,) = (layer for layer in student.layers if hasattr(layer, "moving_variance"))
    maps = np.asarray(keras.Model(student.inputs[0], norm.input)(pictures))
    np.testing.assert_allclose(np.sqrt(norm.moving_variance), maps.std(axis=(0, 1, 2)), rtol=0.25)
