"""Models of any inputs and outputs, and who runs them."""

import gc
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgecnn.bundle.probe import pointwise_convolution
from edgecnn.errors import ModelError
from edgecnn.runtime import interpreter
from edgecnn.runtime.interpreter import Runner
from tests.models import Builder


def sum_and_difference() -> bytes:
    model = Builder(names=True)
    a, b, plus, minus = (model.tensor(name, (2, 3)) for name in ("a", "b", "plus", "minus"))
    model.operator("ADD", [a, b], plus, schema.AddOptionsT())
    model.operator("SUB", [a, b], minus, schema.SubOptionsT())
    return model.pack([a, b], [minus, plus])


@pytest.mark.parametrize("threads", [1, 2])
def test_inputs_and_outputs_are_in_the_models_order(threads: int) -> None:
    runner = Runner(sum_and_difference(), threads=threads)
    a, b = np.random.default_rng(0).random((2, 2, 3), np.float32)
    for _ in range(2):  # what is written again is used again
        for memory, values in zip(runner.inputs, (a, b), strict=True):
            memory[...] = values
        runner.invoke()
        np.testing.assert_array_equal(runner.outputs[0], a - b)
        np.testing.assert_array_equal(runner.outputs[1], a + b)
        a, b = b, a


def test_tensors_outlive_their_runner() -> None:
    memory = Runner(sum_and_difference()).inputs[0]
    gc.collect()
    memory[...] = 7
    assert memory.sum() == 42


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (["CONV_2D", "DELEGATE"], True),
        (["CONV_2D", "TfLiteXNNPackDelegate"], True),
        (["CONV_2D", "SOFTMAX"], False),
        (None, None),
    ],
)
def test_a_delegate_is_seen(monkeypatch: pytest.MonkeyPatch, steps: list[str] | None, expected: bool | None) -> None:
    tensors = SimpleNamespace(allocate_tensors=lambda: None, get_input_details=list, get_output_details=list)
    if steps is not None:
        tensors._get_ops_details = lambda: [{"op_name": name} for name in steps]

    def runtime() -> tuple[str, Any]:
        return "made_up", lambda **options: tensors

    monkeypatch.setattr(interpreter, "_runtime", runtime)
    assert Runner(b"").delegated is expected


def test_litert_has_xnnpack() -> None:
    assert Runner(pointwise_convolution("int8", size=1, channels=1, filters=1)).delegated


def test_what_the_runtime_cannot_load_is_a_model_error() -> None:
    with pytest.raises(ModelError, match="cannot load this model"):
        Runner(b"no model at all, but long enough")


def test_a_failing_run_is_a_model_error() -> None:
    runner = Runner(sum_and_difference())

    def fail() -> None:
        raise RuntimeError("out of luck\nand more")

    runner._interpreter = SimpleNamespace(invoke=fail)
    with pytest.raises(ModelError, match=r"the TFLite runtime failed: out of luck$"):
        runner.invoke()
