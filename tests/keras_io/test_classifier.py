"""A Keras classifier up to its logits, and what is known of its head and its input."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.config import Preprocess
from edgecnn.errors import ModelError
from edgecnn.keras_io.card import KerasCard, with_card
from edgecnn.keras_io.classifier import load_classifier
from edgecnn.keras_io.graph import averaged, flat_copy, head, logits
from tests.keras_models import network, pictures, save, scores


@pytest.fixture
def keras() -> Any:
    return import_module("keras")


@pytest.mark.parametrize(
    ("form", "kind"),
    [("softmax", "softmax"), ("activation", "softmax"), ("sigmoid", "sigmoid"), ("logits", "logits")],
)
def test_the_head_that_is_taken_off_gives_back_the_scores(keras: Any, tmp_path: Path, form: str, kind: str) -> None:
    model = network(keras, head=form)
    found = load_classifier(save(model, tmp_path / "model.keras"))
    tensors = pictures(3, 8, 6) / np.float32(255)
    answer: Any = np.asarray(found.model(tensors))
    if kind != "logits":
        answer = np.asarray(getattr(keras.ops, kind)(answer))
    np.testing.assert_allclose(answer, scores(model, tensors), rtol=1e-5, atol=1e-6)
    assert (found.head, found.name, found.shape) == (kind, "model.keras", (8, 6, 3))
    assert found.classes == (2 if form == "sigmoid" else 3)


def test_a_linear_activation_behind_the_softmax_does_not_hide_it(keras: Any) -> None:
    layers = keras.layers
    dense = [layers.Flatten(), layers.Dense(3)]
    for last in ([layers.Activation("softmax"), layers.Activation("linear")], [layers.Softmax()]):
        assert head(flat_copy(keras.Sequential([keras.Input((4, 4, 1)), *dense, *last]))) == "softmax"
    image = keras.Input((4, 4, 1))
    assert head(flat_copy(keras.Model(image, keras.ops.softmax(layers.Flatten()(image))))) == "softmax"


def test_what_is_known_of_the_input_comes_from_the_card_or_the_layers(keras: Any, tmp_path: Path) -> None:
    plain = save(network(keras), tmp_path / "plain.keras")
    assert load_classifier(plain).preprocess is None
    inside = load_classifier(save(network(keras, inside="rescaling"), tmp_path / "inside.keras"))
    assert (inside.normalization, inside.preprocess) == ("raw", Preprocess(6, 8, "rgb"))
    anything = network(keras, inside="rescaling", size=(None, None))
    found = load_classifier(save(anything, tmp_path / "any.keras"))
    assert (found.shape, found.normalization, found.preprocess) == ((-1, -1, 3), "raw", None)
    card = KerasCard(("a", "b", "c"), Preprocess(6, 8, "bgr", (1.0,), (2.0,)), {})
    plain.write_bytes(with_card(plain.read_bytes(), card))
    assert (load_classifier(plain).preprocess, load_classifier(plain).card) == (card.preprocess, card)


def test_features_are_no_classifier(keras: Any, tmp_path: Path) -> None:
    body = save(keras.Sequential([keras.Input((8, 6, 3)), keras.layers.Conv2D(4, 3)]), tmp_path / "body.keras")
    with pytest.raises(ModelError, match=r"body.keras is no classifier: expected class scores, it gives \(6, 4, 4\)"):
        load_classifier(body)


def test_an_average_and_one_dense_layer_are_found_and_nothing_else_is(keras: Any) -> None:
    layers = keras.layers

    def found(*end: Any) -> Any:
        front = [keras.Input((8, 6, 3)), layers.Conv2D(4, 3, name="last")]
        return averaged(logits(flat_copy(keras.Sequential([*front, *end]))))

    for end in (
        [layers.GlobalAveragePooling2D(), layers.Dropout(0.5), layers.Dense(3, activation="softmax")],
        [layers.GlobalAveragePooling2D(), layers.Dense(3), layers.Activation("softmax")],
        [layers.GlobalAveragePooling2D(keepdims=True), layers.Flatten(), layers.Dense(1, activation="sigmoid")],
        [layers.AveragePooling2D((6, 4)), layers.Flatten(), layers.Dense(3), layers.Softmax()],
    ):
        tensor, dense = found(*end)
        assert tuple(tensor.shape) == (None, 6, 4, 4)
        assert dense.kernel.shape == (4, end[-2].units if hasattr(end[-2], "units") else end[-1].units)
    assert found(layers.Flatten(), layers.Dense(3)) is None
    assert found(layers.GlobalMaxPooling2D(), layers.Dense(3)) is None
    assert found(layers.AveragePooling2D((2, 2)), layers.Flatten(), layers.Dense(3)) is None
    assert found(layers.GlobalAveragePooling2D(), layers.ReLU(), layers.Dense(3)) is None
    assert found(layers.GlobalAveragePooling2D(), layers.Dense(5), layers.Dense(3)) is None
    assert found(layers.Conv2D(3, 1), layers.GlobalAveragePooling2D(), layers.Softmax()) is None
