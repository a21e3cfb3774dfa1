"""edgecnn on an emulated Raspberry Pi 3, 4 or 5, on any x86-64 Linux with apt; from the repository's folder:

    python -m tools.emulated_pi setup                            as root, once: QEMU and what else is needed
    python -m tools.emulated_pi build DIR                        Debian's arm64 Python and edgecnn's wheels in DIR
    python -m tools.emulated_pi run DIR 4 predict MODEL IMAGE    this checkout's `edgecnn predict` on a Pi 4
    python -m tools.emulated_pi python DIR 5 -c "..."            any Python program
    python -m tools.emulated_pi count DIR MODEL...               instructions of one inference on each Pi

Files are used where they lie: only what exists in DIR hides the host's. A program that Python starts itself does not
run. Exits 3 where the machine cannot do it, 1 where it failed.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from tools.emulated_pi_root import (
    BOARDS,
    CHECKOUT,
    MIRROR_VARIABLE,
    SUITES,
    EmulationError,
    UnavailableError,
    build,
    failure_line,
    python_version,
)

UNAVAILABLE = 3  # exit code
QEMU = "qemu-aarch64"
# Only the dynamically linked QEMU loads plugins. The keyring is for hosts that are no Debian.
PACKAGES = ("qemu-user", "mmdebstrap", "debian-archive-keyring", "gcc", "libc6-dev")
PROGRAMS = (QEMU, "mmdebstrap", "gcc")
PLUGIN = CHECKOUT / "tools" / "emulated_pi_count.c"

# Marks are calls that succeed, because an exception takes thousands of instructions; LiteRT is called as directly as it
# goes, without garbage collection. So what Python adds is little and always the same. The first call packs weights.
INFERENCE = """
import gc, os, sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter

interpreter = Interpreter(model_content=sys.stdin.buffer.read(), num_threads=1)
interpreter.allocate_tensors()
details = interpreter.get_input_details()[0]
if -1 in details["shape_signature"][1:]:
    sys.exit("the size of its input is not fixed")
values = np.arange(np.prod(details["shape"])).reshape(details["shape"]) % 128
interpreter.set_tensor(details["index"], values.astype(details["dtype"]))
lseek, invoke = os.lseek, interpreter.invoke
gc.disable()
for _ in range(3):
    lseek(0, 0x65646765, 0)
    invoke()
    lseek(0, 0x65646766, 0)
"""
COUNT_HELP = """
Count the instructions of one inference. After two inferences to warm up, the third one counts, in one thread; counts
repeat to the instruction, and about 5,000 of them are Python's. They compare models on one processor. They are no
milliseconds: processors differ in how many instructions they do at once and in how they wait for memory.
"""


def unavailable() -> str:
    """Why this machine cannot emulate a Pi, in one line; "" when it can."""
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if not missing:
        return _wrong_machine()
    return _wrong_machine() or f"{', '.join(missing)} missing; as root type: python -m tools.emulated_pi setup"


def _wrong_machine() -> str:
    system, machine = platform.system(), platform.machine()
    return "" if (system, machine) == ("Linux", "x86_64") else f"needs Linux on x86_64, this is {system} on {machine}"


def setup() -> list[str]:
    """Install what is missing with apt-get; returns the packages that were.

    Raises:
        UnavailableError: not Linux on x86-64, no apt-get, not root, or apt-get failed.
    """
    if reason := _wrong_machine():
        raise UnavailableError(reason)
    if not (shutil.which("apt-get") and shutil.which("dpkg-query")):
        raise UnavailableError("needs apt-get")
    query = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *PACKAGES]
    states = subprocess.run(query, capture_output=True, text=True, check=False).stdout.splitlines()
    missing = [name for name in PACKAGES if f"{name} installed" not in states]
    if missing and os.geteuid() != 0:
        raise UnavailableError(f"needs root to install {', '.join(missing)}")
    install = ["install", "--yes", "--no-install-recommends", *missing]
    for arguments in (["update"], install) if missing else ():
        command = ["apt-get", "--quiet=2", "--option=DPkg::Lock::Timeout=60", *arguments]
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(command, env=quiet, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode and arguments == install:  # an update fails for any repository, even one not needed here
            raise UnavailableError(f"apt-get {arguments[0]} failed: {failure_line(done.stderr)}")
    return missing


def command(tree: Path, pi: int, arguments: Sequence[str], *, plugin: Path | None = None) -> list[str]:
    """The command line that runs the tree's Python on an emulated Pi; run it with `environment(tree)`.

    Args:
        tree: made by `build`.
        pi: a key of BOARDS.
        arguments: of Python.
        plugin: a QEMU plugin to load.
    """
    tree = tree.absolute()
    python = tree / "root" / "usr" / "bin" / f"python{python_version(tree)}"
    qemu = [shutil.which(QEMU) or QEMU, "-cpu", BOARDS[pi].cpu, "-L", str(tree / f"pi{pi}")]
    return [*qemu, *(["-plugin", str(plugin)] if plugin else []), str(python), *arguments]


def environment(tree: Path) -> dict[str, str]:
    """The environment of the emulated Python: this one's, the tree's packages and this checkout's edgecnn.

    Compiled files go into the tree, and the checkout stays as it is.
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith(("LD_", "PYTHON", "QEMU_"))}
    tree = tree.absolute()
    return own | {
        "PYTHONPATH": os.pathsep.join([str(tree / "site"), str(CHECKOUT)]),
        "PYTHONPYCACHEPREFIX": str(tree / "pycache"),
        "PYTHONNOUSERSITE": "1",
    }


