"""Pictures of ice on a window, drawn once: crystals that branch as ferns do, over a haze with gaps."""

import math
from functools import lru_cache
from typing import Final

import cv2
import numpy as np

from edgecnn.robust.severity import Picture, to_picture

TEXTURE: Final = 512  # pixels along a side
TEXTURES: Final = 4

_SEED: Final = 2019
_STARS: Final = 20
_ARMS: Final = 6
_SHORTEST: Final = 8.0  # pixels
_TINT: Final = (1.0, 0.93, 0.84)  # blue, green, red


@lru_cache(maxsize=TEXTURES)
def texture(number: int) -> Picture:
    """The picture of that number, below TEXTURES, always the same: uint8 (512, 512, 3) in BGR, not to be written to."""
    random = np.random.default_rng((_SEED, number))
    lines = np.zeros((TEXTURE, TEXTURE), np.uint8)
    for x, y, turn, length in random.random((_STARS, 4)).tolist():
        for arm in range(int(random.integers(2, _ARMS + 1))):
            angle = 2 * math.pi * (turn + arm / _ARMS)
            _fern(lines, x * TEXTURE, y * TEXTURE, angle, 60 + 130 * length, 255, random)
    crystals = lines.astype(np.float32) / 255
    glow = cv2.GaussianBlur(crystals, (0, 0), 5)
    # The haze between the crystals is thick in some places and missing in others.
    haze = cv2.resize(random.random((8, 8), np.float32), (TEXTURE, TEXTURE), interpolation=cv2.INTER_CUBIC)
    grain = cv2.GaussianBlur(random.standard_normal(lines.shape, np.float32), (0, 0), 1)
    light = 0.1 + 0.4 * haze**2 + 0.55 * crystals + 0.75 * glow + 0.1 * grain
    ice = to_picture(255 * light.clip(0, 1)[..., None] * np.array(_TINT))
    ice.flags.writeable = False
    return ice


def _fern(
    lines: Picture, x: float, y: float, angle: float, length: float, light: float, random: np.random.Generator
) -> None:
    """Draw a bent stem, and from it shorter ferns to both sides, at 60 degrees as ice grows."""
    steps = max(int(length / 9), 1)
    stride = length / steps
    bend, *shares = random.random(steps + 1).tolist()
    for step, share in enumerate(shares):
        ends = (x, y), (x + stride * math.cos(angle), y + stride * math.sin(angle))
        start, stop = (tuple(round(8 * place) for place in end) for end in ends)
        cv2.line(lines, start, stop, light * (1 - 0.5 * step / steps), 1 + (length > 60), cv2.LINE_AA, 3)
        x, y = ends[1]
        angle += 0.08 * (bend - 0.5)
        branch = 0.36 * length * (1 - step / steps) * (0.5 + share)
        if branch > _SHORTEST:
            for side in (-math.pi / 3, math.pi / 3):
                _fern(lines, x, y, angle + side, branch, 0.8 * light, random)
