"""How many threads the interpreter should have on this machine: measured, not guessed."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from edgecnn.runtime.classifier import Classifier
    from edgecnn.runtime.interpreter import Engine

_MOST = 4
_SECONDS = 0.15  # spent on each number of threads, after warm-up
_WORTH_IT = 0.85  # another thread must bring the time down to this share, since reading frames needs cores too


def choose_threads(classifier: Classifier, *, cores: int | None = None) -> int:
    """Threads that run a model fastest while one core stays free for reading frames.

    Small models get slower with more threads than they have work for, so the numbers are tried, from one up, until the
    next brings less than 15 %.

    Args:
        classifier: the model; it is left as it is.
        cores: of the machine; asked for by default.
    """
    most = min(_MOST, (cores or os.cpu_count() or 1) - 1)
    if most < 2:
        return 1
    best, best_seconds = 1, 0.0
    for threads in range(1, most + 1):
        seconds = _seconds(classifier.clone(threads=threads).engine)
        if threads > 1 and seconds > _WORTH_IT * best_seconds:
            break
        best, best_seconds = threads, seconds
    return best


def _seconds(engine: Engine) -> float:
    """Median time of an inference."""
    engine.input[...] = 0
    engine.invoke()
    times: list[float] = []
    end = time.perf_counter() + _SECONDS
    while not times or time.perf_counter() < end:
        begin = time.perf_counter()
        engine.invoke()
        times.append(time.perf_counter() - begin)
    return float(np.median(times))
