"""The adversarial patch: one square that fools a network on many pictures, wherever it lies.

Source: T. Brown et al., "Adversarial Patch", 2017 (arXiv:1712.09665): what is climbed is the expected loss over
pictures, places, rotations and scales. Here a pixel of the picture shows the nearest pixel of the patch, so that the
patch's gradient is a sum over the pixels that show it, and pasted in it is whole levels again.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.errors import EdgecnnError
from edgecnn.robust.attacks import Surrogate

_ROTATION: Final = np.pi / 8  # largest, either way
_SCALES: Final = (0.8, 1.2)  # of the side
_BATCH: Final = 32
_STEP: Final = 0.08  # of all levels, falling to a tenth of it
_MOMENTUM: Final = 0.9


def side_of(height: int, width: int, share: float) -> int:
    """Side of a square patch that covers such a share of a picture.

    Raises:
        EdgecnnError: the share is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise EdgecnnError(f"expected a patch of more than 0 and less than 1 of the picture, got {share:g}")
    return max(1, round(math.sqrt(share * height * width)))


def place(height: int, width: int, side: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Where a patch lies in a picture: up to 22.5 degrees turned, 0.8 to 1.2 times its side, inside as far as it fits.

    Returns:
        (height, width): row * side + column of the patch's pixel that is seen there, -1 beside the patch.
    """
    angle, shown = random.uniform(-_ROTATION, _ROTATION), side * random.uniform(*_SCALES)
    cos, sin = np.cos(angle), np.sin(angle)
    half = shown * (abs(cos) + abs(sin)) / 2
    y, x = (random.uniform(min(half, length / 2), max(length - half, length / 2)) for length in (height, width))
    down, right = np.arange(height)[:, None] + 0.5 - y, np.arange(width)[None] + 0.5 - x
    column = np.floor((cos * right + sin * down) * side / shown + side / 2).astype(np.int64)
    row = np.floor((cos * down - sin * right) * side / shown + side / 2).astype(np.int64)
    inside = (row >= 0) & (row < side) & (column >= 0) & (column < side)
    return np.where(inside, row * side + column, -1)


def paste(
    pixels: NDArray[np.uint8], patch: NDArray[np.uint8], random: Sequence[np.random.Generator]
) -> NDArray[np.uint8]:
    """Pictures (n, height, width, channels) with a patch (side, side, channels) in each, placed by a generator each."""
    height, width = pixels.shape[1:3]
    places = np.stack([place(height, width, len(patch), generator) for generator in random])
    return _pasted(pixels, patch.reshape(-1, patch.shape[-1]), places)


def noise_patch(side: int, channels: int) -> NDArray[np.uint8]:
    """What a patch is compared with, as it hides as much: a square of random pixels."""
    return np.random.default_rng(2).integers(0, 256, (side, side, channels), np.uint8)


def train_patch(
    surrogate: Surrogate,
    pixels: NDArray[np.uint8],
    targets: NDArray[np.int64],
    *,
    share: float = 0.1,
    aim: int | None = None,
    steps: int = 100,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.uint8]:
    """Train one patch for all pictures, by steps along the sign of the gradient with momentum.

    Args:
        surrogate: the network that it is to fool.
        pixels: (n, height, width, channels) as `Surrogate.pixels` gives them.
        targets: (n,) their true classes.
        share: of the picture that the patch covers.
        aim: the class that pictures are to be taken for; None to lead away from the true one.
        steps: how many, each with 32 of the pictures, or fewer large ones.
        seed: chooses start, pictures and places.
        progress: called with (done, total) steps.

    Returns:
        uint8 (side, side, channels) in the network's colour order.

    Raises:
        EdgecnnError: the share is not between 0 and 1, or every picture shows the class that is aimed at.
    """
    others = np.arange(len(pixels)) if aim is None else np.flatnonzero(targets != aim)
    if not len(others):
        raise EdgecnnError("every picture shows the class that the patch is to look like; choose another one")
    height, width, channels = pixels.shape[1:]
    side, random = side_of(height, width, share), np.random.default_rng([seed, 1])
    patch = random.uniform(0, 255, (side * side, channels))
    direction, momentum = (1 if aim is None else -1), np.zeros_like(patch)
    for done in range(steps):
        chosen = random.choice(others, min(_BATCH, surrogate.batch, len(others)), replace=False)
        places = np.stack([place(height, width, side, random) for _ in chosen])
        wanted = targets[chosen] if aim is None else np.full(len(chosen), aim, np.int64)
        gradient = direction * surrogate.loss_gradient(_pasted(pixels[chosen], patch, places), wanted)
        seen, covered = places[places >= 0], gradient[places >= 0]
        sums = [np.bincount(seen, covered[:, channel], side * side) for channel in range(channels)]
        slope = np.stack(sums, axis=1)
        momentum = _MOMENTUM * momentum + slope / max(float(np.abs(slope).mean()), 1e-30)
        step = 255 * _STEP * (1 - 0.9 * done / steps)
        patch = np.clip(patch + step * np.sign(momentum), 0, 255)
        if progress:
            progress(done + 1, steps)
    return np.rint(patch).astype(np.uint8).reshape(side, side, channels)


def _pasted(pixels: NDArray[np.uint8], patch: NDArray[Any], places: NDArray[np.int64]) -> NDArray[Any]:
    """Pictures with the pixels (side * side, channels) of a patch at their places, in the patch's type."""
    return np.where(places[..., None] >= 0, patch[places], pixels.astype(patch.dtype))
