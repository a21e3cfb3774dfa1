"""`Window`, with OpenCV's functions for windows replaced, since the tests' OpenCV may have none and no display."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.errors import CameraError
from edgecnn.sinks.window import TITLE, Window, has_display
from tests.camera.seen import picture, seen


class Screen:
    """What OpenCV was told to show, and what the user does."""

    def __init__(self) -> None:
        self.shown: list[NDArray[np.uint8]] = []
        self.open: list[str] = []
        self.sizes: list[tuple[int, int]] = []
        self.key, self.visible = -1, 1.0


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    screen = Screen()

    def show(title: str, pixels: NDArray[np.uint8]) -> None:
        assert title in screen.open
        screen.shown.append(pixels.copy())

    functions: dict[str, Callable[..., object]] = {
        "namedWindow": lambda title, flags: screen.open.append(title),
        "imshow": show,
        "resizeWindow": lambda title, width, height: screen.sizes.append((width, height)),
        "pollKey": lambda: screen.key,
        "getWindowProperty": lambda title, what: screen.visible if what == cv2.WND_PROP_VISIBLE else 1.0,
        "destroyWindow": screen.open.remove,
    }
    for name, function in functions.items():
        monkeypatch.setattr(cv2, name, function)
    return screen


def test_pictures_are_shown_annotated_and_left_as_they_are(screen: Screen) -> None:
    window = Window(roi=(10, 10, 30, 20))
    pixels = picture()
    window.show(seen(0, pixels=pixels))
    np.testing.assert_array_equal(pixels, picture())
    [shown] = screen.shown
    assert screen.sizes == [pixels.shape[1::-1]]
    assert not np.array_equal(shown[-10:], pixels[-10:])
    assert (shown[10, 10:40] != pixels[10, 10:40]).any()
    np.testing.assert_array_equal(shown[:8], pixels[:8])
    assert not window.closed
    window.close()
    assert screen.open == []


def test_at_most_thirty_a_second_are_shown(screen: Screen) -> None:
    window = Window()
    for number in range(200):  # of two seconds
        window.show(seen(0, at=number / 100, pixels=picture(20, 20)))
    assert 48 <= len(screen.shown) <= 60
    fewer = len(screen.shown)
    for number in range(10):  # slower ones are all shown
        window.show(seen(0, at=10 + number / 15, pixels=picture(20, 20)))
    assert len(screen.shown) == fewer + 10


def test_the_size_may_change(screen: Screen) -> None:
    window = Window()
    for number, size in enumerate([(20, 30), (40, 20), (20, 30)]):
        window.show(seen(0, at=number, pixels=picture(*size)))
    assert [shown.shape for shown in screen.shown] == [(20, 30, 3), (40, 20, 3), (20, 30, 3)]


@pytest.mark.parametrize(
    ("key", "visible", "closed"),
    [
        (-1, 1.0, False),
        (ord("x"), 1.0, False),
        (ord("q"), 1.0, True),
        (27, 1.0, True),
        (27 + 0x100000, 1.0, True),  # with a modifier such as NumLock
        (-1, 0.0, True),
        (-1, -1.0, True),
    ],
)
def test_q_escape_and_the_cross_close_it(key: int, visible: float, closed: bool, screen: Screen) -> None:
    window = Window()
    window.show(seen(0))
    screen.key, screen.visible = key, visible
    window.show(seen(0, at=1))
    assert window.closed is closed


def test_an_opencv_that_does_not_know_what_is_visible_closes_nothing(screen: Screen) -> None:
    """As with GTK."""
    window = Window()
    screen.visible = -1.0
    for number in range(3):
        window.show(seen(0, at=number))
        assert not window.closed
    screen.key = ord("q")
    window.show(seen(0, at=9))
    assert window.closed


def test_without_windows_the_reason_and_the_way_out_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(title: str, flags: int) -> None:
        raise cv2.error("The function is not implemented. Rebuild the library with Windows, GTK+ 2.x")

    monkeypatch.setattr(cv2, "namedWindow", fail)
    with pytest.raises(CameraError, match=r"no window can be opened: .*pip install opencv-python\); use --headless$"):
        Window()


@pytest.mark.skipif("GUI:                           NONE" not in cv2.getBuildInformation(), reason="OpenCV has windows")
def test_the_headless_build_of_opencv_is_recognized() -> None:
    with pytest.raises(CameraError, match="no window can be opened"):
        Window()


@pytest.mark.parametrize(
    ("variables", "expected"),
    [({}, False), ({"DISPLAY": ""}, False), ({"DISPLAY": ":0"}, True), ({"WAYLAND_DISPLAY": "wayland-0"}, True)],
)
def test_a_display_is_what_the_session_says(
    variables: dict[str, str], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert has_display() is expected


def test_the_title_is_the_programs_name(screen: Screen) -> None:
    Window()
    assert screen.open == [TITLE] == ["edgecnn"]
