"""A model file of any kind as a float `.tflite`, with what the file says about itself."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from edgecnn.bundle.bundle import Bundle, open_bundle, seal
from edgecnn.bundle.card import Card
from edgecnn.bundle.tflite import describe, with_metadata, with_signature
from edgecnn.bundle.weights import is_float
from edgecnn.errors import ModelError, PreprocessError
from edgecnn.files import sha256_path
from edgecnn.keras_io.card import KerasCard, read_card
from edgecnn.keras_io.export import export_float
from edgecnn.keras_io.load import KerasSource, load_source
from edgecnn.keras_io.safety import SourceFile, inspect_source
from edgecnn.measure.machine import versions
from edgecnn.runtime.classifier import read_model
from edgecnn.runtime.interpreter import Engine
from edgecnn.spec import Spec


@dataclass(frozen=True)
class Loaded:
    """A model as a float `.tflite`, with what its file says about itself."""

    content: bytes
    file: SourceFile
    sha256: str
    source: KerasSource | None
    bundle: Bundle
    head: str


def load_float(model: str | Path, spec: Spec | None = None, *, allow_unsafe: bool = False) -> bytes:
    """Any model file as `.tflite` content: Keras models are converted to float, `.tflite` files are read.

    Raises:
        ModelError: not a single-image classifier.
        ConversionError: the conversion failed.
    """
    file = inspect_source(model, allow_unsafe=allow_unsafe)
    if file.kind == "tflite":
        return read_model(model)
    spec = spec or Spec()
    content = _export(load_source(model, allow_unsafe=allow_unsafe), spec)
    card = read_card(model) if file.kind == "keras" else None
    return content if card is None else _sealed(content, card, model, sha256_path(model))


def load(
    path: Path, spec: Spec, step: Callable[[str], AbstractContextManager[list[str]]], *, allow_unsafe: bool = False
) -> Loaded:
    """Any model file that can still be quantized.

    Args:
        spec: may say the size of the pictures.
        step: announces and times a step; what it yields takes details in words.

    Raises:
        ModelError: not a single-image classifier, or quantized already.
        UnsafeModelError: it carries code and `allow_unsafe` is False.
        ConversionError: the conversion failed.
    """
    with step("load") as details:
        file = inspect_source(path, allow_unsafe=allow_unsafe)
        sha256 = sha256_path(path)
        details.append(file.kind)
        if file.kind == "tflite":
            whole = read_model(path)
            Engine(whole, size=spec.size)  # refuses what is no single-image classifier
            if not is_float(whole):
                raise ModelError(f"{path} is quantized already; give the float model it was made from")
            bare = with_metadata(whole, b"")  # metadata would point at labels that the result has not yet
            return Loaded(with_signature(bare), file, sha256, None, open_bundle(whole), describe(whole).head)
        source = load_source(path, allow_unsafe=allow_unsafe)
    with step("convert to float .tflite") as details:
        content = _export(source, spec)
        details.append(f"{len(content):,} bytes")
    card = read_card(path) if file.kind == "keras" else None
    bundle = open_bundle(content if card is None else _sealed(content, card, path, sha256))
    return Loaded(content, file, sha256, source, bundle, describe(content).head)


def _sealed(content: bytes, card: KerasCard, model: str | Path, sha256: str) -> bytes:
    """A float `.tflite` with what its `.keras` file says about its use."""
    head = describe(content).head
    source = {"name": card_text(Path(model).name), "sha256": sha256, "kind": "keras"}
    about = Card(
        preprocess=card.preprocess,
        head=head,
        labels=len(card.labels),
        source=source,
        recipe={"quantize": "float32"},
        versions=versions(),
        calibration={},
        accuracy=None,
    )
    return seal(content, labels=card.labels, preprocess=card.preprocess, card=about)


def _export(source: KerasSource, spec: Spec) -> bytes:
    width, height = spec.width or source.width, spec.height or source.height
    path = source.file.path
    if width < 1 or height < 1:
        raise PreprocessError(f"{path} takes pictures of any size; say which with --preprocess size=WIDTHxHEIGHT")
    if source.width not in (-1, width) or source.height not in (-1, height):
        fixed = f"{source.width}x{source.height}"
        raise PreprocessError(f"{path} takes pictures of {fixed}, but --preprocess says {width}x{height}")
    return export_float(source, width=width, height=height)


def card_text(name: str) -> str:
    """A file's name as a card takes it: bytes that are no text, and backslashes, become question marks."""
    return name.encode("utf-8", "replace").decode().replace("\\", "?")
