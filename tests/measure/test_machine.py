"""What a measurement was made on."""

import json
import os
import platform
from importlib.metadata import version
from typing import Any

import pytest

from edgecnn import __version__
from edgecnn.measure import machine

PC = "processor\t: 0\nmodel\t\t: 85\nmodel name\t: Some CPU @ 2.20GHz\nprocessor\t: 1\nmodel name\t: Another\n"
PI = "processor\t: 0\nBogoMIPS\t: 108.00\n\nRevision\t: c03111\nModel\t\t: Raspberry Pi 4 Model B Rev 1.1\n"


def fingerprint_with(monkeypatch: pytest.MonkeyPatch, files: dict[str, str]) -> dict[str, Any]:
    monkeypatch.setattr(machine, "_read", files.get)
    return machine.fingerprint()


def test_this_machine_is_described() -> None:
    found = machine.fingerprint()
    assert json.loads(json.dumps(found)) == found
    assert set(found) == {"cpu", "cores", "architecture", "platform", "python", "governor", "load"}
    assert found["cores"] == os.cpu_count()
    assert (found["architecture"], found["python"]) == (platform.machine(), platform.python_version())
    assert found["load"] >= 0


@pytest.mark.parametrize(
    ("files", "cpu"),
    [
        ({"/proc/cpuinfo": PC}, "Some CPU @ 2.20GHz"),
        ({"/proc/cpuinfo": PI}, "Raspberry Pi 4 Model B Rev 1.1"),
        (
            {"/proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0", "/proc/cpuinfo": PI},
            "Raspberry Pi 5 Model B Rev 1.0",
        ),
    ],
)
def test_the_cpu_has_the_name_people_know(monkeypatch: pytest.MonkeyPatch, files: dict[str, str], cpu: str) -> None:
    assert fingerprint_with(monkeypatch, files)["cpu"] == cpu


def test_a_system_that_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "processor", lambda: "")
    found = fingerprint_with(monkeypatch, {"/proc/cpuinfo": "processor\t: 0\n"})
    assert (found["cpu"], found["governor"]) == (None, None)
    monkeypatch.setattr(platform, "processor", lambda: "arm")
    assert fingerprint_with(monkeypatch, {})["cpu"] == "arm"


def test_the_governor_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    path = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
    assert fingerprint_with(monkeypatch, {path: "ondemand"})["governor"] == "ondemand"


def test_versions_are_those_installed() -> None:
    found = machine.versions()
    assert found["edgecnn"] == __version__
    assert found["numpy"] == version("numpy")
    assert found["ai-edge-litert"] == version("ai-edge-litert")
    assert machine.versions(("no-such-package-of-anybody",)) == {"edgecnn": __version__}
