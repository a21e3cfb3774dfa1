"""What OpenCV reads: clips and streams that are real, and cameras that are not."""

import collections
import functools
import http.server
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecnn.camera import capture
from edgecnn.camera.capture import Clip, Device, Stream
from edgecnn.errors import SourceError
from tests.camera import stream
from tests.camera.stream import number_of, numbered

COUNT = 12
HEIGHT, WIDTH = numbered(0).shape[:2]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Numbered pictures at 25 a second."""
    path = tmp_path_factory.mktemp("clip") / "numbered.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (WIDTH, HEIGHT))
    assert writer.isOpened()
    for number in range(COUNT):
        writer.write(numbered(number))
    writer.release()
    return path


@pytest.fixture(scope="module")
def served(clip: Path) -> Iterator[str]:
    """The HTTP address of the clip's folder."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=clip.parent)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class Fake:
    """Stands for cv2.VideoCapture: gives one picture for good, and tells a time stamp in milliseconds."""

    def __init__(self, picture: NDArray[np.uint8], stamp: float = 0.0, *, good: bool = True) -> None:
        self.picture, self.stamp, self.good = picture, stamp, good
        self.released = False
        self.properties: dict[int, float] = {}
        self.opened: tuple[Any, ...] = ()

    def __call__(self, *arguments: Any) -> "Fake":
        self.opened = arguments
        return self

    def isOpened(self) -> bool:
        return True

    def grab(self) -> bool:
        return True

    def retrieve(self, into: Any = None) -> tuple[bool, Any]:
        return self.good, self.picture if self.good else None

    def get(self, name: int) -> float:
        return self.stamp if name == cv2.CAP_PROP_POS_MSEC else 0.0

    def set(self, name: int, value: float) -> bool:
        self.properties[name] = value
        return True

    def release(self) -> None:
        self.released = True


def device(monkeypatch: pytest.MonkeyPatch, fake: Fake, text: str = "7", **options: Any) -> Device:
    monkeypatch.setattr(cv2, "VideoCapture", fake)
    return Device(text, **options)


def refused(address: str, source: Any = Stream) -> str:
    with pytest.raises(SourceError) as caught:
        source(address)
    message = str(caught.value)
    assert "\n" not in message
    return message


# Clips


def test_a_clip_is_read_to_its_end(clip: Path) -> None:
    with closing(Clip(str(clip))) as source:
        assert (source.live, source.rate, source.skipped) == (False, 25.0, 0)
        for number in range(COUNT):
            before = time.monotonic()
            picture = source.read(None)
            assert picture is not None
            assert picture.pixels.shape == (HEIGHT, WIDTH, 3)
            assert picture.pixels.dtype == np.uint8
            assert number_of(picture.pixels) == number
            assert before <= picture.captured <= time.monotonic()
        assert source.read(None) is None
        assert source.read(None) is None


def test_colours_are_blue_green_red(tmp_path: Path) -> None:
    path = str(tmp_path / "blue.avi")
    writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (64, 48))
    writer.write(np.full((48, 64, 3), (200, 90, 20), np.uint8))
    writer.release()
    with closing(Clip(path)) as source:
        picture = source.read(None)
        assert picture is not None
        np.testing.assert_allclose(picture.pixels.mean(axis=(0, 1)), (200, 90, 20), atol=6)


def test_pictures_come_into_the_memory_that_is_given(clip: Path) -> None:
    slots = np.zeros((3, HEIGHT, WIDTH, 3), np.uint8)
    with closing(Clip(str(clip))) as source:
        for number in range(COUNT):
            picture = source.read(slots[number % 3])
            assert picture is not None
            assert np.shares_memory(picture.pixels, slots[number % 3])
            assert number_of(slots[number % 3]) == number
            if number:  # what was read before is left alone
                assert number_of(slots[(number - 1) % 3]) == number - 1


