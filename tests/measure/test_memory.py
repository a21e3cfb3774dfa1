"""Peak memory, measured in processes of their own."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgecnn.errors import ModelError
from edgecnn.measure.memory import peak_rss_mb
from tests.models import linear

MIB = 1 << 20
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is read from /proc")


@linux
def test_a_larger_model_takes_as_much_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "small.tflite").write_bytes(linear(np.ones((2, 3))))
    # random, so that no page of it is shared
    weights = np.random.default_rng(0).random((4096, 48 * 64), np.float32)
    (tmp_path / "large.tflite").write_bytes(linear(weights, size=(32, 32)))
    monkeypatch.chdir(tmp_path)  # the package is found all the same
    small, large = peak_rss_mb("small.tflite"), peak_rss_mb(tmp_path / "large.tflite", threads=2)
    assert small is not None
    assert large is not None
    assert 10 < small < 200  # Python, NumPy and the runtime; what this process holds does not count
    assert weights.nbytes / MIB <= large - small < 4 * weights.nbytes / MIB


@linux
def test_a_dynamic_size_is_given(tmp_path: Path) -> None:
    (tmp_path / "any.tflite").write_bytes(linear(np.ones((2, 3)), size=None))
    peak = peak_rss_mb(tmp_path / "any.tflite", size=(2048, 1024))
    assert peak is not None
    assert peak > 24  # the picture alone
    with pytest.raises(ModelError, match=r"any\.tflite does not run in a fresh process: .*takes pictures of any size"):
        peak_rss_mb(tmp_path / "any.tflite")


def test_what_does_not_load_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "bad.tflite").write_bytes(b"no model")
    for name, reason in (("bad.tflite", "cannot load this model"), ("missing.tflite", "No such file or directory")):
        with pytest.raises(ModelError, match=f"{name} does not run in a fresh process: .*{reason}") as caught:
            peak_rss_mb(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_a_system_that_does_not_tell_gives_none(monkeypatch: pytest.MonkeyPatch) -> None:
    done = subprocess.CompletedProcess[str]([], 0, stdout="null", stderr="")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    assert peak_rss_mb("model.tflite") is None


def test_a_process_that_dies_silently_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    done = subprocess.CompletedProcess[str]([], -9, stdout="", stderr="")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    with pytest.raises(ModelError, match=r"^model\.tflite does not run in a fresh process: "):
        peak_rss_mb("model.tflite")
