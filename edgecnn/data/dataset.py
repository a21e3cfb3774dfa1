"""Labelled and unlabelled image data sets: folders, archives and built-in names, with fixed splits.

Where a split is missing it is made from the SHA-256 of the seed and each file's relative name, so that it
depends neither on the order of the files nor on the machine.
"""

import hashlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecnn.data.builtin import BUILTIN_NAMES, Pictures, load_builtin
from edgecnn.data.images import IMAGE_SUFFIXES, decode
from edgecnn.data.store import Store, open_store
from edgecnn.errors import DataError, ImageError

SPLITS: Final = ("train", "val", "test")

_SPLIT_NAMES: Final = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
_EXPECTED = "expected one folder of images a class, optionally under train/, val/ and test/"
_ARCHIVE_SUFFIX = re.compile(r"\.(zip|tar|tgz|tbz2?|txz|tar\.\w+)$", re.IGNORECASE)


@dataclass(frozen=True)
class Sample:
    """One image.

    Attributes:
        name: relative name inside the data set, with "/".
        label: index into the data set's classes; None in an unlabelled one.
    """

    name: str
    label: int | None


class Dataset:
    """Images in splits. Made by `open_dataset`, and a context manager; several threads may read at once.

    Attributes:
        name: built-in name, or name of the folder or archive.
        classes: class names, which labels index; empty if unlabelled.
        splits: samples of "train", "val" and "test"; a split may be empty.
        ignored: (name, reason) of files that are no samples.
        notes: what was decided about splits and classes, one human line each.
    """

    def __init__(
        self,
        name: str,
        classes: Sequence[str],
        splits: dict[str, tuple[Sample, ...]],
        read: Callable[[str], NDArray[np.uint8]],
        *,
        ignored: Iterable[tuple[str, str]] = (),
        notes: Iterable[str] = (),
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.classes = tuple(classes)
        self.splits = splits
        self.ignored = tuple(ignored)
        self.notes = tuple(notes)
        self._read = read
        self._close = close

    @property
    def labelled(self) -> bool:
        """Whether the samples have labels."""
        return bool(self.classes)

    def read(self, sample: Sample) -> NDArray[np.uint8]:
        """Pixels of one sample: uint8 (height, width, 3) in BGR.

        Raises:
            ImageError: it cannot be read or decoded; the message begins with its name.
        """
        try:
            return self._read(sample.name)
        except DataError as exc:
            raise ImageError(f"{sample.name}: {exc}") from exc

    def split(self, name: str) -> tuple[Sample, ...]:
        """Samples of "train", "val" or "test".

        Raises:
            DataError: another name.
        """
        if name not in self.splits:
            raise DataError(f"expected a split of {', '.join(SPLITS)}, got {name!r}")
        return self.splits[name]

    def measured_split(self) -> str:
        """The split that accuracy is measured on: "test", or "val" where there is no test image.

        Raises:
            DataError: both are empty.
        """
        for name in ("test", "val"):
            if self.splits[name]:
                return name
        raise DataError(f"{self.name} has no images in val or test to measure on")

    def close(self) -> None:
        """Close the archive; no sample can be read afterwards."""
        self._close()

    def __enter__(self) -> "Dataset":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_dataset(source: str | os.PathLike[str], *, seed: int = 0) -> Dataset:
    """Open a built-in data set (`BUILTIN_NAMES`), or a folder, .zip or .tar of images.

    A folder or archive has one folder a class, optionally under train/, val/ and test/ (also training, valid,
    validation, testing, in any case), optionally all inside one top folder. Classes are the sorted folder names.
    Images without class folders are an unlabelled data set, all in "train".

    Args:
        seed: changes the splits that are made here.

    Raises:
        DataError: nothing is there, it cannot be read, it has no images, or images of one class only.
        MissingExtraError: a built-in data set needs a package that is not installed.
    """
    if str(source) in BUILTIN_NAMES:
        return _open_builtin(str(source), seed)
    path = Path(source)
    if not path.exists():
        raise DataError(f"expected a folder, an archive or one of {', '.join(BUILTIN_NAMES)}; {path} does not exist")
    with ExitStack() as on_error:
        store = open_store(path)
        on_error.callback(store.close)
        dataset = _from_store(store, seed)
        on_error.pop_all()
        return dataset


def balanced(samples: Sequence[Sample], count: int, *, seed: int = 0) -> tuple[Sample, ...]:
    """Choose at most `count` samples, as many of each class as it has, in an order that the seed fixes.

    The order goes round over the classes, so that every beginning of it is balanced too; classes that run out
    leave their share to the others. Unlabelled samples count as one class.
    """
    turns: Counter[int | None] = Counter()
    keyed = []
    for sample in _hash_order(samples, seed):
        keyed.append((turns[sample.label], -1 if sample.label is None else sample.label, sample))
        turns[sample.label] += 1
    keyed.sort(key=lambda item: item[:2])
    return tuple(sample for _, _, sample in keyed[: max(count, 0)])


def read_labels(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Read a label file: UTF-8, one label a line in the order of the model's outputs.

    Numbers in front, as Teachable Machine writes them (`0 cardboard`), are dropped if they count all lines from 0.
    A name may stand there twice, as in ImageNet, where a crane is a bird and a machine.

    Raises:
        DataError: the file is missing, no text or empty, or a label is blank.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as exc:
        raise DataError(f"cannot read the label file {path}: {exc.strerror or exc}") from exc
    except UnicodeDecodeError as exc:
        raise DataError(f"expected a UTF-8 text with one label a line, got other bytes in {path}") from exc
    if "\0" in text:
        raise DataError(f"expected a UTF-8 text with one label a line, got a binary file: {path}")
    labels = [line.strip() for line in text.rstrip().split("\n")]
    if labels == [""]:
        raise DataError(f"the label file {path} is empty; expected one label a line")
    if "" in labels:
        raise DataError(f"line {labels.index('') + 1} of the label file {path} is blank; expected one label a line")
    numbered = [re.fullmatch(r"(\d{1,9})\s+(\S.*)", label) for label in labels]
    if all(match and int(match[1]) == i for i, match in enumerate(numbered)):
        labels = [match[2] for match in numbered if match]
    return tuple(labels)


def match_labels(labels: Sequence[str], classes: Sequence[str]) -> dict[int, int]:
    """Map class indices of a data set to output indices of a model, by name.

    Names match exactly, or else without regard to case, spaces, underscores and hyphens. Classes without a label
    are left out, as are classes whose match is not the only one.

    Raises:
        DataError: no class has a label.
    """
    matched = {i: labels.index(name) for i, name in enumerate(classes) if labels.count(name) == 1}
    taken = set(matched.values())
    loose_labels, loose_classes = defaultdict(list), defaultdict(list)
    for output, label in enumerate(labels):
        if output not in taken:
            loose_labels[_loose(label)].append(output)
    for i, name in enumerate(classes):
        if i not in matched:
            loose_classes[_loose(name)].append(i)
    for key, indices in loose_classes.items():
        if len(indices) == len(loose_labels[key]) == 1:
            matched[indices[0]] = loose_labels[key][0]
    if not matched:
        raise DataError(
            f"none of the classes ({_few(classes)}) is a label of the model ({_few(labels)}); give its --labels FILE"
        )
    return dict(sorted(matched.items()))


def _loose(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name).casefold()


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (", …" if len(names) > 4 else "")


def _open_builtin(name: str, seed: int) -> Dataset:
    classes, parts = load_builtin(name)
    samples = {
        split: [Sample(f"{split}/{i:05d}" if split else f"{i:05d}", int(label)) for i, label in enumerate(part.labels)]
        for split, part in parts.items()
    }
    splits, notes = _complete(samples, seed)
    return Dataset(name, classes, splits, lambda sample: _builtin_pixels(parts, sample), notes=notes)


def _builtin_pixels(parts: dict[str, Pictures], name: str) -> NDArray[np.uint8]:
    split, _, number = name.rpartition("/")
    image = np.ascontiguousarray(parts[split].images[int(number)])
    code = cv2.COLOR_GRAY2BGR if image.ndim == 2 else cv2.COLOR_RGB2BGR
    return np.asarray(cv2.cvtColor(image, code), np.uint8)


def _from_store(store: Store, seed: int) -> Dataset:
    images, ignored = [], list(store.left_out)
    for name in store.names():
        if os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES:
            images.append(name)
        else:
            ignored.append((name, "not an image file name"))
    if not images:
        raise DataError(f"{store.path} has no images; {_EXPECTED}")
    top = _top_folder(images)
    names = [name.removeprefix(top) for name in images]
    if all(_is_bare(name) for name in names):
        classes: tuple[str, ...] = ()
        splits = {"train": tuple(Sample(name, None) for name in names), "val": (), "test": ()}
        notes = [f"no class folders: {len(names)} unlabelled images, all in train"]
    else:
        by_split = any(_place(name, by_split=True) for name in names)
        places = {name: _place(name, by_split=by_split) for name in names}
        classes = tuple(sorted({place[1] for place in places.values() if place}))
        if len(classes) < 2:
            raise DataError(f"{store.path} has images of {len(classes)} class ({', '.join(classes)}); {_EXPECTED}")
        index = {name: i for i, name in enumerate(classes)}
        given = defaultdict(list)
        for name, place in places.items():
            if place:
                given[place[0]].append(Sample(name, index[place[1]]))
        splits, notes = _complete(given, seed)
        strays = [name for name, place in places.items() if not place]
        if strays:
            ignored += [(top + name, "an image outside of the class folders") for name in strays]
            notes.append(f"ignored because outside of the class folders ({len(strays)}): {_few(strays)}")
        folders = [*store.folders, *(os.path.dirname(name) for name, _ in ignored)]
        found = [_place((name + "/").removeprefix(top), by_split=by_split) for name in folders]
        if empty := sorted({place[1] for place in found if place}.difference(classes)):
            notes.append(f"folders without images are no classes: {_few(empty)}")
    name = _ARCHIVE_SUFFIX.sub("", os.path.basename(os.path.abspath(store.path)))
    read = partial(_store_pixels, store, top)
    return Dataset(name, classes, splits, read, ignored=ignored, notes=notes, close=store.close)


def _store_pixels(store: Store, top: str, name: str) -> NDArray[np.uint8]:
    return decode(store.read(top + name))


def _top_folder(names: Sequence[str]) -> str:
    """The one folder that holds everything, with "/" behind; "" if there is none or it is a split."""
    tops = {name.partition("/")[:2] for name in names}
    (first, slash), *others = tops
    return "" if others or not slash or first.lower() in _SPLIT_NAMES else f"{first}/"


def _is_bare(name: str) -> bool:
    """Whether an image lies at the top, or directly in a split folder."""
    folder = os.path.dirname(name)
    return not folder or folder.lower() in _SPLIT_NAMES


def _place(name: str, *, by_split: bool) -> tuple[str, str] | None:
    """(split or "", class) that an image's folders state; None if it lies outside of the class folders."""
    parts = name.split("/")
    if not by_split:
        return ("", parts[0]) if len(parts) > 1 else None
    split = _SPLIT_NAMES.get(parts[0].lower())
    return (split, parts[1]) if split and len(parts) > 2 else None


def _complete(given: Mapping[str, Sequence[Sample]], seed: int) -> tuple[dict[str, tuple[Sample, ...]], list[str]]:
    """Make the splits that are missing; samples under "" come without any."""
    splits: dict[str, tuple[Sample, ...]] = {name: tuple(given.get(name, ())) for name in SPLITS}
    if given.keys() in ({""}, {"train"}):
        (everything,) = given.values()
        return splits | _divide(everything, ("test", "val"), seed), [
            "no test split: 80 % of every class are train, 10 % val and 10 % test, chosen by hash"
        ]
    if given.keys() == {"train", "test"}:
        return splits | _divide(given["train"], ("val",), seed), [
            "no val split: 10 % of every class of train are val, chosen by hash"
        ]
    return splits, [] if splits["test"] else ["no test split: val is what gets measured"]


def _divide(samples: Sequence[Sample], parts: Sequence[str], seed: int) -> dict[str, tuple[Sample, ...]]:
    """Take a tenth of every class, at least one image, for each part as long as one is left for "train"."""
    chosen = dict.fromkeys(samples, "train")
    by_class = defaultdict(list)
    for sample in _hash_order(samples, seed):
        by_class[sample.label].append(sample)
    for members in by_class.values():
        share = max(1, (len(members) + 5) // 10)
        for part in parts:
            for _ in range(min(share, len(members) - 1)):
                chosen[members.pop()] = part
    return {part: tuple(s for s in samples if chosen[s] == part) for part in ("train", *parts)}


def _hash_order(samples: Iterable[Sample], seed: int) -> list[Sample]:
    return sorted(samples, key=lambda sample: _digest(seed, sample.name))


def _digest(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode("utf-8", "surrogatepass")).digest()