@pytest.mark.parametrize("shape", [(HEIGHT + 1, WIDTH, 3), (WIDTH, HEIGHT, 3)])
def test_memory_of_another_size_is_not_used(clip: Path, shape: tuple[int, ...]) -> None:
    memory = np.full(shape, 7, np.uint8)
    with closing(Clip(str(clip))) as source:
        picture = source.read(memory)
        assert picture is not None
        assert picture.pixels.shape == (HEIGHT, WIDTH, 3)
        assert number_of(picture.pixels) == 0
    assert (memory == 7).all()


@pytest.mark.parametrize("content", [b"", b"no video at all\n" * 99])
def test_what_is_no_video(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    assert refused(str(path), Clip) == f"cannot open {path}: expected a video file, such as .mp4 or .avi"


@pytest.mark.parametrize(("told", "rate"), [(0.0, None), (-1.0, None), (90_000.0, None), (29.97, 29.97)])
def test_a_rate_that_cannot_be_is_none(monkeypatch: pytest.MonkeyPatch, told: float, rate: float | None) -> None:
    fake = Fake(numbered(0))
    monkeypatch.setattr(fake, "get", lambda name: told if name == cv2.CAP_PROP_FPS else 0.0)
    monkeypatch.setattr(cv2, "VideoCapture", fake)
    assert Clip("clip.avi").rate == rate


# Streams


def test_a_stream_is_live_and_its_end_an_error() -> None:
    camera = stream.Stream(rate=60)
    with closing(Stream(camera.address)) as source:
        assert (source.live, source.rate) == (True, None)
        picture = source.read(None)
        assert picture is not None
        first = number_of(picture.pixels)
        memory = np.empty_like(picture.pixels)
        picture = source.read(memory)
        assert picture is not None
        assert number_of(memory) == first + 1
        camera.kill()
        with pytest.raises(SourceError) as caught:
            collections.deque(iter(lambda: source.read(memory), None), maxlen=0)
        assert str(caught.value) == f"{camera.address} gives no more pictures"


def test_the_address_of_a_whole_file_ends_as_the_file_does(served: str) -> None:
    with closing(Stream(f"{served}/numbered.avi")) as source:
        assert (source.live, source.rate) == (False, 25.0)
        numbers = []
        while picture := source.read(None):
            numbers.append(number_of(picture.pixels))
    assert numbers == list(range(COUNT))


def test_an_address_without_a_video(served: str) -> None:
    message = refused(f"{served}/nothing.avi")
    assert message.startswith(f"cannot open {served}/nothing.avi: nothing there sends a video")
    assert "check the address" in message


def test_an_address_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "_TIMEOUT_MS", 300)
    silent = stream.Stream(rate=0.001)  # takes connections, and sends the first picture in a quarter of an hour
    begin = time.monotonic()
    refused(silent.address)
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://admin:SECRET@127.0.0.1:1/live",
        "rtsp://admin:SEC@SECRET@127.0.0.1:1/live",
        "http://admin:SEC/SECRET@127.0.0.1:1/live.mjpg",
        "http://127.0.0.1:1/live.mjpg?user=admin&password=SECRET",
        "http://admin:SECRET@127.0.0.1:1/live.mjpg?token=SECRET",
    ],
)
def test_passwords_are_not_told(address: str, capfd: pytest.CaptureFixture[str]) -> None:
    message = refused(address)
    assert "127.0.0.1:1/live" in message
    assert "SEC" not in message
    assert "admin" not in message
    if address.startswith("rtsp"):  # FFmpeg itself names what it takes for the host
        assert "SEC" not in capfd.readouterr().err


PLAIN = st.text("abcXYZ019.-_~", min_size=1, max_size=8)


