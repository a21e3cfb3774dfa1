"""What a measurement was made on."""

import json
import os
import platform
from collections.abc import Iterator
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import pytest

from edgecnn import __version__
from edgecnn.bundle.tflite import describe
from edgecnn.errors import MissingExtraError
from edgecnn.measure import machine

PC = "processor\t: 0\nmodel\t\t: 85\nmodel name\t: Some CPU @ 2.20GHz\nprocessor\t: 1\nmodel name\t: Another\n"
PI = "processor\t: 0\nBogoMIPS\t: 108.00\n\nRevision\t: c03111\nModel\t\t: Raspberry Pi 4 Model B Rev 1.1\n"


def fingerprint_with(monkeypatch: pytest.MonkeyPatch, files: dict[str, str]) -> dict[str, Any]:
    monkeypatch.setattr(machine, "_read", files.get)
    return machine.fingerprint()


def test_this_machine_is_described() -> None:
    found = machine.fingerprint()
    assert json.loads(json.dumps(found)) == found
    assert set(found) == {
        *("cpu", "cores", "memory_mb", "architecture", "platform", "python", "delegate"),
        *("governor", "load", "clock_mhz", "temperature_c", "throttled"),
    }
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


def test_memory_counts_megabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "MemTotal:        3884364 kB\nMemFree:         123456 kB\n"
    assert fingerprint_with(monkeypatch, {"/proc/meminfo": lines})["memory_mb"] == 3978  # a Raspberry Pi 4 with 4 GB
    assert fingerprint_with(monkeypatch, {})["memory_mb"] is None


def test_memory_is_that_of_the_system() -> None:
    known = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6
    assert machine.fingerprint()["memory_mb"] == pytest.approx(known, abs=2)


def test_the_board_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "clock_mhz", lambda: 1500.0)
    monkeypatch.setattr(machine, "temperature_c", lambda: 61.3)
    monkeypatch.setattr(machine, "throttled", lambda: ["throttled now"])
    found = machine.fingerprint()
    assert [found[key] for key in ("clock_mhz", "temperature_c", "throttled")] == [1500.0, 61.3, ["throttled now"]]


@pytest.fixture
def delegates(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bool | None]]:
    """Whether a delegate runs models of each type; what is not in it cannot be loaded."""
    known: dict[str, bool | None] = {}

    def runner(content: bytes) -> Any:
        dtype = describe(content).inputs[0].dtype
        if dtype not in known:
            raise MissingExtraError("a TFLite runtime (ai-edge-litert)", "")
        return SimpleNamespace(delegated=known[dtype])

    monkeypatch.setattr("edgecnn.runtime.interpreter.Runner", runner)
    machine.delegate.cache_clear()
    yield known
    machine.delegate.cache_clear()


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"float32": True, "int8": True}, "XNNPACK"),
        ({"float32": True, "int8": False}, "XNNPACK for float32 only"),  # as tflite-runtime 2.14
        ({"float32": False, "int8": False}, "none"),
        ({"float32": None, "int8": None}, None),
        ({}, None),
    ],
)
def test_what_runs_the_models_is_told(
    delegates: dict[str, bool | None], known: dict[str, bool | None], expected: str | None
) -> None:
    delegates |= known
    assert machine.delegate() == expected


def test_litert_runs_them_with_xnnpack() -> None:
    machine.delegate.cache_clear()
    assert machine.delegate() == "XNNPACK"


def test_versions_are_those_installed() -> None:
    found = machine.versions()
    assert found["edgecnn"] == __version__
    assert found["numpy"] == version("numpy")
    assert found["ai-edge-litert"] == version("ai-edge-litert")
    assert machine.versions(("no-such-package-of-anybody",)) == {"edgecnn": __version__}
