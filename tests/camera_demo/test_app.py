"""camera_demo/app.py as its owner runs it: a program with a settings file, under a service manager or not."""

import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from edgecnn.config import Preprocess
from tests.models import linear, sealed

DEMO = Path(__file__).parents[2] / "camera_demo"
RATE = 60.0  # frames a second of the clips
pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="the demo runs on bookworm's Python 3.11 and later")


@pytest.fixture(scope="module")
def app() -> ModuleType:
    spec = importlib.util.spec_from_file_location("camera_demo_app", DEMO / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with model.tflite, which tells dark from bright, blinks.avi (2 s) and long.avi (30 s)."""
    folder = tmp_path_factory.mktemp("demo")
    weights = np.array([[-10.0] * 3, [10.0] * 3], np.float32)
    content = linear(weights, np.array([15.0, -15.0], np.float32))
    preprocess = Preprocess(width=4, height=4, std=(255.0,))
    (folder / "model.tflite").write_bytes(sealed(content, labels=("dark", "bright"), preprocess=preprocess))
    for name, periods in (("blinks.avi", 2), ("long.avi", 30)):
        clip = cv2.VideoWriter(str(folder / name), cv2.VideoWriter.fourcc(*"MJPG"), RATE, (64, 48))
        for level in (0, 255) * periods:
            for _ in range(30):
                clip.write(np.full((48, 64, 3), level, np.uint8))
        clip.release()
    return folder


@contextmanager
def running(place: Path, tmp_path: Path, settings: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """The program with these settings, in tmp_path; killed if it still runs at the end."""
    config = tmp_path / "config.toml"
    config.write_text(f'model = "{place}/model.tflite"\nsmooth = 1\nthreads = 1\n{settings}', "utf-8")
    process = subprocess.Popen(
        [sys.executable, DEMO / "app.py", config],
        cwd=tmp_path,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def clip(place: Path, name: str) -> str:
    return f'source = "{place}/{name}"\n'


@pytest.mark.parametrize(
    ("cooldown", "command", "starts"),
    [(60, "sh -c 'echo $EDGECNN_LABEL $EDGECNN_SCORE >> starts'", 1), (0, "sh -c 'echo bright 1.000 >> starts'", 2)],
)
def test_labels_events_and_actions(place: Path, tmp_path: Path, cooldown: int, command: str, starts: int) -> None:
    settings = f'{clip(place, "blinks.avi")}serve = ""\ncooldown_s = {cooldown}\n[actions]\nbright = "{command}"\n'
    with running(place, tmp_path, settings) as process:
        output, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    labels = ["dark", "bright"] * 2
    assert re.findall(r"^(dark|bright) 100%$", output, re.M) == labels
    assert re.search(r"^\d+ frames, \d+ dropped, 0 reconnects$", output, re.M)
    assert re.search(r"^camera: running$", errors, re.M)
    assert [json.loads(line)["label"] for line in (tmp_path / "events.jsonl").read_text().splitlines()] == labels
    assert (tmp_path / "starts").read_text() == "bright 1.000\n" * starts


def test_a_service_manager_hears_of_it_and_can_end_it(place: Path, tmp_path: Path) -> None:
    token = "secret-of-the-test"
    (tmp_path / "token").write_text(token + "\n")
    settings = clip(place, "long.avi") + 'serve = "127.0.0.1:0"\ntoken_file = "token"\n'
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        address = f"\0edgecnn-test-{os.getpid()}"
        manager.bind(address)
        manager.settimeout(20)
        variables = {"NOTIFY_SOCKET": "@" + address[1:], "WATCHDOG_USEC": "300000"}
        with running(place, tmp_path, settings, **variables) as process:
            assert process.stdout is not None
            page = process.stdout.readline().removeprefix("page: ").strip()
            heard = [manager.recv(100) for _ in range(3)]
            assert heard == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
            assert urllib.request.urlopen(f"{page}status.json?token={token}", timeout=10).status == 200
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(f"{page}status.json", timeout=10)
            process.send_signal(signal.SIGTERM)
            output, errors = process.communicate(timeout=10)
            assert process.returncode == 0, errors
            while (message := manager.recv(100)) == b"WATCHDOG=1":
                continue
    assert message == b"STOPPING=1"
    assert token not in page + output + errors
    assert re.search(r"^\d+ frames, ", output, re.M)
    assert (tmp_path / "events.jsonl").read_text().endswith("}\n")


def test_a_hang_gets_no_sign_of_life(app: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each status is ten seconds after the one before."""
    statuses = [
        *((frames, "running") for frames in (5, 9, 12)),
        *((12, "reconnecting") for _ in range(15)),
        (13, "running"),
        *((13, "stalled") for _ in range(3)),
    ]
    heard: list[float] = []
    clock = SimpleNamespace(now=1000.0)

    def sleep(_: float) -> None:
        clock.now += 10.0

    def status() -> dict[str, Any]:
        frames, state = next(left)
        return {"frames": frames, "state": state}

    left = iter(statuses)
    monkeypatch.setattr(app, "time", SimpleNamespace(monotonic=lambda: clock.now, sleep=sleep))
    monkeypatch.setattr(app, "notify", lambda _: heard.append((clock.now - 1000) / 10))
    with pytest.raises(StopIteration):
        app.feed_watchdog(SimpleNamespace(status=status))
    lost = range(3, 3 + 11)  # until two minutes after the last frame, which came with status 2
    assert heard == [0, 1, 2, *lost, 18]


def test_an_action_is_not_started_again_while_it_runs(app: ModuleType, tmp_path: Path) -> None:
    command = f"sh -c 'echo >> {tmp_path}/starts; read line < {tmp_path}/gate'"
    os.mkfifo(tmp_path / "gate")
    actions = app.Actions({"cat": command}, ("cat", "dog"), 0.0)
    for label, changed in (("cat", True), ("cat", False), ("dog", True), ("cat", True)):
        actions.show(SimpleNamespace(label=label, changed=changed, score=0.5))
    (tmp_path / "gate").write_text("end\n")
    assert actions.running["cat"].wait(timeout=10) == 0
    assert (tmp_path / "starts").read_text() == "\n"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("smoth = 3", ["'smoth'", "smooth"]),
        ('smooth = "5"', ["smooth", "a whole number from 0 up", "'5'"]),
        ("smooth = true", ["smooth", "a whole number from 0 up", "True"]),
        ("threshold = -0.1", ["threshold", "a number from 0 up", "-0.1"]),
        ("threshold = nan", ["threshold", "nan"]),
        ("source = 0", ["source", "text in quotes", "got 0"]),
        ("size = [640]", ["size", "[] or 2 whole numbers", "[640]"]),
        ('roi = [1, 2, 3, "4"]', ["roi", "[] or 4 whole numbers"]),
        ("actions = 3", ["actions", "a table [actions]"]),
        ("serve = 127.0.0.1:8080", ["line 1"]),
    ],
)
def test_a_wrong_setting_is_named(app: ModuleType, tmp_path: Path, settings: str, words: list[str]) -> None:
    path = tmp_path / "config.toml"
    path.write_text(settings)
    assert_ends(lambda: app.read_config(str(path)), [str(path), *words])


