"""Data augmentation on the host: what may happen to a training picture, as text and as numbers, and doing it.

All random numbers come from the generator handed in, so the same generator state gives the same pictures on every
backend and after a resume. MixUp and CutMix, which need a whole batch, are in `edgecnn.train.mix`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import cv2
import numpy as np

from edgecnn.errors import DataError
from edgecnn.robust.corruptions import CORRUPTIONS, corrupt
from edgecnn.train.operations import RAND_AUGMENT, Picture, adjust, affine, erase, warp

# The largest value that makes sense for each number; the smallest is 0.
_LARGEST: Final = {
    "shift": 1, "rotate": 180, "zoom": 0.9, "shear": 60, "brightness": 1, "contrast": 1, "saturation": 1, "hue": 180,
    "rand_augment": 14, "magnitude": 30, "erase": 1, "corrupt": 1, "mixup": 100, "cutmix": 100,
}  # fmt: skip
_ANSWERS: Final = {"yes": True, "no": False}
_OPERATIONS: Final = tuple(RAND_AUGMENT.values())
_MAGNITUDES: Final = 30  # of RandAugment
_DRAWS: Final = 15  # random numbers a picture takes, apart from those of RandAugment and corruptions
_CORRUPTED: Final = 4  # random numbers for a corruption


@dataclass(frozen=True)
class Augment:
    """What may happen to a training picture. Each value is the largest change; 0 and False are none.

    Attributes:
        flip: left-right, half of the time.
        shift: share of the width and of the height, either way.
        rotate: degrees, either way.
        zoom: 0.2 is 0.8 to 1.2 times.
        shear: degrees, sideways, either way.
        brightness, contrast, saturation: 0.2 is 0.8 to 1.2 times.
        hue: degrees, either way.
        rand_augment: number of RandAugment operations (Cubuk et al. 2020).
        magnitude: of those, 0 to 30.
        erase: share of the area that a box may cover, half of the time (random erasing, Zhong et al. 2020).
        corrupt: share of pictures that are corrupted as `edgecnn robustness` does it, in any way and severity.
        mixup, cutmix: alpha of the Beta distribution that pictures of a batch are mixed with.

    Raises:
        DataError: a value is outside its range.
    """

    flip: bool = False
    shift: float = 0.0
    rotate: float = 0.0
    zoom: float = 0.0
    shear: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    rand_augment: int = 0
    magnitude: int = 9
    erase: float = 0.0
    corrupt: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        for name, largest in _LARGEST.items():
            value = getattr(self, name)
            if not 0 <= value <= largest:
                raise DataError(f"expected {name} of the augmentation from 0 to {largest}, got {value}")

    @property
    def changes_pictures(self) -> bool:
        """Whether anything may happen to a single picture, before batches are mixed."""
        geometry = self.flip or self.shift or self.rotate or self.zoom or self.shear
        colors = self.brightness or self.contrast or self.saturation or self.hue
        return bool(geometry or colors or self.rand_augment or self.erase or self.corrupt)

    @property
    def spec(self) -> str:
        """The text that states these values; `parse_augment` reads it back to equal ones."""
        for name, preset in PRESETS.items():
            if self == preset:
                return name
        plain = Augment()
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        return ",".join(f"{name}={_text(value)}" for name, value in values if value != getattr(plain, name))


# "light" suits most photographs. "strong" is for long training of networks that overfit: RandAugment with N=2 and M=9
# (the paper's values for ResNet-50), and MixUp 0.2 or CutMix 1.0, one a batch, as in torchvision's ResNet-50 recipe of
# 2021; shift is the usual crop of a 32x32 picture padded by 4. Digits and letters must not be mirrored: flip=no.
PRESETS: Final[dict[str, Augment]] = {
    "none": Augment(),
    "light": Augment(flip=True, shift=0.1, rotate=10, zoom=0.1, brightness=0.1, contrast=0.1),
    "strong": Augment(flip=True, shift=0.125, rand_augment=2, mixup=0.2, cutmix=1.0),
}


def parse_augment(text: str) -> Augment:
    """Read a text such as `light`, `strong,flip=no` or `shift=0.1,rotate=10,mixup=0.2`.

    A preset may come first, else "none" is meant; what follows replaces single values of it.

    Raises:
        DataError: names the part that is not understood, or the value that is outside its range.
    """
    first, *rest = (part.strip().lower() for part in text.split(","))
    preset, rest = (PRESETS[first], rest) if first in PRESETS else (PRESETS["none"], [first, *rest])
    stated: dict[str, Any] = {}
    for part in rest:
        name, _, value = part.partition("=")
        number = _value(name, value)
        if number is None:
            raise DataError(
                f"cannot read {part!r} in the augmentation {text!r}; expected {', '.join(PRESETS)} first, "
                f"then flip=yes or no, or a number: {'=…, '.join(_LARGEST)}=…"
            )
        if name in stated:
            raise DataError(f"the augmentation {text!r} states more than one {name}; state one")
        stated[name] = number
    return replace(preset, **stated)


def augment(picture: Picture, options: Augment, random: np.random.Generator) -> Picture:
    """Change one picture at random: geometry, then colours, RandAugment, erasing, a corruption.

    The picture takes as many numbers from the generator whatever happens to it. It is not written to.

    Args:
        picture: (height, width, 3) RGB or (height, width, 1).
        options: what may happen; `mixup` and `cutmix` are left out.
        random: source of all random numbers; not to be shared between threads.

    Returns:
        A picture of the same shape; the very same one where nothing happened.
    """
    if not options.changes_pictures:
        return picture
    return _augmented(picture, options, random.random(_draws(options)).tolist())


def augment_batch(pixels: Picture, options: Augment, random: np.random.Generator) -> Picture:
    """As `augment` on each picture of (n, height, width, channels) in turn, with all numbers drawn at once."""
    if not options.changes_pictures:
        return pixels
    result = np.empty_like(pixels)
    for index, numbers in enumerate(random.random((len(pixels), _draws(options))).tolist()):
        result[index] = _augmented(pixels[index], options, numbers)
    return result


def _draws(options: Augment) -> int:
    return _DRAWS + 2 * options.rand_augment + (_CORRUPTED if options.corrupt else 0)


def _augmented(picture: Picture, options: Augment, numbers: Sequence[float]) -> Picture:
    """Change a picture by numbers that are even over 0 to 1; each has its place, whatever the options."""
    height, width = picture.shape[:2]
    flip = options.flip and numbers[0] < 0.5
    shift = _either(options.shift * width, numbers[1]), _either(options.shift * height, numbers[2])
    if options.rotate or options.zoom or options.shear:
        rotate, zoom = _either(options.rotate, numbers[3]), 1 + _either(options.zoom, numbers[4])
        shear = math.tan(math.radians(_either(options.shear, numbers[5]))), 0.0
        picture = warp(picture, affine(width, height, flip=flip, shift=shift, rotate=rotate, zoom=zoom, shear=shear))
    else:  # whole pixels, which need no blending
        shift = round(shift[0]), round(shift[1])
        if flip or any(shift):
            picture = warp(picture, affine(width, height, flip=flip, shift=shift), exact=True)
    if options.brightness or options.contrast or options.saturation or options.hue:
        picture = adjust(
            picture,
            brightness=1 + _either(options.brightness, numbers[6]),
            contrast=1 + _either(options.contrast, numbers[7]),
            saturation=1 + _either(options.saturation, numbers[8]),
            hue=_either(options.hue, numbers[9]),
        )
    for index in range(_DRAWS, _DRAWS + 2 * options.rand_augment, 2):
        operation = _OPERATIONS[int(numbers[index] * len(_OPERATIONS))]
        level = options.magnitude / _MAGNITUDES
        picture = operation(picture, level if numbers[index + 1] < 0.5 else -level)
    if options.erase and numbers[10] < 0.5:
        area, aspect = options.erase * numbers[11] * width * height, math.exp(_either(math.log(10 / 3), numbers[12]))
        across, down = min(round(math.sqrt(area * aspect)), width), min(round(math.sqrt(area / aspect)), height)
        left, top = int(numbers[13] * (width - across + 1)), int(numbers[14] * (height - down + 1))
        picture = erase(picture, left, top, across, down)
    if options.corrupt and numbers[-4] < options.corrupt:
        picture = _corrupted(picture, *numbers[-3:])
    return picture


def _corrupted(picture: Picture, which: float, severity: float, seed: float) -> Picture:
    """One of all corruptions, in one of five severities."""
    names = tuple(CORRUPTIONS)
    random = np.random.default_rng(int(seed * (1 << 53)))
    gray = picture.shape[2] == 1
    color = np.repeat(picture, 3, axis=2) if gray else picture
    changed = corrupt(color, names[int(which * len(names))], 1 + int(5 * severity), random, color="rgb")
    return np.asarray(cv2.cvtColor(changed, cv2.COLOR_RGB2GRAY), np.uint8)[..., np.newaxis] if gray else changed


def _either(largest: float, number: float) -> float:
    """Even over -largest to largest."""
    return largest * (2 * number - 1)


def _value(name: str, text: str) -> bool | int | float | None:
    """The value of one option as typed; None where the name or the value cannot be read."""
    if name == "flip":
        return _ANSWERS.get(text)
    if name not in _LARGEST:
        return None
    try:
        return int(text) if name in ("rand_augment", "magnitude") else float(text)
    except ValueError:
        return None


def _text(value: bool | int | float) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return repr(float(value)).removesuffix(".0")
