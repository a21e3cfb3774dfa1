"""How a picture becomes numbers: the preprocessing that a model needs, complete, as a bundle stores it."""

from __future__ import annotations

import math
import operator
from dataclasses import asdict, dataclass
from typing import Any, Final

from edgecnn.errors import PreprocessError

# Normalizations that occur in practice, as (mean, std) of an RGB picture on the 0..255 scale:
# tensor = (pixel - mean) / std. "imagenet" is torchvision's, "caffe" that of keras.applications' VGG and ResNet.
NORMALIZATIONS: Final[dict[str, tuple[tuple[float, ...], tuple[float, ...]]]] = {
    "raw": ((0.0,), (1.0,)),
    "unit": ((0.0,), (255.0,)),
    "symmetric": ((127.5,), (127.5,)),
    "imagenet": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "caffe": ((123.68, 116.779, 103.939), (1.0,)),
}
COLORS: Final = ("rgb", "bgr", "gray")
FITS: Final = ("stretch", "center-crop", "letterbox")
INTERPOLATIONS: Final = ("linear", "area", "nearest", "corner")


@dataclass(frozen=True)
class Preprocess:
    """Complete preprocessing: any uint8 picture to one (height, width, channels) tensor.

    Attributes:
        width, height: size of the tensor in pixels.
        color: channel order of the tensor: "rgb", "bgr" or "gray".
        mean, std: tensor = (pixel - mean) / std on the 0..255 scale; one value, or one a channel in tensor order.
        fit: "stretch" to the size; "center-crop" the largest box of the target's aspect, then resize;
            "letterbox": resize inside, black bars around.
        interpolation: "linear" (bilinear without antialiasing, what tf.image.resize and Keras data loading do),
            "area" (pixel area averaging, slow and smooth), "nearest", or "corner" (bilinear with corners laid on
            corners, what MediaPipe and TensorFlow 1 do).

    Raises:
        PreprocessError: a value outside the sets above, or of the wrong length.
    """

    width: int
    height: int
    color: str = "rgb"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    fit: str = "stretch"
    interpolation: str = "linear"

    def __post_init__(self) -> None:
        _expect("color", self.color, COLORS)
        _expect("fit", self.fit, FITS)
        _expect("interpolation", self.interpolation, INTERPOLATIONS)
        if self.width < 1 or self.height < 1:
            raise PreprocessError(f"expected a size of at least 1x1, got {self.width}x{self.height}")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, self.channels):
                wanted = "1 value" if self.channels == 1 else f"1 or {self.channels} values"
                raise PreprocessError(f"expected {wanted} for {name} ({self.color}), got {len(values)}")
            if not all(map(math.isfinite, values)):
                raise PreprocessError(f"expected finite numbers for {name}, got {', '.join(map(repr, values))}")
        if any(value <= 0 for value in self.std):
            raise PreprocessError(f"expected std above 0, got {self.std}")

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.width, self.height

    @property
    def channels(self) -> int:
        """Channels of the tensor: 1 for gray, else 3."""
        return 1 if self.color == "gray" else 3

    @property
    def normalization(self) -> str:
        """Name of the normalization ("raw", "unit", …), or "mean=…,std=…" when it has none."""
        for name in NORMALIZATIONS:
            if named_normalization(name, self.color) == (self.mean, self.std):
                return name
        return f"mean={_numbers(self.mean)},std={_numbers(self.std)}"

    @property
    def spec(self) -> str:
        """The SPEC that states this preprocessing whole; `parse_spec` reads it back to equal values."""
        parts = [self.normalization, f"size={self.width}x{self.height}", self.color, self.fit]
        return ",".join(parts + ([] if self.interpolation == "linear" else [self.interpolation]))

    def to_dict(self) -> dict[str, Any]:
        """JSON form, as stored in a bundle's card."""
        return asdict(self) | {"mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Preprocess:
        """Read `to_dict` back.

        Raises:
            PreprocessError: a key is missing, unknown or of the wrong type.
        """
        try:
            known = dict(values)
            known["width"], known["height"] = operator.index(known["width"]), operator.index(known["height"])
            known["mean"] = tuple(float(v) for v in known["mean"])
            known["std"] = tuple(float(v) for v in known["std"])
            return cls(**known)
        except (KeyError, TypeError, ValueError) as exc:
            raise PreprocessError(f"expected a preprocessing record, got {values!r}: {exc}") from exc


def named_normalization(name: str, color: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(mean, std) of a named normalization in the channel order of `color`; gray takes the channels' average."""
    mean, std = NORMALIZATIONS[name]
    if color == "bgr":
        return mean[::-1], std[::-1]
    if color == "gray":
        return (round(sum(mean) / len(mean), 4),), (round(sum(std) / len(std), 4),)
    return mean, std


def _expect(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise PreprocessError(f"expected {name} to be one of {', '.join(allowed)}, got {value!r}")


def _numbers(values: tuple[float, ...]) -> str:
    return ",".join(f"{value!r}" for value in values)
