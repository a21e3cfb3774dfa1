"""The CSI camera, with a picamera2 made up for it."""

import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from edgecnn.camera.picamera import PiCamera
from edgecnn.errors import SourceError

HEIGHT, WIDTH = 6, 8


class Request:
    """One picture of the camera."""

    def __init__(self, pixels: Any, metadata: Any) -> None:
        self.pixels, self.metadata, self.released = pixels, metadata, 0

    def make_array(self, name: str) -> Any:
        assert name == "main"
        if isinstance(self.pixels, Exception):
            raise self.pixels
        return self.pixels

    def get_metadata(self) -> Any:
        return self.metadata

    def release(self) -> None:
        self.released += 1


class Picamera2:
    """Stands for the class of this name; what happens to a camera is in `calls`."""

    requests: list[Any]
    calls: list[Any]
    refuses: dict[str, Exception]

    def __init__(self, number: int) -> None:
        self._do("open", number)

    def _do(self, name: str, *arguments: Any) -> None:
        self.calls.append((name, *arguments))
        if name in self.refuses:
            raise self.refuses[name]

    def create_video_configuration(self, **options: Any) -> dict[str, Any]:
        return options

    def configure(self, options: dict[str, Any]) -> None:
        self._do("configure", options)

    def start(self) -> None:
        self._do("start")

    def capture_request(self) -> Any:
        item = self.requests.pop(0)
        if isinstance(item, Exception):
            raise item
        return item

    def stop(self) -> None:
        self._do("stop")

    def close(self) -> None:
        self._do("close")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[Picamera2]:
    module = ModuleType("picamera2")
    vars(module)["Picamera2"] = Picamera2
    monkeypatch.setitem(sys.modules, "picamera2", module)
    Picamera2.requests, Picamera2.calls, Picamera2.refuses = [], [], {}
    return Picamera2


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's folder of packages, which is empty; no picamera2 anywhere else."""
    monkeypatch.setattr("edgecnn.camera.picamera._SYSTEM_PACKAGES", str(tmp_path))
    monkeypatch.setattr(sys, "path", [path for path in sys.path if "dist-packages" not in path])
    for name in [name for name in sys.modules if name.partition(".")[0] == "picamera2"]:
        monkeypatch.delitem(sys.modules, name)
    return tmp_path


def picture(value: int = 0, channels: int = 3) -> Any:
    return np.full((HEIGHT, WIDTH, channels), [10 + value, 20, 30, 255][:channels], np.uint8)


def refused(number: int = 0) -> str:
    with pytest.raises(SourceError) as caught:
        PiCamera(number)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_the_camera_is_asked_for_bgr_of_the_size(fake: type[Picamera2]) -> None:
    camera = PiCamera(1, size=(640, 480))
    assert (camera.live, camera.rate, camera.skipped) == (True, None, 0)
    (_, number), (_, options), start = fake.calls
    assert (number, start) == (1, ("start",))
    assert options["main"] == {"format": "RGB888", "size": (640, 480)}  # libcamera's name for B, G, R in memory
    PiCamera()
    assert fake.calls[4][1]["main"]["size"] == (1280, 720)


@pytest.mark.parametrize("channels", [3, 4])
def test_pixels_are_those_in_memory(fake: type[Picamera2], channels: int) -> None:
    request = Request(picture(channels=channels), {})
    fake.requests.append(request)
    read = PiCamera().read(None)
    assert read is not None
    assert read.pixels.dtype == np.uint8
    np.testing.assert_array_equal(read.pixels, picture())
    assert request.released == 1


def test_capture_is_when_the_sensor_says(fake: type[Picamera2]) -> None:
    stamp = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 80_000_000
    expected = time.monotonic() - 0.08
    fake.requests.append(Request(picture(), {"SensorTimestamp": stamp}))
    read = PiCamera().read(None)
    assert read is not None
    assert read.captured == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("ahead_ns", [None, 10**12])
