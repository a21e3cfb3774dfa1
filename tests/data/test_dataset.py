import os
import random
import tarfile
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.data import dataset as dataset_module
from edgecnn.data.dataset import SPLITS, Dataset, Sample, balanced, match_labels, open_dataset, read_labels
from edgecnn.data.store import open_store
from edgecnn.errors import DataError, ImageError


def png(value: int) -> bytes:
    return cv2.imencode(".png", np.full((2, 3, 3), value, np.uint8))[1].tobytes()


def write(root: Path, names: Iterable[str]) -> Path:
    """Write one small image a name; its gray value counts them."""
    for i, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(i % 256))
    return root


def numbered(folder: str, count: int) -> list[str]:
    return [f"{folder}/{i:03d}.png" for i in range(count)]


def names(samples: Iterable[Sample]) -> list[str]:
    return [sample.name for sample in samples]


def counts(dataset: Dataset) -> dict[str, int]:
    return {name: len(samples) for name, samples in dataset.splits.items()}


def opening_fails(path: Path | str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        open_dataset(path)
    assert "\n" not in str(caught.value)


def test_flat_class_folders_are_split(tmp_path: Path) -> None:
    write(tmp_path / "pets", numbered("dog", 50) + numbered("cat", 20))
    dataset = open_dataset(tmp_path / "pets")
    assert (dataset.name, dataset.classes, dataset.labelled) == ("pets", ("cat", "dog"), True)
    assert counts(dataset) == {"train": 56, "val": 7, "test": 7}
    assert Counter(sample.label for sample in dataset.split("test")) == {0: 2, 1: 5}
    assert all(sample.name.startswith(dataset.classes[sample.label or 0]) for sample in dataset.split("train"))
    assert dataset.notes == ("no test split: 80 % of every class are train, 10 % val and 10 % test, chosen by hash",)
    assert dataset.measured_split() == "test"


def test_pixels_are_those_of_the_file(tmp_path: Path) -> None:
    write(tmp_path, [*numbered("a", 5), *numbered("b", 5)])
    with open_dataset(tmp_path) as dataset:
        for split in SPLITS:
            for sample in dataset.split(split):
                expected = int(sample.name[2:5]) + 5 * (sample.label or 0)
                np.testing.assert_array_equal(dataset.read(sample), np.full((2, 3, 3), expected, np.uint8))


def test_a_name_that_two_outputs_share_fits_no_class(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("crane\nswan\ncrane\n")
    labels = read_labels(tmp_path / "labels.txt")
    assert labels == ("crane", "swan", "crane")
    assert match_labels(labels, ["crane", "swan"]) == {1: 1}


@pytest.mark.parametrize(
    ("folders", "sizes", "measured", "note"),
    [
        (("train", "val", "test"), (20, 10, 10), "test", None),
        (("Training", "VALID", "Testing"), (20, 10, 10), "test", None),
        (("train", "validation"), (20, 10, 0), "val", "no test split: val is what gets measured"),
        (("train", "test"), (18, 2, 10), "test", "no val split: 10 % of every class of train are val"),
        (("train",), (16, 2, 2), "test", "no test split: 80 % of every class are train"),
        (("test",), (0, 0, 10), "test", None),
        (("val",), (0, 10, 0), "val", "no test split: val is what gets measured"),
    ],
)
@pytest.mark.parametrize("top", ["", "data/"])
def test_split_folders(
    tmp_path: Path, folders: tuple[str, ...], sizes: tuple[int, ...], measured: str, note: str | None, top: str
) -> None:
    for folder in folders:
        for name in "ab":
            write(tmp_path, numbered(f"{top}{folder}/{name}", 10 if folder.lower().startswith("train") else 5))
    dataset = open_dataset(tmp_path)
    assert tuple(counts(dataset).values()) == sizes
    assert dataset.classes == ("a", "b")
    assert dataset.measured_split() == measured
    assert len(dataset.notes) == bool(note)
    assert all(str(note) in given for given in dataset.notes)
    for split in SPLITS:
        assert all(not sample.name.startswith("data/") for sample in dataset.split(split))
        assert Counter(s.label for s in dataset.split(split)) in (
            {},
            dict.fromkeys((0, 1), len(dataset.split(split)) // 2),
        )


def test_classes_come_from_all_splits_in_plain_sorted_order(tmp_path: Path) -> None:
    write(tmp_path, ["train/b/1.png", "train/Z/1.png", "test/a/1.png", "val/10/1.png", "val/9/1.png"])
    assert open_dataset(tmp_path).classes == ("10", "9", "Z", "a", "b")


def test_folder_and_archives_give_the_same(tmp_path: Path) -> None:
    root = write(tmp_path / "pets", numbered("dog/young", 30) + numbered("cat", 30))
    with tarfile.open(tmp_path / "pets.tar.gz", "w:gz") as archive:
        archive.add(root, "pets")
    with tarfile.open(tmp_path / "pets.tar", "w") as archive:
        archive.add(root, ".")
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        for path in root.rglob("*.png"):
            archive.write(path, f"pets/{path.relative_to(root).as_posix()}")
    first = open_dataset(root, seed=3)
    for kind in ("pets.tar.gz", "pets.tar", "pets.zip"):
        with open_dataset(tmp_path / kind, seed=3) as other:
            assert (other.name, other.classes, other.splits) == ("pets", first.classes, first.splits)
            for sample in other.split("val"):
                np.testing.assert_array_equal(other.read(sample), first.read(sample))


@pytest.mark.parametrize(
    "files",
    [["1.png", "2.JPG", "3.webp"], ["photos/1.png", "photos/2.png"], ["train/1.png"], ["train/1.png", "test/2.png"]],
)
def test_images_without_class_folders_are_unlabelled(tmp_path: Path, files: list[str]) -> None:
    dataset = open_dataset(write(tmp_path, files))
    assert (dataset.classes, dataset.labelled) == ((), False)
    assert counts(dataset) == {"train": len(files), "val": 0, "test": 0}
    assert {sample.label for sample in dataset.split("train")} == {None}
    assert dataset.notes == (f"no class folders: {len(files)} unlabelled images, all in train",)
    assert dataset.read(dataset.split("train")[0]).shape == (2, 3, 3)
    with pytest.raises(DataError, match="no images in val or test"):
        dataset.measured_split()


def test_what_is_no_sample_is_said(tmp_path: Path) -> None:
    write(tmp_path, ["top/a/1.png", "top/b/1.PNG", "top/b/2.gif", "top/lone.png"])
    for name in ("top/readme.txt", "top/c/notes.md", "top/b/.hidden.png", "top/a/Thumbs.db"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"text")
    (tmp_path / "top" / "d" / "deep").mkdir(parents=True)
    (tmp_path / "top" / "a" / "link.png").symlink_to("2.png")
    dataset = open_dataset(tmp_path)
    assert dataset.classes == ("a", "b")
    assert sorted(dataset.ignored) == [
        ("top/a/link.png", "a link to nothing"),
        ("top/c/notes.md", "not an image file name"),
        ("top/lone.png", "an image outside of the class folders"),
        ("top/readme.txt", "not an image file name"),
    ]
    assert dataset.notes[1:] == (
        "ignored because outside of the class folders (1): lone.png",
        "folders without images are no classes: c, d",
    )
    assert sum(counts(dataset).values()) == 3


def test_images_outside_of_the_split_folders_are_ignored(tmp_path: Path) -> None:
    write(tmp_path, ["train/a/1.png", "train/b/1.png", "extra/c/1.png", "test/1.png"])
    dataset = open_dataset(tmp_path)
    assert dataset.classes == ("a", "b")
    assert [name for name, _ in dataset.ignored] == ["extra/c/1.png", "test/1.png"]


def test_a_class_may_have_the_name_of_a_split(tmp_path: Path) -> None:
    write(tmp_path, ["bus/1.png", "car/1.png", "train/1.png"])
    assert open_dataset(tmp_path).classes == ("bus", "car", "train")


def test_file_names_may_be_no_utf8(tmp_path: Path) -> None:
    write(tmp_path, [f"{name}/{os.fsdecode(bytes([0xE9]))}.png" for name in "ab"])
    dataset = open_dataset(tmp_path)
    assert [dataset.read(sample).shape for sample in dataset.split("train")] == [(2, 3, 3)] * 2


def test_unreadable_images_name_themselves(tmp_path: Path) -> None:
    write(tmp_path, ["a/1.png", "b/1.png"])
    (tmp_path / "a" / "1.png").write_bytes(png(1)[:-5])
    (tmp_path / "b" / "1.png").unlink()
    (tmp_path / "b" / "2.gif").write_bytes(b"GIF89a")
    dataset = open_dataset(tmp_path)
    cut, gif = dataset.split("train")
    with pytest.raises(ImageError, match=r"a/1\.png: the image is truncated"):
        dataset.read(cut)
    with pytest.raises(ImageError, match=r"b/2\.gif: expected a JPEG, .* got GIF"):
        dataset.read(gif)
    (tmp_path / "b" / "2.gif").unlink()
    with pytest.raises(ImageError, match=r"b/2\.gif: cannot read .*No such file"):
        dataset.read(gif)


def test_useless_sources_are_refused(tmp_path: Path) -> None:
    opening_fails(tmp_path / "missing", "one of digits, mnist, fashion_mnist, cifar10, cifar100; .* does not exist")
    (tmp_path / "empty").mkdir()
    opening_fails(tmp_path / "empty", "empty has no images; expected one folder of images a class")
    write(tmp_path / "one", ["cats/1.png"])
    (tmp_path / "one" / "readme.txt").write_text("text")
    write(tmp_path / "two", ["cats/1.png", "2.png"])
    opening_fails(tmp_path / "two", r"has images of 1 class \(cats\); expected one folder")
    write(tmp_path / "three", ["train/cats/1.png", "test/cats/1.png"])
    opening_fails(tmp_path / "three", "has images of 1 class")
    (tmp_path / "text.zip").write_text("text")
    opening_fails(tmp_path / "text.zip", "cannot read")


def test_a_refused_archive_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.writestr("readme.txt", "text")
    store = open_store(tmp_path / "data.zip")
    monkeypatch.setattr(dataset_module, "open_store", lambda path: store)
    opening_fails(tmp_path / "data.zip", "no images")
    with pytest.raises(DataError, match="closed"):
        store.read("readme.txt")


def test_a_split_has_one_of_three_names(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a split of train, val, test, got 'dev'"):
        open_dataset(write(tmp_path, ["a/1.png", "b/1.png"])).split("dev")


@pytest.mark.parametrize(
    ("size", "train", "val", "test"),
    [(1, 1, 0, 0), (2, 1, 0, 1), (3, 1, 1, 1), (4, 2, 1, 1), (14, 12, 1, 1), (15, 11, 2, 2), (100, 80, 10, 10)],
)
def test_small_classes_keep_something_to_train_on(tmp_path: Path, size: int, train: int, val: int, test: int) -> None:
    dataset = open_dataset(write(tmp_path, numbered("a", size) + numbered("b", 5)))
    found = {name: sum(sample.label == 0 for sample in dataset.split(name)) for name in SPLITS}
    assert found == {"train": train, "val": val, "test": test}


CLASS_SIZES = st.lists(st.integers(1, 60), min_size=2, max_size=6)


def samples_of(sizes: list[int]) -> list[Sample]:
    return [Sample(f"{label}/{i}.png", label) for label, size in enumerate(sizes) for i in range(size)]


@settings(deadline=None)
@given(CLASS_SIZES, st.integers(0, 3), st.randoms(use_true_random=False))
def test_splits_are_disjoint_complete_stratified_and_fixed(
    sizes: list[int], seed: int, shuffler: random.Random
) -> None:
    samples = samples_of(sizes)
    splits, _ = dataset_module._complete({"": samples}, seed)
    assert sorted(names(sum(splits.values(), ()))) == sorted(names(samples))
    for label, size in enumerate(sizes):
        per_split = [sum(sample.label == label for sample in splits[name]) for name in SPLITS]
        assert per_split[0] >= 1
        if size >= 3:
            assert all(max(1, size / 10 - 0.5) <= count <= max(1, size / 10 + 0.5) for count in per_split[1:])
    shuffled = samples.copy()
    shuffler.shuffle(shuffled)
    again, _ = dataset_module._complete({"": shuffled}, seed)
    assert {name: set(part) for name, part in again.items()} == {name: set(part) for name, part in splits.items()}


def test_the_seed_changes_the_splits() -> None:
    first, second = (dataset_module._complete({"": samples_of([100, 100])}, seed)[0] for seed in (0, 1))
    assert set(first["test"]) != set(second["test"])


@settings(deadline=None)
@given(CLASS_SIZES, st.integers(0, 400), st.integers(0, 3), st.randoms(use_true_random=False))
def test_balanced_takes_from_all_classes_alike(
    sizes: list[int], count: int, seed: int, shuffler: random.Random
) -> None:
    samples = samples_of(sizes)
    chosen = balanced(samples, count, seed=seed)
    assert len(chosen) == len(set(chosen)) == min(count, len(samples))
    assert set(chosen) <= set(samples)
    taken = Counter(sample.label for sample in chosen)
    most = max(taken.values(), default=0)
    assert all(taken[label] in (most, most - 1) or taken[label] == size for label, size in enumerate(sizes))
    shuffler.shuffle(samples)
    assert balanced(samples, count, seed=seed) == chosen
    assert balanced(samples, count // 2, seed=seed) == chosen[: min(count // 2, len(chosen))]


def test_balanced_takes_unlabelled_samples_in_hash_order() -> None:
    samples = [Sample(f"{i}.png", None) for i in range(50)]
    chosen = balanced(samples, 50)
    assert set(chosen) == set(samples)
    assert names(chosen) != names(samples)
    assert balanced(samples, 10) == chosen[:10]
    assert balanced(samples, 50, seed=1) != chosen
    assert balanced(samples, -1) == balanced([], 5) == ()


def labels_file(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "labels.txt"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "labels"),
    [
        (b"cat\ndog", ("cat", "dog")),
        (b"\xef\xbb\xbfcat\r\n  hot dog \r\n\r\n\n", ("cat", "hot dog")),
        ("größe\n猫".encode(), ("größe", "猫")),
        (b"0 cardboard\n1 glass\n2 light metal\n", ("cardboard", "glass", "light metal")),
        (b"1 one\n2 two", ("1 one", "2 two")),
        (b"0 a\n2 b", ("0 a", "2 b")),
        (b"0 a\nb", ("0 a", "b")),
        (b"0\n1\n2", ("0", "1", "2")),
        (b"0 0\n1 1", ("0", "1")),
        (b"only", ("only",)),
    ],
)
def test_label_files(tmp_path: Path, content: bytes, labels: tuple[str, ...]) -> None:
    assert read_labels(labels_file(tmp_path, content)) == labels


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"cat\n\ndog", "line 2 .* is blank"),
        (b"\ncat", "line 1 .* is blank"),
        (b"caf\xe9", "expected a UTF-8 text"),
        (b"TFL3\0\0\0", "got a binary file"),
    ],
)
def test_wrong_label_files(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_labels(labels_file(tmp_path, content))
    assert "\n" not in str(caught.value)
    assert "labels.txt" in str(caught.value)


def test_a_missing_label_file(tmp_path: Path) -> None:
    for path, message in ((tmp_path / "no.txt", "No such file"), (tmp_path, "directory")):
        with pytest.raises(DataError, match=f"cannot read the label file .*{message}"):
            read_labels(path)


LABELS = st.lists(st.text("ab c_\n\u00e9", min_size=1, max_size=4).map(str.strip), unique=True, min_size=1, max_size=9)


@settings(deadline=None)
@given(LABELS.filter(lambda labels: all(label and "\n" not in label for label in labels)), st.booleans())
def test_written_labels_are_read_back(labels: list[str], numbers: bool) -> None:
    lines = [f"{i} {label}" for i, label in enumerate(labels)] if numbers else labels
    with tempfile.TemporaryDirectory() as folder:
        assert read_labels(labels_file(Path(folder), "\n".join(lines).encode())) == tuple(labels)


@pytest.mark.parametrize(
    ("labels", "classes", "matched"),
    [
        (["cat", "dog"], ["cat", "dog"], {0: 0, 1: 1}),
        (["dog", "cat", "owl"], ["cat", "dog"], {0: 1, 1: 0}),
        (["Hot Dog", "T-Shirt"], ["hot_dog", "t shirt", "owl"], {0: 0, 1: 1}),
        (["Cat", "cat"], ["cat", "CAT"], {0: 1, 1: 0}),
        (["Cat", "cAt"], ["cat", "dog"], None),  # which of the two is meant cannot be known
        (["cat"], ["Cat", "CAT"], None),
        (["a"], ["b"], None),
        ([], ["b"], None),
    ],
)
def test_labels_match_by_name(labels: list[str], classes: list[str], matched: dict[int, int] | None) -> None:
    if matched is None:
        with pytest.raises(DataError, match=r"none of the classes .* is a label of the model"):
            match_labels(labels, classes)
    else:
        assert match_labels(labels, classes) == matched


@settings(deadline=None)
@given(st.permutations(range(8)), st.integers(1, 8))
def test_matching_finds_a_permutation(order: list[int], known: int) -> None:
    classes = [f"Class {i}" for i in order[:known]]
    assert match_labels([f"class_{i}" for i in range(8)], classes) == dict(enumerate(order[:known]))


@pytest.mark.shared_data
def test_a_real_data_set(shared_data: Path) -> None:
    assert read_labels(shared_data / "models" / "teachable_machine_waste_labels.txt")[0] == "cardboard"
    with open_dataset(shared_data / "trashnet.tar.gz") as dataset:
        assert dataset.classes == ("cardboard", "glass", "metal", "paper", "plastic")
        assert counts(dataset) == {"train": 1000, "val": 246, "test": 0}
        assert dataset.ignored == ()
        chosen = balanced(dataset.split("val"), 20)
        assert Counter(sample.label for sample in chosen) == dict.fromkeys(range(5), 4)
        assert {dataset.read(sample).shape for sample in chosen} == {(240, 320, 3)}
