"""Fine-tuning of tf_keras models over batches of NumPy arrays: with labels, and with a teacher's answers."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from edgecnn.compress.tfmot import logits_of
from edgecnn.data.parallel import ahead
from edgecnn.files import sha256_bytes
from edgecnn.train import checkpoint
from edgecnn.train.checkpoint import EpochRecord, State
from edgecnn.train.loop import Observer, Silent
from edgecnn.train.nets.parts import average_recent

_REPORT_SECONDS: Final = 0.5

Teacher = Callable[[NDArray[np.float32]], NDArray[np.float32]]


class Lessons(Protocol):
    """What is learned from; `edgecnn.train.batches.Batches` is one."""

    def start(self, epoch: int) -> None:
        """Take the order and the random choices of an epoch."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Pictures (n, height, width, channels), labels (n, classes), and factors of the loss (n,), all float32."""


@dataclass(frozen=True)
class TuneConfig:
    """How to fine-tune.

    Attributes:
        epochs: over all lessons; 0 for none.
        rate: learning rate of Adam at the start; it falls to zero along a cosine.
        seed: of every random choice.
        temperature, teacher_weight: of distillation, as in `edgecnn.train.distill.DistillationLoss`.
    """

    epochs: int = 1
    rate: float = 1e-4
    seed: int = 0
    temperature: float = 4.0
    teacher_weight: float = 0.9


def tune(
    model: Any,
    lessons: Lessons,
    config: TuneConfig,
    *,
    teacher: Teacher | None = None,
    observer: Observer | None = None,
    kept: Path | None = None,
    after_epoch: Callable[[], None] | None = None,
) -> tuple[EpochRecord, ...]:
    """Train a model in place.

    Args:
        model: tf_keras.Model with a split head (`edgecnn.compress.tfmot.split_head`).
        teacher: normalized pictures to logits of the same classes.
        kept: file for the state after every epoch; a call with the same arguments goes on from it.
        after_epoch: called when an epoch's last step is done.

    Returns:
        Loss and training accuracy of each epoch.

    Raises:
        DataError: the state cannot be written.
    """
    import tensorflow as tf
    import tf_keras

    watcher = observer or Silent()
    average_recent(model)
    logits, head = logits_of(model)
    student = tf_keras.Model(model.inputs, logits)
    units = math.prod(student.output_shape[1:])
    steps = max(1, config.epochs * len(lessons))
    optimizer = tf_keras.optimizers.Adam(tf_keras.optimizers.schedules.CosineDecay(config.rate, steps))

    @tf.function  # type: ignore[untyped-decorator,unused-ignore]  # no types
    def step(pictures: Any, labels: Any, factors: Any, taught: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            answer = tf.reshape(student(pictures, training=True), (-1, units))
            loss, hits = _loss(answer, head, labels, taught, config)
            loss = tf.reduce_mean(loss * factors)
            total = tf.add_n([loss, *student.losses])
        variables = student.trainable_variables
        gradients = zip(tape.gradient(total, variables), variables, strict=True)
        optimizer.apply_gradients([(gradient, variable) for gradient, variable in gradients if gradient is not None])
        return loss, tf.reduce_mean(tf.cast(hits, tf.float32))

    optimizer.build(student.trainable_variables)
    variables = [*model.variables, *optimizer.variables]
    identity = asdict(config) | {"start_sha256": _digest(variables), "batches": len(lessons)}
    state = checkpoint.left_by(kept, identity)
    if state.history:
        for variable, array in zip(variables, state.network, strict=True):
            variable.assign(array)
    history, told = state.history, time.monotonic()
    for epoch in range(len(history), config.epochs):
        started = time.perf_counter()
        lessons.start(epoch)
        losses, accuracies = [], []
        for number, (pictures, labels, factors) in enumerate(ahead(lessons.__getitem__, len(lessons))):
            taught = None if teacher is None else tf.constant(np.asarray(teacher(pictures), np.float32))
            loss, accuracy = step(*(tf.constant(array) for array in (pictures, labels, factors)), taught)
            losses.append(float(loss))
            accuracies.append(float(accuracy))
            if time.monotonic() - told >= _REPORT_SECONDS:
                told = time.monotonic()
                watcher.batch(epoch + 1, number + 1, len(lessons), float(np.mean(accuracies)))
        if after_epoch:
            after_epoch()
        history.append(
            EpochRecord(
                epoch=epoch + 1,
                loss=float(np.mean(losses)),
                accuracy=float(np.mean(accuracies)),
                val_loss=None,
                val_accuracy=None,
                learning_rate=float(np.asarray(optimizer.learning_rate)),
                seconds=round(time.perf_counter() - started, 3),
            )
        )
        if kept:
            checkpoint.save(kept, State(history, network=[variable.numpy() for variable in variables]), identity)
        watcher.epoch(history[-1])
    return tuple(history)


def _digest(variables: list[Any]) -> str:
    return sha256_bytes(b"".join(variable.numpy().tobytes() for variable in variables))


def _loss(logits: Any, head: str, labels: Any, taught: Any, config: TuneConfig) -> tuple[Any, Any]:
    """(loss, whether right) of each picture, from logits (n, units) and labels (n, classes)."""
    import tensorflow as tf

    logits = _two(logits)
    if head == "sigmoid" and logits.shape[-1] != 2:  # a probability for each class, whatever the others have
        hard = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(labels, logits), axis=-1)
    else:
        hard = tf.nn.softmax_cross_entropy_with_logits(labels, logits)
    hits = tf.equal(tf.argmax(logits, axis=-1), tf.argmax(labels, axis=-1))
    if taught is None:
        return hard, hits
    wanted = tf.nn.log_softmax(_two(taught) / config.temperature)
    learned = tf.nn.log_softmax(logits / config.temperature)
    soft = tf.reduce_sum(tf.exp(wanted) * (wanted - learned), axis=-1)
    return config.teacher_weight * config.temperature**2 * soft + (1 - config.teacher_weight) * hard, hits


def _two(logits: Any) -> Any:
    """Logits (n, classes); those of one sigmoid (n, 1) with 0 for the negative class in front."""
    import tensorflow as tf

    return logits if logits.shape[-1] != 1 else tf.concat([tf.zeros_like(logits), logits], axis=-1)
