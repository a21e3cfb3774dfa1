"""A linear network of two classes as a surrogate, its gradient written down instead of computed by a framework."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.config import Preprocess
from edgecnn.robust.attacks import Surrogate

RAW = Preprocess(4, 4, "rgb")
_SCALE = 0.003  # logits a level


def linear_surrogate(preprocess: Preprocess = RAW) -> Surrogate:
    """Two classes whose logits differ by a weighted sum of the pixels around 128, the same for any normalization."""
    shape = (preprocess.height, preprocess.width, preprocess.channels)
    weights = _SCALE * np.random.default_rng(9).normal(size=shape)
    mean, std = np.array(preprocess.mean), np.array(preprocess.std)

    def gradient(tensors: Any, targets: NDArray[np.int32]) -> NDArray[np.float32]:
        """Of the cross-entropy: (p - target) times the weights, with p the probability of the second class."""
        levels = np.asarray(tensors, np.float64) * std + mean - 128
        margin = (levels * weights).sum(axis=(1, 2, 3))
        error = 1 / (1 + np.exp(-margin)) - targets
        return np.asarray(error[:, None, None, None] * weights * std, np.float32)

    return Surrogate(gradient, preprocess, ("dark", "light"), "linear.keras")
