"""What a `.tflite` model is made of, and small edits to it: a signature, metadata."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle.flatbuffer import MOST_ITEMS, damage, enum_names, operator_names, pack, text, unpack
from edgecnn.bundle.metadata import METADATA_NAME
from edgecnn.errors import ModelError

_MOST_DIMENSIONS: Final = 8  # what TFLite kernels support at most
_SIGNATURE: Final = "serving_default"

_WEIGHTED: Final = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")  # weights are their second input
_TRANSPARENT: Final = ("QUANTIZE", "DEQUANTIZE", "RESHAPE", "SQUEEZE", "CAST")  # change no score
_HEADS: Final = {"SOFTMAX": "softmax", "LOGISTIC": "sigmoid"}
_WEIGHT_DTYPES: Final = ("float32", "float16", "bfloat16", "int8", "uint8", "int16", "int4")
_STORAGE: Final = {"float32": "<f4", "float16": "<f2", "int8": "i1", "uint8": "u1", "int16": "<i2", "int4": "u1"}


@dataclass(frozen=True)
class TensorInfo:
    """One input or output of a model.

    Attributes:
        name: the tensor's name.
        shape: with the batch dimension; -1 where not fixed.
        dtype: "float32", "int8", "uint8", "int16", …
        scale: real step of one integer; 0.0 for float tensors.
        zero_point: the integer that stands for real 0.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int


@dataclass(frozen=True)
class Signature:
    """How a model names its first input: the signature's key, the name in it, and the name of the tensor."""

    key: str
    input_name: str
    input_tensor: str


@dataclass(frozen=True)
class ModelInfo:
    """What a `.tflite` model is made of.

    Attributes:
        inputs, outputs: of the main graph.
        ops: builtin operator name, or a custom operator's own, to count in all graphs; most frequent first.
        head: "softmax" or "sigmoid" when the single output ends in one, else "logits".
        parameters: elements of constant weights and biases.
        macs: multiply-accumulates of convolutions, depthwise convolutions and dense layers for one picture; an open
            size counts as 1.
        sparsity: share of exact zeros among the weights of convolutions, depthwise convolutions and dense layers.
        has_signature: whether the model names its inputs and outputs in a signature.
    """

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    ops: dict[str, int]
    head: str
    parameters: int
    macs: int
    sparsity: float
    has_signature: bool


@dataclass(frozen=True)
class Work:
    """What one operator takes: its constant weights and biases, and multiply-accumulates for one picture.

    Attributes:
        output: shape of its first output, with the batch dimension.
        is_constant: it only widens stored weights, once, when the model is loaded; they count where they are used.
    """

    output: tuple[int, ...]
    parameters: int
    macs: int
    is_constant: bool


def work(content: bytes) -> list[Work]:
    """The work of each operator of the main graph, in the order of execution.

    Raises:
        ModelError: no TFLite model, or a damaged one.
    """
    model = unpack(content)
    with damage():
        graph = _Graph(model, model.subgraphs[0])
        return [graph.work_of(*step) for step in graph.steps]


def describe(content: bytes) -> ModelInfo:
    """What the model in `content` is made of.

    Raises:
        ModelError: no TFLite model, or a damaged one.
    """
    model = unpack(content)
    with damage():
        graphs = [_Graph(model, graph) for graph in model.subgraphs]
        main = graphs[0]
        ops = Counter(name for graph in graphs for name, _, _ in graph.steps)
        weights = [counts for graph in graphs for counts in graph.weights()]
        elements = sum(size for size, _ in weights)
        return ModelInfo(
            inputs=tuple(main.info(index) for index in main.inputs),
            outputs=tuple(main.info(index) for index in main.outputs),
            ops=dict(sorted(ops.items(), key=lambda item: (-item[1], item[0]))),
            head=main.head(),
            parameters=sum(graph.parameters() for graph in graphs),
            macs=sum(graph.macs() for graph in graphs),
            sparsity=sum(zeros for _, zeros in weights) / elements if elements else 0.0,
            has_signature=bool(model.signatureDefs),
        )


def first_signature(content: bytes) -> Signature:
    """The first signature of the model.

    Raises:
        ModelError: no TFLite model, a damaged one, or one without a signature.
    """
    model = unpack(content)
    with damage():
        if not model.signatureDefs:
            raise ModelError("expected a TFLite model with a signature; `with_signature` adds one")
        signature = model.signatureDefs[0]
        entry = signature.inputs[0]
        graph = _Graph(model, model.subgraphs[signature.subgraphIndex])
        return Signature(text(signature.signatureKey), text(entry.name), graph.info(entry.tensorIndex).name)


