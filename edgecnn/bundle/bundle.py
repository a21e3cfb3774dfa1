"""A bundle: one `.tflite` file with its labels, preprocessing, provenance and accuracy sealed inside.

The format is written down in docs/bundle-format.md.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from edgecnn.bundle.archive import Archive, append_archive
from edgecnn.bundle.card import Card
from edgecnn.config import Preprocess
from edgecnn.errors import BundleError, ModelError
from edgecnn.signature import check_signature

if TYPE_CHECKING:
    from edgecnn.bundle.metadata import TFLiteMetadata

LABELS_FILE: Final = "labels.txt"
CARD_FILE: Final = "edgecnn.json"


class Bundle(NamedTuple):
    """What a `.tflite` file says about its use.

    Attributes:
        labels: class names in output order, two for a one-unit sigmoid model; empty when the file has none.
        card: edgecnn's own record; None in files that edgecnn did not make.
        metadata: TFLite Metadata of other tools; None when there is none, and where a card says it all.
    """

    labels: tuple[str, ...] = ()
    card: Card | None = None
    metadata: TFLiteMetadata | None = None


def open_bundle(content: bytes | os.PathLike[str]) -> Bundle:
    """Read what any `.tflite` file, given by content or path, says about its use.

    Raises:
        ModelError: the file cannot be read, or is no TFLite model.
        BundleError: labels, card or metadata inside are damaged, or do not fit together.
    """
    data = content if isinstance(content, bytes) else _read(content)
    archive = Archive(data)
    if CARD_FILE in archive.members:
        card = Card.from_json(_text(archive, CARD_FILE))
        labels = _lines(_text(archive, LABELS_FILE))
        if len(labels) != card.labels:
            raise BundleError(f"expected the {card.labels} labels of the card in {LABELS_FILE}, got {len(labels)}")
        return Bundle(labels, card)
    from edgecnn.bundle.metadata import read_metadata

    metadata = read_metadata(data)
    if metadata is None or not metadata.label_file:
        return Bundle(metadata=metadata)
    return Bundle(_lines(_text(archive, metadata.label_file)), metadata=metadata)


def seal(
    model: bytes,
    *,
    labels: Sequence[str],
    preprocess: Preprocess,
    card: Card,
    name: str = "",
    description: str = "",
) -> bytes:
    """A bundle of `model`; equal input gives equal bytes.

    Args:
        model: a `.tflite` image classifier; older metadata and archives in it are replaced.
        labels: class names in output order; two for a one-unit sigmoid model, the negative class first.
        preprocess: what is done to every picture.
        card: edgecnn's own record, with the same preprocessing and number of labels.
        name, description: of the model, for other TFLite tools.

    Raises:
        ModelError: `model` is damaged, or no classifier of single images.
        BundleError: labels, preprocessing or card do not fit the model.
    """
    from edgecnn.bundle.metadata import pack_metadata
    from edgecnn.bundle.tflite import describe, with_metadata

    info = describe(model)
    size, classes = check_signature(
        {tensor.name: tensor.shape for tensor in info.inputs}, {tensor.name: tensor.shape for tensor in info.outputs}
    )
    _check_labels(labels, max(2, classes))
    _check_preprocess(preprocess, size)
    if card.labels != len(labels) or card.preprocess != preprocess:
        raise BundleError(
            f"expected a card for {len(labels)} labels and {preprocess.spec}, "
            f"got one for {card.labels} and {card.preprocess.spec}"
        )
    metadata = pack_metadata(
        preprocess,
        name=name,
        description=description,
        output_name="score" if card.head == "logits" else "probability",
        label_file=LABELS_FILE,
        card_file=CARD_FILE,
    )
    files = {LABELS_FILE: _encoded(labels), CARD_FILE: card.to_json().encode()}
    return append_archive(with_metadata(model, metadata), files)


def _check_labels(labels: Sequence[str], expected: int) -> None:
    if len(labels) != expected:
        raise BundleError(f"expected {expected} labels for the model's {expected} classes, got {len(labels)}")
    wrong = [label for label in labels if not label or "\n" in label or "\r" in label]
    if wrong:
        raise BundleError(f"expected labels of one line that are not empty, got {wrong[0]!r}")


def _check_preprocess(preprocess: Preprocess, size: tuple[int, ...]) -> None:
    given = (preprocess.height, preprocess.width, preprocess.channels)
    if any(want not in (-1, got) for want, got in zip(size, given, strict=True)):
        raise BundleError(
            f"expected preprocessing to the model's input (height, width, channels) {size}, got one to {given}"
        )


def _encoded(labels: Sequence[str]) -> bytes:
    try:
        return "".join(f"{label}\n" for label in labels).encode()
    except UnicodeEncodeError as exc:
        raise BundleError(f"expected labels of Unicode text, got {exc.object!r}") from exc


def _read(path: os.PathLike[str]) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as exc:
        raise ModelError(f"cannot read the model {os.fspath(path)}: {exc.strerror or exc}") from exc


def _text(archive: Archive, name: str) -> str:
    try:
        return archive.read(name).decode()
    except UnicodeDecodeError as exc:
        raise BundleError(f"expected UTF-8 text in {name} inside the bundle: {exc}") from exc


def _lines(text: str) -> tuple[str, ...]:
    """Lines ended by LF or CR LF, as label files of all tools are; an empty last line is none."""
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return tuple(lines if lines[-1] else lines[:-1])
