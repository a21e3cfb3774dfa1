"""The SPEC text in which users state preprocessing. Any part may be missing; the model or the data fills it."""

from dataclasses import dataclass
from typing import Any

from edgecnn.config import COLORS, FITS, INTERPOLATIONS, NORMALIZATIONS, Preprocess, named_normalization
from edgecnn.errors import PreprocessError


@dataclass(frozen=True)
class Spec:
    """A SPEC as typed: None where the user said nothing.

    Attributes:
        auto: normalization, and colour order when not stated, are to be found with labelled data.
        normalization: a name of NORMALIZATIONS, or None when `mean` and `std` are given or nothing is.
        mean, std, width, height, color, fit, interpolation: as in `Preprocess`.
    """

    auto: bool = False
    normalization: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    width: int | None = None
    height: int | None = None
    color: str | None = None
    fit: str | None = None
    interpolation: str | None = None

    @property
    def states_normalization(self) -> bool:
        """Whether the user said how pixels become numbers."""
        return self.normalization is not None or self.mean is not None or self.std is not None

    def over(self, known: Preprocess) -> Preprocess:
        """`known` with what is stated here in place of its own.

        Raises:
            PreprocessError: the values do not go together.
        """
        color = self.color or known.color
        mean, std = self.mean or known.mean, self.std or known.std
        if self.normalization:
            mean, std = named_normalization(self.normalization, color)
        return Preprocess(
            width=self.width or known.width,
            height=self.height or known.height,
            color=color,
            mean=mean,
            std=std,
            fit=self.fit or known.fit,
            interpolation=self.interpolation or known.interpolation,
        )

    def complete(self, width: int, height: int, color: str, normalization: str = "raw") -> Preprocess:
        """Fill what is missing: the given size, colour and normalization, stretched.

        A mean or std stated alone goes with the other one that changes nothing.

        Raises:
            PreprocessError: the stated values do not go together.
        """
        color = self.color or color
        mean, std = named_normalization("raw" if self.mean or self.std else normalization, color)
        return self.over(Preprocess(width, height, color, mean, std))


def parse_spec(text: str) -> Spec:
    """Read a SPEC such as `symmetric,size=224x224,rgb,center-crop`, `mean=127.5,std=64` or `auto,size=28`.

    A size is WIDTHxHEIGHT or one number for both; a number after `mean=` or `std=` belongs to it
    (`mean=103.9,116.8,123.7`).

    Raises:
        PreprocessError: names the part that is not understood.
    """
    if not text.strip():
        return Spec()
    fields: dict[str, Any] = {}
    numbers: dict[str, list[float]] = {}
    last = ""
    for part in (piece.strip().lower() for piece in text.split(",")):
        key, equals, value = part.partition("=")
        if last and not equals and _is_number(part):
            numbers[last].append(float(part))
            continue
        last = ""
        if equals and key in ("mean", "std") and _is_number(value):
            numbers[key] = [float(value)]
            last = key
        elif equals and key == "size":
            fields["width"], fields["height"] = _size(value)
        elif part == "auto":
            fields["auto"] = True
        elif part in NORMALIZATIONS:
            fields["normalization"] = part
        elif part in COLORS:
            fields["color"] = part
        elif part in FITS:
            fields["fit"] = part
        elif part in INTERPOLATIONS:
            fields["interpolation"] = part
        else:
            raise PreprocessError(
                f"cannot read {part!r} in the SPEC {text!r}; expected auto, {', '.join(NORMALIZATIONS)}, "
                f"mean=…,std=…, size=WxH, {', '.join(COLORS + FITS + INTERPOLATIONS)}"
            )
    fields |= {key: tuple(values) for key, values in numbers.items()}
    spec = Spec(**fields)
    if spec.auto + (spec.normalization is not None) + bool(numbers) > 1:
        raise PreprocessError(f"the SPEC {text!r} states more than one normalization; state one")
    return spec


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _size(text: str) -> tuple[int, int]:
    parts = text.split("x")
    if len(parts) > 2 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise PreprocessError(f"expected size=WIDTHxHEIGHT or size=N in pixels, got size={text}")
    return int(parts[0]), int(parts[-1])
