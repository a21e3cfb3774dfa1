"""One picture explained by one method: which model says what, and where it looks."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecnn.config import Preprocess
from edgecnn.data.preprocess import Preprocessor
from edgecnn.errors import DataError
from edgecnn.explain.crew import Crew, Progress
from edgecnn.explain.maps import Map, correlation, mass, normalized, overlay, rank_correlation, small
from edgecnn.explain.occlusion import occlusion
from edgecnn.explain.rise import rise
from edgecnn.measure.examples import thumbnail

if TYPE_CHECKING:
    from edgecnn.explain.gradients import Explained

BLACK_BOX: Final = ("rise", "occlusion", "lime", "shap")  # methods that only ask for answers
_SHOWN: Final = 256  # pixels a side that small pictures are enlarged to, by whole factors


@dataclass(frozen=True)
class Explanation:
    """A map with what it is of.

    Attributes:
        map: what speaks for the class.
        label: name of the class.
        picture: uint8 (height, width, 3) BGR, as the model sees it; enlarged where that is small.
        seconds: that the map took.
    """

    map: Map
    label: str
    picture: NDArray[np.uint8]
    seconds: float

    @property
    def support(self) -> NDArray[np.float32]:
        """What speaks for the class, in [0, 1] at the model's input size; 0 for all that does not."""
        return normalized(np.maximum(self.map.values, 0))

    def overlay(self) -> NDArray[np.uint8]:
        """The picture under the colours of what speaks for the class, uint8 BGR."""
        return overlay(self.picture, self.support)

    def to_dict(self) -> dict[str, Any]:
        """What a record says of it: the class, the map in at most 32 x 32 pixels, its mass, the overlay."""
        return {
            "label": self.label,
            "index": self.map.index,
            "score": round(self.map.score, 6),
            "method": self.map.method,
            "size": list(self.map.values.shape),
            "mass": round(mass(self.map.values), 6),
            "map": [[round(float(value), 4) for value in row] for row in small(self.support)],
            "overlay": thumbnail(self.overlay(), max(self.picture.shape)),
            "seconds": round(self.seconds, 4),
        }


class Explainer(Protocol):
    """A model and a method."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names in output order."""

    @property
    def preprocess(self) -> Preprocess:
        """What is done to every picture."""

    def explain(
        self, frame: NDArray[np.uint8], index: int | None = None, progress: Progress | None = None
    ) -> Explanation:
        """Explain a class, by default the most probable one, of a uint8 BGR frame of any size."""


@dataclass(frozen=True)
class BlackBox:
    """A method that only asks for answers: any model that runs as `.tflite`.

    Attributes:
        method: one of BLACK_BOX.
        samples: masks of rise, changed pictures of lime and shap.
        seed: of what is random.
    """

    crew: Crew
    method: str
    samples: int = 1000
    seed: int = 0

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names in output order."""
        return self.crew.classifier.labels

    @property
    def preprocess(self) -> Preprocess:
        """What is done to every picture."""
        return self.crew.classifier.preprocess

    def explain(
        self, frame: NDArray[np.uint8], index: int | None = None, progress: Progress | None = None
    ) -> Explanation:
        """Explain a class; `progress` is called from worker threads with how many answers there are."""
        started = time.perf_counter()
        seen = view(frame, self.preprocess)
        if self.method == "rise":
            found = rise(self.crew, frame, index=index, masks=self.samples, seed=self.seed, progress=progress)
        elif self.method == "occlusion":
            found = occlusion(self.crew, frame, index=index, progress=progress)
        else:
            from edgecnn.explain.libraries import explain_with

            picture = np.ascontiguousarray(seen[:, :, ::-1])
            found = explain_with(
                self.method, self.crew.predict, picture, index=index, samples=self.samples, seed=self.seed
            )
        seconds = time.perf_counter() - started
        return Explanation(found, self.labels[found.index], enlarged(seen), seconds)


@dataclass(frozen=True)
class Inside:
    """A method that looks into a Keras model.

    Attributes:
        method: one of `gradients.METHODS`.
        layer: whose feature map grad-cam uses; the last one by default.
    """

    explained: "Explained"
    method: str
    layer: str | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names in output order."""
        return self.explained.labels

    @property
    def preprocess(self) -> Preprocess:
        """What is done to every picture."""
        return self.explained.preprocess

    def explain(
        self, frame: NDArray[np.uint8], index: int | None = None, progress: Progress | None = None
    ) -> Explanation:
        """Explain a class."""
        from edgecnn.explain.gradients import explain

        started = time.perf_counter()
        found = explain(self.explained, frame, self.method, index=index, layer=self.layer)
        seconds = time.perf_counter() - started
        return Explanation(found, self.labels[found.index], enlarged(view(frame, self.preprocess)), seconds)


