"""A `.tflite` against the fake-quantized model that it was converted from, on real pictures, down to the layer."""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle.flatbuffer import damage, operator_names, text, unpack
from edgecnn.quantization import TensorType
from edgecnn.runtime.interpreter import Engine

# Relative difference of a layer from which on it computes something else. Both round to the same 8-bit grid: they
# differ where a sum falls between two steps, which gives a few percent at most; a wrong scale gives much more.
LIMIT: Final = 0.1

_ANALYSED: Final = 4  # pictures for which every layer is compared
_WRAPPED: Final = "quant_"  # before the names of layers that tfmot wrapped
_COPIES: Final = ("QUANTIZE", "DEQUANTIZE")  # give what stands already in another tensor


@dataclass(frozen=True)
class LayerDifference:
    """How far one layer of the file is from the trained one, as root mean square relative to the trained values."""

    layer: str
    relative: float


@dataclass(frozen=True)
class TrainedComparison:
    """How far a `.tflite` is from the trained model.

    Attributes:
        samples: pictures compared.
        agreement: share of them that get the same label, in [0, 1].
        max_abs_difference: largest difference of a score.
        layers: those that both have, in the order in which they are computed.
        first: name of the first layer that differs by more than `LIMIT`; "" where none does.
        worst: name of the layer that differs most.
    """

    samples: int
    agreement: float
    max_abs_difference: float
    layers: tuple[LayerDifference, ...]
    first: str
    worst: str


def compare_with_trained(model: Any, content: bytes, tensors: NDArray[np.float32]) -> TrainedComparison:
    """Run both on the same pictures.

    Args:
        model: tf_keras model of `edgecnn.compress.qat.quantize_aware`.
        content: the `.tflite` made of it.
        tensors: float32 (samples, height, width, channels), as the model takes them.

    Raises:
        ModelError: the file cannot be run.
    """
    expected = np.concatenate([np.asarray(model(tensor[None], training=False)) for tensor in tensors])
    expected = expected.reshape(len(tensors), -1)
    engine = Engine(content, size=(tensors.shape[2], tensors.shape[1]))
    given = [engine.input_type.quantize(tensor) for tensor in tensors]
    got = np.stack([engine.output_type.dequantize(engine.run(tensor)) for tensor in given])
    layers = _layers(model, content, tensors[:_ANALYSED])
    beyond = [layer.layer for layer in layers if not layer.relative <= LIMIT]
    return TrainedComparison(
        samples=len(tensors),
        agreement=float(np.mean(_labels(expected) == _labels(got))),
        max_abs_difference=float(np.abs(expected - got).max()),
        layers=layers,
        first=beyond[0] if beyond else "",
        worst=max(layers, key=lambda layer: layer.relative).layer if layers else "",
    )


def _labels(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Labels (samples,) of scores (samples, units); for one unit whether it is above a half, as a sigmoid's is."""
    return scores.argmax(axis=1) if scores.shape[1] > 1 else (scores[:, 0] > 0.5).astype(np.int64)


def _layers(model: Any, content: bytes, tensors: NDArray[np.float32]) -> tuple[LayerDifference, ...]:
    import tf_keras

    found = _tensors(model, content)
    engine = Engine(content, size=(tensors.shape[2], tensors.shape[1]), keep_tensors=True)
    probe = tf_keras.Model(model.inputs, [model.get_layer(name).output for name in found])
    wrong, power = np.zeros(len(found)), np.zeros(len(found))
    for tensor in tensors:
        engine.run(engine.input_type.quantize(tensor))
        answers = probe(tensor[None], training=False)
        answers = answers if isinstance(answers, list | tuple) else [answers]
        for i, ((index, kind), answer) in enumerate(zip(found.values(), answers, strict=True)):
            trained = np.asarray(answer, np.float64).reshape(-1)
            stored = kind.dequantize(engine.tensor(index)).reshape(-1)
            wrong[i] += np.square(stored - trained).sum()
            power[i] += np.square(trained).sum()
    relative = np.sqrt(wrong / np.maximum(power, np.finfo(np.float64).tiny))
    return tuple(
        LayerDifference(name.removeprefix(_WRAPPED), float(value)) for name, value in zip(found, relative, strict=True)
    )


def _tensors(model: Any, content: bytes) -> dict[str, tuple[int, TensorType]]:
    """Index and type of the tensor that holds each layer's output, in the order of computation.

    Of the layers whose output training rounds, and the last: other tensors may lie on other grids in both.

    The converter names a tensor "MODEL/LAYER/operation"; where it joined layers, the last of them comes first.
    """
    sizes = {
        layer.name: math.prod(layer.output_shape[1:])
        for layer in model.layers
        if len(layer.inbound_nodes) == 1
        and (hasattr(layer, "_output_quantizer_vars") or layer.name in model.output_names)
    }
    unpacked = unpack(content)
    found: dict[str, tuple[int, TensorType]] = {}
    with damage():
        graph, codes = unpacked.subgraphs[0], operator_names(unpacked)
        for operator in graph.operators:
            if codes[operator.opcodeIndex] in _COPIES:
                continue
            index = int(operator.outputs[0])
            tensor = graph.tensors[index]
            layer = text(tensor.name).partition(";")[0].removeprefix(f"{model.name}/").partition("/")[0]
            if layer in sizes and math.prod(int(n) for n in tensor.shape) == sizes[layer]:
                found.pop(layer, None)
                found[layer] = (index, _type(tensor))
    return found


def _type(tensor: Any) -> TensorType:
    about = tensor.quantization
    if about is None or about.scale is None or not len(about.scale):
        return TensorType()
    return TensorType("int8", float(about.scale[0]), int(about.zeroPoint[0]))
