"""The card: edgecnn's own JSON file inside a bundle, with all that is needed to use the model and to trust it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from edgecnn.config import Preprocess
from edgecnn.errors import BundleError, PreprocessError

CARD_FORMAT: Final = 1
HEADS: Final = ("softmax", "sigmoid", "logits")
_KINDS: Final = {
    "preprocess": dict,
    "head": str,
    "labels": int,
    "source": dict,
    "recipe": dict,
    "versions": dict,
    "calibration": dict,
    "accuracy": (dict, type(None)),
}
_SOURCE_KEYS: Final = ("kind", "name", "sha256")
TEMPERATURES: Final = (0.1, 10.0)
QUANTILES: Final = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
# What a reference has quantiles of, and the largest value that each can have.
STATISTICS: Final = {"brightness": 1.0, "contrast": 1.0, "sharpness": 8.0, "score": 1.0}


@dataclass(frozen=True)
class Confidence:
    """What scores are worth: found on labelled pictures that accuracy is not reported on.

    Attributes:
        temperature: of the probabilities, see `edgecnn.runtime.head.Head.scaled`; 1 leaves them as they are.
        unknown_below: pictures whose best score is lower are unknown; None where no picture was labelled rightly.
        kept_right: share of the rightly labelled pictures that keep their label then.
        samples, split: how many pictures, and of which split.
        ece_before, ece_after: expected calibration error with temperature 1 and with this one.

    Raises:
        BundleError: a value that the format does not allow.
    """

    temperature: float
    unknown_below: float | None
    kept_right: float
    samples: int
    split: str
    ece_before: float
    ece_after: float

    def __post_init__(self) -> None:
        low, high = TEMPERATURES
        if not (_is_number(self.temperature) and low <= self.temperature <= high):
            raise BundleError(
                f"expected the confidence's temperature from {low:g} to {high:g}, got {self.temperature!r}"
            )
        for name in ("unknown_below", "kept_right", "ece_before", "ece_after"):
            value = getattr(self, name)
            if not (_is_number(value) and 0 <= value <= 1) and (name, value) != ("unknown_below", None):
                raise BundleError(f"expected the confidence's {name} from 0 to 1, got {value!r}")
        if not _is(self.samples, int) or self.samples < 1:
            raise BundleError(f"expected the confidence's samples to be a number from 1, got {self.samples!r}")
        if not isinstance(self.split, str):
            raise BundleError(f"expected the confidence's split to be text, got {self.split!r}")

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Confidence:
        """Read `to_dict` back; keys that this release does not know are left out.

        Raises:
            BundleError: a key that is missing or wrong.
        """
        names = [field.name for field in fields(cls)]
        if missing := [name for name in names if name not in values]:
            raise BundleError(f"the card's confidence lacks {', '.join(missing)}; convert the model again")
        return cls(**{name: values[name] for name in names})


@dataclass(frozen=True)
class Reference:
    """What pictures and scores were like at conversion; a camera whose own are unlike them has drifted.

    Attributes:
        brightness, contrast, sharpness: of the pictures, see `edgecnn.data.statistics`; the `QUANTILES` of each.
        score: of the most probable class; its `QUANTILES`.
        samples, split: how many pictures, and of which split.

    Raises:
        BundleError: a value that the format does not allow.
    """

    brightness: tuple[float, ...]
    contrast: tuple[float, ...]
    sharpness: tuple[float, ...]
    score: tuple[float, ...]
    samples: int
    split: str

    def __post_init__(self) -> None:
        for name, most in STATISTICS.items():
            values = getattr(self, name)
            numbers = len(values) == len(QUANTILES) and all(_is_number(v) and 0 <= v <= most for v in values)
            if not numbers or list(values) != sorted(values):
                raise BundleError(
                    f"expected the reference's {name} to be {len(QUANTILES)} rising numbers from 0 to {most:g}, "
                    f"got {values!r}"
                )
        if not _is(self.samples, int) or self.samples < 1:
            raise BundleError(f"expected the reference's samples to be a number from 1, got {self.samples!r}")
        if not isinstance(self.split, str):
            raise BundleError(f"expected the reference's split to be text, got {self.split!r}")

    def range(self, statistic: str, tail: float) -> tuple[float, float]:
        """What all but a tail at either end were within; the tail is one of the `QUANTILES` below a half."""
        values, place = getattr(self, statistic), QUANTILES.index(tail)
        return values[place], values[-1 - place]

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {name: list(value) if name in STATISTICS else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Reference:
        """Read `to_dict` back; keys that this release does not know are left out.

        Raises:
            BundleError: a key that is missing or wrong.
        """
        names = [field.name for field in fields(cls)]
        if missing := [name for name in names if name not in values]:
            raise BundleError(f"the card's reference lacks {', '.join(missing)}; convert the model again")
        if wrong := [name for name in STATISTICS if not isinstance(values[name], list)]:
            raise BundleError(f"expected lists of numbers in the card's reference for {', '.join(wrong)}")
        known: dict[str, Any] = {name: values[name] for name in names}
        return cls(**known | {name: tuple(values[name]) for name in STATISTICS})


@dataclass(frozen=True)
class Card:
    """How to use a model, where it came from and what it was measured with.

    Attributes:
        preprocess: what is done to every picture.
        head: "softmax" or "sigmoid" when the model ends in one, else "logits".
        labels: number of classes; two for a one-unit sigmoid model.
        source: "name" (file name without folders), "sha256" and "kind" of the file the model was made from.
        recipe: the resolved options (quantize, io, seed, …).
        versions: package to version.
        calibration: how many samples, a hash over their names, how they were chosen; empty without calibration.
        accuracy: "float", "output", "drop_pp", "samples", "agreement", "split"; None when not measured.
        confidence: of the scores; None when not measured. Then the JSON has no such key.
        reference: what pictures and scores were like; likewise.

    Raises:
        BundleError: a value that the format does not allow.
    """

    preprocess: Preprocess
    head: str
    labels: int
    source: dict[str, Any]
    recipe: dict[str, Any]
    versions: dict[str, str]
    calibration: dict[str, Any]
    accuracy: dict[str, Any] | None
    confidence: Confidence | None = None
    reference: Reference | None = None

    def __post_init__(self) -> None:
        if self.head not in HEADS:
            raise BundleError(f"expected the card's head to be one of {', '.join(HEADS)}, got {self.head!r}")
        if self.labels < 2:
            raise BundleError(f"expected a card with 2 labels or more, got {self.labels}")
        wrong = [key for key in _SOURCE_KEYS if not isinstance(self.source.get(key), str)]
        if wrong:
            raise BundleError(f"expected text in the card's source for {', '.join(wrong)}, got {self.source!r}")
        if any(mark in self.source["name"] for mark in "/\\"):
            raise BundleError(f"expected a file name without folders in the card's source, got {self.source['name']!r}")

    def to_json(self) -> str:
        """JSON text: sorted keys, no timestamps, so that equal cards are equal bytes.

        Raises:
            BundleError: a value that JSON cannot hold.
        """
        values = {key: getattr(self, key) for key in _KINDS}
        values |= {"format": CARD_FORMAT, "preprocess": self.preprocess.to_dict()}
        if self.confidence is not None:
            values["confidence"] = self.confidence.to_dict()
        if self.reference is not None:
            values["reference"] = self.reference.to_dict()
        try:
            return json.dumps(values, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        except (TypeError, ValueError) as exc:
            raise BundleError(f"expected a card of plain numbers and text: {exc}") from exc

    @classmethod
    def from_json(cls, text: str) -> Card:
        """Read `to_json` back; keys that this release does not know are left out.

        Raises:
            BundleError: no card, a newer format, or a key that is missing or wrong.
        """
        try:
            values = json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError) as exc:
            raise BundleError(f"expected a card in JSON: {exc}") from exc
        version: Any = values.get("format") if isinstance(values, dict) else None
        if not _is(version, int) or version < 1:
            raise BundleError("expected a card with its format number; this JSON is no card of edgecnn")
        if version > CARD_FORMAT:
            raise BundleError(
                f"made by a newer edgecnn (card format {version}, this release reads {CARD_FORMAT}); update edgecnn"
            )
        wrong = [key for key, kind in _KINDS.items() if key not in values or not _is(values[key], kind)]
        stated = {name: values.get(name) for name in ("confidence", "reference")}
        wrong += [name for name, value in stated.items() if not _is(value, (dict, type(None)))]
        if wrong:
            raise BundleError(f"the card's {', '.join(wrong)} is missing or of the wrong type; convert the model again")
        try:
            preprocess = Preprocess.from_dict(values["preprocess"])
        except PreprocessError as exc:
            raise BundleError(f"the card's preprocess is wrong: {exc}") from exc
        known = {key: values[key] for key in _KINDS} | {"preprocess": preprocess}
        if stated["confidence"] is not None:
            known["confidence"] = Confidence.from_dict(stated["confidence"])
        if stated["reference"] is not None:
            known["reference"] = Reference.from_dict(stated["reference"])
        return cls(**known)


def _is(value: object, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return _is(value, (int, float))


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")
