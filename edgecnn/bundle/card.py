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
        if not _is(stated := values.get("confidence"), (dict, type(None))):
            wrong.append("confidence")
        if wrong:
            raise BundleError(f"the card's {', '.join(wrong)} is missing or of the wrong type; convert the model again")
        try:
            preprocess = Preprocess.from_dict(values["preprocess"])
        except PreprocessError as exc:
            raise BundleError(f"the card's preprocess is wrong: {exc}") from exc
        confidence = None if stated is None else Confidence.from_dict(stated)
        return cls(**{key: values[key] for key in _KINDS} | {"preprocess": preprocess, "confidence": confidence})


def _is(value: object, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return _is(value, (int, float))


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")
