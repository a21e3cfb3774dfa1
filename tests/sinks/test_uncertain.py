"""`UncertainPictures`: which pictures are kept, under which names, and never more bytes than allowed."""

import os
import re
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecnn.errors import CameraError, DataError
from edgecnn.files import write_atomic
from edgecnn.sinks.uncertain import UncertainPictures
from tests.camera.seen import LABELS, picture, seen


def keep(folder: Path, observations: Any, **options: Any) -> UncertainPictures:
    """Show everything, each after the one before it was written."""
    pictures = UncertainPictures(folder, **({"labels": LABELS} | options))
    for observation in observations:
        pictures._worker.free(wait=True)
        while pictures._worker._tasks:
            time.sleep(0.001)
        pictures.show(observation)
    pictures.close()
    return pictures


def flat(level: int) -> NDArray[np.uint8]:
    return np.full((48, 64, 3), (level, 255 - level, 128), np.uint8)


def test_only_unknown_ones_are_kept_with_time_class_and_score(tmp_path: Path) -> None:
    indices: list[int | None] = [0, None, 1, 2, None]
    shown = [seen(index, at=10.0 * n + 0.125, pixels=flat(50 * n)) for n, index in enumerate(indices)]
    pictures = keep(tmp_path / "a" / "b", shown)
    assert (pictures.saved, pictures.full) == (2, False)
    names = sorted(path.name for path in (tmp_path / "a" / "b").iterdir())
    assert names == ["20231114T221330.125Z_bee_0.45.jpg", "20231114T221400.125Z_bee_0.45.jpg"]
    for name, level in zip(names, (50, 200), strict=True):
        content = (tmp_path / "a" / "b" / name).read_bytes()
        read = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        assert read is not None
        assert read.shape == (48, 64, 3)
        assert np.abs(read.astype(int) - flat(level)).max() <= 6


def test_the_picture_is_the_one_that_was_shown(tmp_path: Path) -> None:
    pixels = flat(20)
    pictures = UncertainPictures(tmp_path, labels=LABELS)
    pictures.show(seen(None, pixels=pixels))
    pixels[:] = 255  # the camera uses its memory again
    pictures.close()
    [path] = tmp_path.iterdir()
    read = cv2.imread(str(path))
    assert read is not None
    assert np.abs(read.astype(int) - flat(20)).max() <= 6


@pytest.mark.parametrize(("every", "kept"), [(1.0, [0, 10, 20]), (0.35, [0, 4, 8, 12, 16, 20, 24]), (100.0, [0])])
def test_at_most_one_in_so_many_seconds_of_capture_time(every: float, kept: list[int], tmp_path: Path) -> None:
    pictures = keep(tmp_path, [seen(None, at=n / 10) for n in range(25)], every=every)
    stamps = sorted(path.name.split("Z_")[0] for path in tmp_path.iterdir())
    assert [round(10 * float(stamp[-6:])) - 200 for stamp in stamps] == kept
    assert pictures.saved == len(kept)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_the_time_is_utc(zone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        keep(tmp_path, [seen(None)])
    finally:
        monkeypatch.undo()
        time.tzset()
    assert [path.name[:20] for path in tmp_path.iterdir()] == ["20231114T221320.000Z"]


@pytest.mark.parametrize(
    ("label", "part"),
    [
        ("hot dog", "hot-dog"),
        ("../../etc/passwd", "-etc-passwd"),
        ("Größe Ä", "Größe-Ä"),
        ("犬", "犬"),
        ('a\\b:c*?"<>|\0\n', "a-b-c-"),
        ("x" * 500, "x" * 40),
        ("ü" * 500, "ü" * 40),
        ("", ""),
    ],
)
def test_a_class_of_any_name_gives_a_safe_file_name(label: str, part: str, tmp_path: Path) -> None:
    folder = tmp_path / "inside"
    pictures = keep(folder, [seen(None)], labels=("ant", label, "cat"))
    assert pictures.saved == 1
    assert [path.name for path in folder.iterdir()] == [f"20231114T221320.000Z_{part}_0.45.jpg"]
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]
    assert keep(folder, [seen(None, at=5)], labels=("ant", label, "cat"), budget=1).full  # it counts, whatever the name


@settings(max_examples=25, deadline=None)
@given(
    budget=st.integers(1, 60_000),
    sizes=st.lists(st.tuples(st.integers(1, 120), st.integers(1, 120)), min_size=1, max_size=8),
    before=st.lists(st.integers(0, 20_000), max_size=3),
)
def test_the_budget_is_never_exceeded(
    tmp_path_factory: pytest.TempPathFactory, budget: int, sizes: list[tuple[int, int]], before: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("budget")
    for number, size in enumerate(before):
        (folder / f"20200101T00000{number}.000Z_bee_0.30.jpg").write_bytes(bytes(size))
        (folder / f"mine{number}.jpg").write_bytes(bytes(50_000))  # of somebody else
    shown = [seen(None, at=n, pixels=picture(height, width, n)) for n, (height, width) in enumerate(sizes)]
    pictures = keep(folder, shown, budget=budget, every=0)
    ours = [path.stat().st_size for path in folder.iterdir() if path.name.startswith("20")]
    assert sum(ours) <= max(budget, sum(before))
    assert len(ours) == len(before) + pictures.saved
    encoded = [len(cv2.imencode(".jpg", item.frame.pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])[1]) for item in shown]
    fitting = [sum(before) + sum(encoded[: n + 1]) <= budget for n in range(len(shown))]
    assert (pictures.saved, pictures.full) == (fitting.count(True), not all(fitting))


def test_it_stays_full(tmp_path: Path) -> None:
    small, large = picture(8, 8), picture(200, 200)
    shown = [seen(None, at=0, pixels=small), seen(None, at=2, pixels=large), seen(None, at=4, pixels=small)]
    pictures = keep(tmp_path, shown, budget=5000)
    assert (pictures.saved, pictures.full) == (1, True)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder, reason in (("file", "File exists"), ("file/inside", "Not a directory")):
        with pytest.raises(CameraError) as caught:
            UncertainPictures(tmp_path / folder, labels=LABELS)
        assert str(caught.value) == f"cannot keep pictures in {tmp_path / folder}: {reason}"


def test_a_folder_that_vanishes_is_told(tmp_path: Path) -> None:
    pictures = UncertainPictures(tmp_path / "folder", labels=LABELS)
    (tmp_path / "folder").rmdir()
    pictures.show(seen(None))
    with pytest.raises(DataError, match=r"^cannot write .*bee_0\.45\.jpg: No such file or directory$"):
        pictures.close()
    assert pictures.saved == 0


def test_the_camera_does_not_wait_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    let = threading.Event()

    def slow(path: Path, content: bytes) -> None:
        assert let.wait(5)
        write_atomic(path, content)

    monkeypatch.setattr("edgecnn.sinks.uncertain.write_atomic", slow)
    pictures = UncertainPictures(tmp_path, labels=LABELS, every=0)
    for number in range(50):
        pictures.show(seen(None, at=number))
    assert pictures.saved == 0
    let.set()
    pictures.close()
    assert pictures.saved == len(os.listdir(tmp_path)) == 2
    assert all(re.fullmatch(r"[\w.-]+\.jpg", name) for name in os.listdir(tmp_path))
