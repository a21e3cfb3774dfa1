"""Results for machines: CSV and JSON."""

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from edgecnn.report import comparison as c
from edgecnn.report import numbers as n
from edgecnn.report.schema import kind_of

_SURROGATE = re.compile("[\ud800-\udfff]")
_COLUMNS: Final = ("record", "kind", "name", "side", "metric", "item", "value", "unit")
# A spreadsheet takes a cell that starts like this for a formula and runs it.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_LATENCIES: Final = ("init_ms", "first_ms", "min_ms", "p50_ms", "p90_ms", "p99_ms", "mean_ms")

_FIGURES: Final = {
    "size_bytes": "B",
    "gzip_bytes": "B",
    "macs": "",
    "parameters": "",
    "sparsity": "share",
    "p50_ms": "ms",
}
_DAMAGES: Final = {"agreement": "share", "divergence": "nats", "output_sqnr_db": "dB", "layer_sqnr_db": "dB"}

# (side, metric, item, value, unit)
_Fact = tuple[str, str, str, Any, str]


def render_json(records: Sequence[dict[str, Any]]) -> str:
    """The records as one JSON list, which `parse_results` reads back to equal records."""
    text = json.dumps(list(records), ensure_ascii=False, indent=2, allow_nan=False)
    # Half of a surrogate pair (from a file name that is no UTF-8) cannot be written as UTF-8, but as an escape.
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text) + "\n"


def render_csv(records: Sequence[dict[str, Any]]) -> str:
    """The records in long format: one row a number, with its unit; what was not measured has no row.

    Columns: record (its place, from 1), kind, name (model, image or frame), side ("float" or "output" in a
    conversion, "plain" for the output without its stages), metric, item (label, step, layer, rung or
    "true -> predicted"), value, unit. A text that a spreadsheet would run as a formula gets an apostrophe before it.
    """
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for place, record in enumerate(n.printable(list(records)), 1):
        kind = kind_of(record)
        name = _text(record.get("model") or record.get("image") or "")
        for side, metric, item, value, unit in _FACTS[kind](record):
            if value is not None:
                writer.writerow((place, kind, name, side, metric, _text(item), value, unit))
    return table.getvalue()


def _conversion(record: dict[str, Any]) -> Iterator[_Fact]:
    accuracy = record["accuracy"]
    yield "float", "size_bytes", "", record["float_size_bytes"], "B"
    yield "output", "size_bytes", "", record["size_bytes"], "B"
    yield "float", "gzip_bytes", "", record["float_gzip_bytes"], "B"
    yield "output", "gzip_bytes", "", record["gzip_bytes"], "B"
    cost = c.loss(record)
    yield "", "drop_pp", "", cost.points if cost else None, "points"
    yield "", "drop_noise_pp", "", cost.noise if cost else None, "points"
    yield "", "agreement", "", accuracy["agreement"], "share"
    yield "", "samples", "", accuracy["samples"], "images"
    yield "", "max_drop", "", record["max_drop"], "points"
    yield "", "within_budget", "", int(record["within_budget"]), ""
    yield "output", "sparsity", "", record["sparsity"], "share"
    yield "output", "calibration_samples", "", record["calibration_samples"], "images"
    evaluations = record.get("evaluation") or {}
    for side in ("float", "output"):
        if side in evaluations:
            for _, metric, item, value, unit in _evaluation(evaluations[side]):
                yield side, metric, item, value, unit
        else:
            yield side, "top1", "", accuracy[side], "share"
    for side, benchmark in zip(("float", "output"), record.get("benchmark") or (), strict=False):
        for _, metric, item, value, unit in _benchmark(benchmark):
            if metric != "size_bytes":
                yield side, metric, item, value, unit
    for step in record["steps"]:
        yield "", "step_seconds", step["name"], step["seconds"], "s"
    for candidate in record["preprocess_choice"]["candidates"]:
        yield "", "preprocess_accuracy", candidate["spec"], candidate["accuracy"], "share"
    yield from _compression(record)


