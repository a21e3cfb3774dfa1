"""The model flatbuffer of a `.tflite` file, unpacked and packed with LiteRT's schema.

The schema is imported inside functions: a device that only runs a bundle never needs it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle.archive import IDENTIFIER, check_identifier
from edgecnn.errors import MissingExtraError, ModelError

MOST_ITEMS: Final = 50_000  # of one kind, far above any classifier; a damaged length must not keep us busy
_ALIGNMENT: Final = 16  # of weights, as the schema's force_align asks

# Vectors of tables in each table, by the schema's accessor names.
_VECTORS: Final = {
    "Model": ("OperatorCodes", "Subgraphs", "Buffers", "Metadata", "SignatureDefs", "ExternalBuffers"),
    "SubGraph": ("Tensors", "Operators"),
    "Tensor": ("VariantTensors",),
    "SparsityParameters": ("DimMetadata",),
    "SignatureDef": ("Inputs", "Outputs"),
}


def unpack(content: bytes) -> Any:
    """The model as the schema's ModelT, after checks that keep damaged files from taking time and memory.

    Raises:
        ModelError: no TFLite model, or a damaged one.
        MissingExtraError: LiteRT, whose schema this is, is not installed.
    """
    check_identifier(content)
    try:
        from ai_edge_litert import schema_py_generated as schema
    except ImportError as exc:  # tflite-runtime runs bundles, but brings no schema to read other models with
        raise MissingExtraError("ai-edge-litert, which looks into model files,", "") from exc

    with damage():
        root = schema.Model.GetRootAs(content, 0)
        _count_tables(root, MOST_ITEMS)
        model = schema.ModelT.InitFromObj(root)
        if not model.subgraphs or not model.buffers:
            raise ModelError("expected a TFLite model with a graph and buffers, got one without")
        operators = [operator for graph in model.subgraphs for operator in graph.operators or ()]
        if getattr(model, "externalBuffers", None) or any(part.largeCustomOptionsOffset > 1 for part in operators):
            raise ModelError("expected all of the TFLite model inside its flatbuffer and buffers, got parts outside")
        for buffer in model.buffers:
            if buffer.offset > 1:  # behind the flatbuffer, where ai-edge-quantizer puts large weights
                buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
        if sum(len(buffer.data) for buffer in model.buffers if buffer.data is not None) > len(content):
            raise ValueError("buffers overlap")
        return model


def pack(model: Any) -> bytes:
    """The bytes of an unpacked model."""
    import flatbuffers

    model.buffers = [
        buffer if buffer.data is None else _AlignedBuffer(np.asarray(buffer.data, np.uint8)) for buffer in model.buffers
    ]
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


@contextmanager
def damage() -> Iterator[None]:
    """Turns whatever the flatbuffers package does on damaged bytes into one clear error."""
    try:
        yield
    except ModelError:
        raise
    except Exception as exc:
        detail = " ".join(f"{type(exc).__name__}: {exc}".split())
        raise ModelError(f"the TFLite model is damaged ({detail}); get the file again") from exc


def operator_names(model: Any) -> list[str]:
    """Name of each operator code of an unpacked model."""
    from ai_edge_litert import schema_py_generated as schema

    return [_op_name(code, enum_names(schema.BuiltinOperator)) for code in model.operatorCodes or ()]


def activation_of(operator: Any) -> str:
    """What is fused into an operator: "NONE", "RELU", "RELU6", …"""
    from ai_edge_litert import schema_py_generated as schema

    number = getattr(operator.builtinOptions, "fusedActivationFunction", 0)
    return enum_names(schema.ActivationFunctionType).get(number, "UNKNOWN")


def dtype_of(tensor: Any) -> str:
    """Element type of a tensor: "float32", "int8", …"""
    from ai_edge_litert import schema_py_generated as schema

    return enum_names(schema.TensorType).get(tensor.type, "unknown").lower()


def enum_names(enum: type) -> dict[int, str]:
    """Number to name of one of the schema's enumerations."""
    return {number: name for name, number in vars(enum).items() if not name.startswith("_")}


def _op_name(code: Any, builtins: dict[int, str]) -> str:
    # old files have the byte-wide field only
    number = max(code.deprecatedBuiltinCode, code.builtinCode)
    return text(code.customCode) if builtins.get(number) == "CUSTOM" else builtins.get(number, f"BUILTIN_{number}")


def text(value: bytes | None) -> str:
    """A name in the model, which may be missing or damaged."""
    return (value or b"").decode(errors="replace")


class _AlignedBuffer:
    """A buffer of the model that packs its bytes at a multiple of 16, which the generated class does not."""

    def __init__(self, data: NDArray[np.uint8]) -> None:
        self._payload = data.tobytes()

    def Pack(self, builder: Any) -> int:
        builder.StartVector(1, len(self._payload), _ALIGNMENT)
        builder.head -= len(self._payload)
        builder.Bytes[builder.head : builder.head + len(self._payload)] = self._payload
        data = builder.EndVector()
        builder.StartObject(1)
        builder.PrependUOffsetTRelativeSlot(0, data, 0)
        return int(builder.EndObject())


def _count_tables(table: Any, left: int) -> int:
    """Tables that may still be read after `table` and all below it."""
    children = [table.Sparsity()] if type(table).__name__ == "Tensor" and table.Sparsity() else []
    for name in _VECTORS.get(type(table).__name__, ()):
        count = getattr(table, f"{name}Length", int)()  # older schemas lack some
        left -= count
        if left < 0:
            raise ValueError(f"more than {MOST_ITEMS} parts")
        children += [getattr(table, name)(index) for index in range(count)]
    for child in children:
        left = _count_tables(child, left)
    return left
