"""`edgecnn doctor` on machines where packages are missing for real: a folder of links to the few that are there."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path

import pytest
from click.testing import Result

from edgecnn.cli import doctor

ROOT = Path(__file__).parents[2]
BASE = ("ai-edge-litert", "click", "flatbuffers", "numpy", "opencv-python-headless")
Run = Callable[..., Result]


def machine(place: Path, packages: tuple[str, ...]) -> dict[str, str]:
    """The environment of a Python that has these packages and no others."""
    place.mkdir()
    for package in packages:
        files = distribution(package).files or []
        for name in sorted({file.parts[0] for file in files} - {"..", "__pycache__"}):
            (place / name).symlink_to(Path(str(distribution(package).locate_file(name))))
    return os.environ | {"PYTHONPATH": os.pathsep.join((str(place), str(ROOT)))}


def run(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-S", "-m", "edgecnn", *arguments]  # -S: without the packages of this environment
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)


def test_everything_installed(edgecnn: Run) -> None:
    result = edgecnn("doctor")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "Everything is installed."
    record = json.loads(edgecnn("doctor", "--json").stdout)
    assert record["schema"] == "edgecnn.doctor/1"
    assert {part["package"] for part in record["packages"] if not part["version"]} == set()
    assert record["runtime"]["works"] is True
    assert record["runtime"]["detail"].startswith("ai-edge-litert ")


def test_the_base_install_alone(tmp_path: Path) -> None:
    done = run(machine(tmp_path / "base", BASE), "doctor")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[-1] == "Where Keras models are to be converted, type: pip install 'edgecnn[train]'"
    missing = {line.split()[0] for line in lines if " missing " in line}
    assert missing == {part[0] for part in doctor._PARTS if part[2]}


@pytest.mark.parametrize("missing", ["ai-edge-litert", "numpy"])
def test_a_base_package_is_missing(missing: str, tmp_path: Path) -> None:
    environment = machine(tmp_path / "less", tuple(package for package in BASE if package != missing))
    done = run(environment, "doctor", "--json")
    assert done.returncode == 1
    record = json.loads(done.stdout)
    assert {part["package"] for part in record["packages"] if not part["version"] and not part["extra"]} == {missing}
    assert record["runtime"]["works"] is False
    [line] = done.stderr.splitlines()
    assert line.startswith("Error: no TFLite model can be run here: ")
    assert "Base packages are missing; type: pip install edgecnn" in run(environment, "doctor").stdout
    done = run(environment, "predict", __file__, "none.png")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1


def test_some_extras_are_missing(edgecnn: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    real = doctor._check

    def check(package: str, module: str, extra: str, purpose: str) -> dict[str, object]:
        part = real(package, module, extra, purpose)
        return part | {"version": None} if extra in ("quantize", "report") else part

    monkeypatch.setattr(doctor, "_check", check)
    assert (
        edgecnn("doctor").stdout.splitlines()[-1] == "For what is missing, type: pip install 'edgecnn[quantize,report]'"
    )
