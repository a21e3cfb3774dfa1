"""Replacing weights and biases, with constants that layers share."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgecnn.bundle.tflite import with_signature
from edgecnn.bundle.weights import biases_of, weighted_layers, with_biases, with_layers
from edgecnn.runtime.interpreter import Engine
from tests.models import Builder


def twins() -> bytes:
    """Two dense layers, one behind the other, of the same weights and bias."""
    model = Builder(names=True)
    picture = model.tensor("image", (1, 1, 1, 3))
    weights = model.tensor("w", (3, 3), data=np.eye(3, dtype=np.float32).tobytes())
    bias = model.tensor("b", (3,), data=np.arange(3, dtype=np.float32).tobytes())
    first, second = model.tensor("first", (1, 3)), model.tensor("second", (1, 3))
    for source, target in ((picture, first), (first, second)):
        model.operator("FULLY_CONNECTED", [source, weights, bias], target, schema.FullyConnectedOptionsT())
    return with_signature(model.pack([picture], [second]))


def test_a_shared_constant_becomes_the_layers_own() -> None:
    content = with_layers(twins(), [(2 * np.eye(3, dtype=np.float32), None), (None, np.zeros(3, np.float32))])
    layers = weighted_layers(content)
    assert np.array_equal(layers[0].weights, 2 * np.eye(3))
    assert np.array_equal(layers[1].weights, np.eye(3))
    assert np.array_equal(biases_of(content), [[0, 1, 2], [0, 0, 0]])
    assert np.array_equal(Engine(content).run(np.ones((1, 1, 3), np.float32)), [2, 3, 4])


def test_nothing_given_changes_nothing() -> None:
    picture = np.ones((1, 1, 3), np.float32)
    assert np.array_equal(Engine(with_layers(twins(), [(None, None)] * 2)).run(picture), Engine(twins()).run(picture))


def test_shifts_of_a_shared_bias_are_each_layers_own() -> None:
    content = with_biases(twins(), [np.ones(3, np.float32), np.zeros(3, np.float32)])
    assert np.array_equal(biases_of(content), [[1, 2, 3], [0, 1, 2]])
