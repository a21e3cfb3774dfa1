"""What pictures and scores are like at conversion, for a camera to compare its own with."""

from typing import Final

import numpy as np

from edgecnn.bundle.card import QUANTILES, STATISTICS, Reference
from edgecnn.measure.score import Scores

_DIGITS: Final = 4


def measure_reference(scores: Scores, split: str) -> Reference:
    """Quantiles of the pictures' statistics, and of the last model's best scores.

    Args:
        scores: a pass that described its pictures.
        split: where the pictures are from, for the record.
    """
    assert scores.pictures is not None
    best = scores.probabilities[-1].max(axis=1)
    columns = np.column_stack([np.array(scores.pictures), best])
    quantiles = np.clip(np.quantile(columns, QUANTILES, axis=0), 0, list(STATISTICS.values())).round(_DIGITS)
    rows = {name: tuple(column.tolist()) for name, column in zip(STATISTICS, quantiles.T, strict=True)}
    return Reference(**rows, samples=len(scores.samples), split=split)
