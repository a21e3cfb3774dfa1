"""Models made to measure a machine with: one convolution of any size, with noise as its weights."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle.flatbuffer import pack
from edgecnn.errors import MissingExtraError, ModelError

_SCHEMA_VERSION: Final = 3  # of every TFLite model
_STEP: Final = 0.05  # of the int8 tensors, which hold noise


def pointwise_convolution(dtype: str, *, size: int, channels: int, filters: int) -> bytes:
    """A model of one 1x1 convolution of stride 1, the operator closest to a plain product of matrices.

    Args:
        dtype: "float32", or "int8" with a scale for each filter.
        size: width and height of the input (1, size, size, channels) and the output (1, size, size, filters).

    Returns:
        A `.tflite` of size * size * channels * filters multiply-accumulates.

    Raises:
        ModelError: another type.
        MissingExtraError: LiteRT, whose schema this needs, is not installed.
    """
    if dtype not in ("float32", "int8"):
        raise ModelError(f"expected float32 or int8, got {dtype}")
    try:
        from ai_edge_litert import schema_py_generated as schema
    except ImportError as exc:
        raise MissingExtraError("ai-edge-litert, which makes model files,", "") from exc

    rng = np.random.default_rng(0)
    shape = (filters, 1, 1, channels)
    if dtype == "int8":
        weights: NDArray[Any] = rng.integers(-127, 128, shape).astype(np.int8)
        bias: NDArray[Any] = np.zeros(filters, np.int32)
    else:
        weights, bias = rng.standard_normal(shape, np.float32), np.zeros(filters, np.float32)
    model, graph, code, step = schema.ModelT(), schema.SubGraphT(), schema.OperatorCodeT(), schema.OperatorT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CONV_2D
    code.version = 3 if dtype == "int8" else 1
    options = schema.Conv2DOptionsT()
    options.strideH = options.strideW = options.dilationHFactor = options.dilationWFactor = 1
    step.builtinOptions, step.builtinOptionsType = options, schema.BuiltinOptions.Conv2DOptions
    step.inputs, step.outputs = np.array([0, 1, 2], np.int32), np.array([3], np.int32)
    model.version, model.operatorCodes, model.subgraphs = _SCHEMA_VERSION, [code], [graph]
    model.buffers = [_buffer(), _buffer(weights), _buffer(bias)]
    graph.tensors = [
        _tensor("input", (1, size, size, channels), dtype, 0, [_STEP]),
        _tensor("weights", shape, dtype, 1, [_STEP] * filters),
        _tensor("bias", (filters,), str(bias.dtype), 2, [_STEP * _STEP] * filters),
        _tensor("output", (1, size, size, filters), dtype, 0, [_STEP * channels]),
    ]
    graph.operators, graph.inputs, graph.outputs = [step], np.array([0], np.int32), np.array([3], np.int32)
    return pack(model)


def _buffer(values: NDArray[Any] | None = None) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    buffer = schema.BufferT()
    if values is not None:
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    return buffer


def _tensor(name: str, shape: tuple[int, ...], dtype: str, buffer: int, scales: list[float]) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.buffer = name, np.array(shape, np.int32), buffer
    tensor.type = getattr(schema.TensorType, dtype.upper())
    if dtype != "float32":
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = np.array(scales, np.float32)
        tensor.quantization.zeroPoint = np.zeros(len(scales), np.int64)
    return tensor
