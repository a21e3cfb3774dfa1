"""A conversion that is killed, at any moment, leaves the old output untouched or the new one whole."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from edgecnn.bundle.bundle import open_bundle
from tests.keras_models import COLORS
from tests.models import linear

ROOT = Path(__file__).parents[2]
# The command line, with a signal sent to itself at one moment. A float .tflite as model needs no TensorFlow.
PROGRAM = """
import os, signal, sys
from edgecnn.cli import output
from edgecnn.cli.main import main

moment, number = sys.argv.pop(1), getattr(signal, sys.argv.pop(1))

def before(owner, name, when=lambda *_: True):
    original = getattr(owner, name)
    def function(*arguments, **options):
        if when(*arguments):
            os.kill(os.getpid(), number)
        return original(*arguments, **options)
    setattr(owner, name, function)

if moment == "written":
    before(os, "fsync")
elif moment == "rename":
    before(os, "replace")
elif moment == "renamed":
    before(output.Progress, "close", lambda self: self._step == "seal and write")
else:
    before(output.Progress, "step", lambda self, name: name == moment)
main()
"""


@pytest.fixture
def place(colors: Path, tmp_path: Path) -> Path:
    """A folder with a model in it and an older output."""
    (tmp_path / "model.tflite").write_bytes(linear(0.2 * np.eye(3, dtype=np.float32)[::-1], size=(8, 8)))
    (tmp_path / "out.tflite").write_bytes(b"old")
    return tmp_path


def start(program: str, place: Path, data: Path, *first: str) -> "subprocess.Popen[str]":
    arguments = [*first, "convert", "model.tflite", "-o", "out.tflite", "--data", str(data), "--preprocess", "raw"]
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def check(place: Path, *, temporary: bool) -> bool:
    """Whether the new output is there; nothing else may be but, where the kill hit the writing, a hidden file."""
    visible = sorted(name for name in os.listdir(place) if not name.startswith("."))
    assert visible == ["model.tflite", "out.tflite"]
    hidden = [name for name in os.listdir(place) if name.startswith(".")]
    assert all(name.startswith(".edgecnn-") and name.endswith(".part") for name in hidden)
    assert len(hidden) <= temporary
    content = (place / "out.tflite").read_bytes()
    if content != b"old":
        assert open_bundle(content).labels == COLORS
    return content != b"old"


@pytest.mark.parametrize(
    ("moment", "new", "temporary"),
    [
        ("prepare pictures", False, False),
        ("measure accuracy", False, False),
        ("written", False, True),
        ("rename", False, True),
        ("renamed", True, False),
    ],
)
def test_killed_at_a_moment(moment: str, new: bool, temporary: bool, place: Path, colors: Path) -> None:
    process = start(PROGRAM, place, colors, moment, "SIGKILL")
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert check(place, temporary=temporary) is new


def test_killed_after_some_time(place: Path, colors: Path) -> None:
    plain = "from edgecnn.cli.main import main\nmain()"
    started = time.monotonic()
    whole = start(plain, place, colors)
    assert whole.communicate(timeout=60)[1]
    assert whole.returncode == 0
    seconds = time.monotonic() - started
    assert check(place, temporary=False)
    for share in (0.3, 0.6, 0.8, 0.95):
        (place / "out.tflite").write_bytes(b"old")
        process = start(plain, place, colors)
        time.sleep(share * seconds)
        process.kill()
        process.communicate(timeout=60)
        check(place, temporary=True)


@pytest.mark.parametrize("moment", ["measure accuracy", "written"])
def test_interrupted_by_the_user(moment: str, place: Path, colors: Path) -> None:
    process = start(PROGRAM, place, colors, moment, "SIGINT")
    err = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert err.splitlines()[-1] == "Aborted!"
    assert "Traceback" not in err
    assert not check(place, temporary=False)
