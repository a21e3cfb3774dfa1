"""The layers of a `.tflite` that multiply with weights: read them, and replace their biases."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle.flatbuffer import damage, operator_names, pack, unpack

_KINDS: Final = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_PLAIN: Final = (0, 2, 4, 6)  # FLOAT32, and for shapes and axes INT32, INT64, BOOL
_DTYPES: Final = {0: np.float32, 9: np.int8}  # the schema's numbers of FLOAT32 and INT8


@dataclass(frozen=True)
class WeightedLayer:
    """A convolution, depthwise convolution or dense layer with a bias.

    Attributes:
        kind: "CONV_2D", "DEPTHWISE_CONV_2D" or "FULLY_CONNECTED".
        input: index of the input tensor.
        weights: real values, float32, in TFLite's order: (out, height, width, in), (1, height, width, out) or
            (out, in).
        bias: index of the bias tensor.
    """

    kind: str
    input: int
    weights: NDArray[np.float32]
    bias: int


def weighted_layers(content: bytes) -> list[WeightedLayer]:
    """The layers with constant weights and a bias, in the order of execution; int8 weights as real values.

    Raises:
        ModelError: no TFLite model, or a damaged one.
    """
    model = unpack(content)
    with damage():
        return [
            WeightedLayer(name, int(step.inputs[0]), weights, int(step.inputs[2]))
            for name, step in _steps(model)
            if (weights := _real_weights(model, int(step.inputs[1]))) is not None
        ]


def is_float(content: bytes) -> bool:
    """Whether nothing in the model is quantized or stored in half precision, so that it can still be quantized.

    Raises:
        ModelError: no TFLite model, or a damaged one.
    """
    model = unpack(content)
    with damage():
        return all(tensor.type in _PLAIN for graph in model.subgraphs for tensor in graph.tensors)


def with_biases(content: bytes, shifts: Sequence[NDArray[np.float32]]) -> bytes:
    """The float model with `shifts[i]` added to the bias of its i-th weighted layer; a shared bias once.

    Args:
        shifts: one array (out,) for each of `weighted_layers(content)`.

    Raises:
        ModelError: no TFLite model, or a damaged one.
    """
    layers = weighted_layers(content)
    model = unpack(content)
    with damage():
        tensors = model.subgraphs[0].tensors
        done = set()
        for layer, shift in zip(layers, shifts, strict=True):
            buffer = model.buffers[tensors[layer.bias].buffer]
            if tensors[layer.bias].buffer not in done:
                done.add(tensors[layer.bias].buffer)
                bias = np.frombuffer(np.asarray(buffer.data, np.uint8).tobytes(), np.float32)
                buffer.data = np.frombuffer((bias + shift).astype(np.float32).tobytes(), np.uint8)
        return pack(model)


def _steps(model: Any) -> list[tuple[str, Any]]:
    graph = model.subgraphs[0]
    names = operator_names(model)
    steps = [(names[step.opcodeIndex], step) for step in graph.operators or ()]
    return [(name, step) for name, step in steps if name in _KINDS and len(step.inputs) > 2 and step.inputs[2] >= 0]


def _real_weights(model: Any, index: int) -> NDArray[np.float32] | None:
    tensor = model.subgraphs[0].tensors[index]
    data = model.buffers[tensor.buffer].data
    if data is None or tensor.type not in _DTYPES:
        return None
    stored = np.frombuffer(np.asarray(data, np.uint8).tobytes(), _DTYPES[tensor.type]).reshape(tensor.shape)
    if tensor.type == 0:
        return np.asarray(stored, np.float32)
    scale = np.asarray(tensor.quantization.scale, np.float32)
    along = [1] * stored.ndim
    along[tensor.quantization.quantizedDimension] = len(scale)
    return np.asarray(stored * scale.reshape(along), np.float32)
