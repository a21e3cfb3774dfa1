"""What `edgecnn compare` says of two models on the same pictures: "float" is the first, "quantized" the second."""

from typing import Any, Final

from edgecnn.report.shapes.evaluate import CHOICE, SKIPPED
from edgecnn.report.shapes.kinds import Maybe

_MODEL: Final = {"model": "text", "sha256": "text", "size_bytes": "count"}
_GUESS: Final = {"label": "text", "score": "share"}
_FLIP: Final = {
    "image": "text",
    "label": Maybe("text"),
    "float": _GUESS,
    "quantized": _GUESS,
    "kind": Maybe("text"),
    "thumbnail?": Maybe("picture"),
}
_CLASS: Final = {
    "label": "text",
    "index": "count",
    "support": "count",
    "float_recall": Maybe("share"),
    "quantized_recall": Maybe("share"),
    "recall_change_pp": Maybe("number"),
    "float_f1": Maybe("share"),
    "quantized_f1": Maybe("share"),
    "flips": "count",
}
_MCNEMAR: Final = {
    "both_right": "count",
    "only_float": "count",
    "only_quantized": "count",
    "both_wrong": "count",
    "p_value": "share",
    "method": "text",
}
_DRIFT: Final = {
    "mean_abs": "amount",
    "p99_abs": "amount",
    "max_abs": "amount",
    "mean": "number",
    "histogram": [("number", "count")],
    "width": "amount",
}
COMPARE: Final[dict[str, Any]] = {
    "schema": "text",
    "float": _MODEL,
    "quantized": _MODEL,
    "data": "text",
    "split": Maybe("text"),
    "samples": "count",
    "skipped": "count",
    "skipped_images?": SKIPPED,
    "labels": ["text"],
    "agreement": "share",
    "float_top1": Maybe("share"),
    "float_ci95": Maybe(("share", "share")),
    "quantized_top1": Maybe("share"),
    "quantized_ci95": Maybe(("share", "share")),
    "drop_pp": Maybe("number"),
    "drop_ci95": Maybe(("number", "number")),
    "mcnemar": Maybe(_MCNEMAR),
    "flips": [_FLIP],
    "per_class": [_CLASS],
    "drift": Maybe(_DRIFT),
    "verdict": "text",
    "preprocess?": Maybe({"float": Maybe(CHOICE), "quantized": Maybe(CHOICE)}),
    "max_drop": Maybe("amount"),
    "within_budget": "flag",
    "notes?": ["text"],
}
