"""What a results document holds, as a table, and the check of a record against it.

A shape is the name of a kind ("text", "share", …), `Maybe(shape)` where null is allowed, `[shape]` for a list,
a tuple for a list of that length, or a dict for an object. A key with "?" at its end may be missing; keys the
table does not name are left alone, so that a record may carry more.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from edgecnn.errors import ResultError

VERSION: Final = 1


@dataclass(frozen=True)
class Maybe:
    """A shape, or null."""

    shape: Any


_CHOICE = {
    "source": "text",
    "detail": "text",
    "samples": Maybe("count"),
    "candidates": [{"spec": "text", "accuracy": Maybe("share"), "samples?": Maybe("count")}],
}
_CLASS = {
    "label": "text",
    "index": "count",
    "precision": Maybe("share"),
    "recall": Maybe("share"),
    "f1": Maybe("share"),
    "support": "count",
}
_EVALUATE: dict[str, Any] = {
    "schema": "text",
    "model": "text",
    "sha256": "text",
    "data": "text",
    "split": Maybe("text"),
    "samples": "count",
    "skipped": "count",
    "skipped_images?": [{"image": "text", "reason": "text"}],
    "top1": Maybe("share"),
    "top1_ci95": Maybe(("share", "share")),
    "top5": Maybe("share"),
    "precision": Maybe("share"),
    "recall": Maybe("share"),
    "f1": Maybe("share"),
    "per_class": [_CLASS],
    "confusion": [["count"]],
    "labels": ["text"],
    "images_per_second": Maybe("amount"),
    "preprocess?": Maybe(_CHOICE),
    "notes?": ["text"],
}
_BENCHMARK: dict[str, Any] = {
    "schema": "text",
    "model": "text",
    "sha256": "text",
    "size_bytes": "count",
    "threads": "count",
    "runs": "count",
    "init_ms": Maybe("amount"),
    "first_ms": Maybe("amount"),
    "min_ms": "amount",
    "p50_ms": "amount",
    "p90_ms": "amount",
    "p99_ms": "amount",
    "mean_ms": "amount",
    "peak_rss_mb": Maybe("amount"),
    "stages": {name: Maybe("amount") for name in ("preprocess_ms", "invoke_ms", "postprocess_ms")},
    "machine": "table",
    "versions": "table",
    "histogram?": Maybe([("amount", "count")]),
}
_GUESS = {"label": "text", "score": "share"}
_STAGE = {
    "technique": "text",
    "epochs?": "count",
    "macs_before?": "count",
    "macs?": "count",
    "parameters_before?": "count",
    "parameters?": "count",
    "groups?": [{"layers": ["text"], "before": "count", "after": "count", "reason": "text"}],
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
_FIGURES = {
    "size_bytes": "count",
    "gzip_bytes": "count",
    "macs": "count",
    "parameters": "count",
    "sparsity": "share",
    "p50_ms": "amount",
}
_RUNG = {
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
_LAYER = {
    "layer": "text",
    "kinds": ["text"],
    "divergence": "amount",
    "agreement": "share",
    "output_sqnr_db": "number",
    "layer_sqnr_db": "number",
    "top1_drop": Maybe("number"),
    "reason": "text",
}
_LADDER = {
    "max_drop": "amount",
    "inside": "flag",
    "taken": "count",
    "float": _RUNG,
    "rungs": [_RUNG],
    "skipped": [{"rung": "text", "reason": "text"}],
    "sensitivity": [_LAYER],
}
_CONVERT: dict[str, Any] = {
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
    "calibration": Maybe(
        {
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
    ),
    "stages?": [_STAGE],
    "gains?": Maybe({"plain": _FIGURES, "output": _FIGURES, "words": ["text"]}),
    "ladder?": Maybe(_LADDER),
    "macs?": Maybe("count"),
    "float_macs?": Maybe("count"),
    "sparsity": Maybe("share"),
    "labels": "count",
    "label_names": ["text"],
    "preprocess": "table",
    "preprocess_spec": "text",
    "preprocess_choice": _CHOICE,
    "steps": [{"name": "text", "seconds": "amount", "detail": "text"}],
    "accuracy": {
        "float": Maybe("share"),
        "output": Maybe("share"),
        "drop_pp": Maybe("number"),
        "agreement": Maybe("share"),
        "samples": "count",
        "split": Maybe("text"),
    },
    "max_drop": Maybe("amount"),
    "within_budget": "flag",
    "layers_kept_float": ["text"],
    "parity": Maybe({"samples": "count", "max_abs_difference": "amount", "tolerance": "amount"}),
    "notes": ["text"],
    "machine?": "table",
    "versions": "table",
    "evaluation?": Maybe({"float": _EVALUATE, "output": _EVALUATE}),
    "benchmark?": Maybe((_BENCHMARK, _BENCHMARK)),
    "examples?": Maybe(
        [
            {
                "image": "text",
                "label": Maybe("text"),
                "float": _GUESS,
                "output": _GUESS,
                "thumbnail": Maybe("picture"),
            }
        ]
    ),
}
_PREDICT: dict[str, Any] = {
    "schema": "text",
    "image": "text",
    "predictions": [{"label": "text", "index": "count", "score": "share"}],
    "latency_ms": Maybe("amount"),
    "thumbnail?": Maybe("picture"),
}
_DEMO: dict[str, Any] = {
    "schema": "text",
    "frames": [
        {
            "frame": "count",
            "label": "text",
            "score": "share",
            "truth": Maybe("text"),
            "thumbnail": Maybe("picture"),
        }
    ],
    "clip?": "any",
    "summary?": "any",
}
_SENSITIVITY: dict[str, Any] = {
    "schema": "text",
    "model": "text",
    "data": "text",
    "split": Maybe("text"),
    "samples": "count",
    "calibration_samples": "count",
    "preprocess?": Maybe(_CHOICE),
    "float_top1": Maybe("share"),
    "layers": [_LAYER],
}
SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    "convert": _CONVERT,
    "evaluate": _EVALUATE,
    "benchmark": _BENCHMARK,
    "predict": _PREDICT,
    "demo": _DEMO,
    "sensitivity": _SENSITIVITY,
}
# A picture must carry its bytes inside: a page that loads from elsewhere would not be offline.
_PICTURE = re.compile(r"data:image/(jpeg|png|webp);base64,[A-Za-z0-9+/]+={0,2}")
_SLACK = 1e-6  # a float32 softmax may sum to a little more than 1
_LARGEST = 1e15  # beyond, a number is a mistake, and sums of it would overflow
_KINDS: Final[dict[str, tuple[str, Callable[[Any], bool]]]] = {
    "any": ("any value", lambda value: True),
    "text": ("a text", lambda value: isinstance(value, str)),
    "flag": ("true or false", lambda value: isinstance(value, bool)),
    "count": ("a whole number from 0 to 1e15", lambda value: _is_count(value)),
    "number": ("a number up to 1e15", lambda value: _is_number(value)),
    "amount": ("a number from 0 to 1e15", lambda value: _is_number(value) and value >= 0),
    "share": ("a number from 0 to 1", lambda value: _is_number(value) and -_SLACK <= value <= 1 + _SLACK),
    "table": ("an object", lambda value: isinstance(value, dict)),
    "picture": (
        "a data:image/…;base64 picture",
        lambda value: isinstance(value, str) and _PICTURE.fullmatch(value) is not None,
    ),
}


def kind_of(record: dict[str, Any]) -> str:
    """The kind of a record ("convert", "evaluate", …), from its schema key."""
    return str(record["schema"]).removeprefix("edgecnn.").partition("/")[0]


def check_record(record: Any, where: str) -> dict[str, Any]:
    """Return the record if it is one this release reads.

    Raises:
        ResultError: names the key that is wrong, or the release that is needed.
    """
    schema = record.get("schema") if isinstance(record, dict) else None
    match = re.fullmatch(r"edgecnn\.([a-z_]+)/(\d{1,9})", schema) if isinstance(schema, str) else None
    if match is None:
        raise ResultError(
            f"{where}: expected a results record with a schema key such as 'edgecnn.convert/{VERSION}', got "
            f"{_short(record if schema is None else schema)}; give a file that edgecnn wrote with --json"
        )
    kind, version = match[1], int(match[2])
    if kind not in SCHEMAS:
        raise ResultError(f"{where}: {schema} cannot be reported; expected one of {', '.join(SCHEMAS)}")
    if version > VERSION:
        raise ResultError(
            f"{where}: {schema} was written by a newer edgecnn; this release reads /{VERSION}; update edgecnn"
        )
    if version < VERSION:
        raise ResultError(f"{where}: {schema} does not exist; this release reads /{VERSION}")
    _check(record, SCHEMAS[kind], where, "")
    evaluations = _evaluations(kind, record)
    for evaluation in evaluations:
        _check_classes(evaluation, where)
    if len({tuple(evaluation["labels"]) for evaluation in evaluations}) > 1:
        raise ResultError(f"{where}: expected the same labels in evaluation.float and evaluation.output")
    return dict(record)


def _check(value: Any, shape: Any, where: str, path: str) -> None:
    if isinstance(shape, Maybe):
        if value is not None:
            _check(value, shape.shape, where, path)
    elif isinstance(shape, dict):
        _expect(isinstance(value, dict), where, path, "an object", value)
        for key, inner in shape.items():
            name = key.removesuffix("?")
            full = f"{path}.{name}" if path else name
            if name in value:
                _check(value[name], inner, where, full)
            elif name == key:
                raise ResultError(f"{where}: the key {full} is missing; write the file again with this edgecnn")
    elif isinstance(shape, list):
        _expect(isinstance(value, list), where, path, "a list", value)
        for index, item in enumerate(value):
            _check(item, shape[0], where, f"{path}[{index}]")
    elif isinstance(shape, tuple):
        _expect(isinstance(value, list) and len(value) == len(shape), where, path, f"a list of {len(shape)}", value)
        for index, (item, inner) in enumerate(zip(value, shape, strict=True)):
            _check(item, inner, where, f"{path}[{index}]")
    else:
        words, holds = _KINDS[shape]
        _expect(holds(value), where, path, words, value)


def _evaluations(kind: str, record: dict[str, Any]) -> list[dict[str, Any]]:
    if kind == "convert" and record.get("evaluation"):
        return [record["evaluation"]["float"], record["evaluation"]["output"]]
    return [record] if kind == "evaluate" else []


def _check_classes(evaluation: dict[str, Any], where: str) -> None:
    labels = len(evaluation["labels"])
    lengths = {len(row) for row in evaluation["confusion"]} | {len(evaluation["confusion"])}
    if lengths != {labels}:
        raise ResultError(f"{where}: expected confusion to be {labels} by {labels}, one row a label, got other lengths")
    if len(evaluation["per_class"]) != labels:
        raise ResultError(f"{where}: expected {labels} entries in per_class, got {len(evaluation['per_class'])}")


def _expect(holds: bool, where: str, path: str, words: str, value: Any) -> None:
    if not holds:
        raise ResultError(f"{where}: expected {path or 'a record'} to be {words}, got {_short(value)}")


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return -_LARGEST <= value <= _LARGEST  # false for NaN


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and _is_number(value) and value >= 0


def _short(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."
