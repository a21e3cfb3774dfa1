"""A few pictures with both models' answers, for people to look at: disagreements first."""

import base64
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecnn.data.dataset import Dataset
from edgecnn.measure.score import Scores


def pick_examples(dataset: Dataset, scores: Scores, labels: Sequence[str], *, limit: int = 24) -> list[dict[str, Any]]:
    """Pictures for the report: half at most on which the two models disagree, the rest spread over the others.

    Args:
        scores: a pass with the float model first and the quantized model second.

    Returns:
        Records {"image", "label", "float": {"label", "score"}, "output": {...}, "thumbnail"}; label is None
        where the data has none.
    """
    same = scores.predicted(0) == scores.predicted(1)
    flips = spread(np.flatnonzero(~same), limit // 2)
    chosen = [*flips, *spread(np.flatnonzero(same), limit - len(flips))]
    return [_example(dataset, scores, labels, int(i)) for i in chosen]


def thumbnail(frame: NDArray[np.uint8], side: int = 128) -> str:
    """A BGR picture as a data URI: JPEG of at most `side` pixels, small pictures enlarged by whole pixels."""
    height, width = frame.shape[:2]
    factor = side / max(height, width)
    if factor >= 2:
        small = cv2.resize(frame, None, fx=int(factor), fy=int(factor), interpolation=cv2.INTER_NEAREST)
    else:
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 80])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def spread(indices: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """At most `count` of the indices, evenly spaced, so that every class gets its turn."""
    if len(indices) <= count:
        return indices
    return indices[np.linspace(0, len(indices) - 1, count).astype(np.int64)]


def _example(dataset: Dataset, scores: Scores, labels: Sequence[str], i: int) -> dict[str, Any]:
    sample = scores.samples[i]

    def answer(model: int) -> dict[str, Any]:
        row = scores.probabilities[model][i]
        return {"label": labels[int(np.argmax(row))], "score": round(float(row.max()), 4)}

    return {
        "image": sample.name,
        "label": None if sample.label is None else labels[sample.label],
        "float": answer(0),
        "output": answer(1),
        "thumbnail": thumbnail(dataset.read(sample)),
    }