@pytest.mark.parametrize(
    ("actions", "words"),
    [
        ({"lion": "true"}, ["'lion'", "cat, dog or unknown"]),
        ({"cat": "no-such-command --now"}, ["cat", "'no-such-command --now'"]),
        ({"cat": "echo 'open"}, ["cat", "open"]),
        ({"cat": ""}, ["cat", "''"]),
        ({"cat": 3}, ["cat", "got 3"]),
    ],
)
def test_a_wrong_action_is_named(app: ModuleType, actions: dict[str, Any], words: list[str]) -> None:
    assert_ends(lambda: app.Actions(actions, ("cat", "dog"), 1.0), words)


def assert_ends(call: Callable[[], object], words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        call()
    line = caught.value.code
    assert isinstance(line, str)  # printed on stderr, with exit code 1
    assert "\n" not in line
    for word in words:
        assert word in line


def test_what_edgecnn_refuses_is_one_line_and_exit_code_1(place: Path, tmp_path: Path) -> None:
    with running(place, tmp_path, 'source = "nowhere.mp4"\n') as process:
        output, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert output == ""
    lines = [line for line in errors.splitlines() if not line.startswith("INFO: ")]  # the runtime's own
    assert len(lines) == 1
    assert "no source nowhere.mp4" in lines[0]


def test_the_settings_file_shows_every_default(app: ModuleType) -> None:
    assert app.read_config(str(DEMO / "config.toml")) == app.DEFAULTS
    text = (DEMO / "config.toml").read_text("utf-8")
    assert {*re.findall(r"^(\w+) = ", text, re.M), "actions"} == app.DEFAULTS.keys()


def test_it_can_be_read_in_ten_minutes() -> None:
    assert len((DEMO / "app.py").read_text("utf-8").splitlines()) < 200
