"""TFLite classifiers of a few hundred bytes, built by hand with LiteRT's schema; no TensorFlow."""

from collections.abc import Iterable, Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgecnn.bundle.bundle import seal
from edgecnn.bundle.card import Card, Confidence, Reference
from edgecnn.bundle.tflite import with_signature
from edgecnn.compress.quantize import quantize
from edgecnn.config import Preprocess

_TYPES = {"float32": 0, "float16": 1, "int32": 2, "uint8": 3, "int64": 4, "int16": 7, "int8": 9, "int4": 17}
_HEADS = {"softmax": ("SOFTMAX",), "sigmoid": ("LOGISTIC",), "logits": (), "reshaped": ("SOFTMAX", "RESHAPE")}


class Builder:
    """Collects the parts of one model."""

    def __init__(self, names: bool) -> None:
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.operatorCodes, self.model.buffers = [], [schema.BufferT()]
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model.subgraphs = [self.graph]
        self.names = names

    def buffer(self, data: bytes) -> int:
        part = schema.BufferT()
        part.data = np.frombuffer(data, np.uint8)
        self.model.buffers.append(part)
        return len(self.model.buffers) - 1

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        *,
        dtype: str = "float32",
        data: bytes = b"",
        scales: Sequence[float] = (),
        zero_points: Sequence[int] = (),
        signature: Sequence[int] = (),
    ) -> int:
        part = schema.TensorT()
        part.name, part.type, part.shape = name if self.names else None, _TYPES[dtype], np.array(shape, np.int32)
        part.buffer = self.buffer(data) if data else 0
        if shape and shape[0] == 1 and not data:  # a batch of any size
            part.shapeSignature = np.array(signature or [-1, *shape[1:]], np.int32)
        if scales:
            part.quantization = schema.QuantizationParametersT()
            part.quantization.scale = np.array(scales, np.float32)
            part.quantization.zeroPoint = np.array(zero_points or [0] * len(scales), np.int64)
        self.graph.tensors.append(part)
        return len(self.graph.tensors) - 1

    def operator(self, name: str, inputs: Sequence[int], output: int, options: Any = None, custom: str = "") -> None:
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode, code.version, code.customCode = code.builtinCode, 1, custom or None
        self.model.operatorCodes.append(code)
        part = schema.OperatorT()
        part.opcodeIndex = len(self.model.operatorCodes) - 1
        part.inputs, part.outputs = np.array(inputs, np.int32), np.array([output], np.int32)
        if options is not None:
            part.builtinOptions = options
            part.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        self.graph.operators.append(part)

    def metadata(self, name: str, data: bytes) -> None:
        part = schema.MetadataT()
        part.name, part.buffer = name, self.buffer(data)
        self.model.metadata = [*(self.model.metadata or []), part]

    def pack(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        self.graph.inputs, self.graph.outputs = np.array([*inputs], np.int32), np.array([*outputs], np.int32)
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def build(
    *,
    classes: int = 3,
    channels: int = 3,
    head: str = "softmax",
    weights: NDArray[Any] | None = None,
    dtype: str = "",
    scales: Sequence[float] = (),
    zero_points: Sequence[int] = (),
    io: str = "float32",
    outputs: int = 1,
    custom: str = "",
    metadata: dict[str, bytes] | None = None,
    names: bool = True,
) -> bytes:
    """A 4x4 picture, one dense layer and a head; weights are multiples of 1/64, so that no rounding is involved.

    Args:
        classes, channels: units of the dense layer, channels of the picture.
        head: a key of `_HEADS`; "reshaped" has operators behind the softmax.
        weights: values as stored, to replace the float ones; `dtype` names their type when it is not numpy's.
        scales, zero_points: quantization of the weights.
        io: type of input and output.
        outputs: how many of the last tensors are outputs.
        custom: name of a custom operator to put behind the head.
        metadata: entries of the model's metadata.
        names: whether tensors have names.
    """
    model = Builder(names)
    size = 16 * channels
    if weights is None:
        weights = (np.arange(classes * size).reshape(classes, size) % 17 - 8).astype(np.float32) / 64
    step = (1.0,) if io != "float32" else ()
    picture = model.tensor("serving_default_image:0", (1, 4, 4, channels), dtype=io, scales=step)
    stored = model.tensor(
        "weights", (classes, size), dtype=dtype or weights.dtype.name, data=weights.tobytes(),
        scales=scales, zero_points=zero_points,
    )  # fmt: skip
    if (dtype or weights.dtype.name) == "float16":
        wide = model.tensor("wide", (classes, size))
        model.operator("DEQUANTIZE", [stored], wide, schema.DequantizeOptionsT())
        stored = wide
    last = model.tensor("dense", (1, classes), dtype=io, scales=step)
    model.operator("FULLY_CONNECTED", [picture, stored, -1], last, schema.FullyConnectedOptionsT())
    for name in (*_HEADS[head], *(["CUSTOM"] if custom else [])):
        previous, last = last, model.tensor(name.lower(), (1, classes), dtype=io, scales=step)
        model.operator(name, [previous], last, _head_options(name, classes), custom if name == "CUSTOM" else "")
    for name, data in (metadata or {}).items():
        model.metadata(name, data)
    return model.pack([picture], range(last, last - outputs, -1))


def _head_options(name: str, classes: int) -> Any:
    options = {"SOFTMAX": schema.SoftmaxOptionsT, "RESHAPE": schema.ReshapeOptionsT}.get(name, lambda: None)()
    if name == "SOFTMAX":
        options.beta = 1.0
    if name == "RESHAPE":
        options.newShape = np.array([-1, classes], np.int32)
    return options


def linear(
    weights: NDArray[Any],
    bias: NDArray[Any] | None = None,
    *,
    size: tuple[int, int] | None = (4, 4),
    channels: int = 3,
    head: str = "softmax",
    batch: int = 1,
) -> bytes:
    """A float model with a signature: scores = weights x + bias, then a head.

    Args:
        weights: (classes, channels), and x is the picture's mean colour; or (classes, height * width * channels), and x
            is the picture.
        bias: (classes,); zeros by default.
        size: (width, height); None for a model of mean colours that takes any size.
        head: a key of `_HEADS`.
        batch: pictures that the input is fixed to, when more than 1.
    """
    model = Builder(names=True)
    width, height = size or (1, 1)
    classes, inputs = weights.shape
    signature = () if size else (-1, -1, -1, channels)
    picture = last = model.tensor("serving_default_image:0", (batch, height, width, channels), signature=signature)
    if inputs == channels:
        axes = model.tensor("axes", (2,), dtype="int32", data=np.array([1, 2], np.int32).tobytes())
        last = model.tensor("mean", (batch, channels))
        model.operator("MEAN", [picture, axes], last, schema.ReducerOptionsT())
    values = np.zeros(classes, np.float32) if bias is None else np.asarray(bias, np.float32)
    stored = [
        model.tensor("weights", weights.shape, data=np.asarray(weights, np.float32).tobytes()),
        model.tensor("bias", values.shape, data=values.tobytes()),
    ]
    previous, last = last, model.tensor("dense", (batch, classes))
    model.operator("FULLY_CONNECTED", [previous, *stored], last, schema.FullyConnectedOptionsT())
    for name in _HEADS[head]:
        previous, last = last, model.tensor(name.lower(), (batch, classes))
        model.operator(name, [previous], last, _head_options(name, classes))
    return with_signature(model.pack([picture], [last]))


def quantized(
    content: bytes,
    tensors: Iterable[NDArray[np.float32]],
    *,
    io: str = "int8",
    head: str = "softmax",
    input_range: tuple[float, float] = (0.0, 1.0),
) -> bytes:
    """The int8 form of a float model with a signature; `tensors` (height, width, channels) calibrate it."""
    return quantize(content, kind="int8", io=io, head=head, tensors=list(tensors), input_range=input_range).content


def sealed(
    content: bytes,
    *,
    labels: Sequence[str],
    preprocess: Preprocess,
    head: str = "softmax",
    confidence: Confidence | None = None,
    reference: Reference | None = None,
) -> bytes:
    """A bundle of the model."""
    card = Card(
        preprocess=preprocess,
        head=head,
        labels=len(labels),
        source={"name": "tiny.keras", "sha256": "0" * 64, "kind": "keras"},
        recipe={},
        versions={},
        calibration={},
        accuracy=None,
        confidence=confidence,
        reference=reference,
    )
    return seal(content, labels=labels, preprocess=preprocess, card=card)
