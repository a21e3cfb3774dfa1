"""Two benchmarks in turn: what is asked of each, and what is made of their answers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.models import linear
from tools import benchmark_reference
from tools.benchmark_reference import compare, main, our_timings, reference_p50, repeat

QUICK = {"threads": 1, "runs": 5, "warmup": 1}


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "tiny.tflite"
    path.write_bytes(linear(np.eye(3)))
    return str(path)


def test_both_measure_a_real_model(model: str) -> None:
    theirs = reference_p50(model, **QUICK)
    assert 0 < theirs < 1000  # a few microseconds, which the tool itself would round to 0.00 ms
    first, second = our_timings(model, model, **QUICK)
    assert min(first["p50_ms"], second["p50_ms"]) > 0
    assert first["ratio"] is None
    assert second["ratio"]["value"] == pytest.approx(first["p50_ms"] / second["p50_ms"])
    assert second["ratio"]["rounds"] == 5


def test_who_goes_first_changes_and_medians_are_divided(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log: list[str] = []
    ours, theirs = iter([1.0, 9.0, 1.2, 1.1, 1.0]), iter([1.0, 1.0, 0.9, 5.0, 1.1])

    def our(*models: str, **options: int) -> list[dict[str, Any]]:
        log.append("o")
        assert (models, options) == (("m.tflite",), QUICK)
        return [{"p50_ms": next(ours), "ratio": None}]

    def their(model: str, **options: int) -> float:
        log.append("t")
        assert (model, options) == ("m.tflite", QUICK)
        return next(theirs)

    monkeypatch.setattr(benchmark_reference, "our_timings", our)
    monkeypatch.setattr(benchmark_reference, "reference_p50", their)
    assert compare("m.tflite", 5, **QUICK) == pytest.approx(1.1)
    assert "".join(log) == "ottoottoot"
    assert "m.tflite: edgecnn 1.1000 ms, LiteRT 1.0000 ms, ratio 1.1000 (95 %: " in capsys.readouterr().out


def test_the_spread_of_a_ratio(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    values = iter([2.0, 2.1, 1.9])

    def our(*models: str, **options: int) -> list[dict[str, Any]]:
        value = next(values)
        ratio = {"value": value, "ci95": [1.8, 2.2], "undisturbed": (2 + value) / 2}
        return [{"p50_ms": value, "ratio": None}, {"p50_ms": 1.0, "ratio": ratio}]

    monkeypatch.setattr(benchmark_reference, "our_timings", our)
    assert repeat(["a", "b"], 3, **QUICK) == pytest.approx(2.05 / 1.95 - 1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "run 1: 2.0000 ms, 1.0000 ms, ratio 2.0000 (1.8000 to 2.2000), undisturbed 2.0000"
    assert lines[-1] == "undisturbed 1.9500 to 2.0500: spread 5.13% over 3 runs"
    assert lines[-2] == "ratio 1.9000 to 2.1000: spread 10.53% over 3 runs"


def test_what_fails_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"no model")
    for measure in (reference_p50, our_timings):
        with pytest.raises(SystemExit, match=r"the measuring process failed: ."):
            measure(str(broken), **QUICK)
    with pytest.raises(SystemExit):
        main(["a.tflite", "--repeat", "5"])
    assert "--repeat takes two models" in capsys.readouterr().err
