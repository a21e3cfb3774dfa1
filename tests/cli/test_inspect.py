"""`edgecnn inspect`: models of edgecnn, of others, and of Keras."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from edgecnn.bundle.metadata import pack_metadata
from edgecnn.bundle.tflite import with_metadata
from edgecnn.config import Preprocess
from edgecnn.files import sha256_path

Run = Callable[..., Result]
CONTRACT = {
    "path": str, "sha256": str, "size_bytes": int, "inputs": list, "outputs": list, "ops": dict, "labels": list,
    "preprocess": dict, "provenance": dict,
}  # fmt: skip


@pytest.mark.parametrize("model", ["int8.tflite", "float.tflite", "model.keras"])
def test_every_key_of_the_contract(model: str, edgecnn: Run, place: Path) -> None:
    record = json.loads(edgecnn("inspect", model, "--json").stdout)
    assert {key: type(record[key]) for key in CONTRACT} == CONTRACT
    assert (record["path"], record["sha256"]) == (model, sha256_path(place / model))
    assert record["size_bytes"] == (place / model).stat().st_size
    [image], [scores] = record["inputs"], record["outputs"]
    assert image.keys() == scores.keys() == {"name", "shape", "dtype", "scale", "zero_point"}
    assert (image["shape"][1:], scores["shape"][-1]) == ([8, 8, 3], 3)
    assert image["dtype"] == ("int8" if model == "int8.tflite" else "float32")
    assert record["ops"]["FULLY_CONNECTED"] == 1


def test_a_bundle_says_all(edgecnn: Run, place: Path) -> None:
    record = json.loads(edgecnn("inspect", "int8.tflite", "--json").stdout)
    assert record["labels"] == ["blue", "green", "red"]
    assert record["preprocess"]["spec"] == "raw,size=8x8,rgb,stretch"
    provenance = record["provenance"]
    assert provenance["source"] == {
        "name": "float.tflite", "kind": "tflite", "sha256": sha256_path(place / "float.tflite")
    }  # fmt: skip
    assert provenance["recipe"]["quantize"] == "int8"
    assert provenance["accuracy"]["samples"] == 24
    assert record["reference"].keys() == {"brightness", "contrast", "sharpness", "score", "samples", "split"}
    assert json.loads(edgecnn("inspect", "float.tflite", "--json").stdout)["reference"] is None
    shown = edgecnn("inspect", "int8.tflite").stdout
    for text in ("int8  scale 1", "labels       blue, green, red", "made from    float.tflite (tflite), sha256 ",
                 "reference    brightness ", "5% to 95% of 24 images (test)",
                 "accuracy     top-1 100.00%, float 100.00%, on 24 images", "edgecnn 0.1.0"):  # fmt: skip
        assert text in shown


def test_a_foreign_model_says_what_it_does_not_know(edgecnn: Run, place: Path) -> None:
    shown = edgecnn("inspect", "float.tflite").stdout
    for text in ("labels       none inside", "preprocess   not stated in the file", "provenance   not made by edgecnn"):
        assert text in shown
    metadata = pack_metadata(
        Preprocess(8, 8, mean=(127.5,), std=(64.0,)), name="x", description="", output_name="y", label_file="",
        card_file="",
    )  # fmt: skip
    (place / "other.tflite").write_bytes(with_metadata((place / "float.tflite").read_bytes(), metadata))
    record = json.loads(edgecnn("inspect", "other.tflite", "--json").stdout)
    assert (set(record["preprocess"]["mean"]), set(record["preprocess"]["std"])) == ({127.5}, {64.0})
    assert "preprocess   mean [127.5" in edgecnn("inspect", "other.tflite").stdout


@pytest.mark.parametrize("model", ["float.tflite", "any.keras", "model.keras"])
def test_labels_and_preprocessing_may_be_stated(model: str, edgecnn: Run) -> None:
    result = edgecnn("inspect", model, "--labels", "labels.txt", "--preprocess", "unit,size=8", "--json")
    assert result.exit_code == 0, result.stderr
    record = json.loads(result.stdout)
    assert (record["labels"], record["preprocess"]["spec"]) == (["blue", "green", "red"], "unit,size=8x8,rgb,stretch")


def test_a_model_of_any_size_wants_one(edgecnn: Run) -> None:
    assert edgecnn("inspect", "any.keras").exit_code == 1
    record = json.loads(edgecnn("inspect", "any.keras", "--preprocess", "size=9x7", "--json").stdout)
    assert (record["inputs"][0]["shape"], record["preprocess"]) == ([1, 7, 9, 3], {})