def count(tree: Path, models: Sequence[Path]) -> dict[str, dict[int, int]]:
    """Instructions of one inference of each model: name of the file as given -> Pi -> instructions.

    Raises:
        EmulationError: a model does not run, or QEMU takes no plugin.
    """
    for model in models:
        if not model.is_file():
            raise EmulationError(f"no such model: {model}")
    fixed = counted_environment(tree)

    def one(model: Path, pi: int) -> int:
        return instructions(model, command(tree, pi, ["-c", INFERENCE], plugin=plugin), fixed)

    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        plugin = Path(folder) / "count.so"
        compile_plugin(plugin)
        with suppress(EmulationError):
            one(models[0], min(BOARDS))  # compiles Python's modules
        jobs = {(model, pi): pool.submit(one, model, pi) for model in models for pi in BOARDS}
        return {str(model): {pi: jobs[model, pi].result() for pi in BOARDS} for model in models}


def counted_environment(tree: Path, *more: Path) -> dict[str, str]:
    """The environment of a program whose instructions are counted, with `more` folders of modules.

    What surrounds a program (variables, paths, other files in a folder of modules) shifts its heap, and that changes a
    count by a dozen. So it sees nothing but its own packages.
    """
    fixed = {name: environment(tree)[name] for name in ("PYTHONPYCACHEPREFIX", "PYTHONNOUSERSITE")}
    paths = os.pathsep.join(str(path) for path in (tree.absolute() / "site", *more))
    fixed |= {"PYTHONPATH": paths, "PYTHONSAFEPATH": "1", "PYTHONHASHSEED": "0"}
    return fixed | {"OPENBLAS_NUM_THREADS": "1"}


def compile_plugin(plugin: Path) -> None:
    """Compile the counter into a shared library.

    Raises:
        EmulationError: the compiler failed.
    """
    arguments = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", str(plugin), str(PLUGIN)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EmulationError(f"cannot compile {PLUGIN.name}: {failure_line(done.stderr)}")


def instructions(model: Path, line: list[str], fixed: dict[str, str]) -> int:
    """Instructions between the last pair of marks that a command line sets; the model is its standard input.

    Raises:
        EmulationError: it does not run, or QEMU takes no plugin.
    """
    with model.open("rb") as file:
        done = subprocess.run(line, env=fixed, stdin=file, capture_output=True, text=True, check=False)
    found = re.findall(r"^instructions (\d+)$", done.stderr, re.MULTILINE)
    if done.returncode or not found:
        if "plugin" in done.stderr:
            raise UnavailableError(f"counting needs a QEMU 7 or 8 with plugins: {failure_line(done.stderr)}")
        raise EmulationError(f"{model} does not run on the emulated Pi: {failure_line(done.stderr)}")
    return int(found[-1])


