"""What `edgecnn robustness` says of models on spoilt pictures; every list "per model" has the models' order."""

from typing import Any, Final

from edgecnn.report.shapes.evaluate import CHOICE, SKIPPED
from edgecnn.report.shapes.kinds import Maybe

_SHARES: Final = ["share"]  # one a model
_INTERVALS: Final = [("share", "share")]
_MODEL: Final = {"model": "text", "sha256": "text", "kind": "text", "preprocess?": Maybe(CHOICE)}
_CORRUPTION: Final = {
    "name": "text",
    "kind": "text",
    "severities": ["count"],
    "top1": [_SHARES],  # a row a model, one share a severity
    "top1_ci95?": [_INTERVALS],
}
# "epsilon" is the largest change of a pixel as a share of its 255 levels, in the norm "norm".
_ATTACK: Final = {
    "name": "text",
    "epsilon": "share",
    "steps": "count",
    "norm": "text",
    "crafted_on": "text",
    "top1": _SHARES,
    "top1_ci95?": _INTERVALS,
    "samples": "count",
}
# "aim" is the label that it is to look like; "hits" how often others are taken for it, per model; "noise_top1" is what
# a square of random pixels does at the same places.
_PATCH: Final = {
    "share": "share",
    "side": "count",
    "aim": Maybe("text"),
    "crafted_on": "text",
    "trained_on": "count",
    "trained_split": "text",
    "top1": _SHARES,
    "top1_ci95?": _INTERVALS,
    "noise_top1": _SHARES,
    "hits": Maybe(_SHARES),
    "samples": "count",
    "picture": "picture",
}
# How many points a model (its place) loses more than the first from clean pictures to those of a condition:
# "corruptions" or the name of an attack.
_EXTRA: Final = {"model": "count", "condition": "text", "points": "number", "ci95": ("number", "number")}
ROBUSTNESS: Final[dict[str, Any]] = {
    "schema": "text",
    "models": [_MODEL],
    "names": ["text"],
    "data": "text",
    "split": Maybe("text"),
    "samples": "count",
    "skipped": "count",
    "skipped_images?": SKIPPED,
    "clean": _SHARES,
    "clean_ci95?": _INTERVALS,
    "size?": ("count", "count"),
    "corruptions": [_CORRUPTION],
    "mce": [Maybe("amount")],
    "relative_mce": [Maybe("number")],
    "attacks": [_ATTACK],
    "patch": Maybe(_PATCH),
    "extra": [_EXTRA],
    "verdict": "text",
    "seed": "count",
    "notes": ["text"],
}
