"""`edgecnn evaluate`: numbers of one and of several models, and one row an image."""

import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from edgecnn.files import sha256_path
from tests.models import linear

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


def test_rows_of_several_models_name_the_model(edgecnn: Run, place: Path) -> None:
    result = edgecnn("evaluate", "int8.tflite", "float.tflite", "--data", "data", "--csv", "rows.csv", "--json")
    assert result.exit_code == 0, result.stderr
    text = (place / "rows.csv").read_text(encoding="utf-8")
    assert text.startswith("model,image,label,predicted,score\n")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["model"] for row in rows] == ["int8.tflite"] * 24 + ["float.tflite"] * 24
    assert [row["image"] for row in rows[:24]] == [row["image"] for row in rows[24:]]
    for row in rows:
        assert row["predicted"] == row["label"] == row["image"].split("/")[1]
    for record, name in zip(json.loads(result.stdout), ("int8.tflite", "float.tflite"), strict=True):
        scores = [float(row["score"]) for row in rows if row["model"] == name]
        found = [b["confidence"] * b["count"] for b in record["calibration"]["bins"] if b["count"]]
        assert sum(found) == pytest.approx(sum(scores), abs=1e-4)


def test_what_is_shown(edgecnn: Run) -> None:
    result = edgecnn("evaluate", "int8.tflite", "--data", "data")
    lines = result.stdout.splitlines()
    assert lines[0] == "int8.tflite on 24 images of data (test)"
    assert lines[1] == "  top-1      100.00%  (95 %: 86.20% to 100.00%)"
    assert lines[4] == "  F1         1.0000  (95 %: 1.0000 to 1.0000; weighted by support 1.0000)"
    assert re.fullmatch(r"  ECE        0\.\d{4}  \(95 %: 0\.\d{4} to 0\.\d{4}\)", lines[5])
    assert [line.split()[0] for line in lines[1:7]] == ["top-1", "precision", "recall", "F1", "ECE", "images/s"]
    assert lines[-2] == "  weakest classes by F1: blue 1.00, green 1.00, red 1.00"
    assert lines[-1] == "  preprocessing: raw,size=8x8,rgb,stretch, as the model file says"


def test_two_classes_are_shown_with_their_areas(edgecnn: Run, place: Path) -> None:
    (place / "two.tflite").write_bytes(linear(np.array([[0, 0, 0.1], [0.1, 0, 0]]), size=(8, 8)))
    shutil.rmtree(place / "data" / "test" / "green")
    shutil.rmtree(place / "data" / "train" / "green")
    given = ("--data", "data", "--labels", "pair.txt", "--preprocess", "raw")
    (place / "pair.txt").write_text("blue\nred\n")
    lines = edgecnn("evaluate", "two.tflite", *given).stdout.splitlines()
    assert lines[5] == "  ROC-AUC    1.0000  (average precision 1.0000, for red)"
    lines = edgecnn("evaluate", "two.tflite", "two.tflite", *given).stdout.splitlines()
    assert lines[1].split() == ["model", "top-1", "95", "%", "F1", "ROC-AUC", "ECE", "images/s"]


def test_several_models_are_shown_in_one_table(edgecnn: Run, place: Path) -> None:
    (place / "labels.txt").write_text("blue\ncyan\nred\n")
    shutil.copy("int8.tflite", "a_model_with_a_name_that_is_much_too_long.tflite")
    (place / "data" / "test" / "red" / "red1.png").write_bytes(b"broken")
    result = edgecnn("evaluate", "int8.tflite", "a_model_with_a_name_that_is_much_too_long.tflite", "--data", "data")
    lines = result.stdout.splitlines()
    assert lines[0] == "2 models on 23 images of data (test)"
    assert lines[1].split() == ["model", "top-1", "95", "%", "F1", "ECE", "images/s"]
    assert lines[2].startswith("int8.tflite")
    assert " 100.00%  85.69 to 100.00  1.0000  0." in lines[2]
    assert lines[3].startswith("…")
    assert "_long.tflite  100.00%" in lines[3]
    assert len(lines[3]) <= 80
    assert lines[2].split()[1:-1] == lines[3].split()[1:-1]
    assert lines[4:] == ["preprocessing: raw,size=8x8,rgb,stretch, as the model file says"]
    assert result.stderr.count("skipped test/red/red1.png") == 1


def test_what_differs_between_models_is_told_of_each(edgecnn: Run, place: Path) -> None:
    (place / "other").mkdir()
    content = linear(0.2 * np.eye(3, dtype=np.float32)[::-1], size=(8, 8))
    (place / "other" / "int8.tflite").write_bytes(content)
    result = edgecnn("evaluate", "int8.tflite", "other/int8.tflite", "--data", "data")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines[2:4]] == ["int8.tflite", "other/int8.tflite"]
    assert lines[4].startswith("preprocessing of int8.tflite: raw,size=8x8,rgb,stretch, as the model file")
    assert lines[5].startswith("preprocessing of other/int8.tflite: ")


def test_models_of_other_classes_see_other_images(edgecnn: Run, place: Path) -> None:
    shutil.copytree("data", "pair", ignore=shutil.ignore_patterns("green"))
    (place / "pair.tflite").write_bytes(linear(np.array([[0, 0, 0.1], [0.1, 0, 0]]), size=(8, 8)))
    assert edgecnn("convert", "pair.tflite", "-o", "two.tflite", "--data", "pair", "--preprocess", "raw").exit_code == 0
    result = edgecnn("evaluate", "int8.tflite", "two.tflite", "--data", "data")
    assert result.stdout.splitlines()[0] == "2 models on 16 to 24 images of data (test)"
    assert "  note: the models were measured on different images\n" in result.stderr
    assert "  note of two.tflite: classes the model does not know are left out: green\n" in result.stderr


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
