"""What a measurement was made on: a figure without its machine cannot be compared."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from edgecnn import __version__

PACKAGES = (
    "ai-edge-litert", "tflite-runtime", "ai-edge-quantizer", "tensorflow", "keras", "tf-keras", "numpy",
    "opencv-python-headless", "opencv-python",
)  # fmt: skip


def fingerprint() -> dict[str, Any]:
    """CPU, cores, clock governor, load and platform; None where the system does not tell."""
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "platform": platform.platform(terse=True),
        "python": platform.python_version(),
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def versions(names: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Versions of edgecnn and of the installed packages among `names`, read without importing them."""
    found = {"edgecnn": __version__}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _cpu_name() -> str | None:
    board = _read("/proc/device-tree/model")
    if board:
        return board.rstrip("\0")
    for line in (_read("/proc/cpuinfo") or "").splitlines():
        if line.startswith(("model name", "Model")):
            return line.partition(":")[2].strip()
    return platform.processor() or None


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(errors="replace").strip()
    except OSError:
        return None
