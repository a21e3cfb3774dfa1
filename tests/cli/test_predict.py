"""`edgecnn predict`: labels of pictures, good ones and bad ones among them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Run = Callable[..., Result]


def test_what_is_shown(edgecnn: Run) -> None:
    result = edgecnn("predict", "int8.tflite", "red.png")
    lines = result.stdout.splitlines()
    assert lines[0].startswith("red.png  (")
    assert lines[0].endswith(" ms)")
    assert lines[1].split()[0] == "red"
    assert all(line.endswith("%") for line in lines[1:])
    assert len(lines) == 4


def test_every_key_of_the_contract(edgecnn: Run) -> None:
    result = edgecnn("predict", "int8.tflite", "red.png", "data/test/blue/blue0.png", "--json", "--top-k", 2)
    records = json.loads(result.stdout)
    assert [record["image"] for record in records] == ["red.png", "data/test/blue/blue0.png"]
    for record, label in zip(records, ("red", "blue"), strict=True):
        assert record["latency_ms"] > 0
        assert len(record["predictions"]) == 2
        best, second = record["predictions"]
        assert best.keys() == {"label", "index", "score"}
        assert (best["label"], best["index"]) == (label, ["blue", "green", "red"].index(label))
        assert 1 >= best["score"] >= second["score"] >= 0


@pytest.mark.parametrize("model", ["float.tflite", "model.keras", "any.keras"])
def test_a_model_that_edgecnn_did_not_make(model: str, edgecnn: Run) -> None:
    options = ("--labels", "labels.txt", "--preprocess", "raw,size=8", "--threads", 2)
    result = edgecnn("predict", model, "red.png", *options, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)[0]["predictions"][0]["label"] == "red"


def test_bad_pictures_among_good_ones(edgecnn: Run) -> None:
    images = ("text.png", "red.png", "none.png", "data/test/blue/blue0.png")
    result = edgecnn("predict", "int8.tflite", *images, "--json")
    assert result.exit_code == 1
    assert [record["image"] for record in json.loads(result.stdout)] == ["red.png", "data/test/blue/blue0.png"]
    [line] = result.stderr.splitlines()
    assert line.startswith("Error: text.png: expected a JPEG, PNG, BMP or WebP image")
    assert line.endswith("; 2 of 4 images could not be read")
    shown = edgecnn("predict", "int8.tflite", *images)
    assert shown.exit_code == 1
    assert shown.stdout.count(" ms)") == 2


def test_the_name_of_a_picture_may_have_spaces_and_umlauts(edgecnn: Run, place: Path) -> None:
    name = "größtes rotes Bild 🟥.png"
    shutil.copy(place / "red.png", place / name)
    assert edgecnn("predict", "int8.tflite", name).stdout.startswith(name)
    assert json.loads(edgecnn("predict", "int8.tflite", name, "--json").stdout)[0]["image"] == name


@pytest.mark.parametrize(
    "wrong", [("--top-k", "0"), ("--threads", "0"), ("--threads", "65"), ("--preprocess", "x"), ("--source", "0")]
)
def test_wrong_usage_exits_2(wrong: tuple[str, str], edgecnn: Run) -> None:
    assert edgecnn("predict", "int8.tflite", "red.png", *wrong).exit_code == 2


def test_a_picture_must_be_given(edgecnn: Run) -> None:
    assert edgecnn("predict", "int8.tflite").exit_code == 2
