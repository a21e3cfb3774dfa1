"""Maps of trained networks: they change when the weights do, and point at the object that makes the class.

Sources: J. Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018; J. Zhang et al., "Top-down Neural Attention
by Excitation Backprop", ECCV 2016 (the pointing game).
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.config import Preprocess
from edgecnn.data.dataset import balanced, open_dataset
from edgecnn.explain.gradients import METHODS, Explained, explain, load_explained
from edgecnn.explain.maps import pointing, rank_correlation
from edgecnn.keras_io.card import KerasCard, with_card
from edgecnn.spec import parse_spec
from tests.keras_models import save

SIDE = 24  # of the canvas; a digit has 8 x 8
DIGITS = tuple("0123456789")
Box = tuple[int, int, int, int]
Digits = tuple[NDArray[np.uint8], NDArray[np.int64]]

_TRAINED_ON = 1500  # digits; the others are shown afterwards


@pytest.fixture(scope="module")
def digits() -> Digits:
    """The handwritten digits of scikit-learn, (n, 8, 8) from 0 to 255, and their classes."""
    found = import_module("sklearn.datasets").load_digits()
    return np.rint(found.images * 255 / 16).astype(np.uint8), found.target


def canvas(shown: Sequence[NDArray[np.uint8]], random: np.random.Generator) -> tuple[NDArray[np.uint8], list[Box]]:
    """Digits on one noisy canvas, apart from each other, and their boxes."""
    picture = random.integers(0, 60, (SIDE, SIDE)).astype(np.uint8)
    boxes: list[Box] = []
    while len(boxes) < len(shown):
        x, y = (int(n) for n in random.integers(0, SIDE - 7, 2))
        if all(abs(x - box[0]) >= 8 or abs(y - box[1]) >= 8 for box in boxes):
            picture[y : y + 8, x : x + 8] = np.maximum(picture[y : y + 8, x : x + 8], shown[len(boxes)])
            boxes.append((x, y, 8, 8))
    return picture, boxes


@pytest.fixture(scope="module")
def trained(digits: Digits, tmp_path_factory: pytest.TempPathFactory) -> Explained:
    """A small network that names the one digit on a canvas."""
    keras = import_module("keras")
    keras.utils.set_random_seed(2)
    random = np.random.default_rng(2)
    layers = keras.layers

    def conv(filters: int, strides: int = 1) -> list[Any]:
        return [
            layers.Conv2D(filters, 3, strides, padding="same"),
            layers.BatchNormalization(momentum=0.8),
            layers.ReLU(),
        ]

    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 1)),
            *conv(16),
            *conv(32, 2),
            *conv(48),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    images, classes = digits[0][:_TRAINED_ON], digits[1][:_TRAINED_ON]
    drawn = np.stack([canvas([image], random)[0] for image in images])
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(drawn[..., None] / np.float32(255), classes, batch_size=50, epochs=6, verbose=0)
    path = save(model, tmp_path_factory.mktemp("digits") / "digits.keras")
    card = KerasCard(DIGITS, Preprocess(SIDE, SIDE, "gray", (0.0,), (255.0,)), {})
    path.write_bytes(with_card(path.read_bytes(), card))
    return load_explained(path)


def randomized(explained: Explained) -> None:
    """Replace all weights of a network by random ones of the same mean and spread."""
    random = np.random.default_rng(9)
    weights = explained.logits.get_weights()
    explained.logits.set_weights(
        [np.abs(w) if w.min() >= 0 else random.normal(w.mean(), w.std(), w.shape).astype(np.float32) for w in weights]
    )


@pytest.fixture(scope="module")
def real(shared_data: Path) -> tuple[Explained, list[NDArray[np.uint8]]]:
    """ResNet-8 of MLPerf Tiny, trained on CIFAR-10, and pictures of its test split."""
    labels = (shared_data / "models" / "cifar10_labels.txt").read_text("utf-8").split()
    path = shared_data / "models" / "mlperf_tiny_resnet8_cifar10.h5"
    with open_dataset(shared_data / "cifar10.tar.gz") as dataset:
        pictures = [dataset.read(sample) for sample in balanced(dataset.split("test"), 4)]
    return load_explained(path, preprocess=parse_spec("raw"), labels=labels), pictures


@pytest.mark.parametrize("method", METHODS)
def test_maps_point_at_the_digit_that_is_asked_for(trained: Explained, digits: Digits, method: str) -> None:
    """Two digits on a canvas: by chance one of nine maps would point at the right one."""
    random = np.random.default_rng(7)
    hits: list[bool] = []
    while len(hits) < 24:
        picture, boxes, index = two_digits(digits, random)
        hits.append(pointing(explain(trained, picture, method, index=index).values, boxes[0]))
    assert np.mean(hits) > 0.5


@pytest.mark.parametrize("method", METHODS)
def test_other_weights_give_other_maps_of_the_digits(trained: Explained, digits: Digits, method: str) -> None:
    """Grad-CAM++ keeps some of them: none of its weights is negative, so any network's map is bright at the digits."""
    random = np.random.default_rng(8)
    pictures = [two_digits(digits, random)[0] for _ in range(6)]
    assert likeness(trained, pictures, method) < (0.85 if method == "grad-cam++" else 0.45)


@pytest.mark.parametrize("method", METHODS)
def test_other_weights_give_other_maps_of_real_pictures(
    real: tuple[Explained, list[NDArray[np.uint8]]], method: str
) -> None:
    assert likeness(*real, method) < 0.45


def two_digits(digits: Digits, random: np.random.Generator) -> tuple[NDArray[np.uint8], list[Box], int]:
    """A canvas with two digits of different classes that no network has seen, their boxes, and the first's class."""
    images, classes = digits[0][_TRAINED_ON:], digits[1][_TRAINED_ON:]
    one = int(random.integers(len(images)))
    other = int(random.choice(np.flatnonzero(classes != classes[one])))
    return *canvas([images[one], images[other]], random), int(classes[one])


def likeness(explained: Explained, pictures: Sequence[NDArray[np.uint8]], method: str) -> float:
    """Mean rank correlation of a network's maps with those of the same network with random weights.

    Maps of random weights may be even; those say nothing at all.
    """
    before = [explain(explained, picture, method) for picture in pictures]
    weights = explained.logits.get_weights()
    random = np.random.default_rng(9)
    try:
        explained.logits.set_weights(
            [random.normal(w.mean(), w.std(), w.shape) if w.min() < 0 else w for w in weights]  # variances stay
        )
        after = [
            explain(explained, picture, method, index=found.index)
            for picture, found in zip(pictures, before, strict=True)
        ]
    finally:
        explained.logits.set_weights(weights)
    again = explain(explained, pictures[0], method)
    np.testing.assert_array_equal(again.values, before[0].values)
    alike = [rank_correlation(one.values, other.values) for one, other in zip(before, after, strict=True)]
    return float(np.mean([value for value in alike if np.isfinite(value)] or [0]))
