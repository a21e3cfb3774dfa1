"""`edgecnn report`: what the other commands print as JSON becomes a report in four formats."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Run = Callable[..., Result]
COMMANDS = {
    "convert": ("convert", "float.tflite", "-o", "out.tflite", "--data", "data", "--preprocess", "raw"),
    "evaluate": ("evaluate", "int8.tflite", "--data", "data"),
    "compare": (
        "compare",
        "float.tflite",
        "int8.tflite",
        "--data",
        "data",
        "--labels",
        "labels.txt",
        "--preprocess",
        "raw",
    ),
    "robustness": ("robustness", "int8.tflite", "--data", "data", "--corruptions", "fog"),
    "benchmark": ("benchmark", "int8.tflite", "float.tflite", "--runs", "4"),
    "predict": ("predict", "int8.tflite", "red.png"),
    "explain": ("explain", "int8.tflite", "red.png", "-o", "why", "--method", "occlusion"),
    "inspect": ("inspect", "int8.tflite"),
    "doctor": ("doctor",),
}


@pytest.fixture
def runs(edgecnn: Run, place: Path) -> list[str]:
    for name, command in COMMANDS.items():
        (place / f"{name}.json").write_text(edgecnn(*command, "--json").stdout, encoding="utf-8")
    return [f"{name}.json" for name in COMMANDS]


def is_report(text: str, form: str) -> bool:
    if form == "csv":
        return len(list(csv.DictReader(io.StringIO(text)))) > 10
    if form == "json":
        return len(json.loads(text)) == 10  # the benchmark has two
    return text.lower().startswith("<!doctype html>" if form == "html" else "# ")


def test_every_command_in_every_format(edgecnn: Run, runs: list[str], place: Path) -> None:
    for form in ("html", "md", "csv", "json"):
        result = edgecnn("report", *runs, "-o", f"all.{form}")
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", f"Wrote all.{form}\n")
        text = (place / f"all.{form}").read_text(encoding="utf-8")
        assert is_report(text, form)
        assert "int8.tflite" in text
        for run in runs:
            assert edgecnn("report", run, "-o", f"one.{form}").exit_code == 0
        assert edgecnn("report", *runs, "-o", "all.txt", "--format", form).exit_code == 0
        assert (place / "all.txt").read_text(encoding="utf-8") == text


def test_another_ending_is_html(edgecnn: Run, runs: list[str], place: Path) -> None:
    for name in ("report", "report.htm", "report.MD"):
        assert edgecnn("report", runs[1], "-o", name).exit_code == 0
    assert (place / "report").read_text(encoding="utf-8").lower().startswith("<!doctype html>")
    assert (place / "report.MD").read_text(encoding="utf-8").startswith("# ")


def test_a_report_that_fails_leaves_the_old_one(edgecnn: Run, runs: list[str], place: Path) -> None:
    (place / "report.html").write_text("old")
    assert edgecnn("report", runs[0], "none.json", "-o", "report.html").exit_code == 1
    assert (place / "report.html").read_text() == "old"
    assert edgecnn("report", runs[0], "-o", "none/report.html").exit_code == 1


@pytest.mark.parametrize("wrong", [("-o", "data"), ("--format", "pdf", "-o", "x"), ()])
def test_wrong_usage_exits_2(wrong: tuple[str, ...], edgecnn: Run) -> None:
    assert edgecnn("report", "labels.txt", *wrong).exit_code == 2
    assert edgecnn("report", "-o", "x").exit_code == 2
