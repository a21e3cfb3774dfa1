"""The layers of a `.tflite` that multiply with weights: read them, and replace their weights and biases."""

from collections import Counter
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle.flatbuffer import activation_of, damage, operator_names, pack, unpack

_KINDS: Final = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_PLAIN: Final = (0, 2, 4, 6)  # FLOAT32, and for shapes and axes INT32, INT64, BOOL
_DTYPES: Final = {0: np.float32, 9: np.int8}  # the schema's numbers of FLOAT32 and INT8
_PADDINGS: Final = {0: "SAME", 1: "VALID"}


@dataclass(frozen=True)
class WeightedLayer:
    """A convolution, depthwise convolution or dense layer with a bias.

    Attributes:
        kind: "CONV_2D", "DEPTHWISE_CONV_2D" or "FULLY_CONNECTED".
        input: index of the input tensor.
        weights: real values, float32, in TFLite's order: (out, height, width, in), (1, height, width, out) or
            (out, in).
        bias: index of the bias tensor.
        output: index of the output tensor.
        activation: "NONE", "RELU", "RELU6", …: what is fused into the layer.
        padding: "SAME" or "VALID".
        stride, dilation: (vertical, horizontal); (1, 1) for dense layers.
    """

    kind: str
    input: int
    weights: NDArray[np.float32]
    bias: int
    output: int
    activation: str
    padding: str
    stride: tuple[int, int]
    dilation: tuple[int, int]


def weighted_layers(content: bytes) -> list[WeightedLayer]:
    """The layers with constant weights and a bias, in the order of execution; int8 weights as real values.

    Raises:
        ModelError: no TFLite model, or a damaged one.
    """
    model = unpack(content)
    with damage():
        return [
            _layer(name, step, weights)
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


def biases_of(content: bytes) -> list[NDArray[np.float32]]:
    """The bias (out,) of each of `weighted_layers(content)` of a float model.

    Raises:
        ModelError: no TFLite model, or a damaged one.
    """
    model = unpack(content)
    with damage():
        return [_floats(model, layer.bias) for layer in weighted_layers(content)]


def with_biases(content: bytes, shifts: Sequence[NDArray[np.float32]]) -> bytes:
    """The float model with `shifts[i]` added to the bias of its i-th weighted layer.

    Args:
        shifts: one array (out,) for each of `weighted_layers(content)`.

    Raises:
        ModelError: no TFLite model, or a damaged one.
    """
    biases = [bias + shift for bias, shift in zip(biases_of(content), shifts, strict=True)]
    return with_layers(content, [(None, bias) for bias in biases])


def with_layers(
    content: bytes, values: Sequence[tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]]
) -> bytes:
    """The float model with other weights and biases.

    A constant that several layers share becomes a layer's own before it is changed.

    Args:
        values: (weights, bias) for each of `weighted_layers(content)`, in the shapes they have; None leaves one alone.

    Raises:
        ModelError: no TFLite model, or a damaged one.
    """
    layers = weighted_layers(content)
    model = unpack(content)
    with damage():
        tensors = model.subgraphs[0].tensors
        used = [(step, place) for step in model.subgraphs[0].operators or () for place in range(len(step.inputs))]
        uses = Counter(tensors[step.inputs[place]].buffer for step, place in used if step.inputs[place] >= 0)
        steps = {int(step.outputs[0]): step for _, step in _steps(model)}
        for layer, pair in zip(layers, values, strict=True):
            for place, value in enumerate(pair, start=1):
                if value is not None:
                    _put(model, steps[layer.output], place, value, shared=uses)
        return pack(model)


def _put(model: Any, step: Any, place: int, value: NDArray[np.float32], *, shared: Counter[int]) -> None:
    tensors, index = model.subgraphs[0].tensors, int(step.inputs[place])
    data = np.frombuffer(np.asarray(value, np.float32).tobytes(), np.uint8)
    if shared[tensors[index].buffer] < 2:
        model.buffers[tensors[index].buffer].data = data
        return
    shared[tensors[index].buffer] -= 1
    tensor, buffer = copy(tensors[index]), type(model.buffers[0])()
    tensor.name, tensor.buffer = (tensor.name or b"") + f"/own{len(tensors)}".encode(), len(model.buffers)
    buffer.data = data
    model.buffers.append(buffer)
    tensors.append(tensor)
    step.inputs = np.array([*step.inputs[:place], len(tensors) - 1, *step.inputs[place + 1 :]], np.int32)


def _layer(kind: str, step: Any, weights: NDArray[np.float32]) -> WeightedLayer:
    options = step.builtinOptions
    dense = kind == "FULLY_CONNECTED"
    return WeightedLayer(
        kind=kind,
        input=int(step.inputs[0]),
        weights=weights,
        bias=int(step.inputs[2]),
        output=int(step.outputs[0]),
        activation=activation_of(step),
        padding="VALID" if dense else _PADDINGS.get(options.padding, "unknown"),
        stride=(1, 1) if dense else (options.strideH, options.strideW),
        dilation=(1, 1) if dense else (options.dilationHFactor, options.dilationWFactor),
    )


def _floats(model: Any, index: int) -> NDArray[np.float32]:
    data = model.buffers[model.subgraphs[0].tensors[index].buffer].data
    return np.frombuffer(np.asarray(data, np.uint8).tobytes(), np.float32)


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
