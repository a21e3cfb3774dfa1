"""`edgecnn convert`: what it prints, writes and exits with."""

import csv
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from edgecnn.bundle.bundle import open_bundle
from edgecnn.files import sha256_path
from edgecnn.runtime.classifier import Classifier
from tests.models import linear

Run = Callable[..., Result]
CONVERT = ("convert", "float.tflite", "-o", "out.tflite", "--data", "data", "--preprocess", "raw")


def test_the_result_is_shown_and_progress_goes_to_stderr(edgecnn: Run, place: Path) -> None:
    result = edgecnn(*CONVERT)
    assert result.exit_code == 0
    size, before = (place / "out.tflite").stat().st_size, (place / "float.tflite").stat().st_size
    first, *lines = result.stdout.splitlines()
    assert first == f"out.tflite: {size:,} B, int8, 3 labels"
    assert [line.split() for line in lines] == [
        ["float32", "int8"],
        ["size", lines[1].split()[1], "B", f"{size:,}", "B", *lines[1].split()[5:]],
        ["top-1", "100.00%", "100.00%", "+0.00", "pp"],
        "same label as float: 100.00% of 24 images".split(),
        "preprocessing: raw,size=8x8,rgb,stretch (stated)".split(),
    ]
    assert lines[1].endswith(" x larger")  # labels and card weigh more than this model's weights
    assert abs(int(lines[1].split()[1].replace(",", "")) - before) < 200
    steps = [line.partition(":")[0].strip() for line in result.stderr.splitlines()]
    assert steps[:3] == ["open data", "load", "prepare pictures"]
    assert "\r" not in result.stderr  # a bar is for terminals only


def test_json_is_one_document_on_stdout(edgecnn: Run, place: Path) -> None:
    result = edgecnn(*CONVERT, "--json", "--calibration-samples", 9, "--accuracy-samples", 6)
    record = json.loads(result.stdout)
    assert record["schema"] == "edgecnn.convert/1"
    assert (record["output"], record["calibration_samples"], record["accuracy"]["samples"]) == ("out.tflite", 9, 6)
    assert record["sha256"] == sha256_path(place / "out.tflite")
    assert record["within_budget"] is True
    assert "examples" not in record
    assert "seal and write" in result.stderr


def test_a_keras_model_by_default_options(edgecnn: Run, place: Path) -> None:
    result = edgecnn("convert", "model.keras", "-o", "out.tflite", "--data", "data")
    assert result.exit_code == 0, result.stderr
    assert "preprocessing: raw,size=8x8,rgb,stretch (auto)" in result.stdout
    assert "note: no val split: 10 % of every class of train are val" in result.stderr
    assert "which is no clear difference" in " ".join(result.stderr.split())
    assert Classifier(place / "out.tflite").labels == ("blue", "green", "red")


def test_a_report_is_written_beside_its_numbers(edgecnn: Run, place: Path) -> None:
    result = edgecnn(*CONVERT, "--report", "new/report", "--json")
    assert result.exit_code == 0
    assert sorted(path.name for path in (place / "new" / "report").iterdir()) == ["convert.json", "report.html"]
    record = json.loads((place / "new" / "report" / "convert.json").read_text(encoding="utf-8"))
    assert {key: record[key] for key in json.loads(result.stdout)} == json.loads(result.stdout)
    assert {"benchmark", "evaluation", "examples", "machine"} <= record.keys()
    page = (place / "new" / "report" / "report.html").read_text(encoding="utf-8")
    assert "float.tflite" in page
    assert str(place) not in page
    assert "Report: new/report/report.html" in result.stderr
    shown = edgecnn(*CONVERT, "--report", "new/report")
    assert "latency p50" in shown.stdout
    assert (place / "new" / "report" / "convert.json").stat().st_size > 1000


def test_a_missed_budget_exits_3_and_keeps_the_file(edgecnn: Run, place: Path) -> None:
    weights = 0.2 * np.eye(3, dtype=np.float32)[::-1] + 30
    (place / "coarse.tflite").write_bytes(linear(weights, size=(8, 8)))
    arguments = ("convert", "coarse.tflite", *CONVERT[2:], "--max-drop", "0.5")
    result = edgecnn(*arguments)
    assert result.exit_code == 3
    message = " ".join(result.stderr.split())
    assert "Budget missed: top-1 fell by" in message
    assert "--max-drop allows 0.5. out.tflite is kept." in message
    assert open_bundle(place / "out.tflite").card is not None
    result = edgecnn(*arguments, "--json", "--report", "report")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["within_budget"] is False
    assert (place / "report" / "report.html").is_file()
    assert edgecnn(*arguments[:-1], "100").exit_code == 0


