"""Every picture decoded once, in memory or in a file, and nothing lost silently."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgecnn.config import Preprocess
from edgecnn.data.dataset import open_dataset
from edgecnn.data.preprocess import Preprocessor
from edgecnn.errors import DataError
from edgecnn.train.cache import PictureCache

WANTED = Preprocess(6, 4, mean=(127.5,), std=(127.5,))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty pictures of noise in two classes, and one file that is none."""
    random = np.random.default_rng(5)
    for i in range(20):
        path = tmp_path / "data" / "train" / "ab"[i % 2] / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), random.integers(0, 256, (9, 11, 3), np.uint8))
    (tmp_path / "data" / "train" / "a" / "03.png").write_bytes(b"no picture")
    return tmp_path / "data"


@pytest.mark.parametrize("memory", [1 << 20, 0])
def test_pixels_are_those_of_the_one_preprocess_function(folder: Path, tmp_path: Path, memory: int) -> None:
    with open_dataset(folder) as dataset:
        samples = dataset.split("train")
        with PictureCache(dataset, samples, WANTED, memory=memory, folder=tmp_path) as cache:
            assert cache.in_memory == bool(memory)
            kept = [sample for sample in samples if sample.name != "train/a/03.png"]
            assert list(cache.samples) == kept
            assert [name for name, _ in cache.skipped] == (["train/a/03.png"] if len(kept) < len(samples) else [])
            assert len(cache.skipped) + len(cache) == len(samples)
            assert cache.labels.tolist() == [sample.label for sample in kept]
            order = np.array([5, 0, 5, len(kept) - 1])
            pixels = cache.gather(order)
            prepare = Preprocessor(WANTED)
            for row, index in zip(pixels, order, strict=True):
                frame = dataset.read(kept[index])
                assert np.array_equal(row, prepare.pixels(frame))
                assert np.array_equal(prepare.normalize(row), prepare(frame))
            pixels[:] = 0  # a copy: what comes next is not changed by it
            assert cache.gather(order).any()


def test_the_temporary_file_has_no_name_that_could_be_left_behind(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    with (
        open_dataset(folder) as dataset,
        PictureCache(dataset, dataset.split("train"), WANTED, memory=0, folder=place) as cache,
    ):
        assert not cache.in_memory
        assert list(place.iterdir()) == []


def test_no_picture_at_all_is_an_error(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "1.png").write_bytes(b"no picture")
    message = "none of the 2 images of data could be read"
    with open_dataset(tmp_path / "data") as dataset, pytest.raises(DataError, match=message):
        PictureCache(dataset, dataset.split("train"), WANTED, memory=0, folder=tmp_path)


def test_a_full_disk_is_one_clear_line(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.pwrite", full)
    with open_dataset(folder) as dataset, pytest.raises(DataError, match="No space left on device"):
        PictureCache(dataset, dataset.split("train"), WANTED, memory=0, folder=tmp_path)
