"""Phases, the best epoch and early stopping, apart from any network."""

import numpy as np
import pytest

from edgecnn.train.checkpoint import EpochRecord, State
from edgecnn.train.loop import Phase, _exhausted, _is_best, _optimizer, phases
from edgecnn.train.options import TrainConfig


def record(epoch: int, accuracy: float | None, loss: float | None = 1.0) -> EpochRecord:
    return EpochRecord(epoch, 1.0, 0.5, loss if accuracy is not None else None, accuracy, 1e-3, 1.0)


def test_from_random_weights_there_is_one_phase() -> None:
    assert phases(TrainConfig(epochs=7)) == [Phase(range(7), False, 1e-3, 1.0)]


def test_from_trained_weights_a_new_head_comes_first() -> None:
    assert phases(TrainConfig(epochs=8, weights="w.keras")) == [
        Phase(range(2), True, 1e-3, 0.0),
        Phase(range(2, 8), False, 1e-4, 1.0),
    ]
    frozen = phases(TrainConfig(epochs=8, head_epochs=8, weights="w.keras"))
    assert [(phase.epochs, phase.frozen) for phase in frozen] == [(range(8), True)]
    assert phases(TrainConfig(epochs=8, weights="w.keras", keep_head=True, finetuning_rate=0.3))[0].rate == 0.3


def test_the_best_epoch_is_by_accuracy_then_loss() -> None:
    history = [record(1, 0.5)]
    assert _is_best(history, 0)
    assert not _is_best([*history, record(2, 0.5)], 1)
    assert _is_best([*history, record(2, 0.5, 0.9)], 1)
    assert not _is_best([*history, record(2, 0.4, 0.1)], 1)
    assert _is_best([record(1, None), record(2, None)], 1), "without validation the last epoch counts"


def test_patience_counts_from_the_best_epoch_and_not_in_the_frozen_ones() -> None:
    config = TrainConfig(epochs=20, head_epochs=4, weights="w.keras", patience=3)
    history = [record(i + 1, 0.5) for i in range(6)]
    assert not _exhausted(State(history=history, best_epoch=1), config)
    assert _exhausted(State(history=[*history, record(7, 0.5)], best_epoch=1), config)
    assert not _exhausted(State(history=[*history, record(7, 0.6)], best_epoch=7), config)
    assert not _exhausted(State(history=history * 9, best_epoch=1), TrainConfig())


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_the_rate_warms_up_and_falls_along_a_cosine(name: str) -> None:
    config = TrainConfig(epochs=10, optimizer=name, warmup_epochs=2)
    rate = _optimizer(config, Phase(range(10), False, 0.4, 2.0), steps=5)._learning_rate
    steps = np.arange(51)
    expected = np.where(steps < 10, 0.4 * steps / 10, 0.2 * (1 + np.cos(np.pi * (steps - 10) / 40)))
    assert [float(rate(step)) for step in steps] == pytest.approx(expected, abs=1e-6)


def test_a_constant_rate_is_constant_after_its_warm_up() -> None:
    config = TrainConfig(schedule="constant")
    rate = _optimizer(config, Phase(range(4), False, 0.4, 1.0), steps=4)._learning_rate
    assert [float(rate(step)) for step in (0, 2, 4, 9, 16)] == pytest.approx([0, 0.2, 0.4, 0.4, 0.4])


def test_biases_and_normalization_do_not_decay() -> None:
    import keras

    optimizer = _optimizer(TrainConfig(weight_decay=0.1), Phase(range(1), False, 0.1, 0.0), steps=1)
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2), keras.layers.BatchNormalization()])
    optimizer.build(network.trainable_variables)
    decays = [variable.name for variable in network.trainable_variables if optimizer._use_weight_decay(variable)]
    assert decays == ["kernel"]
