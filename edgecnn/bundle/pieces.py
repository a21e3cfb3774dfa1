"""A model cut into its operators: each as a model of its own, which can be run and timed alone."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from edgecnn.bundle.flatbuffer import damage, operator_names, pack, unpack
from edgecnn.errors import ModelError

# Operators that run other graphs or remember values: what they do depends on more than their inputs.
_NOT_ALONE: Final = frozenset(
    {
        *("CALL", "CALL_ONCE", "IF", "WHILE", "STABLEHLO_COMPOSITE"),
        *("ASSIGN_VARIABLE", "READ_VARIABLE", "VAR_HANDLE"),
    }
)
_CONVOLUTIONS: Final = ("CONV_2D", "DEPTHWISE_CONV_2D")


@dataclass(frozen=True)
class Piece:
    """One operator, with what the runtime computes together with it.

    Attributes:
        operators: numbers of the operators in the whole model, in its order. The last is the one that the piece is for.
            In front of it may stand operators on constants alone, such as the DEQUANTIZE of half-precision weights,
            which are computed once when the model is loaded, and the PAD of a convolution, which XNNPACK joins to it.
        inputs, outputs: numbers of the tensors in the whole model that are the piece's inputs and outputs.
        content: a `.tflite` without a signature.
    """

    operators: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    content: bytes


def pieces(content: bytes, shape_of: Callable[[int], tuple[int, ...]]) -> list[Piece]:
    """The pieces of the main graph, in the order of execution. Operators that nothing uses have none.

    Args:
        content: the whole `.tflite`.
        shape_of: shape of a tensor, by its number, as it is while the model runs.

    Raises:
        ModelError: no TFLite model, a damaged one, or one whose operators cannot run alone.
    """
    model = unpack(content)
    with damage():
        graph, kinds = model.subgraphs[0], operator_names(model)
        steps = list(graph.operators or ())
        odd = sorted({kinds[step.opcodeIndex] for step in steps} & _NOT_ALONE)
        odd += ["a tensor that keeps its value"] if any(tensor.isVariable for tensor in graph.tensors) else []
        if odd:
            raise ModelError(f"expected operators that can run alone, got {odd[0]}")
        computed = {int(index) for index in graph.inputs}  # for each picture anew
        held: dict[int, tuple[int, ...]] = {}  # tensor to the operators that its user's piece computes it with
        found = []
        for number, step in enumerate(steps):
            inputs = [int(index) for index in step.inputs if index >= 0]
            outputs = [int(index) for index in step.outputs]
            together = sorted({other for index in inputs for other in held.get(index, ())} | {number})
            if not computed.intersection(inputs) or _joins_a_convolution(step, graph, kinds):
                held |= dict.fromkeys(outputs, tuple(together))
            else:
                found.append(_piece(model, together, computed, shape_of))
            if computed.intersection(inputs):
                computed.update(outputs)
        return found


def _joins_a_convolution(step: Any, graph: Any, kinds: list[str]) -> bool:
    """Whether this is the PAD of one convolution and of nothing else."""
    if kinds[step.opcodeIndex] != "PAD" or step.outputs[0] in graph.outputs:
        return False
    users = [other for other in graph.operators if step.outputs[0] in other.inputs]
    return [kinds[user.opcodeIndex] in _CONVOLUTIONS for user in users] == [True]


def _piece(model: Any, numbers: list[int], computed: set[int], shape_of: Callable[[int], tuple[int, ...]]) -> Piece:
    from ai_edge_litert import schema_py_generated as schema

    whole = model.subgraphs[0]
    steps = [whole.operators[number] for number in numbers]
    made = {int(index) for step in steps for index in step.outputs}
    used = list(dict.fromkeys(int(index) for step in steps for index in step.inputs if index >= 0))
    inputs = [index for index in used if index in computed and index not in made]
    outputs = [int(index) for index in steps[-1].outputs]
    place = {index: new for new, index in enumerate(dict.fromkeys([*used, *made]))}
    result, graph = schema.ModelT(), schema.SubGraphT()
    result.version, result.operatorCodes, result.subgraphs = model.version, model.operatorCodes, [graph]
    result.buffers, graph.tensors = [schema.BufferT()], []
    for index in place:
        tensor = copy.copy(whole.tensors[index])
        if index in inputs or index in outputs:
            tensor.shape, tensor.shapeSignature = np.array(shape_of(index), np.int32), None
        tensor.buffer = 0 if index in computed or index in made else len(result.buffers)
        if tensor.buffer:
            result.buffers.append(model.buffers[whole.tensors[index].buffer])
        graph.tensors.append(tensor)
    graph.operators = [_moved(step, place) for step in steps]
    graph.inputs, graph.outputs = (np.array([place[index] for index in part], np.int32) for part in (inputs, outputs))
    return Piece(tuple(numbers), tuple(inputs), tuple(outputs), pack(result))


def _moved(step: Any, place: dict[int, int]) -> Any:
    """The operator with its tensors at other places; -1 stays an input that is left out."""
    moved = copy.copy(step)
    moved.inputs = np.array([place.get(int(index), -1) for index in step.inputs], np.int32)
    moved.outputs = np.array([place[int(index)] for index in step.outputs], np.int32)
    return moved