def with_signature(content: bytes) -> bytes:
    """The model with a signature "serving_default"; unchanged when it has one.

    Names in the signature are those of the tensors, made simple and unique.

    Raises:
        ModelError: no TFLite model, or a damaged one.
    """
    model = unpack(content)
    if model.signatureDefs:
        return content
    from ai_edge_litert import schema_py_generated as schema

    with damage():
        graph = _Graph(model, model.subgraphs[0])
        signature = schema.SignatureDefT()
        signature.signatureKey = _SIGNATURE
        signature.inputs = [_named(schema.TensorMapT(), *item) for item in graph.simple_names(graph.inputs, "input")]
        signature.outputs = [_named(schema.TensorMapT(), *item) for item in graph.simple_names(graph.outputs, "output")]
        model.signatureDefs = [signature]
        return pack(model)


def with_metadata(content: bytes, payload: bytes) -> bytes:
    """The model, without any zip archive, with `payload` as its TFLite Metadata in place of any older.

    Raises:
        ModelError: no TFLite model, or a damaged one.
    """
    model = unpack(content)
    from ai_edge_litert import schema_py_generated as schema

    with damage():
        entries = model.metadata or []
        old = [entry for entry in entries if entry.name == METADATA_NAME.encode()]
        model.metadata = [entry for entry in entries if entry not in old]
        used = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
        used |= {entry.buffer for entry in model.metadata} | {0}
        free = [entry.buffer for entry in old if entry.buffer not in used and entry.buffer < len(model.buffers)]
        index = free[0] if free else len(model.buffers)
        buffer, entry = schema.BufferT(), schema.MetadataT()
        buffer.data = np.frombuffer(payload, np.uint8)
        entry.name, entry.buffer = METADATA_NAME, index
        model.buffers[index : index + 1] = [buffer]
        model.metadata.append(entry)
        return pack(model)


