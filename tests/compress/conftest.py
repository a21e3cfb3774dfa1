"""A small network with every kind of weighted layer, and pictures for it."""

from collections.abc import Sequence

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgecnn.bundle.tflite import with_signature
from tests.models import Builder

SIZE, CHANNELS, UNITS, CLASSES = 8, 3, 8, 4


@pytest.fixture(scope="session")
def network() -> bytes:
    """convolution 3x3 → depthwise convolution 3x3 → mean → dense → softmax, float, with a signature."""
    random = np.random.default_rng(1)
    model = Builder(names=True)
    picture = model.tensor("serving_default_image:0", (1, SIZE, SIZE, CHANNELS))

    def constant(name: str, shape: Sequence[int], spread: float) -> int:
        return model.tensor(name, shape, data=random.normal(0, spread, shape).astype(np.float32).tobytes())

    convolution = schema.Conv2DOptionsT()
    convolution.strideH = convolution.strideW = convolution.dilationHFactor = convolution.dilationWFactor = 1
    convolution.fusedActivationFunction = 1  # ReLU
    first = model.tensor("first", (1, SIZE, SIZE, UNITS))
    inputs = [picture, constant("w1", (UNITS, 3, 3, CHANNELS), 0.3), constant("b1", (UNITS,), 0.1)]
    model.operator("CONV_2D", inputs, first, convolution)
    depthwise = schema.DepthwiseConv2DOptionsT()
    depthwise.strideH = depthwise.strideW = depthwise.dilationHFactor = depthwise.dilationWFactor = 1
    depthwise.depthMultiplier, depthwise.fusedActivationFunction = 1, 1
    second = model.tensor("second", (1, SIZE, SIZE, UNITS))
    inputs = [first, constant("w2", (1, 3, 3, UNITS), 0.3), constant("b2", (UNITS,), 0.1)]
    model.operator("DEPTHWISE_CONV_2D", inputs, second, depthwise)
    axes = model.tensor("axes", (2,), dtype="int32", data=np.array([1, 2], np.int32).tobytes())
    pooled = model.tensor("pooled", (1, UNITS))
    model.operator("MEAN", [second, axes], pooled, schema.ReducerOptionsT())
    dense = model.tensor("dense", (1, CLASSES))
    inputs = [pooled, constant("w3", (CLASSES, UNITS), 1.0), constant("b3", (CLASSES,), 0.1)]
    model.operator("FULLY_CONNECTED", inputs, dense, schema.FullyConnectedOptionsT())
    last, softmax = model.tensor("softmax", (1, CLASSES)), schema.SoftmaxOptionsT()
    softmax.beta = 1.0
    model.operator("SOFTMAX", [dense], last, softmax)
    return with_signature(model.pack([picture], [last]))


@pytest.fixture(scope="session")
def pictures() -> list[NDArray[np.float32]]:
    """60 smooth pictures (8, 8, 3) with values from 0 to 255."""
    random = np.random.default_rng(2)
    coarse = random.uniform(0, 255, (60, 2, 2, CHANNELS))
    return [np.kron(picture, np.ones((4, 4, 1))).astype(np.float32) for picture in coarse]
