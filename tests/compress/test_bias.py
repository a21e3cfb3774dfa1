"""Bias correction against what the network really computes."""

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.bundle.weights import weighted_layers, with_biases
from edgecnn.compress.bias import correct_biases, input_means
from edgecnn.compress.ranges import collect_extremes
from edgecnn.compress.recipe import apply, recipe_for
from edgecnn.runtime.interpreter import Engine


@pytest.fixture(scope="module")
def quantized(network: bytes, pictures: list[NDArray[np.float32]]) -> bytes:
    recipe = recipe_for("int8", "int8")
    return apply(network, recipe, collect_extremes(network, recipe, pictures).ranges(1.0, known={}))


def inner(content: bytes, pictures: list[NDArray[np.float32]], index: int) -> NDArray[np.float32]:
    """Tensor `index` of a float model for every picture, (pictures, …)."""
    engine = Engine(content, keep_tensors=True)
    values = []
    for picture in pictures:
        engine.run(picture)
        values.append(engine.tensor(index)[0])
    return np.stack(values)


def test_all_weighted_layers_are_found_in_both_forms(network: bytes, quantized: bytes) -> None:
    before, after = weighted_layers(network), weighted_layers(quantized)
    assert [layer.kind for layer in before] == ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"]
    for old, new in zip(before, after, strict=True):
        # per-channel int8: no weight is further off than half a step, which is its channel's largest weight / 254
        axis = 3 if old.kind == "DEPTHWISE_CONV_2D" else 0
        others = tuple(i for i in range(old.weights.ndim) if i != axis)
        step = np.abs(old.weights).max(axis=others, keepdims=True) / 127
        assert (np.abs(old.weights - new.weights) <= step / 2 + 1e-6).all()


def test_means_are_those_of_the_tensors(network: bytes, pictures: list[NDArray[np.float32]]) -> None:
    means = input_means(network, pictures)
    layers = weighted_layers(network)
    assert np.allclose(means[0], np.stack(pictures).mean(axis=(0, 1, 2)))
    assert np.allclose(means[1], inner(network, pictures, layers[1].input).mean(axis=(0, 1, 2)), rtol=1e-4)
    assert np.allclose(means[2], inner(network, pictures, layers[2].input).mean(axis=0), rtol=1e-4)


def test_the_dense_layer_keeps_its_mean_output(
    network: bytes, quantized: bytes, pictures: list[NDArray[np.float32]]
) -> None:
    """Without padding and activation the correction is exact: mean of (W + E) x + b' is that of W x + b."""
    corrected = correct_biases(network, quantized, input_means(network, pictures))
    assert corrected is not None
    x = inner(network, pictures, weighted_layers(network)[2].input).astype(np.float64)
    original = x @ weighted_layers(network)[2].weights.T + biases(network)[2]
    rounded = x @ weighted_layers(quantized)[2].weights.T + biases(corrected)[2]
    assert np.allclose(original.mean(axis=0), rounded.mean(axis=0), atol=1e-4)


def test_convolutions_shift_by_error_times_mean(
    network: bytes, quantized: bytes, pictures: list[NDArray[np.float32]]
) -> None:
    """Written out in loops over the kernel, independent of the vectorised form."""
    means = input_means(network, pictures)
    corrected = correct_biases(network, quantized, means)
    assert corrected is not None
    before, after = weighted_layers(network), weighted_layers(quantized)
    for layer in (0, 1):
        error = (after[layer].weights - before[layer].weights).astype(np.float64)
        expected = np.zeros(8)
        for out in range(8):
            for y in range(3):
                for x in range(3):
                    if layer == 0:
                        expected[out] -= sum(error[out, y, x, c] * means[0][c] for c in range(3))
                    else:
                        expected[out] -= error[0, y, x, out] * means[1][out]
        assert np.allclose(biases(corrected)[layer] - biases(network)[layer], expected, atol=1e-4)


def test_other_models_are_left_alone(network: bytes, pictures: list[NDArray[np.float32]], quantized: bytes) -> None:
    from tests.models import linear

    other = linear(np.ones((4, 3)))
    assert correct_biases(network, other, input_means(network, pictures)) is None


def test_shifts_of_zero_change_nothing(network: bytes, pictures: list[NDArray[np.float32]]) -> None:
    same = with_biases(network, [np.zeros(8, np.float32), np.zeros(8, np.float32), np.zeros(4, np.float32)])
    assert np.array_equal(Engine(same).run(pictures[0]), Engine(network).run(pictures[0]))


def biases(content: bytes) -> list[NDArray[np.float32]]:
    engine = Engine(content, keep_tensors=True)
    return [engine.tensor(layer.bias) for layer in weighted_layers(content)]
