import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgecnn.camera.folder import Folder
from edgecnn.errors import SourceError
from tests.camera.stream import number_of, numbered


def write(folder: Path, *names: str) -> None:
    """Pictures with the numbers 0, 1, …"""
    for number, name in enumerate(names):
        assert cv2.imwrite(str(folder / name), numbered(number))


def numbers(folder: Folder) -> list[int]:
    found = []
    while picture := folder.read(None):
        assert picture.pixels.dtype == np.uint8
        found.append(number_of(picture.pixels))
    return found


def test_numbers_in_names_count_as_numbers(tmp_path: Path) -> None:
    names = ["1.png", "2.jpg", "2b.png", "10.PNG", "011.jpeg", "a2.png", "a10.png", "b1 (9).png", "b1 (10).png"]
    write(tmp_path, *names)
    folder = Folder(str(tmp_path))
    assert (folder.live, folder.rate) == (False, None)
    assert numbers(folder) == list(range(len(names)))
    assert folder.read(None) is None
    folder.close()


def test_colours_are_blue_green_red_and_the_time_is_now(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "blue.png"), np.full((4, 5, 3), (200, 90, 20), np.uint8))
    before = time.monotonic()
    picture = Folder(str(tmp_path)).read(None)
    assert picture is not None
    np.testing.assert_array_equal(picture.pixels, np.full((4, 5, 3), (200, 90, 20), np.uint8))
    assert before <= picture.captured <= time.monotonic()


def test_bad_images_are_skipped_and_counted(tmp_path: Path) -> None:
    write(tmp_path, "0.png", "2.png", "5.png")
    (tmp_path / "1.png").write_bytes(b"no picture")
    (tmp_path / "3.png").write_bytes(b"")
    (tmp_path / "4.png").mkdir()
    folder = Folder(str(tmp_path))
    assert numbers(folder) == [0, 1, 2]
    assert folder.skipped == 3


def test_other_files_and_folders_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path, "0.png")
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "inner").mkdir()
    write(tmp_path / "inner", "1.png")
    folder = Folder(str(tmp_path))
    assert numbers(folder) == [0]
    assert folder.skipped == 0


def test_a_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(SourceError, match=r"holds no images; expected files such as \.jpg or \.png") as caught:
        Folder(str(tmp_path))
    assert str(tmp_path) in str(caught.value)


def test_one_bad_image_alone_is_an_end(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"no picture")
    folder = Folder(str(tmp_path))
    assert folder.read(None) is None
    assert folder.skipped == 1
