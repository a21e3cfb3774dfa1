"""Corruptions of pictures in five severities, after Hendrycks & Dietterich 2019.

"Benchmarking Neural Network Robustness to Common Corruptions and Perturbations", ICLR. The first fifteen are those of
the paper, in its order and by its names; the rest is what a small camera does. Strengths are those of the authors'
programs wherever the method is the same, see `edgecnn.robust.severity`; each function says where it differs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np

from edgecnn.errors import EdgecnnError
from edgecnn.robust import blur, camera, digital, noise, weather
from edgecnn.robust.severity import SEVERITIES, Picture

Kind = Literal["noise", "blur", "weather", "digital", "camera"]
Apply = Callable[[Picture, int, np.random.Generator], Picture]


@dataclass(frozen=True)
class Corruption:
    """One way to spoil a picture.

    Attributes:
        name: as in the paper.
        kind: what it belongs to.
        apply: (BGR picture, severity from 1 to 5, source of all random numbers) to a new picture of the same shape.
    """

    name: str
    kind: Kind
    apply: Apply


_KINDS: Final[dict[Kind, tuple[Apply, ...]]] = {
    "noise": (noise.gaussian_noise, noise.shot_noise, noise.impulse_noise),
    "blur": (blur.defocus_blur, blur.glass_blur, blur.motion_blur, blur.zoom_blur),
    "weather": (weather.snow, weather.frost, weather.fog, weather.brightness),
    "digital": (digital.contrast, digital.elastic_transform, digital.pixelate, digital.jpeg_compression),
    "camera": (
        *(camera.low_light, camera.over_exposure, camera.under_exposure, camera.rotation),
        *(camera.rolling_shutter, camera.white_balance, camera.light_flicker),
    ),
}
CORRUPTIONS: Final[dict[str, Corruption]] = {
    function.__name__: Corruption(function.__name__, kind, function)
    for kind, functions in _KINDS.items()
    for function in functions
}


def corrupt(
    picture: Picture, name: str, severity: int, random: np.random.Generator, *, color: Literal["bgr", "rgb"] = "bgr"
) -> Picture:
    """Corrupt one picture.

    Args:
        picture: uint8 (height, width, 3), at least 8x8; not written to. Best in the size that the network sees. A gray
            one (three equal channels) stays gray, except under frost and white_balance, which have a colour.
        name: key of CORRUPTIONS.
        severity: 1 to 5.
        random: source of all random numbers; the same state gives the same result. Not to be shared between threads.
        color: order of the channels. It matters to snow, frost, jpeg_compression and white_balance, and to which random
            numbers of a noise a channel gets: the result is that of the BGR picture, in the order given.

    Returns:
        A new uint8 picture of the same shape, in the same order of channels.

    Raises:
        EdgecnnError: there is no such corruption or severity.
    """
    if name not in CORRUPTIONS:
        raise EdgecnnError(f"expected a corruption among {', '.join(CORRUPTIONS)}, got {name!r}")
    if severity not in SEVERITIES:
        raise EdgecnnError(f"expected a severity from 1 to 5, got {severity}")
    if color == "rgb":
        picture = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), np.uint8)
    result = CORRUPTIONS[name].apply(np.ascontiguousarray(picture), severity, random)
    return result if color == "bgr" else np.asarray(cv2.cvtColor(result, cv2.COLOR_BGR2RGB), np.uint8)
