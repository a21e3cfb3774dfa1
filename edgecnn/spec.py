"""The SPEC text in which users state preprocessing. Any part may be missing; the model or the data fills it."""

import re
from dataclasses import dataclass
from typing import Any, Final

from edgecnn.config import COLORS, FITS, INTERPOLATIONS, NORMALIZATIONS, Preprocess, named_normalization
from edgecnn.errors import PreprocessError

# Words of a SPEC, and what each of them states.
_WORDS: Final = (
    dict.fromkeys(("auto", *NORMALIZATIONS), "normalization")
    | dict.fromkeys(COLORS, "color")
    | dict.fromkeys(FITS, "fit")
    | dict.fromkeys(INTERPOLATIONS, "interpolation")
)


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
    def size(self) -> tuple[int, int] | None:
        """(width, height) in pixels, None when not stated."""
        return (self.width, self.height) if self.width and self.height else None

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
        turn = -1 if color != known.color else 1  # known values are in the order of the known colours
        mean, std = self.mean or known.mean[::turn], self.std or known.std[::turn]
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
    stated: dict[str, Any] = {}
    last = ""
    for part in (piece.strip().lower() for piece in text.split(",")):
        key, equals, value = part.partition("=")
        if last in ("mean", "std") and not equals and _is_number(part):
            stated[last] += (float(part),)
            continue
        content: Any = part
        if equals and key in ("mean", "std") and _is_number(value):
            last, content = key, (float(value),)
        elif equals and key == "size":
            last, content = key, _size(value)
        elif part in _WORDS:
            last = _WORDS[part]
        else:
            raise PreprocessError(
                f"cannot read {part!r} in the SPEC {text!r}; expected auto, {', '.join(NORMALIZATIONS)}, "
                f"mean=…,std=…, size=WxH, {', '.join(COLORS + FITS + INTERPOLATIONS)}"
            )
        if last in stated:
            raise PreprocessError(f"the SPEC {text!r} states more than one {last}; state one")
        stated[last] = content
    name = stated.pop("normalization", None)
    if name and stated.keys() & {"mean", "std"}:
        raise PreprocessError(f"the SPEC {text!r} states more than one normalization; state one")
    width, height = stated.pop("size", (None, None))
    return Spec(
        auto=name == "auto", normalization=None if name == "auto" else name, width=width, height=height, **stated
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,6})(?:x(\d{1,6}))?", text, re.ASCII)
    width, height = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if width < 1 or height < 1:
        raise PreprocessError(f"expected size=WIDTHxHEIGHT or size=N in pixels, got size={text}")
    return width, height
