"""`edgecnn sensitivity`: the table, the JSON, the plot, and the names that go to --keep-float."""

import json
from pathlib import Path

import cv2

from edgecnn.bundle.tflite import describe
from tests.cli.conftest import Run

MODEL = ("model.keras", "--data", "data", "--preprocess", "raw")


def test_every_layer_is_listed_within_80_columns(edgecnn: Run, place: Path) -> None:
    result = edgecnn("sensitivity", *MODEL)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["layer", "top-1", "pp", "same", "label", "SQNR", "its", "own"]
    assert max(map(len, lines)) <= 80
    assert "Each layer alone in int8, the others float, on 24 images" in result.stdout


def test_its_names_are_those_of_keep_float(edgecnn: Run, place: Path) -> None:
    result = edgecnn("sensitivity", *MODEL, "--json", "--limit", 6, "--plot", "layers.png")
    record = json.loads(result.stdout)
    assert record["schema"] == "edgecnn.sensitivity/1"
    assert record["samples"] == 6
    divergences = [layer["divergence"] for layer in record["layers"]]
    assert divergences == sorted(divergences, reverse=True)
    plot = cv2.imread(str(place / "layers.png"))
    assert plot is not None
    assert plot.shape[1] == 1000
    name = next(layer["layer"] for layer in record["layers"] if "FULLY_CONNECTED" in layer["kinds"])
    kept = edgecnn("convert", *MODEL, "-o", "kept.tflite", "--keep-float", name, "--json")
    assert kept.exit_code == 0, kept.output
    assert json.loads(kept.stdout)["layers_kept_float"] == [name]
    assert "DEQUANTIZE" in describe((place / "kept.tflite").read_bytes()).ops
    wrong = edgecnn("convert", *MODEL, "-o", "no.tflite", "--keep-float", "dense_99")
    assert wrong.exit_code == 1
    assert "dense_99" in wrong.stderr
    assert name in wrong.stderr, "the names that there are"


def test_a_quantized_model_is_refused(edgecnn: Run, place: Path) -> None:
    result = edgecnn("sensitivity", "int8.tflite", "--data", "data")
    assert result.exit_code == 1
    assert "is quantized already; give the float model it was made from" in result.stderr


def test_a_picture_that_cannot_be_read_is_counted_and_named(edgecnn: Run, place: Path) -> None:
    bad = sorted((place / "data" / "test" / "red").iterdir())[0]
    bad.write_bytes(b"no picture")
    result = edgecnn("sensitivity", *MODEL, "--json")
    record = json.loads(result.stdout)
    assert (record["samples"], record["skipped"]) == (23, 1)
    assert bad.name in record["skipped_images"][0]["image"]
    assert f"skipped test/red/{bad.name}" in edgecnn("sensitivity", *MODEL).stderr.replace("\n", " ")


def test_unlabelled_pictures_tell_agreement(edgecnn: Run, place: Path) -> None:
    result = edgecnn(
        "sensitivity", "float.tflite", "--data", "flat", "--preprocess", "raw", "--labels", "labels.txt", "--json"
    )
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert record["float_top1"] is None
    assert record["layers"][0]["top1_drop"] is None
