"""What a `.keras` file made by edgecnn says about its use: one more member of the zip, which Keras passes over."""

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edgecnn.config import Preprocess
from edgecnn.errors import BundleError, PreprocessError

MEMBER: Final = "edgecnn.json"
FORMAT: Final = 1


@dataclass(frozen=True)
class KerasCard:
    """Labels and preprocessing of a Keras model, and how it was trained.

    Attributes:
        labels: class names in output order, two for a one-unit sigmoid model.
        preprocess: what is done to every picture.
        training: a record of plain JSON values: architecture, options, data, accuracy.
    """

    labels: tuple[str, ...]
    preprocess: Preprocess
    training: dict[str, Any]


def with_card(content: bytes, card: KerasCard) -> bytes:
    """A `.keras` file's bytes with the card added.

    Raises:
        BundleError: a value that JSON cannot hold.
    """
    values = {
        "format": FORMAT,
        "labels": list(card.labels),
        "preprocess": card.preprocess.to_dict(),
        "training": card.training,
    }
    try:
        text = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as exc:
        raise BundleError(f"expected a card of plain numbers and text: {exc}") from exc
    file = io.BytesIO(content)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(MEMBER, text)
    return file.getvalue()


def read_card(path: str | Path) -> KerasCard | None:
    """The card of a `.keras` file; None in files that have none, or are no zip.

    Raises:
        BundleError: the card is damaged, or written by a newer release.
    """
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        if MEMBER not in archive.namelist():
            return None
        text = archive.read(MEMBER)
    try:
        values = json.loads(text)
        if values["format"] > FORMAT:
            raise BundleError(f"{path} was made by a newer edgecnn; update edgecnn")
        labels, training = tuple(values["labels"]), dict(values["training"])
        if len(labels) < 2 or not all(isinstance(label, str) and label for label in labels):
            raise ValueError(f"expected two labels or more, got {labels!r}")
        return KerasCard(labels, Preprocess.from_dict(values["preprocess"]), training)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, PreprocessError) as exc:
        raise BundleError(f"the card inside {path} is damaged: {exc}; give --labels and --preprocess") from exc
