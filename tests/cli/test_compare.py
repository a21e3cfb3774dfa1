"""`edgecnn compare`: the verdict, the JSON, the gate, one row an image, and what cannot be compared."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from edgecnn.cli.compare import _names
from edgecnn.files import sha256_path
from tests.keras_models import COLORS
from tests.models import linear

Run = Callable[..., Result]
RAW = ("--data", "data", "--preprocess", "raw")
CONTRACT = {
    "samples": int, "agreement": float, "float_top1": float, "quantized_top1": float, "drop_pp": float,
    "drop_ci95": list, "flips": list,
}  # fmt: skip
MORE = {
    "schema", "float", "quantized", "data", "split", "skipped", "skipped_images", "labels", "float_ci95",
    "quantized_ci95", "mcnemar", "per_class", "drift", "verdict", "preprocess", "max_drop", "within_budget", "notes",
}  # fmt: skip


@pytest.fixture
def worse(place: Path) -> str:
    """The name of a model that never says green, and is right else."""
    weights = 0.2 * np.eye(3, dtype=np.float32)[::-1]
    weights[1] = 0
    (place / "worse.tflite").write_bytes(linear(weights, size=(8, 8)))
    return "worse.tflite"


def record_of(result: Result, code: int = 0) -> dict[str, Any]:
    assert result.exit_code == code, result.stderr
    return dict(json.loads(result.stdout))


def test_every_key_of_the_contract(edgecnn: Run, place: Path) -> None:
    record = record_of(edgecnn("compare", "float.tflite", "int8.tflite", *RAW, "--json"))
    assert {key: type(record[key]) for key in CONTRACT} == CONTRACT
    assert record.keys() == CONTRACT.keys() | MORE
    assert (record["schema"], record["samples"], record["split"]) == ("edgecnn.compare/1", 24, "test")
    for side, name in (("float", "float.tflite"), ("quantized", "int8.tflite")):
        path = place / name
        assert record[side] == {"model": name, "sha256": sha256_path(path), "size_bytes": path.stat().st_size}
    assert (record["agreement"], record["float_top1"], record["drop_pp"]) == (1.0, 1.0, 0.0)
    assert record["labels"] == list(COLORS)
    assert [record["preprocess"][side]["source"] for side in ("float", "quantized")] == ["stated", "card"]
    assert (record["max_drop"], record["within_budget"]) == (None, True)


def test_a_keras_model_against_its_int8_file(edgecnn: Run) -> None:
    record = record_of(edgecnn("compare", "model.keras", "int8.tflite", *RAW, "--json", "--limit", 9))
    assert (record["samples"], record["float"]["model"]) == (9, "model.keras")


def test_what_is_shown(edgecnn: Run, worse: str) -> None:
    result = edgecnn("compare", "float.tflite", worse, *RAW)
    assert result.exit_code == 0, result.stderr
    text = " ".join(result.stdout.split())
    lines = result.stdout.splitlines()
    assert lines[0] == "float.tflite and worse.tflite on 24 images of data (test)"
    assert "worse loses 33.33 points of float's accuracy: 66.67 % against 100.00 % on 24 images" in text
    assert "same label: 66.67% of 24 images" in text
    assert "right where they differ: 8 only float, 0 only worse, 0 neither" in text
    assert "top-1 100.00% 66.67% -33.33 pp" in text
    assert any(line.split() == ["green", "8", "100.0%", "0.0%", "-100.0", "pp", "8"] for line in lines)


@pytest.mark.parametrize(
    "command",
    [
        ("float.tflite", "worse.tflite", *RAW),
        ("float.tflite", "float.tflite", *RAW),
        ("float.tflite", "worse.tflite", "--data", "flat", "--labels", "labels.txt", "--preprocess", "raw"),
        ("float.tflite", "a-model-with-a-rather-long-name-that-nobody-can-remember.tflite", "--data", "data",
         "--labels", "long.txt", "--preprocess", "mean=103.939,116.779,123.68,std=57.375,57.12,58.395,rgb,letterbox"),
    ],
    ids=["labelled", "same", "unlabelled", "long"],
)  # fmt: skip
def test_80_columns_are_enough(command: tuple[str, ...], edgecnn: Run, worse: str, place: Path) -> None:
    (place / "a-model-with-a-rather-long-name-that-nobody-can-remember.tflite").write_bytes(
        (place / worse).read_bytes()
    )
    long = [f"{color} with a name of some length" for color in COLORS]
    (place / "long.txt").write_text("\n".join(long))
    if "long.txt" in command:
        for split in ("train", "test"):
            for color, name in zip(COLORS, long, strict=True):
                (place / "data" / split / color).rename(place / "data" / split / name)
    result = edgecnn("compare", *command)
    assert result.exit_code == 0, result.stderr
    assert [line for line in result.output.splitlines() if len(line) > 80] == []


def test_the_gate_is_the_measured_drop(edgecnn: Run, worse: str) -> None:
    missed = edgecnn("compare", "float.tflite", worse, *RAW, "--max-drop", 33, "--json")
    record = record_of(missed, code=3)
    assert (record["max_drop"], record["within_budget"]) == (33.0, False)
    assert "Budget missed: top-1 fell by 33.33 points, --max-drop allows 33." in missed.stderr
    kept = record_of(edgecnn("compare", "float.tflite", worse, *RAW, "--max-drop", 33.4, "--json"))
    assert kept["within_budget"] is True
    assert kept["drop_ci95"][1] > 33.4  # the interval is told, and is no gate
    risen = edgecnn("compare", worse, "float.tflite", *RAW, "--max-drop", 0)
    assert risen.exit_code == 0


def test_flips_keep_so_many_pictures(edgecnn: Run, worse: str) -> None:
    for flips, shown in (((), 8), (("--flips", 3), 3), (("--flips", 0), 0)):
        record = record_of(edgecnn("compare", "float.tflite", worse, *RAW, "--json", *flips))
        assert len(record["flips"]) == 8
        assert sum(flip["thumbnail"] is not None for flip in record["flips"]) == shown
        assert {(flip["label"], flip["float"]["label"], flip["kind"]) for flip in record["flips"]} == {
            ("green", "green", "broken")
        }


def test_one_row_an_image(edgecnn: Run, worse: str, place: Path) -> None:
    result = edgecnn("compare", "float.tflite", worse, *RAW, "--csv", "rows.csv", "--json")
    text = (place / "rows.csv").read_text(encoding="utf-8")
    assert text.startswith("image,label,float,float_score,quantized,quantized_score\n")
    rows = {row["image"]: row for row in csv.DictReader(io.StringIO(text))}
    assert len(rows) == 24
    for flip in record_of(result)["flips"]:
        row = rows.pop(flip["image"])
        assert (row["label"], row["float"], row["quantized"]) == ("green", "green", flip["quantized"]["label"])
        assert float(row["quantized_score"]) == pytest.approx(flip["quantized"]["score"], abs=1e-6)
    assert all(row["label"] == row["float"] == row["quantized"] for row in rows.values())


def test_each_model_keeps_its_own_labels_and_preprocessing(edgecnn: Run, place: Path) -> None:
    """int8.tflite says both itself; the foreign model has its labels in another order and takes 0 to 1."""
    weights = 51 * np.eye(3, dtype=np.float32)[::-1][[2, 0, 1]]
    (place / "unit.tflite").write_bytes(linear(weights, size=(8, 8)))
    (place / "order.txt").write_text("red\nblue\ngreen\n")
    foreign = ("--labels", "order.txt", "--preprocess", "unit")
    for pair in (("int8.tflite", "unit.tflite"), ("unit.tflite", "int8.tflite")):
        result = edgecnn("compare", *pair, "--data", "data", *foreign, "--json")
        record = record_of(result)
        assert (record["agreement"], record["float_top1"], record["quantized_top1"]) == (1.0, 1.0, 1.0)
        assert "stand in different orders; they are matched by name" in " ".join(record["notes"])
        assert record["labels"] == (list(COLORS) if pair[0] == "int8.tflite" else ["red", "blue", "green"])
    both = record_of(edgecnn("compare", "int8.tflite", "int8.tflite", "--data", "data", *foreign, "--json"))
    assert both["labels"] == ["red", "blue", "green"]
    assert both["float_top1"] < 1


def test_pictures_that_cannot_be_read_are_told(edgecnn: Run, place: Path) -> None:
    (place / "data" / "test" / "red" / "red1.png").write_bytes(b"broken")
    result = edgecnn("compare", "float.tflite", "int8.tflite", *RAW)
    assert "skipped test/red/red1.png" in " ".join(result.stderr.split())
    record = record_of(edgecnn("compare", "float.tflite", "int8.tflite", *RAW, "--json"))
    assert (record["samples"], record["skipped"]) == (23, 1)
    assert record["skipped_images"][0]["image"] == "test/red/red1.png"


def test_unlabelled_pictures_tell_agreement(edgecnn: Run, worse: str, place: Path) -> None:
    flat = ("--data", "flat", "--labels", "labels.txt", "--preprocess", "raw")
    record = record_of(edgecnn("compare", "float.tflite", worse, *flat, "--json", "--csv", "rows.csv"))
    assert record["samples"] == 9
    assert 0 < record["agreement"] < 1
    assert [record[key] for key in ("float_top1", "quantized_top1", "drop_pp", "drop_ci95", "mcnemar")] == [None] * 5
    assert {flip["label"] for flip in record["flips"]} == {None}
    assert (place / "rows.csv").read_text().splitlines()[1].split(",")[1] == ""
    assert "not known without class folders" in " ".join(
        edgecnn("compare", "float.tflite", worse, *flat).stdout.split()
    )


def test_what_cannot_be_compared(failure: Callable[..., str], place: Path) -> None:
    flat = ("--data", "flat", "--labels", "labels.txt", "--preprocess", "raw")
    expected = "--max-drop needs labelled images, and flat has no class folders"
    assert failure("compare", "float.tflite", "int8.tflite", *flat, "--max-drop", "1") == expected
    assert "no such model: none.keras" in failure("compare", "float.tflite", "none.keras", *RAW)
    assert "text.keras is no model" in failure("compare", "text.keras", "int8.tflite", *RAW)
    (place / "cats.txt").write_text("cat\ndog\nhen\n")
    assert failure("compare", "float.tflite", "int8.tflite", *RAW, "--labels", "cats.txt") == (
        "float and int8 have no label in common (cat, dog, hen against blue, green, red); "
        "compare models of the same classes, or give their names with --labels FILE"
    )


@pytest.mark.parametrize(
    "wrong", [(), ("a",), ("a", "b"), ("a", "b", "c", "--data", "data"), ("a", "b", "--flips", "-1")]
)
def test_wrong_usage_exits_2(wrong: tuple[str, ...], edgecnn: Run) -> None:
    assert edgecnn("compare", *wrong).exit_code == 2


@pytest.mark.parametrize(
    ("first", "second", "names"),
    [
        ("float.tflite", "int8.tflite", ("float", "int8")),
        ("m/resnet8_float.tflite", "m/resnet8_int8.tflite", ("float", "int8")),
        ("resnet8.keras", "resnet8.tflite", ("keras", "tflite")),
        ("a.h5", "b-2.tflite", ("a", "b-2")),
        ("r8.keras", "r8-int8.tflite", ("keras", "int8")),
        ("r8.keras", "r8.h5", ("keras", "h5")),
        ("a.h5", "b/a.tflite", ("h5", "tflite")),
        ("my-net-v1_int8.tflite", "my-net-v2-qat_int8.tflite", ("v1", "v2-qat")),
        ("r8.tflite", "r8_int8.tflite", ("r8.tflite", "r8_int8.tflite")),
        ("old/m.tflite", "new/m.tflite", ("old/m.tflite", "new/m.tflite")),
        ("m.tflite", "m.tflite", ("m.tflite", "m.tflite")),
    ],
)
def test_models_are_called_by_what_differs(first: str, second: str, names: tuple[str, str]) -> None:
    assert _names(Path(first), Path(second)) == names


def test_a_report(edgecnn: Run, worse: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record goes to the report and into its folder; what the page shows is tested with the report."""
    drawn: list[tuple[list[dict[str, Any]], str]] = []

    def render(records: list[dict[str, Any]], form: str) -> str:
        drawn.append((records, form))
        return "the page"

    monkeypatch.setattr("edgecnn.report.render.render", render)
    result = edgecnn("compare", "float.tflite", worse, *RAW, "--report", "new/report", "--json", "--max-drop", 1)
    record = record_of(result, code=3)
    assert drawn == [([record], "html")]
    assert json.loads((place / "new" / "report" / "compare.json").read_text(encoding="utf-8")) == record
    assert (place / "new" / "report" / "report.html").read_text() == "the page"
    assert "Report: new/report/report.html" in result.stderr


def test_a_report_that_cannot_be_written_is_told_first(failure: Callable[..., str], place: Path) -> None:
    assert failure("compare", "float.tflite", "int8.tflite", *RAW, "--report", "labels.txt/report") == (
        f"cannot write a report into labels.txt/report: {place / 'labels.txt'} is no folder that can be written"
    )
