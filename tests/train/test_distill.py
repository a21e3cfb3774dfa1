"""Student and teacher in one model: the loss is Hinton's, only the student learns, both see the same picture."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.config import Preprocess
from edgecnn.data.preprocess import Preprocessor
from edgecnn.errors import ModelError, PreprocessError
from edgecnn.keras_io.card import KerasCard, with_card
from edgecnn.train.distill import DistillationLoss, Teacher, load_teacher, student_accuracy, with_teacher
from tests.keras_models import network, pictures, save

RAW = Preprocess(6, 8)


@pytest.fixture
def keras() -> Any:
    return import_module("keras")


def softmax(values: NDArray[Any]) -> NDArray[np.float64]:
    powers = np.exp(values.astype(np.float64) - values.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def teacher(keras: Any, folder: Path, **options: Any) -> Teacher:
    return load_teacher(save(network(keras, seed=7, **options), folder / "teacher.keras"))


@pytest.mark.parametrize(("temperature", "weight", "smoothing"), [(1, 0.5, 0), (4, 0.9, 0.1), (2, 0, 0), (3, 1, 0)])
def test_the_loss_is_what_its_formula_says(temperature: float, weight: float, smoothing: float) -> None:
    random = np.random.default_rng(3)
    labels = random.dirichlet(np.ones(5), 9).astype(np.float32)
    both = random.normal(0, 4, (9, 2, 5)).astype(np.float32)
    got = np.asarray(DistillationLoss(temperature, weight, smoothing)(labels, both))
    learned, taught = softmax(both[:, 0] / temperature), softmax(both[:, 1] / temperature)
    soft = temperature**2 * (taught * np.log(taught / learned)).sum(axis=1)
    hard = -((labels * (1 - smoothing) + smoothing / 5) * np.log(softmax(both[:, 0]))).sum(axis=1)
    np.testing.assert_allclose(got, weight * soft + (1 - weight) * hard, rtol=1e-5, atol=1e-5)


def test_without_the_teacher_it_is_the_cross_entropy_of_keras(keras: Any) -> None:
    random = np.random.default_rng(3)
    labels, both = random.dirichlet(np.ones(5), 9), random.normal(0, 4, (9, 2, 5))
    usual = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1, reduction="none")
    got = DistillationLoss(4.0, 0.0, 0.1)(labels, both)
    np.testing.assert_allclose(np.asarray(got), np.asarray(usual(labels, both[:, 0])), rtol=1e-5)


def test_only_the_student_learns_and_the_teacher_answers_as_in_use(keras: Any, tmp_path: Path) -> None:
    student, wise = network(keras, head="logits"), teacher(keras, tmp_path)  # both drop half of their features
    model = with_teacher(student, wise, RAW, RAW)
    tensors, labels = pictures(8, 8, 6), np.eye(3, dtype=np.float32)[np.arange(8) % 3]
    expected = np.asarray(wise.model(tensors, training=False))
    for training in (False, True):
        np.testing.assert_allclose(np.asarray(model(tensors, training=training))[:, 1], expected, rtol=1e-5)
    np.testing.assert_allclose(np.asarray(model(tensors))[:, 0], np.asarray(student(tensors)), rtol=1e-5)
    assert model.trainable_weights == student.trainable_weights
    frozen = wise.model.get_weights()
    before = student.get_weights()
    model.compile(keras.optimizers.SGD(0.1), DistillationLoss(label_smoothing=0.1), metrics=[student_accuracy()])
    history = model.fit(tensors, labels, sample_weight=np.ones(8), epochs=1, verbose=0).history
    assert set(history) == {"accuracy", "loss"}
    assert all(map(np.array_equal, frozen, wise.model.get_weights()))
    assert not any(map(np.array_equal, before, student.get_weights()))


def test_the_accuracy_is_the_students(keras: Any) -> None:
    labels = np.eye(3, dtype=np.float32)[[0, 1, 2, 2]]
    both = np.stack([np.eye(3)[[0, 1, 2, 0]], np.eye(3)[[1, 2, 0, 0]]], axis=1)
    metric = student_accuracy()
    metric.update_state(labels, both)
    assert (metric.name, float(metric.result())) == ("accuracy", 0.75)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (Preprocess(6, 8, "bgr", (127.5,), (127.5,)), Preprocess(6, 8, "rgb", (1.0, 2.0, 3.0), (4.0, 5.0, 6.0))),
        (Preprocess(6, 8, "gray", (0.0,), (255.0,)), RAW),
        (Preprocess(6, 8, "rgb"), Preprocess(6, 8, "gray")),
        (Preprocess(6, 8, "bgr"), Preprocess(6, 8, "gray")),
        (Preprocess(12, 16), RAW),
    ],
)
def test_the_teacher_sees_what_the_student_sees_in_its_own_way(
    keras: Any, given: Preprocess, wanted: Preprocess, tmp_path: Path
) -> None:
    wise = teacher(keras, tmp_path, channels=wanted.channels)
    student = network(keras, head="logits", size=(given.height, given.width), channels=given.channels)
    random = np.random.default_rng(5)
    picture = random.integers(0, 256, (given.height, given.width, 3), np.uint8)
    if given.channels == 1:
        picture[...] = picture[..., :1]
    seen = np.asarray(Preprocessor(given)(picture), np.float32)[None]
    expected = np.asarray(wise.model(np.asarray(Preprocessor(wanted)(picture), np.float32)[None]))
    got = np.asarray(with_teacher(student, wise, given, wanted)(seen))[:, 1]
    # OpenCV rounds a gray or resized picture to whole numbers.
    tolerance = 1e-4 if given.size == wanted.size and given.channels == wanted.channels else 0.02
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())


def test_the_teachers_classes_are_taken_in_the_students_order(keras: Any, tmp_path: Path) -> None:
    wise, tensors = teacher(keras, tmp_path), pictures(3, 8, 6)
    answer = np.asarray(wise.model(tensors))
    student = network(keras, head="sigmoid")
    got = np.asarray(with_teacher(network(keras, head="logits"), wise, RAW, RAW, order=[2, 0, 1])(tensors))[:, 1]
    np.testing.assert_allclose(got, answer[:, [2, 0, 1]], rtol=1e-5)
    both = np.asarray(with_teacher(student, wise, RAW, RAW, order=[2, 1])(tensors))
    np.testing.assert_allclose(both[:, 1], answer[:, [2, 1]], rtol=1e-5)
    assert (both[:, 0, 0] == 0).all()
    with pytest.raises(ModelError, match=r"the teacher teacher.keras has 3 classes, the student 2"):
        with_teacher(student, wise, RAW, RAW)


def test_one_sigmoid_is_two_classes(keras: Any, tmp_path: Path) -> None:
    plain = network(keras, head="sigmoid", seed=7)
    wise, tensors = teacher(keras, tmp_path, head="sigmoid"), pictures(3, 8, 6) / 255
    got = np.asarray(with_teacher(network(keras, head="sigmoid"), wise, RAW, RAW)(tensors))
    assert (wise.outputs, got.shape) == (2, (3, 2, 2))
    np.testing.assert_allclose(softmax(got[:, 1])[:, 1:], np.asarray(plain(tensors)), rtol=1e-5)


def test_what_a_teacher_needs_comes_from_its_card_or_its_layers(keras: Any, tmp_path: Path) -> None:
    assert teacher(keras, tmp_path).preprocess is None
    with pytest.raises(PreprocessError, match=r"the teacher teacher.keras does not say how its input is normalized"):
        with_teacher(network(keras, head="logits"), teacher(keras, tmp_path), RAW)
    assert teacher(keras, tmp_path, inside="rescaling").preprocess == RAW
    known = Preprocess(6, 8, "bgr", (1.0,), (2.0,))
    file = tmp_path / "sealed.keras"
    file.write_bytes(
        with_card((tmp_path / "teacher.keras").read_bytes(), KerasCard(("a", "b", "c"), known, {"arch": "x"}))
    )
    sealed = load_teacher(file)
    assert (sealed.preprocess, sealed.labels, sealed.outputs) == (known, ("a", "b", "c"), 3)


def test_what_cannot_teach_is_refused(keras: Any, tmp_path: Path) -> None:
    lite = tmp_path / "model.tflite"
    lite.write_bytes(b"\x1c\0\0\0TFL3" + bytes(100))
    with pytest.raises(ModelError, match=r"is a .tflite file, which cannot be trained"):
        load_teacher(lite)
    body = save(keras.Sequential([keras.Input((8, 6, 3)), keras.layers.Conv2D(4, 3)]), tmp_path / "body.keras")
    with pytest.raises(ModelError, match=r"is no classifier: expected class scores"):
        load_teacher(body)
    student = network(keras, head="logits")
    with pytest.raises(ModelError, match=r"the teacher teacher.keras does not take 2x2 rgb"):
        with_teacher(student, teacher(keras, tmp_path), RAW, Preprocess(2, 2))
