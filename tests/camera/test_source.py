from pathlib import Path
from typing import Any

import cv2
import pytest

from edgecnn.camera import capture, picamera
from edgecnn.camera.folder import Folder
from edgecnn.camera.source import is_live, open_source
from edgecnn.errors import SourceError
from tests.camera.stream import numbered


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would have been opened: class name, arguments, options."""
    calls: list[Any] = []
    for module, name in ((capture, "Device"), (capture, "Stream"), (capture, "Clip"), (picamera, "PiCamera")):
        monkeypatch.setattr(module, name, lambda *args, _name=name, **options: calls.append((_name, args, options)))
    return calls


SIZE = {"size": (640, 480)}


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("0", ("Device", ("0",), SIZE)),
        ("12", ("Device", ("12",), SIZE)),
        ("/dev/video2", ("Device", ("/dev/video2",), SIZE)),
        ("picamera", ("PiCamera", (0,), SIZE)),
        ("picamera:1", ("PiCamera", (1,), SIZE)),
        ("rtsp://camera/live", ("Stream", ("rtsp://camera/live",), {})),
        ("http://camera:8080/a.mjpg", ("Stream", ("http://camera:8080/a.mjpg",), {})),
    ],
)
def test_cameras_and_addresses(opened: list[Any], text: str, call: Any) -> None:
    open_source(text, size=(640, 480))
    assert opened == [call]
    assert is_live(text)


def test_files_and_folders(opened: list[Any], tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), numbered(0))
    assert isinstance(open_source(str(tmp_path)), Folder)
    assert opened == []
    open_source(str(tmp_path / "1.png"))
    assert opened == [("Clip", (str(tmp_path / "1.png"),), {})]
    assert not is_live(str(tmp_path))


def test_a_file_named_like_a_camera_is_a_file(
    opened: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("7").touch()
    open_source("./7")
    assert opened == [("Clip", ("./7",), {})]
    assert not is_live("./7")


@pytest.mark.parametrize("text", ["picamera:", "picamera:x", "picamera:-1", "picamera:1:2"])
def test_numbers_of_csi_cameras(opened: list[Any], text: str) -> None:
    if text == "picamera:":
        open_source(text)
        assert opened == [("PiCamera", (0,), {"size": None})]
    else:
        with pytest.raises(SourceError, match=f"^expected picamera or picamera:NUMBER, got {text}$"):
            open_source(text)


@pytest.mark.parametrize("text", ["", "clip.mp4", "-1", "1.5", "cam", "/dev/vide0"])
def test_what_is_not_there_is_told_with_what_could_be(opened: list[Any], text: str) -> None:
    with pytest.raises(SourceError, match=f"^no source {text}: expected a camera's number, picamera, a video file, "):
        open_source(text)
    assert opened == []
    assert not is_live(text)
