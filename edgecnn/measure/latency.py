"""The clockwork of the benchmark: one model with its tensors ready, who goes when, and when a model is warm.

Only `Engine.invoke` lies between two readings of the clock; lists and arrays are made before.
"""

import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.runtime.classifier import Classifier

_WINDOW: Final = 10  # inferences whose median is compared with that of the ones before
_FALL: Final = 0.02  # a smaller fall of that median is none
_TIMED_WRITES: Final = 36  # of preprocessing, over all pictures


class Row:
    """A newly loaded copy of a classifier, timed one inference at a time.

    Args:
        frames: BGR uint8 pictures, at least one.

    Attributes:
        threads: of the interpreter.
        init_ms, first_ms: what loading took, and the first inference with its preprocessing.
        preprocess_ns: times of writing a frame into the input tensor.
        warmup_ns: times of inferences before the ones that count.
    """

    def __init__(self, classifier: Classifier, frames: Sequence[NDArray[np.uint8]]) -> None:
        started = time.perf_counter_ns()
        self._classifier = classifier.clone()
        loaded = time.perf_counter_ns()
        self._classifier.preprocessor.write(frames[0], self._classifier.engine.input)
        self._classifier.engine.invoke()
        self.first_ms = (time.perf_counter_ns() - loaded) / 1e6
        self.init_ms = (loaded - started) / 1e6
        self.threads = classifier.threads
        self._tensors = [self._classifier.preprocessor(frame) for frame in frames]
        self.preprocess_ns: list[int] = []
        self.warmup_ns: list[int] = []

    def preprocess(self, frame: NDArray[np.uint8], pictures: int) -> None:
        """Time the way from a frame to the tensor; a write before it makes the buffers for the frame's size."""
        write, tensor = self._classifier.preprocessor.write, self._classifier.engine.input
        write(frame, tensor)
        for _ in range(-(-_TIMED_WRITES // pictures)):
            begin = time.perf_counter_ns()
            write(frame, tensor)
            self.preprocess_ns.append(time.perf_counter_ns() - begin)

    def warm_up(self, turn: int) -> None:
        """An inference that does not count."""
        self.warmup_ns.append(self._invoke(turn))

    @property
    def steady(self) -> bool:
        """Whether the warm-up made it as fast as it gets."""
        return is_steady(self.warmup_ns)

    def infer(self, turn: int) -> int:
        """Nanoseconds of one inference, as they are when this model runs alone.

        What comes before it is not timed: one inference brings the model back into the processor's caches, whoever
        went before, or a small model would be as slow as its company makes it. With several threads a second one
        follows, since the first had to wake them.
        """
        for _ in range(1 if self.threads == 1 else 2):
            self._invoke(turn)
        return self._invoke(turn)

    def rank(self) -> int:
        """Nanoseconds from the output tensor to sorted labels."""
        classifier = self._classifier
        begin = time.perf_counter_ns()
        classifier.rank(classifier.head.probabilities(classifier.engine.output()))
        return time.perf_counter_ns() - begin

    def _invoke(self, turn: int) -> int:
        engine = self._classifier.engine
        np.copyto(engine.input, self._tensors[turn % len(self._tensors)])
        invoke = engine.invoke
        begin = time.perf_counter_ns()
        invoke()
        return time.perf_counter_ns() - begin


def warm_up(rows: Sequence[Row], runs: int, max_seconds: float) -> None:
    """Run all models in turn until all are steady (`is_steady`).

    Args:
        runs: inferences a model at least; 0 for no warm-up at all.
        max_seconds: when to give up, once `runs` are done.
    """
    deadline = time.perf_counter() + max_seconds
    turn = 0
    while turn < runs or (runs and time.perf_counter() < deadline and not all(row.steady for row in rows)):
        for row in rows:
            row.warm_up(turn)
        turn += 1


def is_steady(times: Sequence[float]) -> bool:
    """Whether the median of the last 10 times is no more than 2 % below that of the 10 before; needs 20 times."""
    if len(times) < 2 * _WINDOW:
        return False
    before, now = np.median(times[-2 * _WINDOW : -_WINDOW]), np.median(times[-_WINDOW:])
    return bool(now >= (1 - _FALL) * before)


def orders(count: int) -> tuple[tuple[int, ...], ...]:
    """Who goes when, round by round: every model follows every other one equally often.

    Source: E. J. Williams, Experimental designs balanced for the estimation of residual effects of treatments,
    Australian Journal of Scientific Research A 2 (1949), 149-168.
    """
    zigzag = [(i + 1) // 2 if i % 2 else (count - i // 2) % count for i in range(count)]
    square = [tuple((i + shift) % count for i in zigzag) for shift in range(count)]
    return (*square, *(row[::-1] for row in square)) if count % 2 else tuple(square)


@contextmanager
def collector_off() -> Iterator[None]:
    """Keeps Python's garbage collector from running in the middle of a measurement."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