def _compression(record: dict[str, Any]) -> Iterator[_Fact]:
    """Stages and rungs are counted from 1: a technique or a rung may come twice."""
    for side, key in (("float", "float_macs"), ("output", "macs")):
        yield side, "macs", "", record.get(key), ""
    for number, stage in enumerate(record.get("stages") or [], 1):
        item = f"{number} {stage['technique']}"
        for key in ("macs_before", "macs", "parameters_before", "parameters", "epochs"):
            yield "", f"stage_{key}", item, stage.get(key), ""
        for key in ("changed", "skipped"):
            yield "", f"stage_layers_{key}", item, len(stage[key]) if key in stage else None, "layers"
        yield "", "stage_agreement", item, (stage.get("against_trained") or {}).get("agreement"), "share"
        for group in stage.get("groups", []):
            for key in ("before", "after"):
                yield "", f"channels_{key}", f"{number} {', '.join(group['layers'])}", group[key], "channels"
    for side in ("plain", "output") if record.get("gains") else ():
        for metric, unit in _FIGURES.items():
            yield side, f"stages_{metric}", "", record["gains"][side][metric], unit
    ladder = record.get("ladder")
    if ladder:
        for number, rung in enumerate(ladder["rungs"], 1):
            yield from _rung(rung, f"{number} {rung['name']}", is_taken=number == ladder["taken"] + 1)
        yield from _layers(ladder["sensitivity"])


def _rung(rung: dict[str, Any], item: str, *, is_taken: bool) -> Iterator[_Fact]:
    """A rung without a model has no figures."""
    yield "", "rung_taken", item, int(is_taken), ""
    if rung["failed"]:
        return
    yield "", "rung_inside", item, int(rung["inside"]), ""
    yield "", "rung_top1", item, rung["accuracy"], "share"
    for key, suffix in (("points", ""), ("low", "_low"), ("high", "_high")):
        yield "", f"rung_drop_pp{suffix}", item, rung["drop"][key] if rung["drop"] else None, "points"
    yield "", "rung_agreement", item, rung["agreement"], "share"
    for metric in ("size_bytes", "gzip_bytes", "p50_ms"):
        yield "", f"rung_{metric}", item, rung[metric], _FIGURES[metric]


def _layers(layers: Sequence[dict[str, Any]]) -> Iterator[_Fact]:
    for layer in layers:
        if not layer["reason"]:
            yield "", "layer_top1_drop_pp", layer["layer"], layer["top1_drop"], "points"
            for metric, unit in _DAMAGES.items():
                yield "", f"layer_{metric.removeprefix('layer_')}", layer["layer"], layer[metric], unit


def _sensitivity(record: dict[str, Any]) -> Iterator[_Fact]:
    yield "", "samples", "", record["samples"], "images"
    yield "", "calibration_samples", "", record["calibration_samples"], "images"
    yield "float", "top1", "", record["float_top1"], "share"
    yield from _layers(record["layers"])


def _evaluation(record: dict[str, Any]) -> Iterator[_Fact]:
    yield "", "samples", "", record["samples"], "images"
    yield "", "skipped", "", record["skipped"], "images"
    low, high = record["top1_ci95"] or (None, None)
    for metric, value in (("top1", record["top1"]), ("top1_ci95_low", low), ("top1_ci95_high", high)):
        yield "", metric, "", value, "share"
    for metric in ("top5", "precision", "recall", "f1"):
        yield "", metric, "", record[metric], "share"
    yield "", "images_per_second", "", record["images_per_second"], "images/s"
    for entry in record["per_class"]:
        for metric in ("precision", "recall", "f1"):
            yield "", f"class_{metric}", entry["label"], entry[metric], "share"
        yield "", "class_support", entry["label"], entry["support"], "images"
    for true, row in zip(record["labels"], record["confusion"], strict=True):
        for predicted, number in zip(record["labels"], row, strict=True):
            if number:
                yield "", "confusion", f"{true} -> {predicted}", number, "images"


def _benchmark(record: dict[str, Any]) -> Iterator[_Fact]:
    yield "", "size_bytes", "", record["size_bytes"], "B"
    yield "", "threads", "", record["threads"], ""
    yield "", "runs", "", record["runs"], ""
    for metric in _LATENCIES:
        yield "", metric, "", record[metric], "ms"
    for metric, value in record["stages"].items():
        yield "", metric, "", value, "ms"
    yield "", "peak_rss_mb", "", record["peak_rss_mb"], "MB"


def _prediction(record: dict[str, Any]) -> Iterator[_Fact]:
    for prediction in record["predictions"]:
        yield "", "score", prediction["label"], prediction["score"], "share"
    yield "", "latency_ms", "", record["latency_ms"], "ms"


def _demo(record: dict[str, Any]) -> Iterator[_Fact]:
    for frame in record["frames"]:
        item = f"frame {frame['frame']}: {frame['label']}"
        yield "", "score", item, frame["score"], "share"
        if frame["truth"] is not None:
            yield "", "right", item, int(frame["truth"] == frame["label"]), ""


_FACTS: Final = {
    "convert": _conversion,
    "evaluate": _evaluation,
    "benchmark": _benchmark,
    "predict": _prediction,
    "demo": _demo,
    "sensitivity": _sensitivity,
}


def _text(value: str) -> str:
    return f"'{value}" if value.startswith(_FORMULA) else value
