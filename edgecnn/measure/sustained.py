"""Speed over minutes: a board that gets hot lowers its clock, and minute 30 is not minute 1."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.errors import EdgecnnError
from edgecnn.measure.board import clock_mhz, temperature_c, throttled
from edgecnn.runtime.classifier import Classifier

_PARTS: Final = 5  # the last of so many is compared with the first


@dataclass(frozen=True)
class Moment:
    """One interval of a sustained run.

    Attributes:
        seconds: since the start, at the interval's end.
        runs: frames classified in it.
        p50_ms, p99_ms: of a whole classification, from the frame to sorted labels.
        temperature_c, clock_mhz: at its end; None where the system does not tell.
        throttled: whether a Raspberry Pi's firmware slows it down at its end; None on other machines.
    """

    seconds: float
    runs: int
    p50_ms: float
    p99_ms: float
    temperature_c: float | None
    clock_mhz: float | None
    throttled: bool | None

    def to_dict(self) -> dict[str, Any]:
        """One of "sustained" in the `benchmark` JSON record."""
        return dict(vars(self))


def sustain(
    classifier: Classifier,
    frames: Sequence[NDArray[np.uint8]],
    *,
    seconds: float,
    interval: float = 1.0,
    on_moment: Callable[[Moment], None] | None = None,
) -> tuple[Moment, ...]:
    """Classify without a pause and look at the machine after each interval.

    Ctrl-C ends it early; what was measured until then is returned, a begun interval too.

    Args:
        classifier: with the number of threads it is to be timed with.
        frames: BGR uint8 pictures, used in turn.
        seconds: to run for; a frame that is begun is finished.
        interval: seconds of one moment. Slower models have one frame in each.
        on_moment: called after each.

    Raises:
        EdgecnnError: no frames, or seconds or interval that are not above 0.
    """
    if not len(frames) or not seconds > 0 or not interval > 0:
        raise EdgecnnError(
            f"expected frames, and seconds and interval above 0, got {len(frames)} frames, {seconds} and {interval}"
        )
    moments: list[Moment] = []
    times: list[float] = []
    started = now = time.perf_counter()

    def look() -> None:
        moments.append(_moment(now - started, times))
        times.clear()
        if on_moment:
            on_moment(moments[-1])

    try:
        classifier.classify(frames[0])  # the first one makes buffers
        started = now = time.perf_counter()
        done, due = 0, started + interval
        while now - started < seconds:
            begun = time.perf_counter()
            classifier.classify(frames[done % len(frames)])
            now = time.perf_counter()
            times.append(now - begun)
            done += 1
            if now >= due:
                look()
                due = max(due + interval, now)
        if times:
            look()
    except KeyboardInterrupt:
        if times:
            moments.append(_moment(now - started, times))
    return tuple(moments)


def slowdown(moments: Sequence[Moment]) -> float:
    """Median time of the last fifth of the moments over that of the first: 1.25 for a quarter slower at the end.

    Raises:
        EdgecnnError: there are none.
    """
    if not moments:
        raise EdgecnnError("expected the moments of a sustained run, got none: it ended before its first frame")
    fifth = max(1, len(moments) // _PARTS)
    first, last = (np.median([moment.p50_ms for moment in part]) for part in (moments[:fifth], moments[-fifth:]))
    return float(last / first)


def _moment(seconds: float, times: Sequence[float]) -> Moment:
    p50, p99 = np.percentile(np.array(times) * 1e3, (50, 99))
    flags = throttled()
    return Moment(
        seconds=seconds,
        runs=len(times),
        p50_ms=float(p50),
        p99_ms=float(p99),
        temperature_c=temperature_c(),
        clock_mhz=clock_mhz(),
        throttled=None if flags is None else any(flag.endswith(" now") for flag in flags),
    )