@given(PLAIN, st.text("abcXYZ019!$&'()*+,;=:@/%#", max_size=12), PLAIN, st.lists(PLAIN, max_size=3))
def test_no_password_is_told(user: str, password: str, host: str, path: list[str]) -> None:
    rest = "/".join([host, *path])
    assert capture.without_password(f"rtsp://{user}:{password}@{rest}?pwd={password}") == f"rtsp://{rest}"
    assert capture.without_password(f"rtsp://{rest}") == f"rtsp://{rest}"


def test_a_lost_stream_does_not_tell_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(numbered(0), good=False)
    monkeypatch.setattr(cv2, "VideoCapture", fake)
    source = Stream("rtsp://admin:SECRET@camera/live")
    assert fake.opened[0] == "rtsp://admin:SECRET@camera/live"  # OpenCV needs it
    with pytest.raises(SourceError, match=r"^rtsp://camera/live gives no more pictures$"):
        source.read(None)


# Cameras


def test_a_camera_that_is_not_there() -> None:
    message = refused("99", Device)
    assert message.startswith("cannot open camera 99: there is no /dev/video99; is it plugged in?")
    assert message.endswith("--source picamera")


def test_a_camera_that_may_not_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "video0"
    path.touch()
    assert "another program may use it, or it is no camera" in refused(str(path), Device)
    monkeypatch.setattr("os.access", lambda *arguments: False)
    assert "no permission; type: sudo usermod -aG video $USER" in refused(str(path), Device)


def test_a_camera_is_asked_for_a_size_and_for_no_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Fake(numbered(0))
    source = device(monkeypatch, plain)
    assert plain.opened == (7, cv2.CAP_V4L2)
    assert plain.properties == {cv2.CAP_PROP_BUFFERSIZE: 1}
    assert (source.live, source.rate) == (True, None)
    source.close()
    assert plain.released
    sized = Fake(numbered(0))
    device(monkeypatch, sized, "/dev/video7", size=(1280, 720))
    assert sized.opened == ("/dev/video7", cv2.CAP_V4L2)
    asked = list(sized.properties.items())
    assert asked == [  # the format first, since it decides on the sizes there are
        (cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG")),
        (cv2.CAP_PROP_FRAME_WIDTH, 1280),
        (cv2.CAP_PROP_FRAME_HEIGHT, 720),
        (cv2.CAP_PROP_BUFFERSIZE, 1),
    ]


def test_the_drivers_time_stamp_counts_where_it_is_of_our_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(numbered(0))
    source = device(monkeypatch, fake)
    fake.stamp = 1e3 * (time.monotonic() - 0.25)
    picture = source.read(None)
    assert picture is not None
    assert 1e3 * picture.captured == pytest.approx(fake.stamp)


@pytest.mark.parametrize("off", ["none", "since 1970", "ahead", "long ago", "not a number"])
def test_a_time_stamp_of_another_clock_does_not_count(monkeypatch: pytest.MonkeyPatch, off: str) -> None:
    now = time.monotonic()
    stamps = {
        "none": 0.0,
        "since 1970": 1e3 * time.time(),
        "ahead": 1e3 * (now + 60),
        "long ago": 1e3 * (now - 60),
        "not a number": float("nan"),
    }
    source = device(monkeypatch, Fake(numbered(0), stamps[off]))
    picture = source.read(None)
    assert picture is not None
    assert now <= picture.captured <= time.monotonic()


def test_gray_pictures_become_bgr(monkeypatch: pytest.MonkeyPatch) -> None:
    gray = np.arange(6, dtype=np.uint8).reshape(2, 3)
    source = device(monkeypatch, Fake(gray))
    for memory in (None, np.empty((2, 3, 3), np.uint8)):
        picture = source.read(memory)
        assert picture is not None
        np.testing.assert_array_equal(picture.pixels, np.repeat(gray[..., None], 3, axis=-1))


def test_a_camera_that_gives_no_more_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    source = device(monkeypatch, Fake(numbered(0), good=False))
    with pytest.raises(SourceError, match=r"^camera 7 gives no more pictures$"):
        source.read(None)
