"""Copies of a model compute the same; what is cut off is the classifier, all of it and nothing else."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from edgecnn.errors import ModelError
from edgecnn.keras_io.graph import features, flat_copy, logits
from tests.keras_models import network, pictures


@pytest.fixture
def keras() -> Any:
    return import_module("keras")


@pytest.fixture
def half(keras: Any) -> Iterator[None]:
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    yield
    keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize("form", ["sequential", "functional", "nested", "named"])
@pytest.mark.parametrize("inside", ["", "normalization"])
def test_a_copy_is_flat_and_computes_the_same_with_weights_of_its_own(keras: Any, form: str, inside: str) -> None:
    model = network(keras, form=form, inside=inside)
    copy = flat_copy(model)
    tensors = pictures(4, 8, 6)
    expected = model({"image": tensors} if form == "named" else tensors)
    expected = np.asarray(expected["scores"] if form == "named" else expected)
    np.testing.assert_array_equal(np.asarray(copy(tensors)), expected)
    assert not any(hasattr(layer, "layers") for layer in copy.layers)
    copy.set_weights([array + 1 for array in copy.get_weights()])
    np.testing.assert_array_equal(np.asarray(copy(tensors)) != expected, True)
    again = model({"image": tensors} if form == "named" else tensors)
    np.testing.assert_array_equal(np.asarray(again["scores"] if form == "named" else again), expected)


def test_layers_of_one_name_get_two_and_shared_layers_stay_shared(keras: Any) -> None:
    layers = keras.layers
    image = keras.Input((8, 8, 3))
    shared = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(3, 3, padding="same", name="logits")], name="one")
    other = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(3, 3, padding="same", name="logits")], name="two")
    model = keras.Model(image, layers.Add()([shared(shared(image)), other(image) * 2.0]))
    model.layers[1].trainable = False
    copy = flat_copy(model, reserved=("logits",))
    tensors = pictures(2, 8, 8)
    np.testing.assert_array_equal(np.asarray(copy(tensors)), np.asarray(model(tensors)))
    assert {layer.name for layer in copy.layers if layer.weights} == {"logits_1", "logits_2"}
    assert len(copy.trainable_weights) == len(copy.weights) == 4


def test_a_copy_for_another_size_keeps_the_weights(keras: Any) -> None:
    model = network(keras, form="nested", size=(8, 6))
    copy = flat_copy(model, (20, 30, 3))
    assert copy.input_shape == (None, 20, 30, 3)
    for one, other in zip(model.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_network_that_cannot_change_its_size_says_so(keras: Any) -> None:
    layers = keras.layers
    model = keras.Sequential([keras.Input((8, 6, 3)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(3)])
    with pytest.raises(ModelError, match=r"^the model works only for pictures of 6x8x3 .*, got 9x9x3; use its size"):
        flat_copy(model, (9, 9, 3))
    with pytest.raises(ModelError, match=r"works only for pictures of 6x8x3 .*, got 2x2x3"):
        flat_copy(model, (2, 2, 3))


@pytest.mark.usefixtures("half")
def test_a_copy_takes_the_present_dtype_policy(keras: Any) -> None:
    keras.mixed_precision.set_global_policy("float32")
    model = network(keras)
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    copy = flat_copy(model)
    assert {layer.compute_dtype for layer in copy.layers if layer.weights} == {"bfloat16"}
    assert {weight.dtype for weight in copy.weights} == {"float32"}


def chain(keras: Any, *layers: Any, size: int = 8) -> Any:
    return flat_copy(keras.Sequential([keras.Input((size, size, 3)), *layers]))


def test_features_end_where_the_classifier_begins(keras: Any) -> None:
    layers = keras.layers
    conv, tail = layers.Conv2D(4, 3), [layers.Dropout(0.1), layers.Dense(3), layers.Softmax()]
    cases = {
        (6, 6, 4): [
            [layers.GlobalAveragePooling2D(), layers.Dense(9, "relu"), *tail],
            [layers.Flatten(), *tail],
            [layers.AveragePooling2D(6), layers.Flatten(), *tail],
            [layers.GlobalMaxPooling2D(keepdims=True), layers.Conv2D(3, 1), layers.Flatten(), layers.Softmax()],
            [layers.GlobalAveragePooling2D()],
            [],
        ],
        (3, 3, 4): [[layers.MaxPooling2D(2), layers.Flatten(), *tail]],
    }
    for shape, ends in cases.items():
        for end in ends:
            copy = [type(layer).from_config(layer.get_config()) for layer in (conv, *end)]
            assert features(chain(keras, *copy)).output_shape == (None, *shape), end


def test_a_last_map_of_one_pixel_is_no_classifier(keras: Any) -> None:
    layers = keras.layers
    model = chain(keras, layers.Conv2D(4, 8), layers.Conv2D(5, 1, activation="relu"))
    assert features(model).output_shape == (None, 1, 1, 5)


def test_networks_without_a_feature_map_give_what_their_last_layer_takes(keras: Any) -> None:
    layers = keras.layers
    dense = [layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(20, "relu"), layers.Dropout(0.1)]
    assert features(chain(keras, *dense, layers.Dense(3, "softmax"))).output_shape == (None, 20)
    image = keras.Input((8, 8, 3))
    pooled = [layers.GlobalAveragePooling2D()(image), layers.GlobalMaxPooling2D()(image)]
    joined = layers.Dense(3)(layers.Dropout(0.1)(layers.Concatenate()(pooled)))
    assert features(flat_copy(keras.Model(image, joined))).output_shape == (None, 6)


@pytest.mark.parametrize("head", ["softmax", "activation", "logits", "sigmoid"])
def test_logits_are_what_the_last_activation_took(keras: Any, head: str) -> None:
    model = network(keras, head=head, form="nested")
    tensors = pictures(4, 8, 6) / 255
    got = logits(flat_copy(model))(tensors)
    if head == "sigmoid":
        got = keras.ops.sigmoid(got)
    elif head != "logits":
        assert not np.allclose(np.asarray(got).sum(axis=1), 1)
        got = keras.ops.softmax(got)
    np.testing.assert_allclose(np.asarray(got), np.asarray(model(tensors)), rtol=1e-5)


def test_logits_of_a_convolutional_classifier_are_a_vector(keras: Any) -> None:
    layers = keras.layers
    model = chain(keras, layers.Conv2D(4, 8), layers.Softmax(), layers.Activation("linear"))
    assert logits(model).output_shape == (None, 4)
    assert not any(isinstance(layer, layers.Softmax) for layer in logits(model).layers)
