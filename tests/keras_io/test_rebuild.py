"""A Keras 3 model in tf_keras has the same names, weights and answers; what has no counterpart is named."""

import os
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from edgecnn.errors import ModelError
from edgecnn.keras_io import rebuild
from edgecnn.keras_io.rebuild import as_tf_keras
from tests.keras_models import network, pictures


@pytest.fixture
def keras() -> Any:
    return import_module("keras")


@pytest.mark.parametrize("form", ["sequential", "functional", "nested", "named"])
@pytest.mark.parametrize("inside", ["", "rescaling", "normalization"])
def test_the_rebuilt_model_computes_the_same(keras: Any, form: str, inside: str) -> None:
    model = network(keras, form=form, inside=inside)
    rebuilt = as_tf_keras(model)
    tensors = pictures(4, 8, 6)
    expected = model({"image": tensors} if form == "named" else tensors)
    expected = np.asarray(expected["scores"] if form == "named" else expected)
    assert type(rebuilt).__module__.startswith("tf_keras")
    np.testing.assert_allclose(np.asarray(rebuilt(tensors)), expected, atol=1e-6)


def test_names_stay_and_operations_become_layers(keras: Any) -> None:
    layers, ops = keras.layers, keras.ops
    image = layers.Input((8, 8, 4))
    x = layers.Conv2D(4, 3, padding="same", activation="hard_silu", name="first")(image)
    x = ops.multiply(x, np.array([1.0, 2.0, 3.0, 4.0], np.float32)) / 4 - 0.5
    gate = ops.relu6(ops.mean(x, axis=(1, 2), keepdims=True) + 3.0) * (1 / 6)
    x = layers.LeakyReLU(0.3, name="leaky")(x * gate)
    x = ops.hard_sigmoid(ops.concatenate([x, 1.0 - x], axis=-1))
    x = layers.SeparableConv2D(5, 3, activation="hard_sigmoid", name="separable")(x)
    model = keras.Model(image, layers.Dense(3, "softmax", name="last")(ops.reshape(x, (-1, 180))))
    rebuilt = as_tf_keras(model)
    names = [layer.name for layer in rebuilt.layers]
    assert [operation.name for operation in model.operations if operation.name in names] != []
    assert {"first", "leaky", "separable", "last"} <= set(names)
    assert len(names) == len(model.operations)
    tensors = pictures(3, 8, 8, 4) / 255
    np.testing.assert_allclose(np.asarray(rebuilt(tensors)), np.asarray(model(tensors)), atol=1e-6)


def test_a_layer_without_a_counterpart_is_named(keras: Any) -> None:
    class Odd(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
        def call(self, x: Any) -> Any:
            return x

    model = keras.Sequential([keras.Input((4, 4, 1)), Odd(name="strange"), keras.layers.Flatten()])
    with pytest.raises(ModelError, match=r"'strange'.*Odd"):
        as_tf_keras(model)


def test_an_operation_without_a_counterpart_is_named(keras: Any) -> None:
    image = keras.Input((4, 4, 1))
    model = keras.Model(image, keras.layers.Flatten()(keras.ops.sin(image)))
    with pytest.raises(ModelError, match=r"'sin'.*Sin"):
        as_tf_keras(model)


def test_an_activation_without_a_counterpart_is_named(keras: Any) -> None:
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(2, 1, activation="squareplus", name="odd")])
    with pytest.raises(ModelError, match=r"squareplus.*'odd'"):
        as_tf_keras(model)


def test_the_first_layer_that_differs_is_named(keras: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = network(keras, form="functional")
    copy_weights = rebuild._copy_weights

    def wrong(layer: Any, copy: Any) -> None:
        copy_weights(layer, copy)
        if layer.name == norm:
            copy.set_weights([array + 0.1 for array in copy.get_weights()])

    norm = next(layer.name for layer in model.layers if "normalization" in layer.name)
    monkeypatch.setattr(rebuild, "_copy_weights", wrong)
    with pytest.raises(ModelError, match=rf"'{norm}' \(BatchNormalization\) computes something else"):
        as_tf_keras(model)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "MobileNetV2",
        "MobileNetV3Small",
        *(pytest.param(name, marks=pytest.mark.exhaustive) for name in ("ResNet50", "EfficientNetB0", "DenseNet121")),
    ],
)
def test_the_networks_of_keras_applications_compute_the_same(keras: Any, name: str) -> None:
    keras.utils.set_random_seed(1)
    model = getattr(keras.applications, name)(weights=None, input_shape=(32, 32, 3), classes=10)
    tensors = pictures(2, 32, 32)
    rebuilt = as_tf_keras(model)
    np.testing.assert_allclose(np.asarray(rebuilt(tensors)), np.asarray(model(tensors)), atol=1e-6)
    assert "TF_USE_LEGACY_KERAS" not in os.environ
