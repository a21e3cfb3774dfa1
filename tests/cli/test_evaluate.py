"""`edgecnn evaluate`: numbers of one and of several models, and one row an image."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from edgecnn.files import sha256_path

Run = Callable[..., Result]
CONTRACT = {
    "model": str, "samples": int, "skipped": int, "top1": float, "top5": float, "precision": float, "recall": float,
    "f1": float, "per_class": list, "confusion": list, "images_per_second": float,
}  # fmt: skip


def test_every_key_of_the_contract(edgecnn: Run, place: Path) -> None:
    result = edgecnn("evaluate", "int8.tflite", "model.keras", "float.tflite", "--data", "data", "--json")
    assert result.exit_code == 0, result.stderr
    records = json.loads(result.stdout)
    assert [record["model"] for record in records] == ["int8.tflite", "model.keras", "float.tflite"]
    for record in records:
        assert {key: type(record[key]) for key in CONTRACT} == CONTRACT
        assert (record["top1"], record["samples"], record["split"]) == (1.0, 24, "test")
        assert record["sha256"] == sha256_path(place / record["model"])
    assert [record["preprocess"]["source"] for record in records] == ["card", "auto", "auto"]
    assert "evaluate model.keras" in result.stderr


def test_the_split_and_the_limit(edgecnn: Run) -> None:
    for split, samples in (("train", 33), ("val", 3), ("test", 24)):
        result = edgecnn("evaluate", "int8.tflite", "--data", "data", "--split", split, "--json")
        assert json.loads(result.stdout)[0]["samples"] == samples
    result = edgecnn("evaluate", "int8.tflite", "--data", "data", "--limit", 6, "--json")
    assert [entry["support"] for entry in json.loads(result.stdout)[0]["per_class"]] == [2, 2, 2]
    assert edgecnn("evaluate", "int8.tflite", "--data", "data", "--split", "other").exit_code == 2
    assert edgecnn("evaluate", "int8.tflite", "--data", "data", "--limit", 0).exit_code == 2


def test_one_row_an_image(edgecnn: Run, place: Path) -> None:
    (place / "labels.txt").write_text('blue\n"green, light"\nred\n')
    (place / "data" / "test" / "red" / "red1.png").write_bytes(b"broken")
    arguments = ("evaluate", "float.tflite", "--data", "data", "--labels", "labels.txt", "--preprocess", "raw")
    result = edgecnn(*arguments, "--csv", "rows.csv")
    assert result.exit_code == 0, result.stderr
    text = (place / "rows.csv").read_text(encoding="utf-8")
    assert text.startswith("image,label,predicted,score\n")
    rows = {row["image"]: row for row in csv.DictReader(io.StringIO(text))}
    assert len(rows) == 15  # the class that the labels do not name is left out, and one image cannot be read
    assert rows["test/blue/blue0.png"]["predicted"] == "blue"
    assert 0.9 < float(rows["test/red/red0.png"]["score"]) <= 1
    assert "test/red/red1.png" not in rows
    assert "skipped test/red/red1.png" in " ".join(result.stderr.split())
    assert "classes the model does not know are left out: green" in result.stderr


def test_rows_of_several_models_are_refused(edgecnn: Run, place: Path) -> None:
    result = edgecnn("evaluate", "int8.tflite", "float.tflite", "--data", "data", "--csv", "rows.csv")
    assert result.exit_code == 2
    assert "--csv takes the predictions of one model" in result.stderr
    assert not (place / "rows.csv").exists()


def test_what_is_shown(edgecnn: Run) -> None:
    result = edgecnn("evaluate", "int8.tflite", "--data", "data")
    lines = result.stdout.splitlines()
    assert lines[0] == "int8.tflite on 24 images of data (test)"
    assert lines[1] == "  top-1      100.00%  (95 %: 86.20% to 100.00%)"
    assert lines[-2] == "  weakest classes by F1: blue 1.00, green 1.00, red 1.00"
    assert lines[-1] == "  preprocessing: raw,size=8x8,rgb,stretch, as the model file says"


@pytest.mark.parametrize("spec", ["raw,bgr", "imagenet,bgr,letterbox"])
def test_a_stated_preprocessing_is_used_even_if_it_is_wrong(spec: str, edgecnn: Run) -> None:
    result = edgecnn("evaluate", "int8.tflite", "--data", "data", "--preprocess", spec, "--json")
    record = json.loads(result.stdout)[0]
    assert record["preprocess"]["source"] == "stated"
    assert record["top1"] < 1


def test_a_built_in_data_set(edgecnn: Run, place: Path) -> None:
    """Ten classes for a model of three: refused with what to do."""
    result = edgecnn("evaluate", "float.tflite", "--data", "digits", "--preprocess", "raw")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == (
        "Error: float.tflite has 3 classes and digits has 10 class folders; "
        "give the model's class names in output order with --labels FILE"
    )
