"""Temperature, clock and throttling of the board, as far as the system tells."""

from __future__ import annotations

import glob
import re
import shutil
import subprocess

_TEMPERATURE = "/sys/class/thermal/thermal_zone0/temp"
_CLOCKS = "/sys/devices/system/cpu/cpu*/cpufreq/scaling_cur_freq"  # kHz
_CPUINFO = "/proc/cpuinfo"  # names MHz on x86
_THROTTLED = "/sys/devices/platform/soc*/soc*:firmware/get_throttled"
# Bits of the Raspberry Pi firmware's answer, from its documentation; 16 bits further up: has happened since the start.
_FLAGS = ("under-voltage", "frequency capped", "throttled", "soft temperature limit")


def temperature_c() -> float | None:
    """Temperature of the processor in degrees Celsius; None where the system does not tell."""
    text = _read(_TEMPERATURE)
    return round(int(text) / 1000, 1) if text.lstrip("-").isdecimal() else None


def clock_mhz() -> float | None:
    """Clock of the fastest core at the moment, in MHz; None where the system does not tell."""
    clocks = [int(text) / 1000 for path in glob.glob(_CLOCKS) if (text := _read(path)).isdecimal()]
    if not clocks:
        clocks = [float(mhz) for mhz in re.findall(r"^cpu MHz\s*: *(\d+(?:\.\d+)?)$", _read(_CPUINFO), re.MULTILINE)]
    return round(max(clocks), 1) if clocks else None


def throttled() -> list[str] | None:
    """What slows a Raspberry Pi down, such as ["under-voltage now"], empty for nothing; None where it is no Pi."""
    paths = glob.glob(_THROTTLED)
    text = _read(paths[0]) if paths else _ask_firmware()
    try:
        bits = int(text.rpartition("=")[2], 16)
    except ValueError:
        return None
    now = [f"{name} now" for place, name in enumerate(_FLAGS) if bits >> place & 1]
    before = [
        f"{name} since start" for place, name in enumerate(_FLAGS) if bits >> place + 16 & 1 and not bits >> place & 1
    ]
    return now + before


def _ask_firmware() -> str:
    """The answer of vcgencmd, which older kernels need; it exists only on a Pi."""
    program = shutil.which("vcgencmd")
    if program is None:
        return ""
    try:
        done = subprocess.run([program, "get_throttled"], capture_output=True, text=True, check=False, timeout=0.5)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except (OSError, ValueError):
        return ""
