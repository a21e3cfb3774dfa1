"""Operations of a float `.tflite` by the names that the user gave their layers in Keras.

The converter keeps the trace's names in its tensors: "model_1/conv2d_3/Relu;model_1/conv2d_3/BiasAdd;…" is an
operation into which several were fused. It belongs to the layer whose weights it multiplies with, else to the last
one named, which is where the fusion began. Keras 3 enters the scope of a layer twice while it is traced, so its names
carry one more number ("conv2d_3_1" for conv2d_3), which is taken off. Other models keep their tensors' names.
"""

import difflib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from edgecnn.bundle.flatbuffer import activation_of, damage, dtype_of, operator_names, text, unpack
from edgecnn.errors import ModelError
from edgecnn.quantization import TensorType

_WEIGHTED: Final = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
# Last parts of names: what multiplies with weights, and what only legacy Keras calls so.
_PRODUCTS: Final = re.compile(
    r"(convolution|Conv2D|depthwise|MatMul|separable_conv2d|conv_transpose|conv2d_transpose)\d*"
)
_LEGACY: Final = re.compile(r"/(Conv2D|FusedBatchNormV3|ReadVariableOp|depthwise_conv2d)\b")
# Parts of names that are operations with parts of their own, no layers.
_NESTED: Final = frozenset({"batchnorm", "moments", "separable_conv2d", "BiasAdd", "ReadVariableOp"})
_OUTPUT: Final = re.compile(r"(Identity|StatefulPartitionedCall|PartitionedCall)(_\d+)?(:\d+)?")


@dataclass(frozen=True)
class Operation:
    """One operation of the main graph.

    Attributes:
        kind: "CONV_2D", "ADD", …
        layer: name of the layer that it belongs to; several operations may share one.
        inputs, outputs: indices of its tensors; -1 for an input that is left out.
        activation: "NONE", "RELU", "RELU6", …: what is fused into it.
        scope: names of its output tensors, each with ";" behind it: what ai-edge-quantizer's recipes look at.
        weighted: whether it multiplies with weights.
    """

    kind: str
    layer: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    activation: str
    scope: str
    weighted: bool


def operations(content: bytes) -> list[Operation]:
    """The operations of the main graph, in the order of execution.

    Raises:
        ModelError: no TFLite model, or a damaged one.
    """
    model = unpack(content)
    with damage():
        graph, kinds = model.subgraphs[0], operator_names(model)
        names = [text(tensor.name) for tensor in graph.tensors]
        steps = [(kinds[step.opcodeIndex], step) for step in graph.operators or ()]
        keras3 = _is_keras3(names)
        found: list[Operation] = []
        for kind, step in steps:
            outputs = tuple(int(index) for index in step.outputs)
            found.append(
                Operation(
                    kind=kind,
                    layer=_layer(kind, step, names, keras3=keras3) or f"{kind.lower()}_{len(found)}",
                    inputs=tuple(int(index) for index in step.inputs),
                    outputs=outputs,
                    activation=activation_of(step),
                    scope="".join(f"{names[index]};" for index in outputs if names[index]),
                    weighted=kind in _WEIGHTED,
                )
            )
        return found


def layer_names(content: bytes) -> list[str]:
    """Names of the layers, in the order of execution, each once.

    Raises:
        ModelError: no TFLite model, or a damaged one.
    """
    return list(dict.fromkeys(operation.layer for operation in operations(content)))


def scopes_of(content: bytes, layers: Collection[str]) -> tuple[str, ...]:
    """Scopes of the operations that belong to `layers`.

    Raises:
        ModelError: there is no such layer, or the model is damaged.
    """
    found = operations(content)
    known = list(dict.fromkeys(operation.layer for operation in found))
    for name in layers:
        if name not in known:
            near = difflib.get_close_matches(name, known, 3, 0.3) or known[:3]
            raise ModelError(
                f"expected names of layers, got {name!r}, which this model has not; it has {', '.join(near)}, …"
                " (`edgecnn sensitivity` lists all)"
            )
    return tuple(operation.scope for operation in found if operation.layer in layers)


def scope_pattern(scopes: Sequence[str]) -> str:
    """A regular expression that matches exactly these scopes, for ai-edge-quantizer's recipes."""
    return f"^(?:{'|'.join(re.escape(scope) for scope in scopes)})$"


def tensor_type(content: bytes, index: int) -> TensorType:
    """Element type of a tensor of the main graph that has one scale.

    Raises:
        ModelError: no TFLite model, a damaged one, or weights with a scale for each channel.
    """
    model = unpack(content)
    with damage():
        tensor = model.subgraphs[0].tensors[index]
        scales = [] if tensor.quantization is None or tensor.quantization.scale is None else tensor.quantization.scale
        if len(scales) > 1:
            raise ModelError(f"expected a tensor of one scale, got {len(scales)}; it holds weights")
        if len(scales) == 0:
            return TensorType(dtype_of(tensor))
        return TensorType(dtype_of(tensor), float(scales[0]), int(tensor.quantization.zeroPoint[0]))


def _layer(kind: str, step: Any, names: Sequence[str], *, keras3: bool) -> str:
    if kind in _WEIGHTED and len(step.inputs) > 1:  # the output's name may hold another layer's, made equal to this one
        for source in (names[int(step.inputs[1])], names[int(step.outputs[0])]):
            products = [part for part in source.split(";") if _PRODUCTS.fullmatch(part.rpartition("/")[2])]
            if products:
                return _plain(products[0], keras3=keras3)
    last = names[int(step.outputs[0])].split(";")[-1]
    if _OUTPUT.fullmatch(last):  # the converter calls the model's output so, whatever made it
        return kind.lower()
    return _plain(last, keras3=keras3)


def _plain(name: str, *, keras3: bool) -> str:
    """The layer in one traced name: "a/conv2d_1/convolution" → "conv2d_1", or "conv2d" for Keras 3."""
    scope = _scope(name)
    if scope is None:
        return re.sub(r":\d+$", "", name.rpartition("/")[2])
    return re.sub(r"_\d+$", "", scope) if keras3 else scope


def _scope(name: str) -> str | None:
    """The part of a traced name that is the layer's; None where the operation stands in the model itself."""
    parts = name.split("/")[:-1]
    while len(parts) > 2 and parts[-1] in _NESTED:
        parts.pop()
    return parts[-1] if len(parts) > 1 else None


def _is_keras3(names: Sequence[str]) -> bool:
    """Whether every layer with weights has a number at its end, in a model without the names of legacy Keras."""
    parts = [part for name in names for part in name.split(";")]
    if any(_LEGACY.search(part) for part in parts):
        return False
    products = [part for part in parts if _PRODUCTS.fullmatch(part.rpartition("/")[2])]
    scopes = [scope for part in products if (scope := _scope(part)) is not None]
    return bool(scopes) and all(re.search(r"_\d+$", scope) for scope in scopes)
