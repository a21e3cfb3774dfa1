"""`Recording`: a video that plays as long as it was recorded, under its name only when it is whole."""

import os
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import edgecnn.sinks.recording as recording
from edgecnn.errors import CameraError
from edgecnn.sinks.recording import Recording
from tests.camera.seen import seen

FORMATS = ["clip.avi", "clip.mp4", "CLIP.AVI"]


def flat(level: int, height: int = 64, width: int = 96) -> NDArray[np.uint8]:
    return np.full((height, width, 3), level, np.uint8)


def record(path: Path, times: list[float], *, levels: list[int] | None = None, **options: Any) -> Recording:
    """Pictures of these capture times, each given when the encoder is free."""
    video = Recording(path, **options)
    for number, at in enumerate(times):
        video._worker.free(wait=True)
        video.show(seen(0, at=at, pixels=flat(levels[number] if levels else 100)))
    video.close()
    return video


def read(path: Path) -> tuple[float, list[NDArray[np.uint8]]]:
    """Rate and pictures of a video."""
    capture = cv2.VideoCapture(str(path))
    assert capture.isOpened()
    pictures = []
    while (result := capture.read())[0]:
        pictures.append(np.asarray(result[1], np.uint8))
    return capture.get(cv2.CAP_PROP_FPS), pictures


def levels(pictures: list[NDArray[np.uint8]]) -> list[int]:
    """Their brightness above the band, in tens."""
    return [round(float(picture[:30].mean()) / 10) * 10 for picture in pictures]


@pytest.mark.parametrize("name", FORMATS)
def test_a_recording_can_be_played(name: str, tmp_path: Path) -> None:
    record(tmp_path / name, [n / 10 for n in range(8)], levels=[20 * n + 20 for n in range(8)], rate=10.0)
    rate, pictures = read(tmp_path / name)
    assert rate == pytest.approx(10)
    assert {picture.shape for picture in pictures} == {(64, 96, 3)}
    assert levels(pictures) == [20, 40, 60, 80, 100, 120, 140, 160]


@pytest.mark.parametrize(
    ("rate", "times", "expected"),  # numbers of the pictures that the video shows
    [
        (10.0, [0, 0.1, 0.5, 0.6], [0, 1, 2, 2, 2, 2, 3]),  # a gap is filled
        (10.0, [0, 0.04, 0.11, 0.16, 0.2, 0.28], [0, 2, 3, 5]),  # more than the rate are thinned out
        (4.0, [0, 1.0, 2.0], [0, 1, 1, 1, 1, 2, 2, 2, 2]),
        (15.0, [100.0, 100.0667, 100.1333], [0, 1, 2]),  # it begins with the first
    ],
)
def test_it_plays_as_long_as_it_was_recorded(
    rate: float, times: list[float], expected: list[int], tmp_path: Path
) -> None:
    grays = [40 * n + 20 for n in range(len(times))]
    record(tmp_path / "clip.avi", times, levels=grays, rate=rate)
    assert levels(read(tmp_path / "clip.avi")[1]) == [grays[number] for number in expected]


def test_an_irregular_camera_does_not_drift(tmp_path: Path) -> None:
    times = np.cumsum(np.random.default_rng(3).uniform(0.01, 0.2, 60)).tolist()
    record(tmp_path / "clip.avi", times, rate=15.0)
    seconds = len(read(tmp_path / "clip.avi")[1]) / 15
    assert seconds == pytest.approx(times[-1] - times[0], abs=1.5 / 15)


def test_a_very_long_gap_is_cut(tmp_path: Path) -> None:
    record(tmp_path / "clip.avi", [0, 1e5, 1e5 + 0.1], rate=10.0)
    assert len(read(tmp_path / "clip.avi")[1]) == 1 + 600 + 1