@pytest.mark.parametrize("ending", ["zip", "tar", "gztar"])
def test_data_may_be_an_archive(ending: str, edgecnn: Run, place: Path) -> None:
    archive = shutil.make_archive(str(place / "packed"), ending, place, "data")
    shutil.rmtree(place / "data")
    result = edgecnn(*CONVERT[:5], archive, "--preprocess", "raw", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["accuracy"]["samples"] == 24
    card = open_bundle(place / "out.tflite").card
    assert card is not None
    assert card.calibration["data"] == "packed"


def test_files_whose_names_are_no_text_are_reported(edgecnn: Run, place: Path) -> None:
    name = os.fsdecode(b"caf\xe9.tflite")
    (place / "float.tflite").rename(place / name)
    (place / "data" / "test" / "red" / "red1.png").rename(place / "data" / "test" / "red" / os.fsdecode(b"r\xe9d.png"))
    result = edgecnn("convert", name, *CONVERT[2:], "--report", "report", "--quantize", "dynamic")
    assert result.exit_code == 0, result.stderr
    record = json.loads((place / "report" / "convert.json").read_text(encoding="utf-8"))
    assert os.fsencode(record["model"]) == b"caf\xe9.tflite"
    assert "caf" in (place / "report" / "report.html").read_text(encoding="utf-8")
    assert edgecnn("report", "report/convert.json", "-o", "again.md").exit_code == 0
    assert edgecnn("evaluate", "out.tflite", "--data", "data", "--csv", "rows.csv").exit_code == 0
    assert "test/red/r\\udce9d.png,red,red" in (place / "rows.csv").read_text(encoding="utf-8")


def test_an_unlabelled_folder_measures_agreement(edgecnn: Run) -> None:
    result = edgecnn("convert", "float.tflite", "-o", "out.tflite", "--data", "flat", "--labels", "labels.txt",
                     "--preprocess", "raw")  # fmt: skip
    assert result.exit_code == 0
    assert "same label as float: 100.00% of 4 images" in result.stdout
    assert "top-1" not in result.stdout
    assert "agreement is measured on the other half" in " ".join(result.stderr.split())


def test_the_same_command_twice_writes_the_same_bytes(edgecnn: Run, place: Path) -> None:
    contents = []
    for _ in range(2):
        assert edgecnn(*CONVERT, "--seed", 5).exit_code == 0
        contents.append((place / "out.tflite").read_bytes())
    assert contents[0] == contents[1]
    assert edgecnn(*CONVERT, "--seed", 6).exit_code == 0
    assert (place / "out.tflite").read_bytes() != contents[0]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--quantize", "int4"), "'int4' is not one of"),
        (("--io", "int16"), "'int16' is not one of"),
        (("--quantize", "float16", "--io", "int8"), "a float16 model has float32 input and output"),
        (("--max-drop", "-1"), "-1.0 is not in the range"),
        (("--max-drop", "x"), "'x' is not a valid float"),
        (("--calibration-samples", "0"), "0 is not in the range"),
        (("--seed", "x"), "'x' is not a valid integer"),
        (("--preprocess", "rgbb"), "cannot read 'rgbb' in the SPEC"),
        (("--preprocess", "raw,unit"), "more than one normalization"),
        (("--preprocess", "size=²"), "size=²"),
        (("--report", "labels.txt"), "'labels.txt' is a file"),
        (("--prune", "maybe"), "'maybe' is not one of"),
        (("--sparsity", "0.5"), "--sparsity needs --prune"),
        (("--maybe", "1"), "No such option"),
    ],
)
def test_wrong_usage_exits_2(option: tuple[str, ...], message: str, edgecnn: Run, place: Path) -> None:
    result = edgecnn(*CONVERT, *option)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: ")
    assert message in result.stderr
    assert not (place / "out.tflite").exists()


@pytest.mark.parametrize("missing", ["-o", "--data", "MODEL"])
def test_what_must_be_given(missing: str, edgecnn: Run) -> None:
    arguments = {"MODEL": ["float.tflite"], "-o": ["-o", "out.tflite"], "--data": ["--data", "data"]}
    given = [word for name, words in arguments.items() if name != missing for word in words]
    result = edgecnn("convert", *given)
    assert result.exit_code == 2
    assert "Missing" in result.stderr
    assert missing in result.stderr


def test_the_images_of_the_csv_are_those_of_the_conversion(edgecnn: Run, place: Path) -> None:
    """The sealed file is evaluated as the conversion measured it: same pictures, same accuracy."""
    record = json.loads(edgecnn(*CONVERT, "--json").stdout)
    evaluation = json.loads(edgecnn("evaluate", "out.tflite", "--data", "data", "--csv", "e.csv", "--json").stdout)[0]
    assert (evaluation["top1"], evaluation["samples"]) == (record["accuracy"]["output"], record["accuracy"]["samples"])
    rows = list(csv.DictReader(io.StringIO((place / "e.csv").read_text(encoding="utf-8"))))
    assert len(rows) == 24
    assert {row["image"].split("/")[0] for row in rows} == {"test"}
