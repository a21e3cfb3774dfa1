"""Time of each operator: exact with a made-up clock; with the real one only what holds on any machine."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.bundle.layers import operations
from edgecnn.bundle.tflite import describe
from edgecnn.errors import EdgecnnError, ModelError
from edgecnn.measure import profile as module
from edgecnn.measure.profile import OperatorTime, Profile, profile, share_out
from edgecnn.runtime.interpreter import Engine, Runner
from tests.bundle.test_pieces import padded
from tests.models import Builder, build, linear, quantized

RELEASED = Path(__file__).parents[2] / "models"
CALL = 0.5  # milliseconds that the made-up clock takes for a call


class Clock:
    """Time that passes only while models run: a call, and a millisecond for each multiply-accumulate.

    Attributes:
        runs: names of what ran; "whole", "idle" or the operator's type.
        extra: milliseconds to add to the next runs, one after the other.
        whole: milliseconds of the whole model.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, whole: float = 100.0) -> None:
        self.nanoseconds, self.runs, self.whole = 0, list[str](), whole
        self.extra: Iterator[float] = iter(())
        clock = self

        class TimedRunner(Runner):
            def __init__(self, content: bytes, *, threads: int = 1) -> None:
                super().__init__(content, threads=threads)
                info = describe(content)
                self.kind, self.macs = list(info.ops)[-1], info.macs
                if info.inputs[0].name == "input" and info.inputs[0].shape == (1, 1, 1, 1):
                    self.kind, self.macs = "idle", 0

            def invoke(self) -> None:
                super().invoke()
                clock.pass_by(self.kind, CALL + self.macs)

        class TimedEngine(Engine):
            def invoke(self) -> None:
                super().invoke()
                clock.pass_by("whole", clock.whole)

        monkeypatch.setattr(module, "Runner", TimedRunner)
        monkeypatch.setattr(module, "Engine", TimedEngine)
        monkeypatch.setattr(module, "time", clock)

    def pass_by(self, name: str, milliseconds: float) -> None:
        self.runs.append(name)
        self.nanoseconds += round(1e6 * (milliseconds + next(self.extra, 0)))

    def perf_counter_ns(self) -> int:
        return self.nanoseconds

    def perf_counter(self) -> float:
        return self.nanoseconds / 1e9


def two_layers() -> bytes:
    """48 numbers to 4, ReLU-free, to 2 and a softmax: 192 and 8 multiply-accumulates."""
    from ai_edge_litert import schema_py_generated as schema

    model = Builder(names=True)
    last = picture = model.tensor("image", (1, 4, 4, 3))
    for name, (units, inputs) in {"first": (4, 48), "second": (2, 4)}.items():
        weights = np.full((units, inputs), 1 / 64, np.float32)
        stored = model.tensor(f"net/{name}/MatMul", weights.shape, data=weights.tobytes())
        previous, last = last, model.tensor(f"net/{name}/MatMul;net/{name}/BiasAdd", (1, units))
        model.operator("FULLY_CONNECTED", [previous, stored, -1], last, schema.FullyConnectedOptionsT())
    previous, last = last, model.tensor("net/softmax/Softmax", (1, 2))
    options = schema.SoftmaxOptionsT()
    options.beta = 1.0
    model.operator("SOFTMAX", [previous], last, options)
    return model.pack([picture], [last])


def test_times_are_those_of_the_pieces_less_the_call_scaled_to_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    found = profile(two_layers())
    own = [192.0, 8.0, 0.05 * CALL]  # a softmax of no time keeps a twentieth of its run
    assert [operator.ms for operator in found.operators] == pytest.approx([100 * ms / sum(own) for ms in own])
    assert [operator.share for operator in found.operators] == pytest.approx([ms / sum(own) for ms in own])
    assert found.total_ms == pytest.approx(100)
    assert found.raw_ratio == pytest.approx(sum(own) / 100)
    assert "500.0 µs of a call" in found.method
    assert "their sum was 2.00 of it" in found.method


def test_operators_have_the_names_of_their_layers_and_their_work() -> None:
    found = profile(two_layers(), rounds=1).operators
    assert [(operator.index, operator.op, operator.name, operator.macs) for operator in found] == [
        (0, "FULLY_CONNECTED", "first", 192),
        (1, "FULLY_CONNECTED", "second", 8),
        (2, "SOFTMAX", "softmax", None),
    ]


def test_models_take_turns_in_graph_order(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    profile(two_layers(), rounds=4)
    turn = ["whole", "whole", "FULLY_CONNECTED", "FULLY_CONNECTED", "SOFTMAX", "idle"]
    assert clock.runs == ["whole", *(3 + 4) * turn]  # first what fills the tensors; three rounds do not count


def test_sleeping_threads_are_woken_before_a_run_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    profile(two_layers(), threads=2, rounds=4)
    operators = ("FULLY_CONNECTED", "FULLY_CONNECTED", "SOFTMAX", "idle")
    turn = ["whole"] * 2 + [name for name in operators for _ in range(3)]
    assert clock.runs == ["whole", *(3 + 4) * turn]


def test_one_slow_round_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    calm = (Clock(monkeypatch), profile(two_layers(), rounds=5))[1]
    clock = Clock(monkeypatch)
    clock.extra = iter([0.0] * (1 + 4 * 6) + [1000.0] * 6)
    assert profile(two_layers(), rounds=5) == calm


def test_short_models_get_more_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, whole=0.01)
    profile(linear(np.eye(3)), rounds=2)  # mean, dense of 9, softmax: 11.02 ms a round
    rounds = clock.runs.count("idle") - 3
    assert rounds == int(np.ceil(500 / (2 * 0.01 + 4 * CALL + 9)))