def test_every_picture_once_where_the_encoder_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "annotate", lambda *args, **options: threading.Event().wait(0.01))
    video = Recording(tmp_path / "clip.avi", rate=10.0, wait=True)
    for number in range(20):  # no time passes between some of them
        video.show(seen(0, at=number // 5 * 3.0, pixels=flat(10 * number + 20)))
    video.close()
    assert levels(read(tmp_path / "clip.avi")[1]) == [10 * number + 20 for number in range(20)]
    assert video.left_out == 0


def test_a_slow_encoder_does_not_hold_up_the_camera_nor_shorten_the_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let = threading.Event()
    monkeypatch.setattr(recording, "annotate", lambda *args, **options: let.wait(5))
    video = Recording(tmp_path / "clip.avi", rate=10.0)
    for number in range(20):
        video.show(seen(0, at=number / 10, pixels=flat(100)))
    assert video.left_out == 16  # four wait
    let.set()
    video._worker.free(wait=True)
    video.show(seen(0, at=2.0, pixels=flat(200)))
    video.close()
    assert levels(read(tmp_path / "clip.avi")[1]) == [100] * 4 + [200] * 17


def test_label_and_region_are_drawn_on_a_copy(tmp_path: Path) -> None:
    pixels = flat(100)
    video = Recording(tmp_path / "clip.avi", rate=10.0, roi=(10, 5, 40, 20))
    video.show(seen(0, pixels=pixels))
    assert (pixels == 100).all()
    pixels[:] = 0  # the camera uses its memory again
    video.close()
    [picture] = read(tmp_path / "clip.avi")[1]
    assert picture[30:40].mean() == pytest.approx(100, abs=3)
    assert picture[-3:].mean() < 60
    assert picture.max() > 200
    assert picture[5, 12:48].mean() > picture[15, 12:48].mean() + 20  # the yellow line


def test_the_size_of_the_pictures_may_change(tmp_path: Path) -> None:
    video = Recording(tmp_path / "clip.avi", rate=10.0, wait=True)
    for size in ((64, 96), (32, 48), (120, 200)):
        video.show(seen(0, pixels=flat(150, *size)))
    video.close()
    pictures = read(tmp_path / "clip.avi")[1]
    assert [picture.shape for picture in pictures] == [(64, 96, 3)] * 3
    assert [round(float(picture[:16].mean()) / 10) for picture in pictures] == [15] * 3


def test_without_a_picture_there_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "old.avi").write_text("old")
    for name in ("new.avi", "old.avi"):
        Recording(tmp_path / name).close()
    assert [path.name for path in tmp_path.iterdir()] == ["old.avi"]
    assert (tmp_path / "old.avi").read_text() == "old"


def test_a_file_is_replaced_only_by_a_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_text("old")
    video = Recording(path, wait=True)
    for _ in range(10):
        video.show(seen(0, pixels=flat(100)))
    assert path.read_text() == "old"
    [hidden] = set(tmp_path.iterdir()) - {path}
    assert hidden.name.startswith(".edgecnn-")
    video.close()
    assert list(tmp_path.iterdir()) == [path]
    assert len(read(path)[1]) == 10


@pytest.mark.parametrize("name", ["clip.mkv", "clip", "clip.avi.txt", "avi"])
def test_an_unknown_ending(name: str, tmp_path: Path) -> None:
    with pytest.raises(CameraError) as caught:
        Recording(tmp_path / name)
    assert str(caught.value) == f"expected a video file ending in .avi or .mp4, got {tmp_path / name}"


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(CameraError) as caught:
        Recording(tmp_path / "none" / "clip.avi")
    assert str(caught.value) == (
        f"cannot write {tmp_path / 'none' / 'clip.avi'}: its folder is missing or cannot be written"
    )


def test_a_name_without_a_folder_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    record(Path("clip.avi"), [0.0])
    assert os.listdir(tmp_path) == ["clip.avi"]


def test_without_an_encoder_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class NoWriter:
        fourcc = staticmethod(cv2.VideoWriter.fourcc)

        def __init__(self, path: str, *options: object) -> None:
            Path(path).touch()  # as FFmpeg does before it looks for the codec

        def isOpened(self) -> bool:
            return False

    monkeypatch.setattr(cv2, "VideoWriter", NoWriter)
    video = Recording(tmp_path / "clip.avi")
    video.show(seen(0, pixels=flat(100)))
    with pytest.raises(CameraError, match=r"^cannot write .*clip\.avi: OpenCV has no encoder for it here$"):
        video.close()
    assert list(tmp_path.iterdir()) == []


def test_what_was_recorded_before_a_failure_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = Recording(tmp_path / "clip.avi", wait=True)
    for _ in range(3):
        video.show(seen(0, pixels=flat(100)))
    video._worker.free(wait=True)
    while video._worker._tasks:
        pass

    def fail(*args: object, **options: object) -> None:
        raise ValueError("broken")

    monkeypatch.setattr(recording, "annotate", fail)
    video.show(seen(0, pixels=flat(100)))
    with pytest.raises(ValueError, match="broken"):
        video.close()
    assert [path.name for path in tmp_path.iterdir()] == ["clip.avi"]
    assert len(read(tmp_path / "clip.avi")[1]) == 3
