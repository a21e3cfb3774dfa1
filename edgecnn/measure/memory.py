"""Peak memory of a model, measured in a fresh process: `python -m edgecnn.measure.memory MODEL THREADS`.

A process that has already loaded other things cannot tell what a model alone needs.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from edgecnn.errors import ModelError


def peak_rss_mb(path: str | os.PathLike[str], *, threads: int = 1, size: tuple[int, int] | None = None) -> float | None:
    """Peak resident memory in MB (10^6 bytes) of a new process that loads the model and runs it once.

    That includes Python, NumPy and the TFLite runtime. None where the system does not tell (no /proc).

    Raises:
        ModelError: the model does not load there.
    """
    command = [sys.executable, "-m", "edgecnn.measure.memory", os.fspath(path), str(threads)]
    command += [str(n) for n in size or ()]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        raise ModelError(f"{path} does not run in a fresh process: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    peak = json.loads(done.stdout)
    return None if peak is None else float(peak)


def _run_once(path: str, threads: int, size: tuple[int, int] | None) -> float | None:
    from edgecnn.runtime.interpreter import Engine

    engine = Engine(Path(path).read_bytes(), threads=threads, size=size)
    engine.run(np.zeros((engine.height, engine.width, engine.channels), engine.input_type.dtype))
    # VmHWM belongs to this program alone; ru_maxrss would also count the parent from before exec.
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    line = next((line for line in status.splitlines() if line.startswith("VmHWM:")), None)
    return round(int(line.split()[1]) * 1024 / 1e6, 1) if line else None


if __name__ == "__main__":
    arguments = [int(n) for n in sys.argv[2:]]
    sys.stdout.write(
        json.dumps(_run_once(sys.argv[1], arguments[0], (arguments[1], arguments[2]) if arguments[2:] else None))
    )
