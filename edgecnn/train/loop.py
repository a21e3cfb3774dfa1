"""The loop over epochs: phases, checkpoints, the best weights, early stopping."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgecnn.train import checkpoint
from edgecnn.train.batches import Batches, keras_dataset
from edgecnn.train.checkpoint import EpochRecord, State
from edgecnn.train.devices import Devices, Forward
from edgecnn.train.options import TrainConfig

_REPORT_SECONDS = 0.5  # reading the running accuracy waits for the device


class Observer(Protocol):
    """Hears how far a training is; the command line draws it."""

    def step(self, name: str) -> None:
        """A step begins."""

    def progress(self, done: int, total: int) -> None:
        """Part of the running step is done; may come from other threads."""

    def batch(self, epoch: int, done: int, total: int, accuracy: float) -> None:
        """So many batches of an epoch (from 1) are done; training accuracy so far, in [0, 1]."""

    def epoch(self, record: EpochRecord) -> None:
        """An epoch is done and its checkpoint written."""


class Silent:
    """An observer that says nothing."""

    def step(self, name: str) -> None:
        """Pass."""

    def progress(self, done: int, total: int) -> None:
        """Pass."""

    def batch(self, epoch: int, done: int, total: int, accuracy: float) -> None:
        """Pass."""

    def epoch(self, record: EpochRecord) -> None:
        """Pass."""


@dataclass(frozen=True)
class Phase:
    """Epochs that share one optimizer.

    Attributes:
        epochs: numbers from 0.
        frozen: only the head trains.
        rate: highest learning rate.
        warmup: epochs in which the rate rises from zero.
    """

    epochs: range
    frozen: bool
    rate: float
    warmup: float


@dataclass
class Learner:
    """A network ready to be trained.

    Attributes:
        network: pictures to logits; what is kept.
        model: what is fitted: the network, with two logits for a sigmoid head and the teacher beside it.
        loss: Keras loss of the model's output.
        accuracy: makes the Keras metric of that name.
        freeze: called with True before the frozen epochs and with False before the others.
    """

    network: Any
    model: Any
    loss: Any
    accuracy: Callable[[], Any]
    freeze: Callable[[bool], None] = field(default=lambda frozen: None)


def phases(config: TrainConfig) -> list[Phase]:
    """A new head alone first, then everything."""
    split, end = config.frozen_epochs, config.epochs
    rate = config.finetune_rate if config.weights else config.rate
    plan = [Phase(range(split), True, config.rate, 0.0), Phase(range(split, end), False, rate, config.warmup_epochs)]
    return [phase for phase in plan if phase.epochs]


def run(
    learner: Learner,
    training: Batches,
    validation: Batches | None,
    config: TrainConfig,
    *,
    state: State,
    save: Callable[[State], None],
    observer: Observer,
    devices: Devices,
) -> State:
    """Train from where `state` stands to the end, or to where patience ends.

    Args:
        save: writes the state; called after every epoch.

    Returns:
        The state, with the values of the last epoch in `network` and those of the best in `best`.
    """
    import keras

    dataset = keras_dataset(training)
    for phase in phases(config):
        done = len(state.history)
        if done >= phase.epochs.stop or state.finished:
            continue
        learner.freeze(phase.frozen)
        model = learner.model
        with devices.scope():
            optimizer = _optimizer(config, phase, len(training))
            model.compile(optimizer, learner.loss, metrics=[learner.accuracy()])
            optimizer.build(model.trainable_variables)
        if done > phase.epochs.start:
            checkpoint.assign(optimizer.variables, state.optimizer)
        if done:
            checkpoint.assign(learner.network.variables, state.network)
        train, forward = devices.trainer(model), devices.forward(learner.network)
        for epoch in phase.epochs[max(0, done - phase.epochs.start) :]:
            started = time.perf_counter()
            training.start(epoch)
            logs = train(dataset, [_watcher(observer, epoch + 1, len(training))])
            loss, accuracy = measure(forward, validation) if validation else (None, None)
            state.history.append(
                EpochRecord(
                    epoch=epoch + 1,
                    loss=logs["loss"],
                    accuracy=logs["accuracy"],
                    val_loss=loss,
                    val_accuracy=accuracy,
                    learning_rate=float(keras.ops.convert_to_numpy(optimizer.learning_rate)),
                    seconds=round(time.perf_counter() - started, 3),
                )
            )
            state.network = checkpoint.values(learner.network.variables)
            state.optimizer = checkpoint.values(optimizer.variables)
            if _is_best(state.history, state.best_epoch):
                state.best, state.best_epoch = checkpoint.values(learner.network.weights), epoch + 1
            state.finished = epoch + 1 == config.epochs or _exhausted(state, config)
            save(state)
            observer.epoch(state.history[-1])
            if state.finished:
                break
    return state


def measure(forward: Forward, batches: Batches) -> tuple[float, float]:
    """Cross-entropy and accuracy of a network on batches, the same numbers on every host."""
    losses, hits = [], []
    for i in range(len(batches)):
        pictures, labels, _ = batches[i]
        probabilities = probabilities_of(forward(pictures))
        likely = (probabilities * labels).sum(axis=1)
        losses.append(-np.log(np.maximum(likely, np.finfo(np.float64).tiny)))
        hits.append(probabilities.argmax(axis=1) == labels.argmax(axis=1))
    return float(np.concatenate(losses).mean()), float(np.concatenate(hits).mean())


def probabilities_of(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities (n, classes) of logits (n, classes), or (n, 2) of the one logit (n, 1) of a sigmoid head."""
    logits = logits.astype(np.float64)
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _optimizer(config: TrainConfig, phase: Phase, steps: int) -> Any:
    import keras

    rate: Any = phase.rate
    if config.schedule == "cosine" or phase.warmup:
        warmup = round(phase.warmup * steps)
        total = max(1, len(phase.epochs) * steps - warmup)
        rate = keras.optimizers.schedules.CosineDecay(
            0.0 if warmup else phase.rate,
            total,
            alpha=0.0 if config.schedule == "cosine" else 1.0,
            warmup_target=phase.rate if warmup else None,
            warmup_steps=warmup,
        )
    decay = config.weight_decay or None
    if config.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, weight_decay=decay)
    elif config.optimizer == "adam":
        optimizer = keras.optimizers.Adam(rate, weight_decay=decay)
    else:
        optimizer = keras.optimizers.AdamW(rate, weight_decay=decay or 0.0)
    if decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _watcher(observer: Observer, epoch: int, batches: int) -> Any:
    import keras

    class Watcher(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
        shown = time.monotonic()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            now = time.monotonic()
            if now - self.shown >= _REPORT_SECONDS:
                self.shown = now
                observer.batch(epoch, batch + 1, batches, float(logs["accuracy"]))

    return Watcher()


def _is_best(history: Sequence[EpochRecord], best_epoch: int) -> bool:
    """Whether the last epoch is the best so far: by validation accuracy, then loss; the last one without validation."""
    last = history[-1]
    if not best_epoch or last.val_accuracy is None or last.val_loss is None:
        return True
    best = history[best_epoch - 1]
    return (last.val_accuracy, -last.val_loss) > (best.val_accuracy or 0.0, -(best.val_loss or 0.0))


def _exhausted(state: State, config: TrainConfig) -> bool:
    """Whether patience has ended; the frozen epochs do not count, the rate of the others is new to them."""
    if not config.patience:
        return False
    since = max(state.best_epoch, config.frozen_epochs)
    return len(state.history) - since >= config.patience
