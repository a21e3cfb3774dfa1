"""Adversarial pictures: FGSM and PGD against a float network, as uint8 pictures that any model can be shown."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.config import Preprocess
from edgecnn.data.preprocess import Preprocessor
from edgecnn.errors import EdgecnnError
from edgecnn.keras_io.classifier import load_classifier
from edgecnn.keras_io.perturb import loss_gradient, pgd

_LARGEST = 255.0
_AT_ONCE = 3_200_000  # elements of pictures in one batch: the network's activations take a multiple of it in memory
_MOST = 128  # pictures in one batch


@dataclass(frozen=True)
class Surrogate:
    """The float network that attacks are crafted on; what fools it is then shown to other models.

    Attributes:
        gradient: from normalized pictures (n, height, width, channels) and classes (n,) to the loss's gradient.
        preprocess: what the network needs; pictures have its size and colour order.
        labels: class names in output order.
        name: what it is called.
    """

    gradient: Callable[[Any, Any], Any]
    preprocess: Preprocess
    labels: tuple[str, ...]
    name: str

    @property
    def batch(self) -> int:
        """Pictures that are attacked at once."""
        picture = self.preprocess.width * self.preprocess.height * self.preprocess.channels
        return max(1, min(_MOST, _AT_ONCE // picture))

    def pixels(self, frames: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """BGR frames of any size as (n, height, width, channels) in the network's size and colour order."""
        preprocessor = Preprocessor(self.preprocess)
        return np.stack([preprocessor.pixels(frame) for frame in frames])

    def loss_gradient(self, pixels: NDArray[Any], targets: NDArray[np.int64]) -> NDArray[np.float32]:
        """The loss's gradient for pixels (n, height, width, channels) of 0 to 255, in units of the loss a level."""
        scale = np.asarray(self.preprocess.std, np.float32)
        gradient = np.asarray(self.gradient(self.tensors(pixels), targets.astype(np.int32)))
        return np.asarray(gradient / scale, np.float32)

    def tensors(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Pixels, whole or not, as the network takes them."""
        mean, std = (np.asarray(values, np.float32) for values in (self.preprocess.mean, self.preprocess.std))
        return np.asarray((pixels.astype(np.float32) - mean) / std, np.float32)


def load_surrogate(
    path: str | Path, preprocess: Preprocess, labels: Sequence[str], *, allow_unsafe: bool = False
) -> Surrogate:
    """A Keras model to craft attacks on.

    Args:
        path: `.keras` or `.h5`.
        preprocess, labels: those of the model, as for its `.tflite`.

    Raises:
        ModelError: no Keras model that gradients can be taken of.
        UnsafeModelError: it carries code and `allow_unsafe` is False.
        MissingExtraError: Keras or TensorFlow is not installed.
    """
    loaded = load_classifier(path, allow_unsafe=allow_unsafe)
    return Surrogate(loss_gradient(loaded.model), preprocess, tuple(labels), loaded.name)


def fgsm(
    surrogate: Surrogate, pixels: NDArray[np.uint8], targets: NDArray[np.int64], *, epsilon: float
) -> NDArray[np.uint8]:
    """The fast gradient sign method: one step of epsilon that makes the loss grow.

    Source: I. Goodfellow, J. Shlens, C. Szegedy, "Explaining and Harnessing Adversarial Examples", ICLR 2015.

    Args:
        pixels: (n, height, width, channels) as `Surrogate.pixels` gives them.
        targets: (n,) true classes, as the network numbers them.
        epsilon: largest change of a pixel, as a share of its 255 levels.

    Returns:
        Pictures of the same shape, at most epsilon off.

    Raises:
        EdgecnnError: epsilon is less than one level or more than all.
    """
    return _perturbed(surrogate, pixels, targets, epsilon, epsilon, 1, None)


def pgd_attack(
    surrogate: Surrogate,
    pixels: NDArray[np.uint8],
    targets: NDArray[np.int64],
    *,
    epsilon: float,
    steps: int,
    random: Sequence[np.random.Generator],
    step: float | None = None,
) -> NDArray[np.uint8]:
    """Projected gradient descent (of the classifier, so ascent of the loss) from a random start in the maximum norm.

    Source: A. Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks", ICLR 2018.

    Args:
        pixels, targets, epsilon: as for `fgsm`.
        steps: how many.
        random: one a picture, for its start.
        step: change a step, in the unit of epsilon; 2.5 epsilon / steps by default.

    Returns:
        Pictures of the same shape, at most epsilon off.

    Raises:
        EdgecnnError: epsilon is less than one level or more than all.
    """
    step = 2.5 * epsilon / steps if step is None else step
    starts = np.stack([generator.uniform(-1, 1, pixels.shape[1:]) for generator in random]).astype(np.float32)
    return _perturbed(surrogate, pixels, targets, epsilon, step, steps, starts)


def _perturbed(
    surrogate: Surrogate,
    pixels: NDArray[np.uint8],
    targets: NDArray[np.int64],
    epsilon: float,
    step: float,
    steps: int,
    starts: NDArray[np.float32] | None,
) -> NDArray[np.uint8]:
    if not 1 <= _LARGEST * epsilon <= _LARGEST:
        raise EdgecnnError(f"expected an epsilon from 1/255 to 1, got {epsilon:g}: pictures have 255 levels")
    mean, std = (np.asarray(values, np.float32) for values in (surrogate.preprocess.mean, surrogate.preprocess.std))
    length, found = np.float32(_LARGEST * epsilon) / std, []
    for first in range(0, len(pixels), surrogate.batch):
        part = slice(first, first + surrogate.batch)
        moved = pgd(
            surrogate.gradient,
            surrogate.tensors(pixels[part]),
            targets[part].astype(np.int32),
            epsilon=length,
            step=np.float32(_LARGEST * step) / std,
            steps=steps,
            low=-mean / std,
            high=(np.float32(_LARGEST) - mean) / std,
            start=None if starts is None else starts[part] * length,
        )
        found.append(_rounded(np.asarray(moved) * std + mean, pixels[part], epsilon))
    return np.concatenate(found)


def _rounded(levels: NDArray[np.float32], pixels: NDArray[np.uint8], epsilon: float) -> NDArray[np.uint8]:
    """Real levels as whole ones that are still in the ball around the pixels."""
    most = math.floor(_LARGEST * epsilon + 1e-6)
    whole, before = np.rint(levels).astype(np.int16), pixels.astype(np.int16)
    return np.clip(np.clip(whole, before - most, before + most), 0, 255).astype(np.uint8)