@dataclass(frozen=True)
class Side:
    """A model that is explained: its name and the SHA-256 of its file as records tell them, and how it is explained."""

    name: str
    sha256: str
    explainer: Explainer

    def to_dict(self, explanation: Explanation) -> dict[str, Any]:
        """What a record says of the model and the map."""
        return {"model": self.name, "sha256": self.sha256} | explanation.to_dict()


def explain_picture(
    sides: Sequence[Side], frame: NDArray[np.uint8], *, target: str | None = None, progress: Progress | None = None
) -> tuple[dict[str, Any], list[Explanation]]:
    """Explain one class of a picture by one or two models.

    Args:
        sides: the models; the second one explains the class that the first one does.
        frame: uint8 BGR, of any size.
        target: name of the class; by default the most probable one of the first model.

    Returns:
        The record's part about models and maps, and the explanations. Correlations are those of the maps as they are,
        Pearson's and Spearman's; None where a map is even.

    Raises:
        DataError: a model has no such class.
    """
    first = sides[0].explainer
    index = None if target is None else class_index(first.labels, target, sides[0].name)
    found = [first.explain(frame, index, progress)]
    picture = thumbnail(found[0].picture, max(found[0].picture.shape))
    record = sides[0].to_dict(found[0]) | {"picture": picture, "against": None, "notes": []}
    for side in sides[1:]:
        found.append(
            side.explainer.explain(frame, class_index(side.explainer.labels, found[0].label, side.name), progress)
        )
        maps = [item.map.values for item in found]
        if maps[1].shape != maps[0].shape:
            maps[1] = np.asarray(cv2.resize(maps[1], maps[0].shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
        pair = correlation(*maps), rank_correlation(*maps)
        values = [None if np.isnan(value) else round(value, 6) for value in pair]
        record["against"] = side.to_dict(found[1]) | {"correlation": values[0], "rank_correlation": values[1]}
        record["notes"] += _cautions(sides)
    return record, found


def class_index(labels: tuple[str, ...], wanted: str, name: str) -> int:
    """Place of a class among a model's labels.

    Raises:
        DataError: the model has no such class; the nearest names are told.
    """
    if wanted in labels:
        return labels.index(wanted)
    from difflib import get_close_matches

    near = get_close_matches(wanted, labels, n=3, cutoff=0.4) or labels[:4]
    raise DataError(
        f"{name} has no class {wanted!r}; it has {', '.join(near)}{', …' if len(labels) > len(near) else ''}"
    )


def _cautions(sides: Sequence[Side]) -> list[str]:
    """What makes two maps differ besides the models."""
    fits = [side.explainer.preprocess.fit for side in sides]
    if fits[0] == fits[1]:
        return []
    names = [f"{side.name} ({fit})" for side, fit in zip(sides, fits, strict=True)]
    return [f"{names[0]} and {names[1]} see different parts of a picture; their maps do not lie on one another"]


def view(frame: NDArray[np.uint8], preprocess: Preprocess) -> NDArray[np.uint8]:
    """A frame as a model with this preprocessing sees it: uint8 BGR (height, width, 3) at the model's input size."""
    pixels = Preprocessor(preprocess).pixels(frame)
    if preprocess.color == "bgr":
        return pixels
    conversion = cv2.COLOR_GRAY2BGR if preprocess.color == "gray" else cv2.COLOR_RGB2BGR
    return np.asarray(cv2.cvtColor(pixels, conversion), np.uint8)


def enlarged(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A small picture with its pixels repeated, so that people can see it; others as they are."""
    factor = max(1, _SHOWN // max(picture.shape[:2]))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)
