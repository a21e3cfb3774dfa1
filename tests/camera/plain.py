"""Pictures of plain colours, and a classifier that names them."""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.config import NORMALIZATIONS, Preprocess
from edgecnn.runtime.classifier import Classifier
from tests.measure.colors import COLORS, nearest_color

LABELS = ("red", "green", "blue")
UNIT = Preprocess(4, 4, "rgb", *NORMALIZATIONS["unit"])
# Each frame by itself, always with a label.
PLAIN: dict[str, Any] = {"smooth": 1, "threshold": 0.0, "margin": 0.0}


def color_classifier() -> Classifier:
    """Names red, green and blue."""
    return Classifier(nearest_color(UNIT, classes=LABELS), labels=LABELS, preprocess=UNIT)


def picture(*colors: str, size: tuple[int, int] = (12, 8)) -> NDArray[np.uint8]:
    """A BGR picture of these colours side by side; size is (width, height)."""
    row = np.repeat([COLORS[color][::-1] for color in colors], size[0] // len(colors), axis=0)
    return np.ascontiguousarray(np.broadcast_to(row, (size[1], *row.shape)), np.uint8)


def pictures(text: str) -> list[NDArray[np.uint8] | Exception]:
    """Pictures by the first letters of their colours."""
    names = {name[0]: name for name in LABELS}
    return [picture(names[letter]) for letter in text]


def slow(classifier: Classifier, seconds: float) -> Classifier:
    """The same, with an inference that takes longer."""
    invoke = classifier.engine.invoke

    def invoke_slowly() -> None:
        time.sleep(seconds)
        invoke()

    vars(classifier.engine)["invoke"] = invoke_slowly
    return classifier
