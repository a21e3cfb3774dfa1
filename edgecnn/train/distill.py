"""Distillation: a student learns the answers of a teacher beside the labels (Hinton, Vinyals, Dean 2015).

Both stand in one model. The teacher sees the very pictures that the student sees, augmented as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.config import Preprocess
from edgecnn.errors import ModelError, PreprocessError
from edgecnn.keras_io.classifier import load_classifier

_GRAY = (0.299, 0.587, 0.114)  # weights of red, green and blue, as OpenCV and JPEG take them


@dataclass(frozen=True)
class Teacher:
    """A trained classifier to learn from.

    Attributes:
        model: Keras model from float32 pictures (n, height, width, channels) to logits (n, outputs).
        name: of its file.
        outputs: classes; 2 for a model of one sigmoid.
        preprocess: what it needs done to a picture; None where its file does not say.
        labels: class names in the order of its outputs; () where its file does not say.
    """

    model: Any
    name: str
    outputs: int
    preprocess: Preprocess | None
    labels: tuple[str, ...] = ()


def load_teacher(path: str | Path, *, allow_unsafe: bool = False) -> Teacher:
    """Load a classifier from a Keras file, with what the file says about its input and its labels.

    Raises:
        ModelError: no Keras model of single images, or no classifier.
        UnsafeModelError: it carries code and `allow_unsafe` is False.
        BundleError: the card inside is damaged.
        MissingExtraError: Keras is not installed.
    """
    found = load_classifier(path, allow_unsafe=allow_unsafe)
    labels = found.card.labels if found.card else ()
    return Teacher(found.model, found.name, found.classes, found.preprocess, labels)


def with_teacher(
    student: Any,
    teacher: Teacher,
    student_preprocess: Preprocess,
    teacher_preprocess: Preprocess | None = None,
    *,
    order: Sequence[int] | None = None,
) -> Any:
    """Student and teacher as one model; only the student trains, and the teacher always answers as in use.

    Args:
        student: keras.Model from normalized pictures (n, height, width, channels) to logits (n, classes), or (n, 1)
            of a sigmoid.
        student_preprocess: how those pictures were normalized.
        teacher_preprocess: what the teacher needs; None for what its file says.
        order: the teacher's output for each class of the student; None where both have the same order.

    Returns:
        A keras.Model from the student's pictures to float32 logits (n, 2, classes): [:, 0] the student's,
        [:, 1] the teacher's. The student is one layer of it, with its own weights.

    Raises:
        ModelError: they have other classes, or the teacher does not take pictures of that size.
        PreprocessError: nobody says how the teacher's input is normalized.
    """
    import keras

    wanted = teacher_preprocess or teacher.preprocess
    if wanted is None:
        raise PreprocessError(
            f"the teacher {teacher.name} does not say how its input is normalized; "
            "put a Rescaling layer in front of it, or train it with edgecnn train"
        )
    classes = max(2, int(student.outputs[0].shape[-1]))
    chosen = list(range(teacher.outputs) if order is None else order)
    if len(chosen) != classes or any(not 0 <= index < teacher.outputs for index in chosen):
        raise ModelError(f"the teacher {teacher.name} has {teacher.outputs} classes, the student {classes}")
    image = keras.Input(student.inputs[0].shape[1:], name="image")
    try:
        answer = _teacher_layer(teacher.model, student_preprocess, wanted, chosen)(image)
    except Exception as exc:  # each layer raises its own for an input that it cannot take
        raise ModelError(
            f"the teacher {teacher.name} does not take {wanted.width}x{wanted.height} {wanted.color}: "
            f"{next(iter(str(exc).splitlines()), '')[:200]}"
        ) from exc
    own = _two(keras.ops.cast(student(image), "float32"))
    return keras.Model(image, keras.ops.stack([own, answer], axis=1))


@dataclass(frozen=True)
class DistillationLoss:
    """Loss of the logits that `with_teacher` gives; to be handed to compile().

    teacher_weight · T² · KL(teacher || student) + (1 - teacher_weight) · cross-entropy(labels, student), with both
    logits divided by T in the first term. T² keeps its gradients as large as those of the second.

    Attributes:
        temperature: T; above 1, more is learned from small answers.
        teacher_weight: 0 (only labels) to 1 (only the teacher).
        label_smoothing: share of each label that is spread over all classes.
    """

    temperature: float = 4.0
    teacher_weight: float = 0.9
    label_smoothing: float = 0.0

    def __call__(self, labels: Any, both: Any) -> Any:
        """Loss of each picture (n,) from labels (n, classes) and logits (n, 2, classes)."""
        from keras import ops

        both = ops.cast(both, "float32")
        labels = ops.cast(labels, "float32")
        student, teacher = both[:, 0], both[:, 1]
        labels = labels * (1 - self.label_smoothing) + self.label_smoothing / labels.shape[-1]
        hard = -ops.sum(labels * ops.log_softmax(student, axis=-1), axis=-1)
        taught = ops.log_softmax(teacher / self.temperature, axis=-1)
        learned = ops.log_softmax(student / self.temperature, axis=-1)
        soft = ops.sum(ops.exp(taught) * (taught - learned), axis=-1)
        return self.teacher_weight * self.temperature**2 * soft + (1 - self.teacher_weight) * hard


def student_accuracy() -> Any:
    """Metric "accuracy" of the student's answers, for labels (n, classes) and logits (n, 2, classes)."""
    import keras

    def hits(labels: Any, both: Any) -> Any:
        return keras.metrics.categorical_accuracy(labels, both[:, 0])

    return keras.metrics.MeanMetricWrapper(hits, name="accuracy")


def _teacher_layer(model: Any, given: Preprocess, wanted: Preprocess, order: Sequence[int]) -> Any:
    """A layer without training: pictures as the student takes them to the teacher's logits in the student's order."""
    import keras
    from keras import ops

    class FrozenTeacher(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
        """Called as a layer of its own, because Keras hands `training=True` on to every layer of a graph."""

        def __init__(self) -> None:
            super().__init__(name="frozen_teacher", trainable=False, dtype="float32")
            self.model = model
            self.model.trainable = False

        def call(self, image: Any) -> Any:
            answer = _two(ops.cast(self.model(_adapted(image, given, wanted), training=False), "float32"))
            return ops.stop_gradient(ops.take(answer, np.asarray(order, np.int32), axis=-1))

    return FrozenTeacher()


def _adapted(image: Any, given: Preprocess, wanted: Preprocess) -> Any:
    """Pictures (n, height, width, channels) that `given` made, as `wanted` would have made them."""
    from keras import ops

    pixels = image * np.asarray(given.std, np.float32) + np.asarray(given.mean, np.float32)
    if given.color != wanted.color:
        if given.color == "gray":
            pixels = ops.repeat(pixels, 3, axis=-1)
        elif wanted.color == "gray":
            weights = _GRAY if given.color == "rgb" else _GRAY[::-1]
            pixels = ops.sum(pixels * np.asarray(weights, np.float32), axis=-1, keepdims=True)
        else:
            pixels = ops.flip(pixels, axis=-1)
    if given.size != wanted.size:
        size = (wanted.height, wanted.width)
        pixels = ops.image.resize(pixels, size, interpolation="bilinear", data_format="channels_last")
    return (pixels - np.asarray(wanted.mean, np.float32)) / np.asarray(wanted.std, np.float32)


def _two(answer: Any) -> Any:
    """Logits (n, classes); those of one sigmoid (n, 1) with 0 for the negative class in front."""
    from keras import ops

    return answer if answer.shape[-1] > 1 else ops.concatenate([ops.zeros_like(answer), answer], axis=-1)
