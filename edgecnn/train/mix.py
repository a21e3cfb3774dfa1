"""Augmentation of a whole batch: pictures mixed with others of the same batch, and their labels with them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edgecnn.train.augment import Augment

if TYPE_CHECKING:
    from numpy.typing import NDArray


def mix(
    pixels: NDArray[Any], labels: NDArray[np.float32], options: Augment, random: np.random.Generator
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """MixUp (Zhang et al. 2018) or CutMix (Yun et al. 2019); where both are on, one of them, half of the batches each.

    As in the authors' code every picture gets a partner by one random permutation of the batch, and one number drawn
    from Beta(alpha, alpha) holds for the whole batch. Neither input is written to.

    Args:
        pixels: (n, height, width, channels), uint8 or float32.
        labels: (n, classes), each row with sum 1.
        options: of which `mixup` and `cutmix` count.
        random: source of all random numbers.

    Returns:
        Pixels and labels of the same shapes and types; the very inputs where both are off.
    """
    if not (options.mixup or options.cutmix) or not len(pixels):
        return pixels, labels
    cut = random.random() < 0.5 if options.mixup and options.cutmix else bool(options.cutmix)
    alpha = options.cutmix if cut else options.mixup
    share = random.beta(alpha, alpha)  # of the picture itself; the rest is its partner's
    partner = random.permutation(len(pixels))
    pixels, share = _cutmix(pixels, partner, share, random) if cut else (_mixup(pixels, partner, share), share)
    return pixels, labels * np.float32(share) + labels[partner] * np.float32(1 - share)


def _mixup(pixels: NDArray[Any], partner: NDArray[np.int64], share: float) -> NDArray[Any]:
    """The weighted mean of each picture and its partner, rounded where levels are whole numbers."""
    flat = pixels.reshape(len(pixels), -1)  # OpenCV takes two axes
    return cv2.addWeighted(flat, share, flat[partner], 1 - share, 0).reshape(pixels.shape)


def _cutmix(
    pixels: NDArray[Any], partner: NDArray[np.int64], share: float, random: np.random.Generator
) -> tuple[NDArray[Any], float]:
    """A box of the partner pasted over each picture; also the share of pixels that stayed.

    The box has the picture's aspect and 1 - share of its area. Its centre may lie anywhere and what sticks out is cut
    off, so the share is counted anew.
    """
    height, width = pixels.shape[1:3]
    side = math.sqrt(1 - share)
    top, bottom = _span(height, side, random)
    left, right = _span(width, side, random)
    mixed = pixels.copy()
    mixed[:, top:bottom, left:right] = pixels[partner, top:bottom, left:right]
    return mixed, 1 - (bottom - top) * (right - left) / (height * width)


def _span(length: int, share: float, random: np.random.Generator) -> tuple[int, int]:
    """Start and end of a share of a length around a random place, within it."""
    size = int(length * share)
    start = int(random.integers(length)) - size // 2
    return max(start, 0), min(start + size, length)
