"""What `edgecnn evaluate` says of one model."""

from typing import Any, Final

from edgecnn.report.shapes.kinds import Maybe

# How preprocessing was found.
CHOICE: Final = {
    "source": "text",
    "detail": "text",
    "samples": Maybe("count"),
    "candidates": [{"spec": "text", "accuracy": Maybe("share"), "samples?": Maybe("count")}],
}
SKIPPED: Final = [{"image": "text", "reason": "text"}]
_INTERVAL: Final = Maybe(("share", "share"))
_AVERAGE: Final = {name: Maybe("share") for name in ("precision", "recall", "f1")}
_CLASS: Final = {
    "label": "text",
    "index": "count",
    **_AVERAGE,
    "support": "count",
    "roc_auc?": Maybe("share"),
    "average_precision?": Maybe("share"),
}
_CALIBRATION: Final = {
    "ece": "share",
    "mce": "share",
    "brier": "amount",
    "nll": "amount",
    "bins": [
        {
            "low": "share",
            "high": "share",
            "count": "count",
            "confidence": Maybe("share"),
            "accuracy": Maybe("share"),
        }
    ],
}
# What was measured, without which model and data it was measured of.
METRICS: Final[dict[str, Any]] = {
    "samples": "count",
    "skipped": "count",
    "skipped_images?": SKIPPED,
    "top1": Maybe("share"),
    "top1_ci95": _INTERVAL,
    "top5": Maybe("share"),
    **_AVERAGE,
    "averages?": Maybe({"macro": _AVERAGE, "weighted": _AVERAGE}),
    "roc_auc?": Maybe("share"),
    "average_precision?": Maybe("share"),
    "per_class": [_CLASS],
    "confusion": [["count"]],
    "labels": ["text"],
    "curves?": Maybe({"positive": "text", "roc": [("share", "share")], "pr": [("share", "share")]}),
    "calibration?": Maybe(_CALIBRATION),
    "intervals?": Maybe(dict.fromkeys(("top1?", "precision?", "recall?", "f1?", "ece?"), _INTERVAL)),
    "bootstrap?": Maybe({"resamples": "count", "seed": "count"}),
    "images_per_second": Maybe("amount"),
}
EVALUATE: Final[dict[str, Any]] = {
    "schema": "text",
    "model": "text",
    "sha256": "text",
    "data": "text",
    "split": Maybe("text"),
    **METRICS,
    "preprocess?": Maybe(CHOICE),
    "notes?": ["text"],
}
