"""What is shown fits a terminal of 80 columns; only errors, which are one line, and names may be longer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edgecnn.cli.main import COMMANDS, cli
from edgecnn.cli.output import note, paragraph, table

Run = Callable[..., Result]
SHOWN = [
    ("convert", "float.tflite", "-o", "out.tflite", "--data", "data"),
    ("convert", "float.tflite", "-o", "out.tflite", "--data", "flat", "--labels", "labels.txt", "--preprocess", "raw"),
    ("convert", "float.tflite", "-o", "out.tflite", "--data", "data", "--report", "report"),
    ("convert", "float.tflite", "-o", "out.tflite", "--data", "data", "--preprocess",
     "mean=103.939,116.779,123.68,std=57.375,57.12,58.395,rgb,letterbox,nearest"),
    ("evaluate", "int8.tflite", "float.tflite", "--data", "data"),
    ("compare", "float.tflite", "int8.tflite", "--data", "data", "--labels", "labels.txt", "--preprocess", "raw"),
    ("robustness", "int8.tflite", "float.tflite", "--data", "data", "--severities", "3", "--labels", "labels.txt",
     "--preprocess", "raw"),
    ("benchmark", "int8.tflite", "--profile", "--sustained", "1", "--runs", "3"),
    ("benchmark", "int8.tflite", "float.tflite", "--threads", "1,2", "--runs", "3"),
    ("predict", "int8.tflite", "red.png"),
    ("explain", "int8.tflite", "red.png", "text.png", "-o", "why", "--masks", "10"),
    ("explain", "float.tflite", "flat", "-o", "a folder with a long name", "--method", "occlusion", "--against",
     "int8.tflite", "--labels", "labels.txt", "--preprocess", "raw,letterbox"),
    ("camera", "int8.tflite", "--source", "flat", "--save-uncertain", "kept", "--threshold", "1"),
    ("inspect", "int8.tflite"),
    ("inspect", "model.keras"),
    ("doctor",),
]  # fmt: skip


@pytest.mark.parametrize("command", SHOWN, ids=lambda command: " ".join(command)[:40])
def test_a_command_shows_80_columns_at_most(
    command: tuple[str, ...], edgecnn: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    import edgecnn.measure.machine as machine

    name = "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz of a machine with a long name"
    monkeypatch.setattr(machine, "_cpu_name", lambda: name)
    result = edgecnn(*command)
    assert result.exit_code == 0, result.stderr
    lines = [*result.stdout.splitlines(), *result.stderr.splitlines()]
    assert [line for line in lines if len(line) > 80 and max(map(len, line.split())) < 60] == []


def test_many_classes_are_wrapped_too(edgecnn: Run, place: Path) -> None:
    for split in ("train", "test"):
        for color in ("blue", "green", "red"):
            (place / "data" / split / color).rename(place / "data" / split / f"{color} with a name of some length")
    assert (
        edgecnn("convert", "float.tflite", "-o", "long.tflite", "--data", "data", "--preprocess", "raw").exit_code == 0
    )
    for command in (("evaluate", "long.tflite", "--data", "data"), ("inspect", "long.tflite")):
        assert max(map(len, edgecnn(*command).stdout.splitlines())) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_an_80_column_terminal(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--help"], terminal_width=80)
    assert [line for line in result.stdout.splitlines() if len(line) > 80] == []


def test_a_paragraph_is_wrapped_and_indented(capsys: Any) -> None:
    paragraph("  note: " + "word " * 30)
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 3
    assert max(map(len, out)) <= 80
    assert out[0].startswith("  note: word")
    assert out[1].startswith("    word")
    note("x" * 200)
    assert capsys.readouterr() == ("", "x" * 200 + "\n")


def test_columns_are_as_wide_as_their_widest(capsys: Any) -> None:
    table([("a", "1"), ("long name", "22")], header=("", "n"), indent="  ")
    assert capsys.readouterr().out == "              n\n  a           1\n  long name  22\n"
