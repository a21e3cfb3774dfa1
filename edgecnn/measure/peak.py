"""What one core can do at most, measured: the rate of a plain product of matrices in the same runtime."""

import time
from typing import Final

import numpy as np

from edgecnn.bundle.probe import pointwise_convolution
from edgecnn.errors import EdgecnnError
from edgecnn.measure.latency import collector_off
from edgecnn.runtime.interpreter import Runner

# (width and height, channels, filters) of 1x1 convolutions. Which is best depends on the core's caches and registers.
_SHAPES: Final = ((32, 128, 128), (8, 512, 512), (12, 768, 384), (32, 256, 256), (24, 1024, 192))
_FEWEST: Final = 3  # rounds, however slow they are


def peak_rate(dtype: str, *, seconds: float = 1.0) -> float:
    """Multiply-accumulates of one core in 10^9 a second: the fastest run of 1x1 convolutions of several shapes.

    A model's own rate is lower: its layers are small, or wait for memory.

    Args:
        dtype: "float32" or "int8".
        seconds: to measure for, in all; each shape is run three times at least.

    Raises:
        EdgecnnError: another type.
        MissingExtraError: LiteRT, whose schema this needs, is not installed.
    """
    if dtype not in ("float32", "int8"):
        raise EdgecnnError(f"expected float32 or int8, got {dtype}")
    rng = np.random.default_rng(0)
    runners = []
    for size, channels, filters in _SHAPES:
        runner = Runner(pointwise_convolution(dtype, size=size, channels=channels, filters=filters))
        noise = rng.integers(-128, 128, (1, size, size, channels))
        runners.append((runner, noise.astype(dtype), size * size * channels * filters))
    best, rounds, deadline = 0.0, 0, time.perf_counter() + seconds
    with collector_off():
        while rounds < _FEWEST or time.perf_counter() < deadline:
            for runner, noise, macs in runners:
                runner.inputs[0][...] = noise
                started = time.perf_counter_ns()
                runner.invoke()
                best = max(best, macs / max(1, time.perf_counter_ns() - started))
            rounds += 1
    return best
