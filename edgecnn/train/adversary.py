"""Adversarial training: every batch is attacked before the network learns from it (Madry et al., ICLR 2018).

With one step from a random start it is the variant of Wong, Rice and Kolter, "Fast is better than free", ICLR 2020.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.config import Preprocess
from edgecnn.keras_io.gradients import input_gradient
from edgecnn.keras_io.perturb import pgd, random_start
from edgecnn.robust.attacks import Surrogate, pgd_attack

ATTACKS: Final = ("none", "fgsm", "pgd")
_LARGEST: Final = 255.0
_STEPS: Final = 10  # of the attack that robust accuracy is measured with

Forward = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True)
class RobustAccuracy:
    """What a network still gets right when its pictures are attacked by PGD from a random start.

    Attributes:
        epsilon: largest change of a pixel, as a share of its range.
        steps: of the attack.
        samples: pictures.
        clean, top1: share of them that is right before and after the attack.
    """

    epsilon: float
    steps: int
    samples: int
    clean: float
    top1: float


def attacked(model: Any, preprocess: Preprocess, *, epsilon: float, steps: int, seed: int) -> Any:
    """The model, sharing its weights, whose training step attacks the pictures first.

    Args:
        model: keras.Model from normalized pictures to logits (n, classes).
        preprocess: how pictures were normalized, which says how long a level is.
        epsilon: largest change of a pixel, as a share of its range.
        steps: of the attack; one of 1.25 epsilon (Wong et al.), or several of 2.5 epsilon / steps (Madry et al.).
        seed: of the random starts.

    Raises:
        EdgecnnError: Keras runs on another engine than TensorFlow.
    """
    import keras

    mean, std = (np.asarray(values, np.float32) for values in (preprocess.mean, preprocess.std))
    reach = np.float32(_LARGEST * epsilon) / std
    step = reach * np.float32(1.25 if steps == 1 else 2.5 / steps)

    def loss(logits: Any, labels: Any) -> Any:
        return keras.losses.categorical_crossentropy(labels, logits, from_logits=True)

    gradient = input_gradient(model, loss, training=True)

    class Attacked(keras.Model):  # type: ignore[misc]  # Keras has no types
        def train_step(self, data: Any) -> Any:
            pictures, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
            moved = pgd(
                gradient,
                pictures,
                labels,
                epsilon=reach,
                step=step,
                steps=steps,
                low=-mean / std,
                high=(_LARGEST - mean) / std,
                start=random_start(pictures, reach, seed, self.optimizer.iterations),
            )
            return super().train_step((moved, labels, weights))

    return Attacked(model.inputs, model.outputs)


def robust_accuracy(
    surrogate: Surrogate,
    forward: Forward,
    pixels: NDArray[np.uint8],
    labels: NDArray[np.int64],
    *,
    epsilon: float,
    seed: int,
) -> RobustAccuracy:
    """Accuracy before and after an attack on the network itself.

    Args:
        surrogate: the network.
        forward: its logits (n, outputs) of normalized pictures.
        pixels: (n, height, width, channels) in its size and colour order.
        labels: (n,) true classes.
    """
    random = [np.random.default_rng([seed, i]) for i in range(len(pixels))]
    moved = pgd_attack(surrogate, pixels, labels, epsilon=epsilon, steps=_STEPS, random=random)

    def right(pictures: NDArray[np.uint8]) -> float:
        logits = forward(surrogate.tensors(pictures))
        answers = logits[:, 0] > 0 if logits.shape[1] == 1 else logits.argmax(axis=1)
        return float(np.mean(answers == labels))

    return RobustAccuracy(epsilon, _STEPS, len(pixels), right(pixels), right(moved))
