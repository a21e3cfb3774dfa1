"""What a measurement was made on: a figure without its machine cannot be compared."""

import os
import platform
import re
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from edgecnn import __version__
from edgecnn.errors import EdgecnnError
from edgecnn.measure.board import clock_mhz, temperature_c, throttled

PACKAGES = (
    "ai-edge-litert", "tflite-runtime", "ai-edge-quantizer", "tensorflow", "keras", "tf-keras", "numpy",
    "opencv-python-headless", "opencv-python",
)  # fmt: skip


def fingerprint() -> dict[str, Any]:
    """CPU, cores, memory, what runs the models, and the machine's state now; None where the system does not tell.

    "memory_mb" counts 10^6 bytes; "throttled" lists what slows a Raspberry Pi down (see `board.throttled`).
    """
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "memory_mb": _memory_mb(),
        "architecture": platform.machine(),
        "platform": platform.platform(terse=True),
        "python": platform.python_version(),
        "delegate": delegate(),
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "clock_mhz": clock_mhz(),
        "temperature_c": temperature_c(),
        "throttled": throttled(),
    }


@cache
def delegate() -> str | None:
    """What runs convolutions here: "XNNPACK", "XNNPACK for float32 only", or "none" for the runtime's own kernels.

    None where no runtime is installed, or it does not tell.
    """
    try:
        from edgecnn.bundle.probe import pointwise_convolution  # `edgecnn doctor` comes here without NumPy too
        from edgecnn.runtime.interpreter import Runner

        models = {dtype: pointwise_convolution(dtype, size=1, channels=1, filters=1) for dtype in ("float32", "int8")}
        used = {dtype: Runner(model).delegated for dtype, model in models.items()}
    except (EdgecnnError, ImportError):
        return None
    if None in used.values():
        return None
    names = [dtype for dtype, delegated in used.items() if delegated]
    return "none" if not names else "XNNPACK" if len(names) == len(used) else f"XNNPACK for {names[0]} only"


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


def _memory_mb() -> int | None:
    found = re.search(r"^MemTotal: *(\d+) kB$", _read("/proc/meminfo") or "", re.MULTILINE)
    return round(int(found[1]) * 1024 / 1e6) if found else None


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(errors="replace").strip()
    except OSError:
        return None
