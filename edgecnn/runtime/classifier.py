"""`Classifier`: a `.tflite` file and a frame in, labels with probabilities out. No TensorFlow."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edgecnn.bundle.bundle import Bundle, open_bundle
from edgecnn.bundle.card import HEADS, Confidence, Reference
from edgecnn.config import NORMALIZATIONS, Preprocess
from edgecnn.data.preprocess import Preprocessor
from edgecnn.errors import BundleError, ModelError, PreprocessError
from edgecnn.runtime.head import Head
from edgecnn.runtime.interpreter import Engine

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecnn.spec import Spec


class Prediction(NamedTuple):
    """One class of a picture's answer; `score` is a probability in [0, 1], `index` counts classes from 0."""

    label: str
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs of a prediction
    score: float


class Classifier:
    """Classifies pictures with any TFLite image classifier.

    A bundle made by edgecnn carries its labels and preprocessing; for other models they are given here.
    Not thread-safe: every thread needs its own.

    Args:
        model: path of a `.tflite` file, or its content.
        labels: class names in output order; replaces those in the file.
        preprocess: `Preprocess`, or a SPEC such as "symmetric,rgb"; replaces what the file says.
        head: "softmax", "sigmoid" or "logits"; replaces what the file says or its graph shows.
        confidence: temperature and threshold of the scores; replaces what the file says.
        threads: threads of the interpreter's kernels.
        name: what error messages call the model; by default its path.

    Attributes:
        labels: class names; two for a one-unit sigmoid model.
        preprocess: what is done to every frame.
        threads: of the interpreter.
        unknown_below: smallest score at which a class is named; None where the model has no such threshold.
        reference: what pictures and scores were like at conversion; None where the model does not say, or is used in
            another way than it was sealed with, which gives other pictures or scores.
        engine, head, preprocessor: the parts, for measurement.

    Raises:
        ModelError: not a single-image classifier, or an unknown `head`.
        BundleError: labels are missing or do not fit the output.
        PreprocessError: preprocessing is not known or does not fit the input.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | bytes,
        *,
        labels: Sequence[str] | None = None,
        preprocess: Preprocess | Spec | str | None = None,
        head: str | None = None,
        confidence: Confidence | None = None,
        threads: int = 1,
        name: str = "",
    ) -> None:
        content = model if isinstance(model, bytes) else read_model(model)
        name = name or ("the model" if isinstance(model, bytes) else os.fspath(model))
        bundle = open_bundle(content)
        stated = _parsed(preprocess) if isinstance(preprocess, str) else preprocess
        self._content, self.threads = content, threads
        self.engine = Engine(content, threads=threads, size=_size(stated, bundle))
        classes = max(2, self.engine.classes)
        self.labels = fitting_labels(labels or bundle.labels, classes, name)
        self.preprocess = complete_preprocess(stated, bundle, self.engine, name)
        kind = head or (bundle.card.head if bundle.card else _head_kind(content))
        if kind not in HEADS:
            raise ModelError(f"expected head to be one of {', '.join(HEADS)}, got {kind!r}")
        if confidence is None and bundle.card is not None and kind == bundle.card.head:
            confidence = bundle.card.confidence
        self.head = Head(kind, self.engine.output_type, confidence.temperature if confidence else 1.0)
        self.unknown_below = confidence.unknown_below if confidence else None
        self.preprocessor = Preprocessor(self.preprocess, self.engine.input_type)
        used = self.preprocess, kind, confidence
        as_sealed = (card := bundle.card) and used == (card.preprocess, card.head, card.confidence)
        self.reference: Reference | None = card.reference if card and as_sealed else None

    def probabilities(self, frame: NDArray[np.uint8], *, color: str = "bgr") -> NDArray[np.float32]:
        """Probabilities (classes,) of one uint8 frame of any size: gray, or "bgr" / "rgb" with 3 or 4 channels.

        Raises:
            ImageError: the frame is not uint8 or has another shape.
        """
        self.preprocessor.write(frame, self.engine.input, color)
        self.engine.invoke()
        return self.head.probabilities(self.engine.output())

    def classify(self, frame: NDArray[np.uint8], *, color: str = "bgr", top_k: int = 5) -> tuple[Prediction, ...]:
        """The `top_k` most probable classes of one frame, best first; equal scores in class order."""
        return self.rank(self.probabilities(frame, color=color), top_k)

    def is_unknown(self, predictions: Sequence[Prediction]) -> bool:
        """Whether the best of a picture's predictions is too uncertain to name its class; never without a threshold."""
        return self.unknown_below is not None and not predictions[0].score >= self.unknown_below  # NaN is unknown

    def clone(self, *, threads: int | None = None, batch: int = 1) -> Classifier:
        """The same classifier with an interpreter and buffers of its own, for another thread or with more threads.

        Args:
            batch: pictures that one `invoke` of its engine computes.

        Raises:
            ModelError: the model cannot take so many at once.
        """
        twin = copy.copy(self)
        twin.threads = threads or self.threads
        twin.preprocessor = Preprocessor(self.preprocess, self.engine.input_type)
        twin.engine = Engine(self._content, threads=twin.threads, size=self.preprocess.size, batch=batch)
        return twin

    def rank(self, probabilities: NDArray[np.float32], top_k: int = 5) -> tuple[Prediction, ...]:
        """Probabilities (classes,) as predictions, best first."""
        best = np.argsort(-probabilities, kind="stable")[:top_k]
        return tuple(Prediction(self.labels[i], int(i), float(probabilities[i])) for i in best)


