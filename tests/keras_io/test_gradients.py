"""Gradients against finite differences and a closed form."""

from typing import Any

import numpy as np
import pytest

from edgecnn.errors import ModelError
from edgecnn.keras_io.gradients import input_gradient, layer_gradient

keras = pytest.importorskip("keras")
pytest.importorskip("tensorflow")


def chosen(outputs: Any, targets: Any) -> Any:
    return keras.ops.sum(outputs * targets, axis=-1)


@pytest.fixture(scope="module")
def network() -> Any:
    keras.utils.set_random_seed(3)
    image = keras.Input((6, 5, 2))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="tanh", name="first")(image)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Add(name="sum")([x, keras.layers.Conv2D(4, 1, name="second")(x)])
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, keras.layers.Dense(3, name="head")(x))


@pytest.fixture(scope="module")
def batch() -> Any:
    random = np.random.default_rng(0)
    return random.normal(size=(2, 6, 5, 2)).astype("float32"), np.eye(3, dtype="float32")[[2, 0]]


def test_the_gradient_for_the_picture_is_that_of_finite_differences(network: Any, batch: Any) -> None:
    pictures, targets = batch
    gradient = np.asarray(input_gradient(network, chosen)(pictures, targets))
    assert gradient.shape == pictures.shape
    step = 1e-2
    for place in [(0, 0, 0, 0), (0, 3, 2, 1), (1, 5, 4, 0)]:
        there, back = pictures.copy(), pictures.copy()
        there[place] += step
        back[place] -= step
        values = [np.asarray(chosen(network(moved, training=False), targets))[place[0]] for moved in (there, back)]
        assert gradient[place] == pytest.approx((values[0] - values[1]) / (2 * step), rel=2e-2, abs=2e-4)


def test_training_normalizes_by_the_batch(network: Any, batch: Any) -> None:
    fixed = np.asarray(input_gradient(network, chosen)(*batch))
    moving = np.asarray(input_gradient(network, chosen, training=True)(*batch))
    assert not np.allclose(fixed, moving)


def test_the_gradient_for_a_layer_before_a_mean_is_the_classifiers_weights(network: Any, batch: Any) -> None:
    """Of the mean over 30 places times the weights, each place gets a thirtieth of them."""
    pictures, targets = batch
    activations, gradients = layer_gradient(network, ["sum", "first"], chosen)(pictures, targets)
    weights = np.asarray(network.get_layer("head").kernel)
    expected = np.broadcast_to((weights @ targets.T / 30).T[:, None, None], gradients[0].shape)
    np.testing.assert_allclose(gradients[0], expected, atol=1e-7)
    assert [tuple(values.shape) for values in activations] == [(2, 6, 5, 4)] * 2
    assert [tuple(values.shape) for values in gradients] == [(2, 6, 5, 4)] * 2
    assert np.abs(gradients[1]).max() > 0


def test_the_picture_itself_has_a_gradient_where_a_layer_has_none(network: Any, batch: Any) -> None:
    """A layer that the score does not depend on gets zeros, not an error."""
    _, gradients = layer_gradient(network, ["first"], lambda outputs, targets: keras.ops.sum(targets, axis=-1))(*batch)
    assert not np.asarray(gradients[0]).any()


def test_an_unknown_layer_is_named(network: Any) -> None:
    with pytest.raises(ModelError, match="no layer conv9"):
        layer_gradient(network, ["conv9"], chosen)
