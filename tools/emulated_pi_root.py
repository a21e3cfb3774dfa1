"""The files that `tools/emulated_pi.py` runs programs in: Debian's arm64 Python, aarch64 wheels, a Pi's /proc, /sys.

No ARM program runs while it is made: Debian's packages are only unpacked, and pip chooses wheels for another platform.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
SUITES = {"bookworm": ("3.11", 36), "trixie": ("3.13", 41)}  # Python, and the minor version of glibc 2
MIRROR_VARIABLE = "EDGECNN_DEBIAN_MIRROR"
DEBIAN_PACKAGES = ("base-files", "python3", "libstdc++6")  # base-files has the links /lib and /bin
CORES = 4

_DEFAULT_MIRROR = "http://deb.debian.org/debian"
_INPUTS = "inputs.json"
_FROM_ROOT = ("bin", "etc", "lib", "usr")
_OLD_FEATURES = "fp asimd evtstrm crc32 cpuid"


class EmulationError(Exception):
    """Something failed that should work here; the message is one line."""


class UnavailableError(EmulationError):
    """This machine cannot emulate a Pi: another system, not root, a package or the network missing."""


@dataclass(frozen=True)
class Board:
    """A Raspberry Pi as its kernel describes it.

    Attributes:
        cpu: QEMU's name of the processor.
        part, variant, revision: of the processor, as in /proc/cpuinfo.
        features: the kernel's names of what the processor can do.
        mhz: highest clock.
        l1d, l1i, l2, l3: KiB of the caches; an L2 beside an L3 belongs to one core, otherwise all share it.
    """

    cpu: str
    part: str
    variant: str
    revision: int
    features: str
    mhz: int
    l1d: int
    l1i: int
    l2: int
    l3: int = 0


BOARDS = {
    3: Board("cortex-a53", "0xd03", "0x0", 4, _OLD_FEATURES, 1400, 32, 32, 512),
    4: Board("cortex-a72", "0xd08", "0x0", 3, _OLD_FEATURES, 1800, 32, 48, 1024),
    5: Board(
        "cortex-a76", "0xd0b", "0x4", 1,
        "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp",
        2400, 64, 64, 512, 2048,
    ),
}  # fmt: skip


def board_files(pi: int) -> dict[str, str]:
    """What programs read about the processor: path relative to / -> content.

    Every file that the host has too must be here, because a path that is missing is looked up on the host: LiteRT's
    cpuinfo library crashes on a mixture of two machines.
    """
    board = BOARDS[pi]
    everyone = f"0-{CORES - 1}"
    blocks = [
        f"processor\t: {core}\nBogoMIPS\t: 108.00\nFeatures\t: {board.features}\n"
        "CPU implementer\t: 0x41\nCPU architecture: 8\n"
        f"CPU variant\t: {board.variant}\nCPU part\t: {board.part}\nCPU revision\t: {board.revision}\n\n"
        for core in range(CORES)
    ]
    folder = "sys/devices/system/cpu"
    files = {
        "proc/cpuinfo": "".join(blocks) + f"Model\t\t: Raspberry Pi {pi}\n",
        f"{folder}/kernel_max": str(CORES - 1),
    }
    files |= {f"{folder}/{name}": everyone for name in ("possible", "present", "online")}
    for core in range(CORES):
        place, alone = f"{folder}/cpu{core}", str(core)
        last = (
            (3, board.l3) if board.l3 else (2, board.l2)
        )  # a Pi without L3 shows its L2 twice rather than the host's L3
        caches = [
            (1, "Data", board.l1d, alone),
            (1, "Instruction", board.l1i, alone),
            (2, "Unified", board.l2, alone if board.l3 else everyone),
            (last[0], "Unified", last[1], everyone),
        ]
        for index, (level, kind, size, shared) in enumerate(caches):
            cache = {"level": str(level), "type": kind, "size": f"{size}K", "shared_cpu_list": shared}
            files |= {f"{place}/cache/index{index}/{name}": text for name, text in cache.items()}
        files |= {
            f"{place}/cpufreq/cpuinfo_max_freq": str(1000 * board.mhz),
            f"{place}/cpufreq/cpuinfo_min_freq": "600000",
            f"{place}/topology/physical_package_id": "0",
            f"{place}/topology/core_id": str(core),
        }
        lists = ("core_siblings_list", "package_cpus_list", "cluster_cpus_list")
        files |= {f"{place}/topology/{name}": everyone for name in lists}
    return {path: text if text.endswith("\n") else text + "\n" for path, text in files.items()}


def base_dependencies(pyproject: str) -> list[str]:
    """`[project] dependencies` of a pyproject.toml; such a list is Python too, and Python 3.10 has no TOML reader."""
    found = re.search(r"^\[project\]$.*?^dependencies = (\[.*?^\])$", pyproject, re.MULTILINE | re.DOTALL)
    if not found:
        raise EmulationError("expected a list `dependencies = [` under [project] in pyproject.toml, found none")
    return [str(item) for item in ast.literal_eval(found[1])]


def debian_mirror(repositories: str) -> str:
    """The first Debian archive among apt's repositories, one URI a line; Debian's own where there is none."""
    uris = (line.strip().rstrip("/") for line in repositories.splitlines())
    return next((uri for uri in uris if re.fullmatch(r"https?://.*/debian", uri)), _DEFAULT_MIRROR)


def python_version(tree: Path) -> str:
    """Version of the tree's Python, as "3.11".

    Raises:
        EmulationError: nothing was built there.
    """
    try:
        return SUITES[json.loads((tree / _INPUTS).read_text("utf-8"))["suite"]][0]
    except (OSError, ValueError, KeyError):
        raise EmulationError(f"no emulated Pi in {tree}; make one: python -m tools.emulated_pi build {tree}") from None


def build(tree: Path, *, suite: str = "bookworm", mirror: str | None = None) -> bool:
    """Make the tree, whole or not at all; False when it was there already, made of the same parts.

    Args:
        tree: folder to make; it is replaced when it holds a tree made of other parts.
        suite: a key of SUITES.
        mirror: URI of a Debian archive; by default EDGECNN_DEBIAN_MIRROR, else the one that apt uses here.

    Raises:
        UnavailableError: Debian's packages cannot be unpacked or fetched here.
        EmulationError: the folder holds something else, or there are no wheels.
    """
    tree = tree.absolute()
    requirements = base_dependencies((CHECKOUT / "pyproject.toml").read_text("utf-8"))
    boards = {str(pi): board_files(pi) for pi in BOARDS}
    inputs = json.dumps({"suite": suite, "debian": DEBIAN_PACKAGES, "wheels": requirements, "boards": boards}, indent=1)
    if tree.exists() and not (tree / _INPUTS).is_file() and any(tree.iterdir()):
        raise EmulationError(f"expected an empty or new folder, {tree} holds something else; choose another")
    if (tree / _INPUTS).is_file() and (tree / _INPUTS).read_text("utf-8") == inputs:
        return False
    tree.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=tree.parent, prefix=f".{tree.name}-") as beside:
        new = Path(beside) / "new"
        new.mkdir()
        _unpack_debian(new / "root", suite, mirror or os.environ.get(MIRROR_VARIABLE) or _apt_mirror())
        _unpack_wheels(new / "site", suite, requirements)
        for pi, files in boards.items():
            _lay_over(new / f"pi{pi}", files)
        (new / _INPUTS).write_text(inputs, encoding="utf-8")
        if tree.exists():
            tree.rename(Path(beside) / "old")
        new.rename(tree)
    return True


def _apt_mirror() -> str:
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)"]
    return debian_mirror(subprocess.run(command, capture_output=True, text=True, check=False).stdout)


def _unpack_debian(root: Path, suite: str, mirror: str) -> None:
    # Packages are only extracted, and "chrootless" does that without root and without mounts.
    command = ["mmdebstrap", "--mode=chrootless", "--variant=extract", "--architectures=arm64"]
    command += [f"--include={','.join(DEBIAN_PACKAGES)}", suite, str(root), mirror]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not (root / "usr" / "bin").is_dir():
        raise UnavailableError(f"cannot unpack Debian {suite} for arm64 from {mirror}: {failure_line(done.stderr)}")
    for folder in ("var/lib/apt", "var/cache", "usr/share/doc", "usr/share/locale"):
        shutil.rmtree(root / folder, ignore_errors=True)


def _unpack_wheels(site: Path, suite: str, requirements: list[str]) -> None:
    python, glibc = SUITES[suite]
    platforms = [f"manylinux_2_{minor}_aarch64" for minor in range(17, glibc + 1)] + ["manylinux2014_aarch64"]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    command += ["--root-user-action=ignore", "--only-binary=:all:", "--implementation=cp", f"--python-version={python}"]
    command += [f"--platform={platform}" for platform in platforms]
    done = subprocess.run([*command, f"--target={site}", *requirements], capture_output=True, text=True, check=False)
    if done.returncode:
        raise EmulationError(f"no aarch64 wheels for Python {python}: {failure_line(done.stderr)}")


def _lay_over(overlay: Path, files: dict[str, str]) -> None:
    """A board's own / : the processor's files, and links to the common tree for everything else."""
    for path, text in files.items():
        (overlay / path).parent.mkdir(parents=True, exist_ok=True)
        (overlay / path).write_text(text, encoding="utf-8")
    for name in _FROM_ROOT:
        (overlay / name).symlink_to(Path("..") / "root" / name)


def failure_line(output: str) -> str:
    """The line of a program's output that says why it failed: its first error, else its last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return next(
        (line for line in lines if re.match(r"E:|error\b", line, re.IGNORECASE)), (lines or ["no reason given"])[-1]
    )
