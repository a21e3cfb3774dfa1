"""A classifier that looks at one known part of a picture."""

import numpy as np
from numpy.typing import NDArray

from edgecnn.config import Preprocess
from edgecnn.runtime.classifier import Classifier
from tests.models import linear, quantized, sealed

SIDE = 28
BOX = (4, 14, 7, 7)  # left, top, width, height
INSIDE = (slice(14, 21), slice(4, 11))


def region_weights() -> NDArray[np.float32]:
    """Weights (2, SIDE * SIDE * 3) that see nothing outside BOX; the second class grows with its mean brightness."""
    part = np.zeros((SIDE, SIDE, 3), np.float32)
    part[INSIDE] = 8 / (7 * 7 * 3)
    return np.stack([0 * part.ravel(), part.ravel()])


def random_weights(seed: int) -> NDArray[np.float32]:
    """Weights of both signs, all over the picture."""
    return np.asarray(np.random.default_rng(seed).normal(0, 0.05, (2, SIDE * SIDE * 3)), np.float32)


def classifier(weights: NDArray[np.float32] | None = None, *, io: str = "", color: str = "rgb") -> Classifier:
    """ "dull" or "bright", by the weights; float, or int8 inside with the input type `io`."""
    chosen = region_weights() if weights is None else weights
    content = linear(chosen, np.array([0, -2], np.float32), size=(SIDE, SIDE))
    if io:
        random = np.random.default_rng(3)
        content = quantized(content, random.random((20, SIDE, SIDE, 3), np.float32), io=io)
    unit = Preprocess(SIDE, SIDE, color, (0.0,), (255.0,))
    return Classifier(sealed(content, labels=["dull", "bright"], preprocess=unit))


def picture() -> NDArray[np.uint8]:
    """Gray noise with a bright box where the classifier looks, and another one elsewhere, BGR."""
    frame = np.random.default_rng(1).integers(60, 90, (SIDE, SIDE, 3), np.uint8)
    frame[INSIDE] += 140
    frame[2:9, 17:24] += 140
    return frame
