"""The program around the commands: errors become one line, streams and terminals are treated with care."""

import json
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import edgecnn
from edgecnn.cli import main
from edgecnn.errors import DataError

ROOT = Path(__file__).parents[2]
Run = Callable[..., Result]


def start(*arguments: str | bytes, place: Path, **options: Any) -> "subprocess.Popen[Any]":
    """`python -m edgecnn` in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-m", "edgecnn", *arguments], cwd=place, env=environment, **options)


def on_a_terminal(*arguments: str, place: Path) -> tuple[int, str]:
    """Exit code and all output of the program when stdout and stderr are a terminal."""
    ours, theirs = pty.openpty()
    process = start(*arguments, place=place, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    output = b""
    while True:
        try:
            block = os.read(ours, 4096)
        except OSError:  # Linux says so when the other end is closed
            break
        if not block:
            break
        output += block
    os.close(ours)
    return process.wait(timeout=30), output.decode()


def seen(output: str) -> list[str]:
    """Lines as they stand on the screen in the end."""
    return [re.split("\r|\x1b\\[K", line.rstrip("\r"))[-1] for line in output.split("\n")]


def test_version_and_help(edgecnn: Run) -> None:
    assert edgecnn("--version").stdout == f"edgecnn, version {edgecnn_version()}\n"
    for option in ("--help", "-h"):
        result = edgecnn(option)
        assert result.exit_code == 0
        for name in main.COMMANDS:
            assert re.search(rf"^  {name} ", result.stdout, re.MULTILINE)
            assert edgecnn(name, option).exit_code == 0


def edgecnn_version() -> str:
    return edgecnn.__version__


@pytest.mark.parametrize("wrong", [["none"], ["--none"], ["predict"], ["predict", "--none"], []])
def test_wrong_usage_exits_2(wrong: list[str], edgecnn: Run) -> None:
    result = edgecnn(*wrong)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: ")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (DataError("two\nlines  and\ttabs"), "two lines and tabs"),
        (MemoryError(), "MemoryError"),
        (OSError(28, "No space left on device", "x"), "[Errno 28] No space left on device: 'x'"),
        (ImportError("libGL.so.1: cannot open"), "libGL.so.1: cannot open; type: edgecnn doctor"),
    ],
)
def test_an_error_is_one_line_and_with_debug_a_traceback(
    error: Exception, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("edgecnn.report.results.read_results", fail)
    result = CliRunner().invoke(main.cli, ["report", "x.json", "-o", "y.html"])
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"Error: {line}\n")
    result = CliRunner().invoke(main.cli, ["--debug", "report", "x.json", "-o", "y.html"])
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (1, f"Error: {line}")
    assert result.stderr.startswith("Traceback (most recent call last):")
    assert "in fail" in result.stderr


def test_a_bug_is_not_hidden_as_a_user_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecnn.report.results.read_results", lambda _: 1 / 0)
    result = CliRunner().invoke(main.cli, ["report", "x.json", "-o", "y.html"])
    assert isinstance(result.exception, ZeroDivisionError)


def test_as_a_module_it_is_the_same_program(edgecnn: Run, place: Path) -> None:
    for arguments in (["inspect", "int8.tflite", "--json"], ["inspect", "text.keras"], ["inspect"]):
        here = edgecnn(*arguments)
        out, err = start(*arguments, place=place, stdout=-1, stderr=-1, text=True).communicate(timeout=30)
        assert out == here.stdout
        assert err == here.stderr.replace("Usage: cli", "Usage: edgecnn").replace("'cli ", "'edgecnn ")
    script = shutil.which("edgecnn", path=os.path.dirname(sys.executable))
    if script:
        done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
        assert done.stdout == f"edgecnn, version {edgecnn_version()}\n"


def test_native_libraries_do_not_speak_in_between(place: Path) -> None:
    process = start("predict", "float.tflite", "red.png", "--labels", "labels.txt", "--preprocess", "raw", place=place,
                    stdout=-1, stderr=-1, text=True)  # fmt: skip
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert out.splitlines()[1].split()[0] == "red"


def test_a_file_name_that_is_no_text(place: Path) -> None:
    name = b"caf\xe9.png"
    shutil.copy(os.fsencode(place / "red.png"), os.path.join(os.fsencode(place), name))
    for option in ([], ["--json"]):
        process = start("predict", "int8.tflite", name, *option, place=place, stdout=-1, stderr=-1, text=True)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (0, "")
        assert "caf\\udce9.png" in out
    assert os.fsencode(json.loads(out)[0]["image"]) == name
    process = start("predict", "int8.tflite", b"n\xf6ne.png", place=place, stdout=-1, stderr=-1, text=True)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("Error: ")


def test_a_reader_that_has_seen_enough(place: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = start("inspect", "int8.tflite", "--json", place=place, stdout=writing, stderr=-1, text=True)
    os.close(writing)
    assert process.communicate(timeout=30)[1] == ""
    assert process.returncode == 1


def test_a_terminal_shows_a_bar_and_keeps_one_line_a_step(place: Path) -> None:
    code, output = on_a_terminal("evaluate", "int8.tflite", "--data", "data", place=place)
    assert code == 0
    assert "█" in output
    lines = seen(output)
    assert re.fullmatch(r"  open data: \d+\.\d s", lines[0])
    assert re.fullmatch(r"  evaluate int8\.tflite: \d+\.\d s", lines[1])
    assert lines[2].startswith("int8.tflite on 24 images")


def test_an_error_on_a_terminal_has_a_line_of_its_own(place: Path) -> None:
    code, output = on_a_terminal("evaluate", "int8.tflite", "--data", "nowhere", place=place)
    assert code == 1
    assert "open data" in output
    assert seen(output)[0].startswith("Error: expected a folder, an archive or one of")