def test_what_the_runtime_computes_elsewhere_takes_no_time() -> None:
    found = profile(build(weights=np.ones((3, 48), np.float16)), rounds=1).operators
    assert [(operator.op, operator.ms > 0) for operator in found] == [
        ("DEQUANTIZE", False),
        ("FULLY_CONNECTED", True),
        ("SOFTMAX", True),
    ]
    assert [(operator.op, operator.ms > 0) for operator in profile(padded(), rounds=1).operators] == [
        ("PAD", False),
        ("CONV_2D", True),
        ("MEAN", True),
    ]


def test_the_operator_with_by_far_the_most_work_is_the_slowest() -> None:
    from ai_edge_litert import schema_py_generated as schema

    model = Builder(names=True)
    last = picture = model.tensor("image", (1, 32, 32, 3))
    channels = 3
    for name, filters in (("small", 64), ("large", 512), ("narrow", 4)):
        weights = np.random.default_rng(0).standard_normal((filters, 3, 3, channels), np.float32)
        bias = model.tensor(f"{name}/bias", (filters,), data=np.zeros(filters, np.float32).tobytes())
        stored = model.tensor(f"{name}/weights", weights.shape, data=weights.tobytes())
        previous, last = last, model.tensor(name, (1, 32, 32, filters))
        options = schema.Conv2DOptionsT()
        options.strideH = options.strideW = options.dilationHFactor = options.dilationWFactor = 1
        model.operator("CONV_2D", [previous, stored, bias], last, options)
        channels = filters
    axes = model.tensor("axes", (2,), dtype="int32", data=np.array([1, 2], np.int32).tobytes())
    mean = model.tensor("mean", (1, 4))
    model.operator("MEAN", [last, axes], mean, schema.ReducerOptionsT())
    found = profile(model.pack([picture], [mean]), rounds=5)
    slowest = max(found.operators, key=lambda operator: operator.ms)
    assert (slowest.name, slowest.macs) == ("large", 32 * 32 * 512 * 9 * 64)
    assert slowest.share > 0.5


@pytest.mark.parametrize(
    "name",
    [
        "mnist-lenet5/mnist-lenet5-float",
        "cifar10-resnet8/cifar10-resnet8-float",
        "cifar10-resnet8/cifar10-resnet8-int8",
    ],
)
def test_times_of_real_models_add_up(name: str) -> None:
    content = (RELEASED / f"{name}.tflite").read_bytes()
    found = profile(content)
    assert sum(operator.ms for operator in found.operators) == pytest.approx(found.total_ms)
    assert sum(operator.share for operator in found.operators) == pytest.approx(1)
    assert sum(operator.macs or 0 for operator in found.operators) == describe(content).macs
    assert [(operator.op, operator.name) for operator in found.operators] == [
        (operation.kind, operation.layer) for operation in operations(content)
    ]
    # pieces that would do other work than the whole, such as weights that are no constants, were far outside
    assert 0.2 < found.raw_ratio < 5


@given(st.lists(st.floats(0.001, 1000), min_size=1, max_size=20), st.floats(0, 10), st.floats(0.01, 1000))
def test_the_total_is_kept_whatever_was_measured(alone: list[float], call: float, total: float) -> None:
    times, ratio = share_out(total, alone, call)
    assert sum(times) == pytest.approx(total)
    assert min(times) > 0
    assert sum(times) * ratio <= sum(alone) * (1 + 1e-9)
    assert (np.diff(np.array(times)[np.argsort(alone)]) >= -1e-9 * total).all()  # slower alone, slower here


@pytest.mark.parametrize("io", ["int8", "uint8"])
def test_integer_models(io: str) -> None:
    rng = np.random.default_rng(0)
    content = quantized(linear(rng.random((3, 48))), [rng.random((4, 4, 3), np.float32) for _ in range(4)], io=io)
    found = profile(content, rounds=1)
    assert {operator.op for operator in found.operators} >= {"FULLY_CONNECTED", "SOFTMAX"}
    assert sum(operator.macs or 0 for operator in found.operators) == 3 * 48


def test_a_model_of_any_size_needs_one() -> None:
    content = linear(np.eye(3), size=None)
    assert profile(content, size=(9, 5), rounds=1).operators[1].macs == 9
    with pytest.raises(ModelError, match="say which with --preprocess size"):
        profile(content, rounds=1)


@pytest.mark.parametrize("rounds", [0, -1])
def test_no_rounds_are_refused(rounds: int) -> None:
    with pytest.raises(EdgecnnError, match=f"expected at least 1 round, got {rounds}"):
        profile(linear(np.eye(3)), rounds=rounds)


def test_the_record() -> None:
    operator = OperatorTime(0, "CONV_2D", "conv2d", 1.5, 0.75, 100)
    record: dict[str, Any] = Profile(2.0, (operator,), "by hand", 1.1).to_dict()
    assert json.loads(json.dumps(record)) == {
        "total_ms": 2.0,
        "method": "by hand",
        "operators": [{"index": 0, "op": "CONV_2D", "name": "conv2d", "ms": 1.5, "share": 0.75, "macs": 100}],
    }
