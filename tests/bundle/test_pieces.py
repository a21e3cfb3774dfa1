"""A model in pieces: run one after the other they compute what the whole computes, bit for bit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgecnn.bundle.flatbuffer import unpack
from edgecnn.bundle.layers import operations
from edgecnn.bundle.pieces import Piece, pieces
from edgecnn.bundle.tflite import describe
from edgecnn.errors import ModelError
from edgecnn.runtime.interpreter import Engine, Runner
from tests.models import Builder, build, linear

RELEASED = Path(__file__).parents[2] / "models"


def convolution(model: Builder, picture: int, name: str, shape: tuple[int, ...], *, channels: tuple[int, int]) -> int:
    """A 3x3 convolution without padding; the output's number."""
    rng = np.random.default_rng(len(model.graph.tensors))
    weights = rng.standard_normal((channels[1], 3, 3, channels[0]), np.float32)
    stored = model.tensor(f"{name}/weights", weights.shape, data=weights.tobytes())
    bias = model.tensor(f"{name}/bias", (channels[1],), data=np.ones(channels[1], np.float32).tobytes())
    output = model.tensor(name, shape)
    options = schema.Conv2DOptionsT()
    options.strideH = options.strideW = options.dilationHFactor = options.dilationWFactor = 1
    options.padding = 1  # VALID
    model.operator("CONV_2D", [picture, stored, bias], output, options)
    return output


def pad(model: Builder, picture: int, name: str, shape: tuple[int, ...]) -> int:
    around = np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32)
    output = model.tensor(name, shape)
    model.operator(
        "PAD", [picture, model.tensor(f"{name}/around", (4, 2), dtype="int32", data=around.tobytes())], output
    )
    return output


def padded(*, users: int = 1) -> bytes:
    """A 6x6 picture, PAD, `users` convolutions of it, their sum where there are two, and the mean of the map."""
    model = Builder(names=True)
    picture = model.tensor("image", (1, 6, 6, 3))
    wide = pad(model, picture, "pad", (1, 8, 8, 3))
    maps = [convolution(model, wide, f"conv{n}", (1, 6, 6, 4), channels=(3, 4)) for n in range(users)]
    last = maps[0]
    if users == 2:
        last = model.tensor("add", (1, 6, 6, 4))
        model.operator("ADD", maps, last, schema.AddOptionsT())
    axes = model.tensor("axes", (2,), dtype="int32", data=np.array([1, 2], np.int32).tobytes())
    mean = model.tensor("mean", (1, 4))
    model.operator("MEAN", [last, axes], mean, schema.ReducerOptionsT())
    return model.pack([picture], [mean])


def cut(content: bytes, size: tuple[int, int] | None = None) -> tuple[list[Piece], NDArray[Any]]:
    """The pieces, and the picture that the whole ran on."""
    whole = Engine(content, size=size, keep_tensors=True)
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 100, whole.input.shape).astype(whole.input_type.dtype)
    whole.run(picture)
    return pieces(content, lambda index: whole.tensor(index).shape), picture


def assert_pieces_compute_the_whole(content: bytes, size: tuple[int, int] | None = None) -> list[Piece]:
    found, picture = cut(content, size)
    graph = unpack(content).subgraphs[0]
    tensors = {int(graph.inputs[0]): picture[None]}
    for part in found:
        runner = Runner(part.content)
        for memory, index in zip(runner.inputs, part.inputs, strict=True):
            memory[...] = tensors[index]
        runner.invoke()
        tensors |= {index: memory.copy() for memory, index in zip(runner.outputs, part.outputs, strict=True)}
    np.testing.assert_array_equal(tensors[int(graph.outputs[0])].reshape(-1), Engine(content, size=size).run(picture))
    assert len(tensors) > 1
    return found


@pytest.mark.parametrize(
    ("make", "operators"),
    [
        (lambda: linear(np.eye(3)), [(0,), (1,), (2,)]),
        (lambda: build(head="reshaped"), [(0,), (1,), (2,)]),
        (lambda: build(weights=np.ones((3, 48), np.float16)), [(0, 1), (2,)]),  # DEQUANTIZE goes with its weights
        (padded, [(0, 1), (2,)]),  # PAD goes with its convolution
        (lambda: padded(users=2), [(0,), (1,), (2,), (3,), (4,)]),  # but not with two
    ],
    ids=["mean", "reshape", "half precision", "pad", "shared pad"],
)
def test_every_operator_is_the_last_of_one_piece(make: Callable[[], bytes], operators: list[tuple[int, ...]]) -> None:
    assert [part.operators for part in assert_pieces_compute_the_whole(make())] == operators


def test_a_model_of_any_size_is_cut_at_the_size_it_runs_at() -> None:
    content = linear(np.eye(3), size=None)
    found = assert_pieces_compute_the_whole(content, size=(7, 5))
    assert describe(found[0].content).inputs[0].shape == (1, 5, 7, 3)


@pytest.mark.parametrize(
    "name",
    [
        "mnist-lenet5/mnist-lenet5-float",
        "mnist-lenet5/mnist-lenet5-int8",
        "cifar10-resnet8/cifar10-resnet8-int8",
        "cats-dogs-mobilenetv2/cats-dogs-mobilenetv2-int8",
    ],
)
def test_released_models_are_cut_without_loss(name: str) -> None:
    content = (RELEASED / f"{name}.tflite").read_bytes()
    found = assert_pieces_compute_the_whole(content)
    assert [part.operators for part in found] == [(number,) for number in range(len(operations(content)))]
    assert sum(describe(part.content).macs for part in found) == describe(content).macs
    assert sum(describe(part.content).parameters for part in found) == describe(content).parameters
    assert sum(len(part.content) for part in found) < 1.5 * len(content) + 4000 * len(found)


@pytest.mark.parametrize("operator", ["IF", "WHILE"])
def test_what_cannot_run_alone_is_refused(operator: str) -> None:
    model = Builder(names=True)
    picture, output = model.tensor("image", (1, 4, 4, 3)), model.tensor("scores", (1, 3))
    model.operator(operator, [picture], output)
    with pytest.raises(ModelError, match=f"expected operators that can run alone, got {operator}"):
        pieces(model.pack([picture], [output]), lambda index: (1,))


def test_a_tensor_that_keeps_its_value_is_refused() -> None:
    model = Builder(names=True)
    picture, output = model.tensor("image", (1, 4, 4, 3)), model.tensor("scores", (1, 3))
    model.graph.tensors[output].isVariable = True
    model.operator("CUSTOM", [picture], output, custom="counter")
    with pytest.raises(ModelError, match="got a tensor that keeps its value"):
        pieces(model.pack([picture], [output]), lambda index: (1,))


def test_damage_is_one_clear_error() -> None:
    with pytest.raises(ModelError):
        pieces(b"no model", lambda index: (1,))
    model = Builder(names=True)
    picture = model.tensor("image", (1, 4, 4, 3))
    model.operator("SOFTMAX", [picture, 77], picture)
    with pytest.raises(ModelError, match="damaged"):
        pieces(model.pack([picture], [picture]), lambda index: (1,))
