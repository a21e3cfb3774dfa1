"""From the pixels of one frame to a steady label: region of interest, inference, smoothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from edgecnn.camera.observation import UNKNOWN
from edgecnn.camera.smoothing import Smoother
from edgecnn.errors import CameraError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgecnn.runtime.classifier import Classifier


_THRESHOLD = 0.5


class Answer(NamedTuple):
    """Label, index, score and probabilities as in `Observation`, and what each stage took in milliseconds."""

    label: str
    index: int | None  # type: ignore[assignment]  # hides tuple.index, which nobody needs of an answer
    score: float
    probabilities: NDArray[np.float32]
    preprocess_ms: float
    invoke_ms: float
    postprocess_ms: float


class Labeller:
    """Labels frame after frame. For frames of one size nothing of a frame's size is allocated.

    Args:
        classifier: the model.
        roi: (x, y, width, height) in pixels of the part to classify; all of the picture by default.
        smooth, threshold, margin: `frames`, `threshold` and `margin` of `Smoother`; None for the threshold that the
            model was given with its confidence, or 0.5.

    Raises:
        CameraError: an argument outside its range.
    """

    def __init__(
        self,
        classifier: Classifier,
        *,
        roi: tuple[int, int, int, int] | None = None,
        smooth: int = 5,
        threshold: float | None = None,
        margin: float = 0.1,
    ) -> None:
        if roi is not None and (min(roi[:2]) < 0 or min(roi[2:]) < 1):
            raise CameraError(f"expected a region x,y,width,height with x, y from 0 and a size from 1, got {roi}")
        if threshold is None:
            threshold = _THRESHOLD if classifier.unknown_below is None else classifier.unknown_below
        self.classifier, self.roi = classifier, roi
        self._smoother = Smoother(frames=smooth, threshold=threshold, margin=margin)

    def label(self, pixels: NDArray[np.uint8]) -> Answer:
        """Label one frame, BGR uint8 (height, width, 3).

        Raises:
            CameraError: the region lies outside the picture.
            ModelError: the runtime failed.
        """
        classifier = self.classifier
        engine, clock = classifier.engine, time.perf_counter
        begin = clock()
        if self.roi is not None:
            pixels = crop(pixels, self.roi)
        classifier.preprocessor.write(pixels, engine.input)
        ready = clock()
        engine.invoke()
        invoked = clock()
        average, index, score = self._smoother.update(classifier.head.probabilities(engine.output()))
        label = UNKNOWN if index is None else classifier.labels[index]
        done = clock()
        return Answer(
            label, index, score, average, 1e3 * (ready - begin), 1e3 * (invoked - ready), 1e3 * (done - invoked)
        )

    def reset(self) -> None:
        """Forget earlier frames, as after a gap."""
        self._smoother.reset()


def crop(pixels: NDArray[np.uint8], roi: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """The part (x, y, width, height) of a picture, without a copy.

    Raises:
        CameraError: it does not lie inside the picture.
    """
    x, y, width, height = roi
    if y + height > pixels.shape[0] or x + width > pixels.shape[1]:
        raise CameraError(
            f"expected a region inside the picture of {pixels.shape[1]}x{pixels.shape[0]}, got {x},{y},{width},{height}"
        )
    return pixels[y : y + height, x : x + width]
