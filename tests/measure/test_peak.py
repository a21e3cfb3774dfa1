"""The core's peak: that the fastest run of the best shape counts. No test knows how fast the machine is."""

from collections.abc import Iterator
from itertools import repeat

import pytest

from edgecnn.bundle.tflite import describe
from edgecnn.errors import EdgecnnError
from edgecnn.measure import peak as module
from edgecnn.measure.peak import peak_rate
from edgecnn.runtime.interpreter import Runner


class Clock:
    """Time that passes only while models run, at GMAC/s that are given for one run after the other."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, rates: Iterator[float]) -> None:
        self.nanoseconds, self.rates, self.shapes = 0, rates, list[tuple[int, ...]]()
        clock = self

        class TimedRunner(Runner):
            def __init__(self, content: bytes) -> None:
                super().__init__(content)
                info = describe(content)
                self.macs, self.shape, self.dtype = info.macs, info.outputs[0].shape, info.inputs[0].dtype

            def invoke(self) -> None:
                super().invoke()
                assert self.dtype == "int8"
                assert len(set(self.inputs[0].reshape(-1).tolist())) > 100  # noise
                clock.shapes.append(self.shape)
                clock.nanoseconds += round(self.macs / next(clock.rates))

        monkeypatch.setattr(module, "Runner", TimedRunner)
        monkeypatch.setattr(module, "time", clock)

    def perf_counter_ns(self) -> int:
        return self.nanoseconds

    def perf_counter(self) -> float:
        return self.nanoseconds / 1e9


def test_the_fastest_run_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = [3.0] * 15
    rates[7] = 50.0
    clock = Clock(monkeypatch, iter(rates))
    assert peak_rate("int8", seconds=0) == pytest.approx(50, rel=1e-4)
    assert len(clock.shapes) == 15  # three rounds at least
    assert len(set(clock.shapes)) == 5
    assert clock.shapes[:5] == clock.shapes[5:10] == clock.shapes[10:]


@pytest.mark.parametrize(("seconds", "rounds"), [(0.5, 3), (1.0, 4), (1.5, 6)])
def test_it_takes_the_time_that_it_is_given(monkeypatch: pytest.MonkeyPatch, seconds: float, rounds: int) -> None:
    clock = Clock(monkeypatch, repeat(1.0))  # a round has 0.257 GMAC
    assert peak_rate("int8", seconds=seconds) == pytest.approx(1)
    assert len(clock.shapes) == 5 * rounds
    assert clock.perf_counter() >= seconds


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_a_real_core_reaches_something(dtype: str) -> None:
    assert 0.01 < peak_rate(dtype, seconds=0) < 100_000


@pytest.mark.parametrize("dtype", ["uint8", "float16", ""])
def test_other_types_are_refused(dtype: str) -> None:
    with pytest.raises(EdgecnnError, match=f"expected float32 or int8, got {dtype}"):
        peak_rate(dtype)