def read_model(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a model file.

    Raises:
        ModelError: there is no such file, or it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as exc:
        raise ModelError(f"cannot read the model {os.fspath(path)}: {exc.strerror or exc}") from exc


def fitting_labels(labels: Sequence[str], classes: int, name: str) -> tuple[str, ...]:
    """The labels, checked against the number of classes.

    Raises:
        BundleError: none are known, or their number differs.
    """
    if not labels:
        raise BundleError(f"{name} carries no labels; give its {classes} class names with --labels FILE")
    if len(labels) != classes:
        raise BundleError(f"expected {classes} labels for the {classes} classes of {name}, got {len(labels)}")
    return tuple(labels)


def complete_preprocess(stated: Preprocess | Spec | None, bundle: Bundle, engine: Engine, name: str) -> Preprocess:
    """What was stated, filled from the bundle's card or TFLite metadata and the model's input shape.

    Raises:
        PreprocessError: the normalization is not known from any of them, or the size does not fit the input.
    """
    if isinstance(stated, Preprocess):
        return fitting_preprocess(stated, engine, name)
    if stated is None and bundle.card is not None:
        return fitting_preprocess(bundle.card.preprocess, engine, name)
    stated = stated or _parsed("")
    color = "gray" if engine.channels == 1 else "rgb"
    if bundle.card is not None and not stated.auto:
        result = stated.over(bundle.card.preprocess)
    elif stated.states_normalization:
        result = stated.complete(engine.width, engine.height, color)
    elif bundle.metadata is not None and bundle.metadata.mean and not stated.auto:
        known = Preprocess(
            engine.width, engine.height, color, tuple(bundle.metadata.mean), tuple(bundle.metadata.std or (1.0,))
        )
        result = stated.over(known)
    else:
        raise PreprocessError(
            f"{name} does not say how its input is prepared; give --preprocess with one of {', '.join(NORMALIZATIONS)}"
            " or mean=…,std=… (or auto, where labelled data is given)"
        )
    return fitting_preprocess(result, engine, name)


def fitting_preprocess(preprocess: Preprocess, engine: Engine, name: str) -> Preprocess:
    """The preprocessing, checked against the model's input.

    Raises:
        PreprocessError: size or channels differ.
    """
    wanted = (engine.width, engine.height, engine.channels)
    given = (preprocess.width, preprocess.height, preprocess.channels)
    if wanted != given:
        raise PreprocessError(
            f"{name} takes pictures of {wanted[0]}x{wanted[1]} with {wanted[2]} channel(s), "
            f"but the preprocessing gives {given[0]}x{given[1]} with {given[2]}"
        )
    return preprocess


def _size(stated: Preprocess | Spec | None, bundle: Bundle) -> tuple[int, int] | None:
    known = bundle.card.preprocess.size if bundle.card else None
    return (stated.size if stated is not None else None) or known


def _parsed(text: str) -> Spec:
    from edgecnn.spec import parse_spec  # bundles state their preprocessing themselves

    return parse_spec(text)


def _head_kind(content: bytes) -> str:
    from edgecnn.bundle.tflite import describe  # only models that edgecnn did not make need the graph read

    return describe(content).head
