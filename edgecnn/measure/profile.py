"""Where a model's time goes: milliseconds of each operator.

LiteRT's Python API gives no times of operators (2.3: `experimental_force_delegate_node_profiling` only switches what a
profiler in C++ would see; the C functions in libLiteRt.so that read one change from release to release). XNNPACK runs
the whole graph as one node besides. So each operator is made a model of its own and all are run in turn, in graph
order, on the tensors they get inside the model. Just in front of a run its inputs and outputs are written, so that the
caches hold what they hold behind the operator before; its weights are where the other operators left them.

The other way, models cut behind the first, second, … operator and the differences of their times, was tried against the
C profiler: of MobileNetV2's time on a busy machine it gave 61 to 66 % to wrong operators, this one 5 to 10 %. Each
difference has the noise of two whole prefixes.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle.layers import operations
from edgecnn.bundle.pieces import Piece, pieces
from edgecnn.bundle.probe import pointwise_convolution
from edgecnn.bundle.tflite import describe
from edgecnn.errors import EdgecnnError
from edgecnn.measure.latency import collector_off
from edgecnn.quantization import TensorType
from edgecnn.runtime.interpreter import Engine, Runner

_WARMUP: Final = 3  # rounds that do not count
_SECONDS: Final = 0.5  # that all rounds take at least: short models are noisy
_LEAST: Final = 0.05  # of what a run took is the operator's own, however short it is beside the call
_WAKING: Final = 2  # runs in front of a timed one that wake the threads, which sleep while other models run


@dataclass(frozen=True)
class OperatorTime:
    """Time of one operator.

    Attributes:
        index: its place in the graph.
        op: its type: "CONV_2D", "ADD", …
        name: its layer's name in Keras, as `edgecnn sensitivity` lists it; several operators may have one.
        ms: milliseconds. 0 for what is computed when the model is loaded, or within its convolution (PAD).
        share: of the whole model's time.
        macs: multiply-accumulates; None for operators without weights.
    """

    index: int
    op: str
    name: str
    ms: float
    share: float
    macs: int | None

    def to_dict(self) -> dict[str, Any]:
        """One of "operators" in the JSON record."""
        return dict(vars(self))


@dataclass(frozen=True)
class Profile:
    """Times of all operators.

    Attributes:
        total_ms: median of the whole model, measured in the same rounds.
        operators: in graph order; their times add up to `total_ms`.
        method: how they were measured, in words.
        raw_ratio: the sum of the operators' times, before they were scaled, to `total_ms`; 1 were perfect.
    """

    total_ms: float
    operators: tuple[OperatorTime, ...]
    method: str
    raw_ratio: float

    def to_dict(self) -> dict[str, Any]:
        """The "profile" of the `benchmark` JSON record."""
        operators = [operator.to_dict() for operator in self.operators]
        return {"total_ms": self.total_ms, "method": self.method, "operators": operators}


class _Turn:
    """One model in the round.

    Args:
        invoke: runs it.
        tensors: memory of its inputs and outputs, and what is written there in front of a run.
        before: runs in front of the timed one.
    """

    def __init__(
        self, invoke: Callable[[], None], tensors: list[tuple[NDArray[Any], NDArray[Any]]], before: int
    ) -> None:
        self._invoke, self._tensors, self._before = invoke, tensors, before

    def milliseconds(self) -> float:
        for _ in range(self._before):
            self._write()
            self._invoke()
        self._write()
        started = time.perf_counter_ns()
        self._invoke()
        return (time.perf_counter_ns() - started) / 1e6

    def _write(self) -> None:
        for memory, values in self._tensors:
            memory[...] = values


def profile(content: bytes, *, threads: int = 1, size: tuple[int, int] | None = None, rounds: int = 30) -> Profile:
    """Time every operator of a model on a picture of noise.

    A round is the whole model and each operator once; an operator's time is the median over rounds, less what a call
    of the interpreter takes (measured with a convolution of one number), times the factor that makes the sum the
    whole model's median.

    Args:
        content: a `.tflite` classifier.
        threads: of the interpreter.
        size: (width, height) for models of any input size.
        rounds: at least; more while they have taken less than half a second.

    Raises:
        ModelError: no classifier of single images, or operators that cannot run alone (loops, variables).
        MissingExtraError: LiteRT, whose schema this needs, is not installed.
        EdgecnnError: no rounds.
    """
    if rounds < 1:
        raise EdgecnnError(f"expected at least 1 round, got {rounds}")
    engine, inside = (Engine(content, threads=threads, size=size, keep_tensors=keep) for keep in (False, True))
    picture = _noise(engine.input.shape, engine.input_type)
    inside.run(picture)
    parts = pieces(content, lambda index: inside.tensor(index).shape)
    waking = 0 if threads == 1 else _WAKING
    idle = Runner(pointwise_convolution("float32", size=1, channels=1, filters=1), threads=threads)
    turns = [
        _Turn(engine.invoke, [(engine.input, picture)], 1),
        *(_turn(part, inside, threads, waking) for part in parts),
        _Turn(idle.invoke, [(idle.inputs[0], np.ones((), np.float32))], waking),
    ]
    total, *alone, call = _medians(turns, rounds)
    times, ratio = share_out(total, alone, call)
    ms = {part.operators[-1]: own for part, own in zip(parts, times, strict=True)}
    macs = {part.operators[-1]: describe(part.content).macs for part in parts}
    operators = tuple(
        OperatorTime(i, op.kind, op.layer, ms.get(i, 0.0), ms.get(i, 0.0) / total, macs.get(i) or None)
        for i, op in enumerate(operations(content))
    )
    return Profile(total, operators, _method(ratio, call), ratio)


def share_out(total: float, alone: Sequence[float], call: float) -> tuple[list[float], float]:
    """Split a model's time among operators that were timed alone, each with a call of the interpreter.

    Returns:
        Times that add up to `total`, and what their sum was before that, as a share of `total`.
    """
    own = [max(ms - call, _LEAST * ms) for ms in alone]
    ratio = sum(own) / total
    return [ms / ratio for ms in own], ratio


def _turn(part: Piece, inside: Engine, threads: int, waking: int) -> _Turn:
    runner = Runner(part.content, threads=threads)
    values = [inside.tensor(index) for index in (*part.inputs, *part.outputs)]
    # an output without fixed memory is left out
    memories = [*runner.inputs, *(runner.outputs if len(runner.outputs) == len(part.outputs) else ())]
    return _Turn(runner.invoke, list(zip(memories, values, strict=False)), waking)


def _medians(turns: list[_Turn], rounds: int) -> list[float]:
    rows: list[list[float]] = []
    with collector_off():
        for _ in range(_WARMUP):
            for turn in turns:
                turn.milliseconds()
        deadline = time.perf_counter() + _SECONDS
        while len(rows) < rounds or time.perf_counter() < deadline:
            rows.append([turn.milliseconds() for turn in turns])
    return [float(median) for median in np.median(rows, axis=0)]


def _noise(shape: tuple[int, ...], kind: TensorType) -> NDArray[Any]:
    rng = np.random.default_rng(0)
    if kind.dtype == "float32":
        return rng.random(shape, np.float32)
    limits = np.iinfo(kind.dtype)
    return rng.integers(limits.min, limits.max + 1, shape).astype(kind.dtype)


def _method(ratio: float, call: float) -> str:
    return (
        "running each as a model of its own, in graph order, on what it gets inside the model: medians, less the "
        f"{1e3 * call:.1f} µs of a call, scaled to the whole model's median (their sum was {ratio:.2f} of it); PAD "
        "counts as part of its convolution"
    )
