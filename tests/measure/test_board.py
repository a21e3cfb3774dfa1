"""Temperature, clock and throttling, read from files and a program made up for it."""

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgecnn.measure.board import clock_mhz, temperature_c, throttled


@pytest.fixture(autouse=True)
def nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine that tells nothing, until a test puts files here."""
    monkeypatch.setattr("edgecnn.measure.board._TEMPERATURE", str(tmp_path / "temp"))
    monkeypatch.setattr("edgecnn.measure.board._CLOCKS", str(tmp_path / "cpu*" / "scaling_cur_freq"))
    monkeypatch.setattr("edgecnn.measure.board._CPUINFO", str(tmp_path / "cpuinfo"))
    monkeypatch.setattr("edgecnn.measure.board._THROTTLED", str(tmp_path / "soc*" / "get_throttled"))
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def program(folder: Path, lines: str) -> None:
    """A vcgencmd."""
    path = folder / "vcgencmd"
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)


def flags(folder: Path, text: str) -> list[str] | None:
    (folder / "soc").mkdir()
    (folder / "soc" / "get_throttled").write_text(text)
    return throttled()


def test_other_machines_tell_nothing() -> None:
    assert temperature_c() is None
    assert clock_mhz() is None
    assert throttled() is None


@pytest.mark.parametrize(
    ("text", "degrees"), [("48312\n", 48.3), ("-5250\n", -5.2), ("0", 0.0), ("", None), ("hot", None), ("4²", None)]
)
def test_temperature(nothing: Path, text: str, degrees: float | None) -> None:
    (nothing / "temp").write_text(text, encoding="utf-8")
    assert temperature_c() == degrees


def clocks(folder: Path, *texts: str) -> None:
    for core, text in enumerate(texts):
        (folder / f"cpu{core}").mkdir()
        (folder / f"cpu{core}" / "scaling_cur_freq").write_text(text)


@pytest.mark.parametrize(
    ("texts", "megahertz"),
    [(["600000\n", "1800000\n"], 1800.0), (["1500345"], 1500.3), (["", "1000000"], 1000.0), (["<unknown>"], None)],
)
def test_the_clock_is_that_of_the_fastest_core(nothing: Path, texts: list[str], megahertz: float | None) -> None:
    clocks(nothing, *texts)
    assert clock_mhz() == megahertz


def test_where_no_governor_sets_the_clock_the_processor_tells(nothing: Path) -> None:
    line = "processor\t: 0\nmodel name\t: Some CPU @ 2.20GHz\ncpu MHz\t\t: {}\ncache size\t: 512 KB\n\n"
    (nothing / "cpuinfo").write_text(line.format("2199.998") + line.format("3100.25"))
    assert clock_mhz() == 3100.2
    clocks(nothing, "800000")
    assert clock_mhz() == 800.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0\n", []),
        ("1\n", ["under-voltage now"]),
        ("2\n", ["frequency capped now"]),
        ("4\n", ["throttled now"]),
        ("8\n", ["soft temperature limit now"]),
        ("10000\n", ["under-voltage since start"]),
        ("20000\n", ["frequency capped since start"]),
        ("40000\n", ["throttled since start"]),
        ("80000\n", ["soft temperature limit since start"]),
        ("50005\n", ["under-voltage now", "throttled now"]),  # what is so now is not said twice
        ("50004\n", ["throttled now", "under-voltage since start"]),
        ("\n", None),
        ("no\n", None),
    ],
)
def test_flags_of_the_firmware(nothing: Path, text: str, expected: list[str] | None) -> None:
    assert flags(nothing, text) == expected


def test_older_kernels_are_asked_through_a_program(nothing: Path) -> None:
    program(nothing, 'test "$*" = get_throttled && echo throttled=0x50000')
    assert throttled() == ["under-voltage since start", "throttled since start"]


def test_the_file_is_preferred_to_the_program(nothing: Path) -> None:
    program(nothing, "echo throttled=0x1")
    assert flags(nothing, "0\n") == []


@pytest.mark.parametrize("lines", ["echo 'VCHI initialization failed'; exit 255", "", "echo error=1 >&2"])
def test_a_program_that_fails_tells_nothing(nothing: Path, lines: str) -> None:
    program(nothing, lines)
    assert throttled() is None


def test_a_program_that_cannot_be_run_tells_nothing(nothing: Path) -> None:
    path = nothing / "vcgencmd"
    path.write_bytes(os.urandom(64))
    path.chmod(0o755)
    assert throttled() is None


def test_a_program_that_hangs_is_left(nothing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(nothing, "exec /bin/sleep 60")
    limits = []

    def sooner(*arguments: Any, timeout: float, **options: Any) -> Any:
        limits.append(timeout)
        return subprocess.run(*arguments, timeout=0.1, **options)

    patched = SimpleNamespace(run=sooner, TimeoutExpired=subprocess.TimeoutExpired)
    monkeypatch.setattr("edgecnn.measure.board.subprocess", patched)
    assert throttled() is None
    assert limits[0] <= 2
