"""`edgecnn robustness`: the table, the JSON, the report, attacks crafted on a Keras model, and what is refused."""

import json
from pathlib import Path

import pytest

from edgecnn.cli.robustness import levels
from edgecnn.report.schema import check_record
from tests.cli.conftest import Run

BOTH = ("robustness", "model.keras", "int8.tflite", "--data", "data", "--preprocess", "raw")
QUICK = ("--corruptions", "fog,low-light", "--severities", "1,4-5")


def test_corruptions_and_attacks_of_a_keras_model_and_its_int8(edgecnn: Run, place: Path) -> None:
    result = edgecnn(*BOTH, *QUICK, "--epsilon", "80/255", "--steps", "3", "--report", "report", "--seed", "5")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "24 images of data (test), spoilt alike for every model"
    assert max(map(len, [*lines, *result.stderr.splitlines()])) <= 80
    words = [line.split() for line in lines]
    assert ["top-1", "float", "int8", "change"] in words
    for label in ("clean", "  fog", "  low light", "all corruptions", "mCE", "fgsm, 80/255", "pgd 3 steps, 80/255",
                  "patch, 10% of the area", "  random pixels instead"):  # fmt: skip
        assert any(line.startswith(f"  {label}") for line in lines), label
    record = json.loads((place / "report" / "robustness.json").read_text())
    check_record(record, "robustness.json")
    assert record["schema"] == "edgecnn.robustness/1"
    assert [(item["model"], item["kind"]) for item in record["models"]] == [
        ("model.keras", "float"),
        ("int8.tflite", "int8"),
    ]
    assert [item["severities"] for item in record["corruptions"]] == [[1, 4, 5], [1, 4, 5]]
    assert [attack["crafted_on"] for attack in record["attacks"]] == ["model.keras"] * 2
    assert record["seed"] == 5
    pgd = record["attacks"][1]
    assert pgd["top1"][0] < record["clean"][0], "the attack does something"
    page = (place / "report" / "report.html").read_text()
    assert "Robustness of model.keras and int8.tflite" in page
    assert record["verdict"] in page.replace("&#39;", "'")


def test_json_is_the_only_output_and_the_seed_repeats_it(edgecnn: Run) -> None:
    command = ("robustness", "int8.tflite", "--data", "data", *QUICK, "--limit", "9", "--json")
    first, second = (json.loads(edgecnn(*command).stdout) for _ in range(2))
    assert first == second
    assert first["samples"] == 9
    assert first["attacks"] == []
    assert first["names"] == ["int8.tflite"]
    other = json.loads(edgecnn(*command, "--seed", "1").stdout)
    assert other["seed"] == 1


def test_without_a_keras_model_attacks_are_left_out_and_how_to_get_them_is_told(edgecnn: Run) -> None:
    result = edgecnn("robustness", "int8.tflite", "--data", "data", "--corruptions", "none")
    assert result.exit_code == 0
    assert "attacks are left out" in result.stderr
    assert "--craft-on model.keras" in " ".join(result.stderr.split())
    result = edgecnn("robustness", "int8.tflite", "--data", "data", "--corruptions", "none", "--attacks", "none")
    assert "left out" not in result.stderr
    result = edgecnn("robustness", "int8.tflite", "--data", "data", "--attacks", "pgd")
    assert result.exit_code == 2
    assert "attacks are crafted on a Keras model" in result.stderr


def test_attacks_are_crafted_on_another_model_where_that_is_asked(edgecnn: Run) -> None:
    command = ("robustness", "int8.tflite", "--data", "data", "--corruptions", "none", "--craft-on", "model.keras")
    options = ("--preprocess", "raw", "--attacks", "patch", "--patch-target", "red", "--json")
    result = edgecnn(*command, *options)
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert record["attacks"] == []
    assert (record["patch"]["crafted_on"], record["patch"]["aim"]) == ("model.keras", "red")
    assert record["patch"]["trained_split"] == "train"
    assert len(record["models"]) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--corruptions", "fog,rain"), "expected all, none or some of gaussian_noise"),
        (("--severities", "0-3"), "expected numbers from 1 to 5 such as 1-5 or 1,3,5, got '0-3'"),
        (("--severities", "5-1"), "expected numbers from 1 to 5"),
        (("--severities", "x"), "expected numbers from 1 to 5"),
        (("--attacks", "pdg"), "expected all, none or some of fgsm, pgd, patch, got 'pdg'"),
        (("--epsilon", "8"), "expected a share from 1/255 to 1, such as 8/255 or 0.03, got '8'"),
        (("--epsilon", "1/0"), "expected a share from 1/255 to 1"),
    ],
)
def test_what_cannot_be_read_is_wrong_usage(edgecnn: Run, options: tuple[str, ...], message: str) -> None:
    result = edgecnn(*BOTH, *options)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert result.stdout == ""


def test_a_label_to_aim_at_and_labelled_images_are_needed(edgecnn: Run) -> None:
    result = edgecnn(*BOTH, "--corruptions", "none", "--attacks", "patch", "--patch-target", "toaster")
    assert result.exit_code == 1
    assert "expected a label of model.keras (blue, green, red" in result.stderr
    result = edgecnn("robustness", "int8.tflite", "--data", "flat")
    assert result.exit_code == 1
    assert "flat has no class folders; accuracy needs labelled images" in result.stderr


def test_an_image_that_cannot_be_read_is_skipped_and_named(edgecnn: Run, place: Path) -> None:
    bad = sorted((place / "data" / "test" / "red").iterdir())[0]
    bad.write_bytes(b"no picture")
    result = edgecnn("robustness", "int8.tflite", "--data", "data", *QUICK)
    assert result.exit_code == 0
    assert result.stdout.startswith("23 images")
    assert f"skipped test/red/{bad.name}" in result.stderr.replace("\n", " ")


def test_a_long_run_says_so_where_there_is_no_bar(edgecnn: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecnn.cli.robustness._SURE", -1.0)
    monkeypatch.setattr("edgecnn.cli.robustness._LONG", -1.0)
    result = edgecnn("robustness", "int8.tflite", "--data", "data", *QUICK)
    assert "corrupt: about 0 s to go; fewer images with --limit" in " ".join(result.stderr.split())


def test_strengths_are_written_as_they_are_typed() -> None:
    assert [levels(share) for share in (8 / 255, 0.03, 1.0)] == ["8/255", "0.03", "255/255"]
