"""The command line in this process, in a folder with models, pictures and data of every kind."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from edgecnn.cli.main import cli
from tests.keras_models import COLORS, color_network, color_picture, save, write_colors, write_flat
from tests.models import linear

Run = Callable[..., Result]


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose names the tests of the command line use; they work in links to it.

    data/ (class folders), flat/ (no class folders), red.png, text.png (no picture), labels.txt (three), two.txt,
    float.tflite (foreign), int8.tflite (ours), model.keras, any.keras (any size), text.keras (no model).
    """
    import keras

    folder = tmp_path_factory.mktemp("stock")
    write_colors(folder / "data", {"train": 12, "test": 8})
    write_flat(folder / "flat", 9)
    cv2.imwrite(str(folder / "red.png"), color_picture("red", np.random.default_rng(5), size=(40, 30)))
    (folder / "text.png").write_text("hello")
    (folder / "text.keras").write_text("hello")
    (folder / "labels.txt").write_text("".join(f"{color}\n" for color in COLORS))
    (folder / "two.txt").write_text("blue\ngreen\n")
    (folder / "float.tflite").write_bytes(linear(0.2 * np.eye(3, dtype=np.float32)[::-1], size=(8, 8)))
    save(color_network(keras), folder / "model.keras")
    save(color_network(keras, size=(None, None)), folder / "any.keras")
    names = ("float.tflite", "int8.tflite", "data")
    arguments = ["convert", *(str(folder / names[0]), "-o", str(folder / names[1])), "--data", str(folder / names[2])]
    assert CliRunner().invoke(cli, [*arguments, "--preprocess", "raw"]).exit_code == 0
    return folder


@pytest.fixture
def place(stock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with everything of `stock` in it."""
    for item in stock.iterdir():
        (shutil.copytree if item.is_dir() else shutil.copy)(item, tmp_path / item.name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def edgecnn(place: Path) -> Run:
    """Runs the command line with these arguments."""

    def run(*arguments: str | os.PathLike[str] | int) -> Result:
        return CliRunner().invoke(cli, [os.fspath(a) if isinstance(a, os.PathLike) else str(a) for a in arguments])

    return run


@pytest.fixture
def failure(edgecnn: Run, place: Path) -> Callable[..., str]:
    """Runs the command line, which must fail with exit code 1, one line, and no new file; returns the line."""

    def run(*arguments: str) -> str:
        before = _content(place)
        result = edgecnn(*arguments)
        assert isinstance(result.exception, SystemExit), result.exception
        assert (result.exit_code, result.stdout) == (1, "")
        *steps, line = result.stderr.splitlines()
        assert line.startswith("Error: ")
        assert all(re.fullmatch(r"  [\w.: -]+: \d+\.\d s", step) for step in steps), steps
        assert _content(place) == before
        return line.removeprefix("Error: ")

    return run


def _content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
