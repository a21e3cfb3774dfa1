"""What `edgecnn convert` and `edgecnn sensitivity` say."""

from typing import Any, Final

from edgecnn.report.shapes.benchmark import BENCHMARK
from edgecnn.report.shapes.evaluate import CHOICE, EVALUATE, SKIPPED
from edgecnn.report.shapes.kinds import Maybe

_GUESS: Final = {"label": "text", "score": "share"}
_STAGE: Final = {
    "technique": "text",
    "epochs?": "count",
    "macs_before?": "count",
    "macs?": "count",
    "parameters_before?": "count",
    "parameters?": "count",
    "groups?": [{"layers": ["text"], "before": "count", "after": "count", "reason": "text"}],
    "dropped?": [{"layers": ["text"], "macs": "count", "loss": "amount"}],
    "changed?": [{"layer": "text", "change": "text"}],
    "skipped?": [{"layer": "text", "reason": "text"}],
    "against_trained?": Maybe(
        {
            "samples": "count",
            "agreement": "share",
            "max_abs_difference": "amount",
            "first_layer": "text",
            "worst_layer": "text",
        }
    ),
}
_FIGURES: Final = {
    "size_bytes": "count",
    "gzip_bytes": "count",
    "macs": "count",
    "parameters": "count",
    "sparsity": "share",
    "p50_ms": "amount",
}
_RUNG: Final = {
    "name": "text",
    "detail": "text",
    "accuracy": Maybe("share"),
    "drop": Maybe({"points": "number", "low": "number", "high": "number"}),
    "agreement": "share",
    "inside": "flag",
    "size_bytes": "count",
    "gzip_bytes": "count",
    "p50_ms": "amount",
    "float_layers": ["text"],
    "failed": "text",
}
_LAYER: Final = {
    "layer": "text",
    "kinds": ["text"],
    "divergence": "amount",
    "agreement": "share",
    "output_sqnr_db": "number",
    "layer_sqnr_db": "number",
    "top1_drop": Maybe("number"),
    "reason": "text",
}
_LADDER: Final = {
    "max_drop": "amount",
    "inside": "flag",
    "taken": "count",
    "float": _RUNG,
    "rungs": [_RUNG],
    "skipped": [{"rung": "text", "reason": "text"}],
    "sensitivity": [_LAYER],
}
_CALIBRATION: Final = {
    "range_quantile": Maybe("share"),
    "candidates": [
        {
            "range_quantile": Maybe("share"),
            "divergence": Maybe("number"),
            "weights?": Maybe("text"),
            "bias_correction?": Maybe("flag"),
        }
    ],
}
# What of the network is in the output.
ARCHITECTURE: Final = {
    "input": ["count"],
    "parameters": "count",
    "macs": Maybe("count"),
    "operators": [{"op": "text", "count": "count", "macs": Maybe("count")}],
    "layers": [
        {"name": "text", "op": "text", "output": ["count"], "parameters": Maybe("count"), "macs": Maybe("count")}
    ],
}
# What temperature scaling did to the probabilities.
CONFIDENCE: Final = {
    "temperature": "amount",
    "unknown_below": Maybe("share"),
    "kept_right": Maybe("share"),
    "samples": "count",
    "split": Maybe("text"),
    "ece_before": "share",
    "ece_after": "share",
}
# Quantiles of what pictures and scores were like.
REFERENCE: Final = {
    **dict.fromkeys(("brightness", "contrast", "sharpness", "score"), ("amount",) * 7),
    "samples": "count",
    "split": "text",
}
_EXAMPLE: Final = {
    "image": "text",
    "label": Maybe("text"),
    "float": _GUESS,
    "output": _GUESS,
    "thumbnail": Maybe("picture"),
}
CONVERT: Final[dict[str, Any]] = {
    "schema": "text",
    "model": "text",
    "model_sha256": "text",
    "output": "text",
    "sha256": "text",
    "size_bytes": "count",
    "float_size_bytes": "count",
    "gzip_bytes": Maybe("count"),
    "float_gzip_bytes": Maybe("count"),
    "quantize": "text",
    "io": "text",
    "calibration_samples": Maybe("count"),
    "calibration": Maybe(_CALIBRATION),
    "stages?": [_STAGE],
    "gains?": Maybe({"plain": _FIGURES, "output": _FIGURES, "words": ["text"]}),
    "ladder?": Maybe(_LADDER),
    "macs?": Maybe("count"),
    "float_macs?": Maybe("count"),
    "architecture?": Maybe(ARCHITECTURE),
    "confidence?": Maybe(CONFIDENCE),
    "reference?": Maybe(REFERENCE),
    "sparsity": Maybe("share"),
    "labels": "count",
    "label_names": ["text"],
    "preprocess": "table",
    "preprocess_spec": "text",
    "preprocess_choice": CHOICE,
    "steps": [{"name": "text", "seconds": "amount", "detail": "text"}],
    "accuracy": {
        "float": Maybe("share"),
        "output": Maybe("share"),
        "drop_pp": Maybe("number"),
        "agreement": Maybe("share"),
        "samples": "count",
        "split": Maybe("text"),
    },
    "skipped?": "count",
    "skipped_images?": SKIPPED,
    "max_drop": Maybe("amount"),
    "within_budget": "flag",
    "layers_kept_float": ["text"],
    "parity": Maybe({"samples": "count", "max_abs_difference": "amount", "tolerance": "amount"}),
    "notes": ["text"],
    "machine?": "table",
    "versions": "table",
    "evaluation?": Maybe({"float": EVALUATE, "output": EVALUATE}),
    "benchmark?": Maybe((BENCHMARK, BENCHMARK)),
    "examples?": Maybe([_EXAMPLE]),
}
SENSITIVITY: Final[dict[str, Any]] = {
    "schema": "text",
    "model": "text",
    "data": "text",
    "split": Maybe("text"),
    "samples": "count",
    "calibration_samples": "count",
    "preprocess?": Maybe(CHOICE),
    "float_top1": Maybe("share"),
    "layers": [_LAYER],
}
