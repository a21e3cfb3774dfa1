"""A training that is killed in the middle of an epoch loses that epoch and nothing else."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from edgecnn.keras_io.card import read_card
from edgecnn.train import checkpoint

pytestmark = pytest.mark.slow
OPTIONS = ("--arch", "lenet5", "--epochs", "4", "--batch-size", "8", "--learning-rate", "0.004", "--dropout", "0.2")


def command(data: Path, output: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "edgecnn", "train", str(data), "-o", str(output), *OPTIONS, *more]


def history(folder: Path) -> list[dict[str, Any]]:
    """Rows of the CSV without their times."""
    with (folder / "history.csv").open() as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def test_kill_9_and_resume_give_the_same_history(colors: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole.keras", tmp_path / "parts.keras"
    subprocess.run(command(colors, whole), check=True, capture_output=True)
    running = subprocess.Popen(command(colors, parts), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    state = tmp_path / "parts.training" / "last.npz"
    deadline = time.monotonic() + 120
    while checkpoint.standing(state)[0] < 2 and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(running.pid, signal.SIGKILL)  # the third epoch is under way
    assert running.wait() == -signal.SIGKILL
    done, finished = checkpoint.standing(state)
    assert 2 <= done < 4
    assert not finished
    assert not parts.exists()
    refused = subprocess.run(command(colors, parts), capture_output=True, text=True)
    assert refused.returncode == 1
    assert f"interrupted after epoch {done}; add --resume" in refused.stderr
    resumed = subprocess.run(command(colors, parts, "--resume"), check=True, capture_output=True, text=True)
    assert f"epoch   {done}/4" not in resumed.stderr
    assert history(tmp_path / "parts.training") == history(tmp_path / "whole.training")
    cards = [read_card(path) for path in (whole, parts)]
    assert cards[0] == cards[1]
    assert not list(tmp_path.glob("**/.edgecnn-*.part"))