def test_without_a_usable_stamp_capture_is_now(fake: type[Picamera2], ahead_ns: int | None) -> None:
    metadata = {"SensorTimestamp": time.clock_gettime_ns(time.CLOCK_BOOTTIME) + ahead_ns} if ahead_ns else {}
    fake.requests.append(Request(picture(), metadata))
    before = time.monotonic()
    read = PiCamera().read(None)
    assert read is not None
    assert before <= read.captured <= time.monotonic()


def test_a_picture_is_given_back_even_after_an_error(fake: type[Picamera2]) -> None:
    request = Request(MemoryError("full"), {})
    fake.requests.append(request)
    with pytest.raises(MemoryError):
        PiCamera().read(None)
    assert request.released == 1


@pytest.mark.parametrize("error", [RuntimeError("camera frontend has timed out"), TimeoutError("slow")])
def test_a_camera_that_stops_is_lost(fake: type[Picamera2], error: Exception) -> None:
    fake.requests.append(error)
    with pytest.raises(SourceError, match=f"the CSI camera gives no more pictures: {error}"):
        PiCamera().read(None)


def test_close_stops_the_camera_first(fake: type[Picamera2]) -> None:
    PiCamera().close()
    assert fake.calls[-2:] == [("stop",), ("close",)]


@pytest.mark.parametrize("error", [IndexError("list index out of range"), RuntimeError("Camera __init__ failed")])
def test_a_camera_that_is_not_there(fake: type[Picamera2], error: Exception) -> None:
    fake.refuses["open"] = error
    message = refused(3)
    assert message.startswith(f"cannot open CSI camera 3: {error}; type: rpicam-hello --list-cameras")


@pytest.mark.parametrize("step", ["configure", "start"])
def test_a_camera_that_does_not_start_is_closed(fake: type[Picamera2], step: str) -> None:
    fake.refuses[step] = RuntimeError("no buffers")
    assert refused() == "cannot start CSI camera 0: no buffers"
    assert fake.calls[-1] == ("close",)


def test_the_systems_package_is_found_from_a_virtual_environment(system: Path) -> None:
    (system / "picamera2.py").write_text("from tests.camera.test_picamera import Picamera2 as Picamera2\n")
    (system / "numpy.py").write_text("raise SystemExit('this is the system's numpy')\n")
    before = list(sys.path)
    try:
        Picamera2.requests, Picamera2.calls, Picamera2.refuses = [], [], {}
        PiCamera()
        assert sys.path == [*before, str(system)]  # behind everything else
    finally:
        sys.modules.pop("picamera2", None)


def test_where_it_is_not_installed_the_message_says_what_to_type(system: Path) -> None:
    before = list(sys.path)
    message = refused()
    assert f"this Python {sys.version_info.major}.{sys.version_info.minor} " in message
    assert "sudo apt install python3-picamera2" in message
    assert "/usr/bin/python3 -m venv --system-site-packages .venv" in message
    assert sys.path == before


@pytest.mark.parametrize(
    "content",
    [
        "import libcamera_of_another_python",
        "raise ImportError('libcamera.so.0.5: cannot open shared object file')",
        "raise ValueError('numpy.dtype size changed')",
    ],
)
def test_a_package_that_does_not_fit_is_told_and_leaves_no_trace(system: Path, content: str) -> None:
    (system / "picamera2.py").write_text(content + "\n")
    before = list(sys.path)
    message = refused()
    assert sys.path == before
    if "numpy" in content:
        assert message.startswith("picamera2 does not fit this environment's NumPy (numpy.dtype size changed); type: ")
        assert message.endswith("pip install --ignore-installed simplejpeg")
    else:
        assert message.startswith("picamera2 cannot be imported by this Python")
        assert "libcamera" in message


def test_a_broken_package_of_the_environment_is_not_replaced_by_the_systems(
    system: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (system / "picamera2.py").write_text("raise SystemExit('not this one')\n")
    own = tmp_path_factory.mktemp("own")
    (own / "picamera2.py").write_text("import a_package_that_is_missing\n")
    monkeypatch.syspath_prepend(own)
    before = list(sys.path)
    assert "a_package_that_is_missing" in refused()
    assert sys.path == before
