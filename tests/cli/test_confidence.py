"""A calibrated confidence on the command line: made by convert, used by predict and camera, shown by inspect."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from edgecnn.bundle.bundle import open_bundle
from edgecnn.data.images import read_image
from edgecnn.runtime.classifier import Classifier
from tests.cli.confident import with_confidence

Run = Callable[..., Result]
CONVERT = ("convert", "float.tflite", "-o", "out.tflite", "--data", "data", "--preprocess", "raw")


@pytest.fixture
def score(place: Path) -> float:
    """The best score of int8.tflite on red.png."""
    return Classifier(place / "int8.tflite").classify(read_image(place / "red.png"))[0].score


def test_convert_finds_it_and_the_bundle_carries_it(edgecnn: Run, place: Path) -> None:
    result = edgecnn(*CONVERT, "--calibrate-confidence", "--json")
    record = json.loads(result.stdout)
    card = open_bundle(place / "out.tflite").card
    assert card is not None
    assert card.confidence is not None
    assert record["confidence"] == card.confidence.to_dict()
    assert (record["confidence"]["temperature"], record["confidence"]["split"]) == (1, "val")  # nothing is wrong here
    assert "calibrate confidence: " in result.stderr
    shown = edgecnn(*CONVERT, "--calibrate-confidence", "--keep-right", 1)
    text = " ".join(shown.stdout.split())
    samples = record["confidence"]["samples"]
    assert re.search(
        rf"confidence: temperature 1; calibration error [\d.]+% before, .* on {samples} images \(val\)", text
    )
    assert re.search(r"unknown below [\d.]+%: 100.00% of the right answers keep their label", text)
    assert "the temperature stays 1" in " ".join(shown.stderr.split())
    assert max(map(len, [*shown.stdout.splitlines(), *shown.stderr.splitlines()])) <= 80


def test_a_recipe_can_ask_for_it(edgecnn: Run, place: Path) -> None:
    (place / "r.toml").write_text("[convert]\ncalibrate_confidence = true\nkeep_right = 0.5\n")
    assert edgecnn(*CONVERT, "--config", "r.toml").exit_code == 0
    written = (place / "out.recipe.toml").read_text()
    assert "calibrate_confidence = true" in written
    assert "keep_right = 0.5" in written
    first = (place / "out.tflite").read_bytes()
    assert edgecnn(*CONVERT, "--config", "out.recipe.toml").exit_code == 0
    assert (place / "out.tflite").read_bytes() == first
    assert edgecnn(*CONVERT, "--config", "r.toml", "--keep-right", 1).exit_code == 0
    assert "keep_right = 1.0" in (place / "out.recipe.toml").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--keep-right", "0.9"), "--keep-right needs --calibrate-confidence"),
        (("--calibrate-confidence", "--keep-right", "0"), "0.0 is not in the range"),
        (("--calibrate-confidence", "--keep-right", "1.1"), "1.1 is not in the range"),
        (("--calibrate-confidence", "yes"), "unexpected extra argument"),
    ],
)
def test_wrong_usage_exits_2(options: tuple[str, ...], message: str, edgecnn: Run, place: Path) -> None:
    result = edgecnn(*CONVERT, *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (place / "out.tflite").exists()


def test_images_without_labels_are_refused(failure: Callable[..., str]) -> None:
    arguments = ("convert", "float.tflite", "-o", "out.tflite", "--data", "flat", "--labels", "labels.txt")
    line = failure(*arguments, "--preprocess", "raw", "--calibrate-confidence")
    assert line == "--calibrate-confidence needs labelled images, and flat has no class folders"


def test_predict_says_unknown(edgecnn: Run, place: Path, score: float) -> None:
    with_confidence(place / "int8.tflite", place / "strict.tflite", unknown_below=score + 1e-3)
    with_confidence(place / "int8.tflite", place / "loose.tflite", unknown_below=score - 1e-3)
    lines = edgecnn("predict", "strict.tflite", "red.png").stdout.splitlines()
    needed = f"{score + 1e-3:.2%} is needed to name it"
    assert lines[1] == f"  unknown: the best guess is red with {score:.2%}, {needed}"
    assert lines[2].split() == ["red", f"{score:.2%}"]
    assert len(lines) == 5
    loose, plain = (edgecnn("predict", name, "red.png").stdout.splitlines() for name in ("loose.tflite", "int8.tflite"))
    assert loose[1:] == plain[1:]
    found = {}
    for name in ("strict.tflite", "loose.tflite", "int8.tflite"):
        [record] = json.loads(edgecnn("predict", name, "red.png", "--json", "--top-k", 1).stdout)
        found[name] = record["unknown"]
        assert record["predictions"] == [{"label": "red", "index": 2, "score": score}]
    assert found == {"strict.tflite": True, "loose.tflite": False, "int8.tflite": False}


def test_predict_shows_scores_with_the_temperature(edgecnn: Run, place: Path) -> None:
    with_confidence(place / "int8.tflite", place / "warm.tflite", temperature=3.0)
    before, after = (
        json.loads(edgecnn("predict", name, "red.png", "--json").stdout)[0]["predictions"]
        for name in ("int8.tflite", "warm.tflite")
    )
    assert [item["label"] for item in before] == [item["label"] for item in after]
    scores = np.array([item["score"] for item in before])
    powers = np.maximum(scores, 1 / 512) ** (1 / 3)
    assert [item["score"] for item in after] == pytest.approx(powers / powers.sum(), abs=1e-6)


def test_evaluate_uses_the_temperature_and_counts_the_same(edgecnn: Run, place: Path) -> None:
    with_confidence(place / "int8.tflite", place / "warm.tflite", temperature=5.0)
    result = edgecnn("evaluate", "int8.tflite", "warm.tflite", "--data", "data", "--json")
    before, after = json.loads(result.stdout)
    assert (before["top1"], before["confusion"]) == (after["top1"], after["confusion"])
    for name in ("int8", "warm"):
        assert edgecnn("evaluate", f"{name}.tflite", "--data", "data", "--csv", f"{name}.csv").exit_code == 0
    sure, unsure = ((place / f"{name}.csv").read_text().splitlines()[1:] for name in ("int8", "warm"))
    for one, other in zip(sure, unsure, strict=True):
        assert one.rpartition(",")[0] == other.rpartition(",")[0]
        assert float(one.rpartition(",")[2]) > float(other.rpartition(",")[2])


def test_camera_takes_the_models_threshold_unless_one_is_typed(edgecnn: Run, place: Path) -> None:
    (place / "one").mkdir()
    (place / "red.png").rename(place / "one" / "red.png")
    score = Classifier(place / "int8.tflite").classify(read_image(place / "one" / "red.png"))[0].score
    with_confidence(place / "int8.tflite", place / "strict.tflite", unknown_below=min(1.0, score + 1e-3))
    with_confidence(place / "int8.tflite", place / "flat.tflite", temperature=10.0, unknown_below=0.35)

    def label(model: str, *options: object) -> list[Any]:
        command = ("camera", model, "--source", "one", "--headless", "--events", "e.jsonl", *options)
        assert edgecnn(*command).exit_code == 0
        line = json.loads((place / "e.jsonl").read_text("utf-8").splitlines()[-1])
        return [line["label"], line["index"], line["score"]]

    assert label("int8.tflite") == ["red", 2, pytest.approx(score, abs=1e-6)]
    assert label("strict.tflite") == ["unknown", None, pytest.approx(score, abs=1e-6)]
    assert label("strict.tflite", "--threshold", score - 1e-3)[:2] == ["red", 2]
    assert label("strict.tflite", "--threshold", 0)[:2] == ["red", 2]
    name, _, low = label("flat.tflite")
    assert name == "red"
    assert 0.35 < low < 0.5  # 0.5 would not have named it
    assert label("flat.tflite", "--threshold", 0.5)[0] == "unknown"
    assert label("int8.tflite", "--threshold", min(1.0, score + 1e-3))[0] == "unknown"


def test_inspect_shows_it(edgecnn: Run, place: Path) -> None:
    confidence = with_confidence(place / "int8.tflite", place / "warm.tflite", temperature=1.25, unknown_below=0.4)
    assert json.loads(edgecnn("inspect", "warm.tflite", "--json").stdout)["confidence"] == confidence.to_dict()
    shown = edgecnn("inspect", "warm.tflite").stdout
    assert "  confidence   temperature 1.25, unknown below 40.0%, 240 images (val)\n" in shown
    with_confidence(place / "int8.tflite", place / "warm.tflite", temperature=1.25)
    assert "  confidence   temperature 1.25, 240 images (val)\n" in edgecnn("inspect", "warm.tflite").stdout
    for name in ("int8.tflite", "float.tflite"):
        assert json.loads(edgecnn("inspect", name, "--json").stdout)["confidence"] is None
        assert "confidence" not in edgecnn("inspect", name).stdout