class _Graph:
    """One graph of an unpacked model, with names for what the schema numbers."""

    def __init__(self, model: Any, graph: Any) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self._dtypes = {number: name.lower() for number, name in enum_names(schema.TensorType).items()}
        self._buffers = model.buffers
        self._tensors = graph.tensors
        self.inputs, self.outputs = _integers(graph.inputs), _integers(graph.outputs)
        codes = operator_names(model)
        self.steps = [
            (codes[operator.opcodeIndex], _integers(operator.inputs), _integers(operator.outputs))
            for operator in graph.operators or ()
        ]
        self._producers = {output: (name, inputs) for name, inputs, outputs in self.steps for output in outputs}

    def info(self, index: int) -> TensorInfo:
        tensor = self._tensors[index]
        quantization = tensor.quantization
        scaled = quantization is not None and not _empty(quantization.scale)
        zero_points = _integers(quantization.zeroPoint) if scaled else []
        return TensorInfo(
            name=text(tensor.name),
            shape=_shape(tensor.shape if _empty(tensor.shapeSignature) else tensor.shapeSignature),
            dtype=self._dtypes[tensor.type],
            scale=float(quantization.scale[0]) if scaled else 0.0,
            zero_point=zero_points[0] if zero_points else 0,
        )

    def simple_names(self, indices: Sequence[int], kind: str) -> list[tuple[str, int]]:
        """(name, index) of tensors; names of letters, digits and underscores, with a number where two are equal."""
        taken: dict[str, int] = {}
        for index in indices:
            name = re.sub(r"^serving_default_|:\d+$", "", self.info(index).name)
            name = re.sub(r"\W", "_", name, flags=re.ASCII) or kind
            numbered = (f"{name}_{number}" for number in range(1, len(indices) + 1))
            taken[next(unused for unused in (name, *numbered) if unused not in taken)] = index
        return list(taken.items())

    def head(self) -> str:
        if len(self.outputs) != 1:
            return "logits"
        index, seen = self.outputs[0], set[int]()
        while index in self._producers and index not in seen:
            seen.add(index)
            name, inputs = self._producers[index]
            if name not in _TRANSPARENT:
                return _HEADS.get(name, "logits")
            index = inputs[0]
        return "logits"

    def parameters(self) -> int:
        return self.parameters_among(range(len(self._tensors)))

    def parameters_among(self, indices: Iterable[int]) -> int:
        result = 0
        for index in indices:
            if index < 0:  # an input that is left out
                continue
            tensor = self._tensors[index]
            dtype = self._dtypes[tensor.type]
            # biases of integer models are wide integers with a scale; shapes and axes have none
            bias = dtype in ("int32", "int64") and tensor.quantization and not _empty(tensor.quantization.scale)
            if self._data(tensor).size and (dtype in _WEIGHT_DTYPES or bias):
                result += math.prod(_shape(tensor.shape))
        return result

    def work_of(self, name: str, inputs: list[int], outputs: list[int]) -> Work:
        widens = name == "DEQUANTIZE" and bool(self.parameters_among(inputs))
        used = {self._stored(index) for index in inputs}
        return Work(
            output=self.info(outputs[0]).shape,
            parameters=0 if widens else self.parameters_among(used),
            macs=self.macs_of(name, inputs, outputs),
            is_constant=widens,
        )

    def macs(self) -> int:
        return sum(self.macs_of(*step) for step in self.steps)

    def macs_of(self, name: str, inputs: list[int], outputs: list[int]) -> int:
        """Every element of an output takes one multiplication for each weight of its filter."""
        if name not in _WEIGHTED:
            return 0
        weights, output = _shape(self._tensors[inputs[1]].shape), _shape(self._tensors[outputs[0]].shape)
        in_filter = weights[1:3] if name == "DEPTHWISE_CONV_2D" else weights[1:]
        return math.prod(output) * math.prod(in_filter)

    def weights(self) -> list[tuple[int, int]]:
        """(elements, zeros) of each constant that a convolution or dense layer multiplies with."""
        indices = {self._stored(inputs[1]) for name, inputs, _ in self.steps if name in _WEIGHTED}
        tensors = [self._tensors[index] for index in sorted(indices)]
        return [self._elements_and_zeros(tensor) for tensor in tensors if self._data(tensor).size]

    def _stored(self, index: int) -> int:
        """The constant behind weights that are stored in half precision and widened when the model runs."""
        name, inputs = self._producers.get(index, ("", []))
        return inputs[0] if name == "DEQUANTIZE" else index

    def _elements_and_zeros(self, tensor: Any) -> tuple[int, int]:
        shape, dtype = _shape(tensor.shape), self._dtypes[tensor.type]
        if dtype not in _STORAGE:
            return 0, 0
        size, values = math.prod(shape), self._data(tensor).view(_STORAGE[dtype])
        if dtype == "int4":  # two in a byte, the lower half first
            values = (np.stack([values & 15, values >> 4], axis=-1).reshape(-1)[:size].astype(np.int8) ^ 8) - 8
        zero_points = _integers(tensor.quantization.zeroPoint) if tensor.quantization else []
        if any(zero_points):
            values = values.reshape(shape) != _along(zero_points, shape, tensor.quantization.quantizedDimension)
        # a tensor in TFLite's sparse form leaves its zeros out, so they are what is not there
        return size, size - min(size, int(np.count_nonzero(values)))

    def _data(self, tensor: Any) -> NDArray[np.uint8]:
        data = self._buffers[tensor.buffer].data
        return np.empty(0, np.uint8) if data is None else np.asarray(data, np.uint8)


def _empty(vector: Any) -> bool:
    return vector is None or len(vector) == 0


def _integers(vector: Any) -> list[int]:
    if vector is not None and len(vector) > MOST_ITEMS:
        raise ValueError(f"a list of {len(vector)} numbers")
    return [] if vector is None else [int(value) for value in vector]


def _shape(vector: Any) -> tuple[int, ...]:
    shape = tuple(_integers(vector))
    if len(shape) > _MOST_DIMENSIONS:
        raise ValueError(f"a tensor of {len(shape)} dimensions")
    return shape


def _along(zero_points: list[int], shape: tuple[int, ...], axis: int) -> NDArray[np.int64]:
    """Zero points in a shape that compares with weights of `shape`; one for all, or one an index of `axis`."""
    if len(zero_points) not in (1, shape[axis]):
        raise ValueError(f"{len(zero_points)} zero points for weights of shape {shape}")
    result = np.array(zero_points, np.int64)
    return result.reshape([-1 if index == axis else 1 for index in range(len(shape))])


def _named(entry: Any, name: str, index: int) -> Any:
    entry.name, entry.tensorIndex = name, index
    return entry
