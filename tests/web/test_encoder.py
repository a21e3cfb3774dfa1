import queue
import time

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.web.encoder import Encoder
from tests.web.viewing import decode


class Made:
    """An encoder and what it published."""

    def __init__(
        self, roi: tuple[int, int, int, int] | None = None, max_fps: float = 1e6, max_width: int = 640
    ) -> None:
        self.jpegs: queue.Queue[bytes] = queue.Queue()
        self.encoder = Encoder(self.jpegs.put, roi=roi, max_fps=max_fps, max_width=max_width)

    def __enter__(self) -> "Made":
        return self

    def __exit__(self, *_: object) -> None:
        self.encoder.close()


@pytest.fixture
def gradient() -> NDArray[np.uint8]:
    return np.dstack([np.tile(np.linspace(0, 255, 800), (450, 1))] * 3).astype(np.uint8)


def test_a_wide_picture_is_shrunk_and_else_the_same(gradient: NDArray[np.uint8]) -> None:
    with Made(max_width=400) as made:
        made.encoder.take(gradient)
        picture = decode(made.jpegs.get(timeout=5))
    assert picture.shape == (225, 400, 3)
    assert np.abs(picture.astype(int) - cv2.resize(gradient, (400, 225))).max() < 8


@pytest.mark.parametrize("shape", [(90, 160), (1, 3000), (451, 641)])
def test_any_size_does(shape: tuple[int, int]) -> None:
    with Made() as made:
        made.encoder.take(np.zeros((*shape, 3), np.uint8))
        height, width, _ = decode(made.jpegs.get(timeout=5)).shape
    assert width == min(640, shape[1])
    assert height == max(1, round(shape[0] * width / shape[1]))


def test_the_picture_is_copied_when_it_is_taken_and_left_as_it_was() -> None:
    pixels = np.full((180, 320, 3), 200, np.uint8)
    with Made(roi=(10, 10, 50, 50)) as made:
        made.encoder.take(pixels)
        assert (pixels == 200).all()
        pixels[:] = 0
        assert abs(int(decode(made.jpegs.get(timeout=5))[100, 200, 0]) - 200) < 4


def test_the_region_is_drawn_at_its_place_in_the_small_picture() -> None:
    with Made(roi=(400, 200, 200, 100), max_width=400) as made:
        made.encoder.take(np.full((400, 800, 3), 128, np.uint8))
        changed = np.abs(decode(made.jpegs.get(timeout=5)).astype(int) - 128).max(axis=2) > 40
    rows, columns = np.nonzero(changed)
    assert (abs(columns.min() - 200) <= 3, abs(columns.max() - 299) <= 3) == (True, True)
    assert (abs(rows.min() - 100) <= 3, abs(rows.max() - 149) <= 3) == (True, True)
    assert not changed[110:140, 210:290].any()


def test_pictures_thin_out_to_the_rate() -> None:
    with Made(max_fps=50) as made:
        started = time.monotonic()
        while time.monotonic() - started < 0.5:
            made.encoder.take(np.zeros((9, 16, 3), np.uint8))
            time.sleep(0.001)
    assert 15 <= made.encoder.encoded <= 27  # 25 are due; a busy machine makes fewer


def test_close_ends_the_thread_and_nothing_is_taken_after_it() -> None:
    with Made() as made:
        pass
    made.encoder.close()
    made.encoder.take(np.zeros((9, 16, 3), np.uint8))
    assert made.jpegs.empty()
