"""Rounding of weights against the definition of what it improves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecnn.bundle.weights import weighted_layers
from edgecnn.compress.rounding import _inputs, round_rows, round_weights
from edgecnn.runtime.interpreter import Engine


def nearest(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    step = np.abs(weights).max(axis=1, keepdims=True) / 127
    return np.asarray(np.round(weights / step) * step, np.float32)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_the_output_error_is_smaller_than_of_rounding_to_the_nearest(seed: int) -> None:
    random = np.random.default_rng(seed)
    inputs = random.normal(size=(500, 24)) @ random.normal(size=(24, 24))  # inputs that move together
    weights = random.normal(size=(16, 24)).astype(np.float32)
    rounded = round_rows(weights, (inputs.T @ inputs).astype(np.float32))

    def error(other: NDArray[np.float32]) -> float:
        return float(np.square(inputs @ (other - weights).T).sum())

    assert error(rounded) < error(nearest(weights))
    step = np.abs(weights).max(axis=1, keepdims=True) / 127
    assert np.allclose(rounded / step, np.round(rounded / step), atol=1e-3)
    assert np.allclose(np.abs(rounded).max(axis=1), np.abs(weights).max(axis=1))


def test_inputs_that_do_not_move_together_are_rounded_to_the_nearest() -> None:
    weights = np.random.default_rng(0).normal(size=(4, 9)).astype(np.float32)
    assert np.allclose(round_rows(weights, np.eye(9, dtype=np.float32)), nearest(weights), atol=1e-6)


def test_rows_of_zeros_stay() -> None:
    assert not round_rows(np.zeros((2, 3), np.float32), np.eye(3, dtype=np.float32)).any()


def test_every_kind_of_layer_stays_within_its_grid(network: bytes, pictures: list[NDArray[np.float32]]) -> None:
    before, after = weighted_layers(network), weighted_layers(round_weights(network, pictures))
    for old, new in zip(before, after, strict=True):
        axis = 3 if old.kind == "DEPTHWISE_CONV_2D" else 0
        others = tuple(i for i in range(old.weights.ndim) if i != axis)
        steps = new.weights / (np.abs(old.weights).max(axis=others, keepdims=True) / 127)
        assert np.allclose(steps, np.round(steps), atol=1e-3)
        assert not np.array_equal(old.weights, new.weights)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_inputs_times_weights_are_the_layers_output(
    layer: int, network: bytes, pictures: list[NDArray[np.float32]]
) -> None:
    """Padding, order and channels of the inputs are right: the interpreter computes the same from them."""
    found = weighted_layers(network)[layer]
    engine = Engine(network, keep_tensors=True)
    engine.run(pictures[0])
    inputs = _inputs(found, engine.tensor(found.input))
    assert inputs is not None
    if found.kind == "DEPTHWISE_CONV_2D":
        flat = found.weights.reshape(-1, found.weights.shape[-1]).T
        product = np.einsum("opi,oi->po", inputs, flat)
    else:
        product = inputs @ found.weights.reshape(len(found.weights), -1).T
    product = product + engine.tensor(found.bias)
    product = product if found.activation == "NONE" else np.maximum(product, 0)
    assert np.allclose(product, engine.tensor(found.output).reshape(product.shape), rtol=1e-3, atol=1e-2)