def count_table(counts: Mapping[str, Mapping[int, int]]) -> str:
    """Millions of instructions, a model a row, at most 80 columns wide."""
    names = {model: Path(model).name for model in counts}
    width = min(80 - 11 * len(BOARDS), max(len(name) for name in ("model", *names.values())))
    rows = ["model".ljust(width) + "".join(f"{f'Pi {pi}':>11}" for pi in BOARDS)]
    for model, found in counts.items():
        name = names[model] if len(names[model]) <= width else names[model][: width - 1] + "…"
        rows.append(name.ljust(width) + "".join(f"{found[pi] / 1e6:11.3f}" for pi in BOARDS))
    return "\n".join(["Millions of instructions of one inference; no milliseconds", *rows])


def main(arguments: list[str] | None = None) -> int:
    """The program; returns its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.act(options))
    except EmulationError as exc:
        print(f"No emulated Pi: {exc}" if isinstance(exc, UnavailableError) else f"Error: {exc}", file=sys.stderr)
        return UNAVAILABLE if isinstance(exc, UnavailableError) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.emulated_pi", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    acts = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, act: Any, help_text: str, *, tree: bool = True) -> argparse.ArgumentParser:
        one = acts.add_parser(name, help=help_text.strip().partition(";")[0].partition(".")[0], description=help_text)
        one.set_defaults(act=act)
        if tree:
            one.add_argument("tree", type=Path, metavar="DIR", help="folder made by build")
        return one

    add("setup", _setup, "Install QEMU, mmdebstrap and gcc with apt-get.", tree=False)
    one = add("build", _build, "Make DIR: Debian's arm64 Python, edgecnn's aarch64 wheels, three Pis' /proc and /sys.")
    one.add_argument("--suite", choices=SUITES, default="bookworm", help="Debian release (default bookworm)")
    one.add_argument("--mirror", help=f"Debian archive (default: {MIRROR_VARIABLE}, else the one apt uses)")
    for name, act, text in (
        ("run", _run, "Run this checkout's edgecnn on a Pi."),
        ("python", _python, "Run Python on a Pi."),
    ):
        one = add(name, act, text)
        one.add_argument("pi", type=int, choices=BOARDS, help="which Pi")
        one.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARGS", help="arguments of the program")
    one = add("count", _count, COUNT_HELP)
    one.add_argument("models", nargs="+", type=Path, metavar="MODEL", help="a .tflite")
    one.add_argument("--json", action="store_true", help="print JSON: model, Pi, instructions")
    return parser


def _setup(options: argparse.Namespace) -> int:
    installed = setup()
    print(f"The emulated Pi's packages: {'installed ' + ', '.join(installed) if installed else 'all there'}")
    return 0


def _build(options: argparse.Namespace) -> int:
    _check()
    made = build(options.tree, suite=options.suite, mirror=options.mirror)
    print(f"{'Made' if made else 'Found'} {options.tree}")
    return 0


def _run(options: argparse.Namespace) -> int:
    return _execute(options, ["-m", "edgecnn"])


def _python(options: argparse.Namespace) -> int:
    return _execute(options, [])


def _execute(options: argparse.Namespace, first: list[str]) -> int:
    _check()
    line = command(options.tree, options.pi, [*first, *options.arguments])
    os.execvpe(line[0], line, environment(options.tree))  # signals and the exit code are the program's own


def _count(options: argparse.Namespace) -> int:
    _check()
    counts = count(options.tree, options.models)
    print(json.dumps(counts, indent=2) if options.json else count_table(counts))
    return 0


def _check() -> None:
    if reason := unavailable():
        raise UnavailableError(reason)


if __name__ == "__main__":
    sys.exit(main())
