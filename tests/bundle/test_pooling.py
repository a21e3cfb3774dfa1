"""Global average pooling as a mean: the same function, with a step of its own in int8."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgecnn.bundle.layers import operations, tensor_type
from edgecnn.bundle.pooling import with_mean_pooling
from edgecnn.bundle.tflite import with_signature
from edgecnn.compress.quantize import quantize
from edgecnn.runtime.interpreter import Engine
from tests.models import Builder


def pooled(*, window: int = 4, padding: int = 1, activation: int = 0) -> bytes:
    """A 4x4 picture, average pooling, logits."""
    model, side = Builder(names=True), 4 // window if padding else 1
    picture = model.tensor("image", (1, 4, 4, 3))
    options = schema.Pool2DOptionsT()
    options.filterHeight = options.filterWidth = options.strideH = options.strideW = window
    options.padding, options.fusedActivationFunction = padding, activation
    mean, output = model.tensor("pooled", (1, side, side, 3)), model.tensor("output", (1, 3 * side**2))
    model.operator("AVERAGE_POOL_2D", [picture], mean, options)
    size = 3 * side**2
    weights = model.tensor("w", (size, size), data=np.eye(size, dtype=np.float32).tobytes())
    bias = model.tensor("b", (size,), data=np.zeros(size, np.float32).tobytes())
    model.operator("FULLY_CONNECTED", [mean, weights, bias], output, schema.FullyConnectedOptionsT())
    return with_signature(model.pack([picture], [output]))


def test_pooling_over_the_whole_map_becomes_a_mean_of_the_same_values() -> None:
    content = with_mean_pooling(pooled())
    assert [step.kind for step in operations(content)] == ["MEAN", "FULLY_CONNECTED"]
    picture = np.random.default_rng(0).normal(size=(4, 4, 3)).astype(np.float32)
    assert np.allclose(Engine(content).run(picture), Engine(pooled()).run(picture), atol=1e-6)
    assert with_mean_pooling(content) == content


@pytest.mark.parametrize("content", [pooled(window=2), pooled(activation=1)])
def test_other_pooling_is_left_alone(content: bytes) -> None:
    assert with_mean_pooling(content) == content


def test_int8_has_fine_steps_behind_it() -> None:
    """One pixel of 255 in black pictures: the mean is 16, in steps of a sixteenth instead of one."""
    pictures = [np.zeros((4, 4, 3), np.float32) for _ in range(4)]
    for i, picture in enumerate(pictures):
        picture[i, i] = 255
    result = quantize(
        pooled(), kind="int8", io="int8", head="logits", tensors=pictures, input_range=(0.0, 255.0)
    )  # fmt: skip
    step = operations(result.content)[0]
    assert step.kind == "MEAN"
    assert tensor_type(result.content, step.outputs[0]).scale < 0.1
