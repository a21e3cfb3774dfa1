"""tools/mediapipe_check.py: its verdict and its exit codes, with a stand-in for MediaPipe."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn import Classifier
from edgecnn.bundle.bundle import seal
from edgecnn.bundle.card import Card
from edgecnn.config import Preprocess
from tools.mediapipe_check import Comparison, difference, main, same_top

PREPROCESS = Preprocess(width=4, height=4, mean=(127.5,), std=(64.0,))


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_equal_scores_have_no_order_and_other_tops_differ() -> None:
    assert same_top({"a": 0.5, "b": 0.5}, {"b": 0.5, "a": 0.5})
    assert not same_top({"a": 0.6, "b": 0.4}, {"a": 0.4, "b": 0.6})
    assert not same_top({"a": 0.6}, {"b": 0.6})
    assert difference({"a": 0.75, "b": 0.25}, {"a": 0.5}) == 0.25
    near, far = {"a": 0.51, "b": 0.49}, {"a": 0.6, "b": 0.4}
    assert Comparison("x", far, near).agrees(0.1)
    assert not Comparison("x", far, near).agrees(0.05)


@pytest.fixture
def check(
    make_model: Callable[..., bytes], make_card: Callable[..., Card], labels: tuple[str, ...], tmp_path: Path
) -> Callable[[Callable[[dict[str, float]], Any]], int]:
    """A function that runs the program on one picture; its argument makes the stand-in's answer of edgecnn's scores."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "lib" / "python3" / "site-packages" / "mediapipe").mkdir(parents=True)
    bundle = tmp_path / "model.tflite"
    bundle.write_bytes(seal(make_model(), labels=labels, preprocess=PREPROCESS, card=make_card()))
    cv2.imwrite(str(tmp_path / "photos" / "a.png"), noise(4, 4))

    def run(answer: Callable[[dict[str, float]], Any]) -> int:
        found = Classifier(bundle).classify(noise(4, 4))
        python = tmp_path / "venv" / "bin" / "python"
        text = json.dumps(answer({item.label: item.score for item in found}))
        python.write_text(f"#!/bin/sh\nprintf '%s' '{text}' > \"$4\"\n" if text != "null" else "#!/bin/sh\nexit 1\n")
        python.chmod(0o755)
        return main([str(bundle), str(tmp_path / "photos"), "--venv", str(tmp_path / "venv")])

    return run


def test_equal_scores_pass(
    check: Callable[[Callable[[dict[str, float]], Any]], int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(lambda scores: {"scores": [scores]}) == 0
    output = capsys.readouterr().out
    assert "a.png" in output
    assert "1 pictures, 0 differ (tolerance 0.02)" in output


def test_other_scores_fail(
    check: Callable[[Callable[[dict[str, float]], Any]], int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(lambda scores: {"scores": [{label: score / 2 for label, score in scores.items()}]}) == 1
    assert "DIFFERS" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"error": "only RGB"}, "Error: MediaPipe cannot run this bundle: only RGB\n"),
        (None, "MediaPipe does not run in"),
    ],
)
def test_what_mediapipe_refuses_is_an_error(
    check: Callable[[Callable[[dict[str, float]], Any]], int],
    capsys: pytest.CaptureFixture[str],
    answer: Any,
    message: str,
) -> None:
    assert check(lambda scores: answer) == 1
    assert message in capsys.readouterr().err


def test_a_folder_without_pictures_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "venv" / "lib" / "python3" / "site-packages" / "mediapipe").mkdir(parents=True)
    assert main([str(tmp_path / "m.tflite"), str(tmp_path), "--venv", str(tmp_path / "venv")]) == 1
    assert "found none" in capsys.readouterr().err
