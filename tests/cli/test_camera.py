"""`edgecnn camera`: from a clip or a folder to labels, files and a summary; and its end by a signal."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import Result

from edgecnn.camera.frame import Picture
from edgecnn.errors import SourceError
from tests.keras_models import COLORS, color_picture

Run = Callable[..., Result]
Failure = Callable[..., str]
ROOT = Path(__file__).parents[2]
KEYS = {"frames", "dropped", "fps", "p50_ms", "p90_ms", "age_p50_ms", "age_p90_ms", "reconnects"}
EVENT_KEYS = ["frame", "captured_at", "age_ms", "label", "index", "score", "latency_ms"]


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)


def write_clip(path: Path, *, each: int = 10, rate: float = 10.0) -> str:
    """A clip of so many pictures of each colour, 64x48; returns its name."""
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate, (64, 48))
    assert video.isOpened()
    for color in COLORS:
        picture = color_picture(color, np.random.default_rng(5), size=(64, 48))
        for _ in range(each):
            video.write(picture)
    video.release()
    return path.name


@pytest.fixture
def clip(place: Path) -> str:
    """Three seconds: blue, green, red."""
    return write_clip(place / "clip.avi")


def summary(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_what_is_shown_of_a_clip(clip: str, edgecnn: Run) -> None:
    result = edgecnn("camera", "int8.tflite", "--source", clip, "--every-frame", "--smooth", 1)
    assert (result.exit_code, result.stderr) == (0, "")
    *changes, count, stages, more, age = result.stdout.splitlines()
    assert [re.sub(r" \d+%$", "", line) for line in changes] == [
        "frame 0: blue", "frame 10: green", "frame 20: red",
    ]  # fmt: skip
    assert re.fullmatch(r"30 frames, [\d.,]+ a second", count)
    assert re.fullmatch(r"frame to label [\d.]+ ms \(90 %: [\d.]+\): preprocessing [\d.]+, inference .*", stages)
    assert more.startswith("  ")
    assert re.fullmatch(r"age of a frame at its label [\d.]+ ms \(90 %: [\d.]+\)", age)


def test_every_key_of_the_contract(clip: str, edgecnn: Run) -> None:
    record = summary(edgecnn("camera", "int8.tflite", "--source", clip, "--every-frame", "--json"))
    assert record.keys() > KEYS | {"schema", "source", "model", "stages", "threads"}
    assert (record["frames"], record["dropped"], record["reconnects"], record["skipped"]) == (30, 0, 0, 0)
    assert (record["schema"], record["source"], record["model"]) == ("edgecnn.camera/1", "clip.avi", "int8.tflite")
    assert sum(record["labels"].values()) == 30
    for low, high in (("p50_ms", "p90_ms"), ("age_p50_ms", "age_p90_ms")):
        assert 0 < record[low] <= record[high]
    assert not {"saved", "full", "left_out"} & record.keys()


def test_a_clip_plays_at_its_own_rate(place: Path, edgecnn: Run) -> None:
    name = write_clip(place / "fast.avi", each=5, rate=30.0)
    record = summary(edgecnn("camera", "int8.tflite", "--source", name, "--json"))
    assert record["frames"] + record["dropped"] == 15
    assert record["seconds"] == pytest.approx(14 / 30, abs=0.2)


def test_a_folder_of_images(place: Path, edgecnn: Run) -> None:
    (place / "flat" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    record = summary(edgecnn("camera", "int8.tflite", "--source", "flat", "--json"))
    assert (record["frames"], record["dropped"], record["skipped"]) == (9, 0, 1)
    shown = edgecnn("camera", "int8.tflite", "--source", "flat")
    assert ", 1 skipped" in shown.stdout


@pytest.mark.parametrize("model", ["float.tflite", "model.keras"])
def test_a_model_that_edgecnn_did_not_make(model: str, clip: str, edgecnn: Run) -> None:
    options = ("--labels", "labels.txt", "--preprocess", "raw", "--threads", 2, "--max-frames", 5)
    record = summary(edgecnn("camera", model, "--source", clip, "--every-frame", "--json", *options))
    assert (record["labels"], record["threads"]) == ({"blue": 5}, 2)


def test_so_many_frames_at_most(clip: str, edgecnn: Run) -> None:
    command = ("camera", "int8.tflite", "--source", clip, "--every-frame", "--json", "--max-frames")
    assert summary(edgecnn(*command, 7))["frames"] == 7
    one = summary(edgecnn(*command, 1))
    assert (one["frames"], one["fps"]) == (1, None)
    assert edgecnn(*command[:-2], "--max-frames", 1).stdout.splitlines()[1] == "1 frame"


def test_events_of_every_frame(clip: str, place: Path, edgecnn: Run) -> None:
    command = ("camera", "int8.tflite", "--source", clip, "--every-frame", "--events", "e.jsonl", "--json")
    assert summary(edgecnn(*command, "--event-every", 0))["frames"] == 30
    found = events(place / "e.jsonl")
    assert [list(record) for record in found] == [EVENT_KEYS] * 30
    assert [record["frame"] for record in found] == list(range(30))
    assert {record["label"] for record in found} <= {*COLORS, "unknown"}
    assert all(record["index"] == (COLORS.index(record["label"]) if record["label"] in COLORS else None)
               for record in found)  # fmt: skip
    assert all(abs(record["captured_at"] - time.time()) < 60 for record in found)
    assert all(0 < record["latency_ms"] <= record["age_ms"] for record in found)
    edgecnn(*command, "--smooth", 1)  # goes on in the file, with changes only
    assert [record["label"] for record in events(place / "e.jsonl")[30:]] == list(COLORS)


def test_smoothing_threshold_and_region_are_used(clip: str, place: Path, edgecnn: Run) -> None:
    def labels(*options: object) -> dict[str, int]:
        found = summary(edgecnn("camera", "int8.tflite", "--source", clip, "--every-frame", "--json", *options))
        return dict(found["labels"])

    assert labels("--smooth", 1) == dict.fromkeys(COLORS, 10)
    assert labels("--smooth", 9)["blue"] > 10
    assert labels("--smooth", 1, "--threshold", 1) == {"unknown": 30}
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:, :32], picture[:, 32:] = (200, 40, 40), (40, 40, 200)
    (place / "halves").mkdir()
    cv2.imwrite(str(place / "halves" / "a.png"), picture)
    for roi, color in (("0,0,32,48", "blue"), ("32,0,32,48", "red")):
        record = summary(edgecnn("camera", "int8.tflite", "--source", "halves", "--roi", roi, "--json"))
        assert record["labels"] == {color: 1}


@pytest.mark.parametrize("name", ["out.mp4", "out.avi"])
def test_a_recording(name: str, clip: str, place: Path, edgecnn: Run) -> None:
    command = ("camera", "int8.tflite", "--source", clip, "--record", name, "--json", "--roi", "4,4,40,30")
    assert summary(edgecnn(*command, "--every-frame"))["left_out"] == 0
    capture = cv2.VideoCapture(str(place / name))
    count = 0
    while capture.read()[0]:
        count += 1
    assert (count, capture.get(cv2.CAP_PROP_FPS)) == (30, 10)
    assert (capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)) == (64, 48)
    assert not list(place.glob(".edgecnn*"))


def test_uncertain_pictures(clip: str, place: Path, edgecnn: Run) -> None:
    command = ("camera", "int8.tflite", "--source", clip, "--every-frame", "--save-uncertain", "kept", "--threshold", 1)
    record = summary(edgecnn(*command, "--json"))
    assert (record["saved"], record["full"]) == (1, False)  # less than a second passes
    [path] = (place / "kept").iterdir()
    assert re.fullmatch(r"\d{8}T\d{6}\.\d{3}Z_blue_[01]\.\d\d\.jpg", path.name)
    assert cv2.imread(str(path)) is not None
    assert "\n1 uncertain picture saved\n" in edgecnn(*command).stdout


def test_a_drift_is_told_written_and_summed_up(place: Path, edgecnn: Run) -> None:
    video = cv2.VideoWriter(str(place / "night.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (64, 48))
    day = color_picture("green", np.random.default_rng(5), size=(64, 48))
    for picture, frames in ((day, 60), (np.zeros_like(day), 50), (day, 50)):
        for _ in range(frames):
            video.write(picture)
    video.release()
    command = ("camera", "int8.tflite", "--source", "night.avi", "--every-frame")
    result = edgecnn(*command, "--events", "e.jsonl", "--json")
    record = summary(result)
    assert (record["drift"]["begun"], record["drift"]["now"], list(record["drift"]["seconds"])) == (1, None, ["dark"])
    begun, over = (item for item in events(place / "e.jsonl") if "drift" in item)
    assert 60 < begun["frame"] <= 90
    assert 110 < over["frame"] <= 140
    assert list(begun) == [*EVENT_KEYS, "drift"]
    assert (begun["drift"]["reason"], begun["drift"]["state"], over["drift"]["state"]) == ("dark", "begun", "over")
    told = " ".join(result.stderr.split())
    assert re.fullmatch(r"Drift: dark: brightness 0\.00, expected .* before Drift: dark: over after 5\.\d s", told)
    assert all(len(line) <= 80 for line in result.stderr.splitlines())
    assert re.search(r"^drift 1 time: dark for 5\.\d s$", edgecnn(*command).stdout, re.M)
    silent = edgecnn(*command, "--no-drift", "--json")
    assert (silent.stderr, summary(silent)["drift"]) == ("", None)


def test_a_model_without_statistics_is_not_watched_and_that_is_said_once(clip: str, edgecnn: Run) -> None:
    options = ("--source", clip, "--every-frame", "--json", "--labels", "labels.txt", "--preprocess", "raw")
    result = edgecnn("camera", "float.tflite", *options)
    assert summary(result)["drift"] is None
    expected = "Note: no drift watch: float.tflite does not say what pictures were like at conversion; convert it again"
    assert " ".join(result.stderr.split()) == expected
    assert edgecnn("camera", "float.tflite", *options, "--no-drift").stderr == ""


def test_a_web_page_is_announced(clip: str, edgecnn: Run) -> None:
    pytest.importorskip("aiohttp")
    result = edgecnn("camera", "int8.tflite", "--source", clip, "--every-frame", "--serve", "127.0.0.1:0", "--json")
    assert summary(result)["frames"] == 30
    assert re.fullmatch(r"Open http://127\.0\.0\.1:\d+/?\n", result.stderr)


@pytest.mark.skipif("GUI:                           NONE" not in cv2.getBuildInformation(), reason="OpenCV has windows")
def test_a_display_that_opencv_cannot_use_is_a_note(clip: str, edgecnn: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    command = ("camera", "int8.tflite", "--source", clip, "--every-frame", "--json")
    result = edgecnn(*command)
    assert summary(result)["frames"] == 30
    assert result.stderr.startswith("Note: no window can be opened: ")
    assert max(map(len, result.stderr.splitlines())) <= 80
    assert edgecnn(*command, "--headless").stderr == ""


def test_the_user_ends_it_by_closing_the_window(clip: str, edgecnn: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import edgecnn.sinks.window as window

    class Closing:
        def __init__(self, *, roi: object) -> None:
            self.shown, self.closed = 0, False

        def show(self, observation: object) -> None:
            self.shown += 1
            self.closed = self.shown == 4

        def close(self) -> None:
            pass

    monkeypatch.setattr(window, "Window", Closing)
    monkeypatch.setenv("DISPLAY", ":0")
    assert summary(edgecnn("camera", "int8.tflite", "--source", clip, "--every-frame", "--json"))["frames"] == 4


@pytest.mark.parametrize(
    "wrong",
    [
        ("--size", "640"), ("--size", "640x"), ("--size", "-640x480"), ("--size", "640x480x3"), ("--size", "0x480"),
        ("--roi", "1,2,3"), ("--roi", "-1,0,4,4"), ("--roi", "a,b,c,d"), ("--roi", "1.5,0,4,4"), ("--roi", "0,0,0,4"),
        ("--threads", "0"), ("--threads", "65"), ("--threads", "all"), ("--threads", "-1"), ("--max-frames", "0"),
        ("--smooth", "0"), ("--threshold", "1.1"), ("--margin", "-0.1"), ("--event-every", "-1"),
        ("--uncertain-budget", "0"), ("--preprocess", "x"), ("--frames", "1"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_exits_2(wrong: tuple[str, str], edgecnn: Run) -> None:
    assert edgecnn("camera", "int8.tflite", "--source", "flat", *wrong).exit_code == 2


def test_a_source_must_be_given(edgecnn: Run) -> None:
    assert edgecnn("camera", "int8.tflite").exit_code == 2


def test_a_source_that_is_none(clip: str, failure: Failure, place: Path) -> None:
    (place / "empty").mkdir()
    (place / "broken").mkdir()
    (place / "broken" / "a.jpg").write_bytes(b"\xff\xd8\xff")
    (place / "text.mp4").write_text("hello")
    for source, reason in {
        "none.mp4": "no source none.mp4: expected a camera's number, picamera, a video file, a folder of images or an ",
        "text.mp4": "cannot open text.mp4: expected a video file, such as .mp4 or .avi",
        "empty": "empty holds no images",
        "broken": "broken holds no picture that can be decoded",
        "77": "cannot open camera 77: there is no /dev/video77; is it plugged in?",
    }.items():
        options = ("--events", "e.jsonl", "--record", "out.mp4", "--save-uncertain", "kept")
        assert failure("camera", "int8.tflite", "--source", source, *options).startswith(reason)


def test_a_region_outside_the_picture(clip: str, failure: Failure) -> None:
    options = ("--source", clip, "--events", "e.jsonl", "--record", "out.mp4", "--roi")
    for roi in ("0,0,65,10", "60,0,5,5", "0,40,5,9", "900,900,1,1"):
        expected = f"expected a region inside the picture of 64x48, got {roi}"
        assert failure("camera", "int8.tflite", *options, roi) == expected


def test_an_output_that_cannot_be_written(clip: str, failure: Failure) -> None:
    for option, path, reason in (
        ("--events", "none/e.jsonl", "cannot write events to none/e.jsonl: No such file or directory"),
        ("--record", "out.mkv", "expected a video file ending in .avi or .mp4, got out.mkv"),
        ("--record", "none/out.mp4", "cannot write none/out.mp4: its folder is missing or cannot be written"),
        ("--save-uncertain", "red.png", "cannot keep pictures in red.png: File exists"),
    ):
        other = ("--events", "e.jsonl") if option != "--events" else ()
        assert failure("camera", "int8.tflite", "--source", clip, option, path, *other) == reason
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("edgecnn-")]


def test_a_live_source_has_no_every_frame(failure: Failure) -> None:
    line = failure("camera", "int8.tflite", "--source", "0", "--every-frame")
    assert line.startswith("expected a file or folder to classify every frame of, got ")


class Silent:
    """A live source that was there and gives nothing; after a while the user types Ctrl-C."""

    live, rate, skipped = True, None, 0
    reads = 0

    def read(self, into: object) -> Picture | None:
        Silent.reads += signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        if Silent.reads == 3:
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
        raise SourceError("the cable is loose")

    def close(self) -> None:
        pass


def test_a_signal_before_the_first_picture(edgecnn: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecnn.camera.camera.open_source", lambda text, size: Silent())
    for options, expected in (((), "0 frames\n"), (("--json",), None)):
        Silent.reads = 0
        result = edgecnn("camera", "int8.tflite", "--source", "0", *options)
        assert result.exit_code == 0, result.stderr
        assert result.stderr == "source lost, trying again: the cable is loose\n"
        assert (result.stdout == expected) if expected else summary(result)["frames"] == 0
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(number: signal.Signals, place: Path) -> None:
    clip = write_clip(place / "long.avi", each=200, rate=20.0)  # half a minute
    command = [sys.executable, "-m", "edgecnn", "camera", "int8.tflite", "--source", clip, "--event-every", "0"]
    command += ["--events", "e.jsonl", "--record", "out.avi", "--json"]
    path = place / "e.jsonl"
    process = subprocess.Popen(
        command, cwd=place, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not (path.exists() and path.read_text().count("\n") >= 5):
        time.sleep(0.02)
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (0, b"")
    frames = json.loads(out)["frames"]
    assert 5 <= frames < 300
    assert path.read_text().endswith("}\n")
    assert len(events(path)) == frames
    assert cv2.VideoCapture(str(place / "out.avi")).read()[0]
    assert not list(place.glob(".edgecnn*"))
