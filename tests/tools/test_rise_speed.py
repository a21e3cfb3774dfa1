"""The benchmark of RISE: real rates of a tiny model, and the shares that are printed of them."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgecnn.config import Preprocess
from tests.models import linear, sealed
from tools import rise_speed


@pytest.fixture
def model(tmp_path: Path) -> Path:
    preprocess = Preprocess(4, 4, "rgb", (0.0,), (1.0,))
    path = tmp_path / "tiny.tflite"
    path.write_bytes(sealed(linear(np.eye(3)), labels=["a", "b", "c"], preprocess=preprocess))
    return path


def test_rates_are_measured_in_turn(model: Path, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), np.zeros((8, 8, 3), np.uint8))
    rates = rise_speed.measure(str(model), str(photo), masks=20, rounds=3, workers=2)
    assert {name: len(found) for name, found in rates.items()} == {
        "invoke, 1 thread": 3,
        "invoke, all cores": 3,
        "RISE": 3,
    }
    assert min(min(rate, worked) for found in rates.values() for rate, worked in found) > 0
    work = {name: np.median([worked for _, worked in found]) for name, found in rates.items()}
    assert work["RISE"] > work["invoke, 1 thread"]  # this model takes no time, masks do


def test_invokes_are_counted_over_all_threads() -> None:
    class Counting:
        calls = 0

        def invoke(self) -> None:
            self.calls += 1

    engines = [Counting() for _ in range(3)]
    assert rise_speed.invokes(engines, 10) == 12  # type: ignore[arg-type]
    assert [engine.calls for engine in engines] == [4, 4, 4]


def test_the_share_is_masks_over_invokes_times_cores(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rates = {
        "invoke, 1 thread": [(100.0, 0.01), (110.0, 0.009), (90.0, 0.012)],
        "invoke, all cores": [(180.0, 0.01), (200.0, 0.01), (190.0, 0.01)],
        "RISE": [(180.0, 0.0125), (209.0, 0.01), (153.0, 0.016)],
    }
    monkeypatch.setattr(rise_speed, "measure", lambda *_, **__: rates)
    rise_speed.main(["m/a.tflite", "p.jpg", "--workers", "2", "--rounds", "3"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("a.tflite, 1,000 masks, 2 threads, medians of 3 rounds, load ")
    assert lines[1].split()[:4] == ["invoke,", "1", "thread", "100.0"]
    assert lines[-3].endswith("0.900  (0.850 to 0.950)")
    assert lines[-2].endswith("1.000  (0.805 to 1.045)")
    assert lines[-1].endswith("0.800  (0.750 to 0.900)")
