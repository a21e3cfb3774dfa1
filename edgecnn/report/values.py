"""Every number of a record with its unit, for formats in which one row is one number."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from edgecnn.report import comparison as c
from edgecnn.report.shapes.benchmark import STAGES

# (side, metric, item, value, unit); what was not measured has the value None
Value = tuple[str, str, str, Any, str]

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
_SHARES: Final = ("precision", "recall", "f1")
_WINDOW: Final = {"runs": "runs", "p50_ms": "ms", "p99_ms": "ms", "temperature_c": "°C", "clock_mhz": "MHz"}
_EPOCH: Final = {
    "loss": "",
    "accuracy": "share",
    "val_loss": "",
    "val_accuracy": "share",
    "learning_rate": "",
    "seconds": "s",
}
_CONFIDENCE: Final = {
    "temperature": "",
    "unknown_below": "share",
    "kept_right": "share",
    "samples": "images",
    "ece_before": "share",
    "ece_after": "share",
}
_CAMERA: Final = {
    "frames": "frames",
    "fps": "frames/s",
    "seconds": "s",
    "p50_ms": "ms",
    "p90_ms": "ms",
    "age_p50_ms": "ms",
    "age_p90_ms": "ms",
    "dropped": "frames",
    "skipped": "frames",
    "reconnects": "",
    "threads": "",
    "temperature_c": "°C",
    "hottest_c": "°C",
    "saved": "images",
    "left_out": "images",
}


def values_of(kind: str, record: dict[str, Any]) -> Iterator[Value]:
    """Every number of a record of a kind that `schema.SCHEMAS` names."""
    yield from _VALUES[kind](record)


def _conversion(record: dict[str, Any]) -> Iterator[Value]:
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
            if metric not in ("size_bytes", "macs", "top1"):
                yield side, metric, item, value, unit
    for metric, unit in _CONFIDENCE.items():
        yield "output", f"confidence_{metric}", "", (record.get("confidence") or {}).get(metric), unit
    for layer in (record.get("architecture") or {"layers": []})["layers"]:
        for metric in ("parameters", "macs"):
            yield "output", f"layer_{metric}", layer["name"], layer[metric], ""
    for step in record["steps"]:
        yield "", "step_seconds", step["name"], step["seconds"], "s"
    for candidate in record["preprocess_choice"]["candidates"]:
        yield "", "preprocess_accuracy", candidate["spec"], candidate["accuracy"], "share"
    yield from _compression(record)


def _compression(record: dict[str, Any]) -> Iterator[Value]:
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


def _rung(rung: dict[str, Any], item: str, *, is_taken: bool) -> Iterator[Value]:
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


def _layers(layers: Sequence[dict[str, Any]]) -> Iterator[Value]:
    for layer in layers:
        if not layer["reason"]:
            yield "", "layer_top1_drop_pp", layer["layer"], layer["top1_drop"], "points"
            for metric, unit in _DAMAGES.items():
                yield "", f"layer_{metric.removeprefix('layer_')}", layer["layer"], layer[metric], unit


def _sensitivity(record: dict[str, Any]) -> Iterator[Value]:
    yield "", "samples", "", record["samples"], "images"
    yield "", "calibration_samples", "", record["calibration_samples"], "images"
    yield "float", "top1", "", record["float_top1"], "share"
    yield from _layers(record["layers"])


def _evaluation(record: dict[str, Any]) -> Iterator[Value]:
    yield "", "samples", "", record["samples"], "images"
    yield "", "skipped", "", record["skipped"], "images"
    for metric in ("top1", "top5", *_SHARES):
        yield "", metric, "", record[metric], "share"
    intervals, averages = record.get("intervals") or {}, record.get("averages") or {}
    yield from _interval("top1_ci95", record["top1_ci95"], "share")
    for metric in (*_SHARES, "ece"):
        yield from _interval(f"{metric}_ci95", intervals.get(metric), "share")
    for average in ("macro", "weighted"):
        for metric in _SHARES:
            yield "", f"{metric}_{average}", "", averages.get(average, {}).get(metric), "share"
    for metric in ("roc_auc", "average_precision"):
        yield "", metric, "", record.get(metric), "share"
    calibration = record.get("calibration") or {"bins": []}
    for metric, unit in (("ece", "share"), ("mce", "share"), ("brier", ""), ("nll", "nats")):
        yield "", metric, "", calibration.get(metric), unit
    for entry in calibration["bins"]:
        item = f"{entry['low']:.4g} to {entry['high']:.4g}"
        yield "", "bin_count", item, entry["count"], "images"
        for metric in ("confidence", "accuracy"):
            yield "", f"bin_{metric}", item, entry[metric], "share"
    for curve, x, y in (("roc", "fpr", "tpr"), ("pr", "recall", "precision")):
        for place, point in enumerate((record.get("curves") or {}).get(curve, []), 1):
            yield "", f"{curve}_{x}", f"point {place}", point[0], "share"
            yield "", f"{curve}_{y}", f"point {place}", point[1], "share"
    yield "", "images_per_second", "", record["images_per_second"], "images/s"
    for entry in record["per_class"]:
        for metric in (*_SHARES, "roc_auc", "average_precision"):
            yield "", f"class_{metric}", entry["label"], entry.get(metric), "share"
        yield "", "class_support", entry["label"], entry["support"], "images"
    for true, row in zip(record["labels"], record["confusion"], strict=True):
        for predicted, number in zip(record["labels"], row, strict=True):
            if number:
                yield "", "confusion", f"{true} -> {predicted}", number, "images"


def _interval(metric: str, bounds: Sequence[float] | None, unit: str, side: str = "") -> Iterator[Value]:
    low, high = bounds or (None, None)
    yield side, f"{metric}_low", "", low, unit
    yield side, f"{metric}_high", "", high, unit


def _comparison(record: dict[str, Any]) -> Iterator[Value]:
    for side in ("float", "quantized"):
        yield side, "size_bytes", "", record[side]["size_bytes"], "B"
        yield side, "top1", "", record[f"{side}_top1"], "share"
        yield from _interval("top1_ci95", record[f"{side}_ci95"], "share", side)
    yield "", "samples", "", record["samples"], "images"
    yield "", "skipped", "", record["skipped"], "images"
    yield "", "agreement", "", record["agreement"], "share"
    yield "", "drop_pp", "", record["drop_pp"], "points"
    yield from _interval("drop_ci95", record["drop_ci95"], "points")
    yield "", "max_drop", "", record["max_drop"], "points"
    yield "", "within_budget", "", int(record["within_budget"]), ""
    test = record["mcnemar"] or {}
    for metric in ("both_right", "only_float", "only_quantized", "both_wrong", "p_value"):
        yield "", f"mcnemar_{metric}", "", test.get(metric), "" if metric == "p_value" else "images"
    for flip in record["flips"]:
        for side in ("float", "quantized"):
            yield side, "flip_score", f"{flip['image']}: {flip[side]['label']}", flip[side]["score"], "share"
    for entry in record["per_class"]:
        for side in ("float", "quantized"):
            for metric in ("recall", "f1"):
                yield side, f"class_{metric}", entry["label"], entry[f"{side}_{metric}"], "share"
        yield "", "class_recall_change_pp", entry["label"], entry["recall_change_pp"], "points"
        yield "", "class_support", entry["label"], entry["support"], "images"
        yield "", "class_flips", entry["label"], entry["flips"], "images"
    for metric in ("mean_abs", "p99_abs", "max_abs", "mean"):
        yield "", f"drift_{metric}", "", (record["drift"] or {}).get(metric), "share"
    for low, number in (record["drift"] or {}).get("histogram", []):
        yield "", "drift_count", f"from {low:.6g}", number, "images"


def _benchmark(record: dict[str, Any]) -> Iterator[Value]:
    yield "", "size_bytes", "", record["size_bytes"], "B"
    yield "", "threads", "", record["threads"], ""
    yield "", "runs", "", record["runs"], ""
    for metric in _LATENCIES:
        yield "", metric, "", record[metric], "ms"
    for metric in STAGES:
        yield "", metric, "", record["stages"][metric], "ms"
    yield "", "peak_rss_mb", "", record["peak_rss_mb"], "MB"
    yield "", "macs", "", record.get("macs"), ""
    yield "", "gmacs_per_s", "", record.get("gmacs_per_s"), "GMAC/s"
    peak, ratio = record.get("peak") or {}, record.get("ratio") or {"ci95": None}
    yield "", "peak_gmacs_per_s", "", peak.get("gmacs_per_s"), "GMAC/s"
    yield "", "peak_share", "", peak.get("share"), "share"
    yield "", "ratio", "", ratio.get("value"), ""
    yield from _interval("ratio_ci95", ratio["ci95"], "")
    yield "", "top1", "", record.get("top1"), "share"
    for low, number in record.get("histogram") or []:
        yield "", "histogram_count", f"from {low:.6g} ms", number, "runs"
    for operator in (record.get("profile") or {"operators": []})["operators"]:
        item = f"{operator['index']} {operator['op']} {operator['name']}"
        yield "", "operator_ms", item, operator["ms"], "ms"
        yield "", "operator_share", item, operator["share"], "share"
        yield "", "operator_macs", item, operator["macs"], ""
    for window in record.get("sustained") or []:
        item = f"second {window['seconds']:.6g}"
        for metric, unit in _WINDOW.items():
            yield "", f"sustained_{metric}", item, window[metric], unit
    for rule in record.get("gate") or []:
        yield "", "gate_baseline", rule["rule"], rule["baseline"], ""
        yield "", "gate_value", rule["rule"], rule["value"], ""
        yield "", "gate_passed", rule["rule"], int(rule["passed"]), ""


def _training(record: dict[str, Any]) -> Iterator[Value]:
    yield "", "size_bytes", "", record["size_bytes"], "B"
    yield "", "parameters", "", record["parameters"], ""
    yield "", "epochs", "", record["epochs"], ""
    yield "", "kept_epoch", "", record["kept_epoch"], ""
    yield "", "seconds", "", record["seconds"], "s"
    for split, number in record["pictures"].items():
        yield "", "pictures", split, number, "images"
    for epoch in record["history"]:
        item = f"epoch {epoch['epoch']}"
        for metric, unit in _EPOCH.items():
            yield "", f"epoch_{metric}", item, epoch[metric], unit
    yield from _evaluation(record["evaluation"])


def _camera(record: dict[str, Any]) -> Iterator[Value]:
    for metric, unit in _CAMERA.items():
        yield "", metric, "", record.get(metric), unit
    for metric in ("read_ms", *STAGES):
        yield "", metric, "", record["stages"][metric], "ms"
    for label, number in record["labels"].items():
        yield "", "label_frames", label, number, "frames"


def _explanation(record: dict[str, Any]) -> Iterator[Value]:
    for name, side in (("", record), ("against", record["against"] or {})):
        for metric, unit in (("score", "share"), ("mass", "share"), ("seconds", "s")):
            yield name, metric, record["label"], side.get(metric), unit
    for metric in ("correlation", "rank_correlation"):
        yield "", metric, record["label"], (record["against"] or {}).get(metric), ""


def _robustness(record: dict[str, Any]) -> Iterator[Value]:
    for key, unit in (("clean", "share"), ("mce", ""), ("relative_mce", "")):
        for name, value in zip(record["names"], record[key], strict=False):
            yield name, {"clean": "top1"}.get(key, key), "", value, unit
    for item in record["corruptions"]:
        for name, row in zip(record["names"], item["top1"], strict=False):
            for severity, share in zip(item["severities"], row, strict=False):
                yield name, "top1", f"{item['name']} {severity}", share, "share"
    for attack in [*record["attacks"], *([record["patch"] | {"name": "patch"}] if record["patch"] else [])]:
        for key in ("top1", "noise_top1", "hits"):
            for name, share in zip(record["names"], attack.get(key) or (), strict=False):
                yield name, key, attack["name"], share, "share"
    for item in record["extra"]:
        name = record["names"][item["model"]] if item["model"] < len(record["names"]) else ""
        yield name, "extra_loss_pp", item["condition"], item["points"], "points"
        for _, metric, _, value, unit in _interval("extra_loss_pp", item["ci95"], "points"):
            yield name, metric, item["condition"], value, unit
    yield "", "samples", "", record["samples"], "images"
    yield "", "skipped", "", record["skipped"], "images"


def _prediction(record: dict[str, Any]) -> Iterator[Value]:
    for prediction in record["predictions"]:
        yield "", "score", prediction["label"], prediction["score"], "share"
    yield "", "latency_ms", "", record["latency_ms"], "ms"


def _demo(record: dict[str, Any]) -> Iterator[Value]:
    for frame in record["frames"]:
        item = f"frame {frame['frame']}: {frame['label']}"
        yield "", "score", item, frame["score"], "share"
        if frame["truth"] is not None:
            yield "", "right", item, int(frame["truth"] == frame["label"]), ""


def _inspection(record: dict[str, Any]) -> Iterator[Value]:
    for metric, unit in (("size_bytes", "B"), ("parameters", ""), ("macs", ""), ("sparsity", "share")):
        yield "", metric, "", record.get(metric), unit
    for name, count in record["ops"].items():
        yield "", "operators", name, count, ""


def _installation(record: dict[str, Any]) -> Iterator[Value]:
    yield "", "works", "", int(record["runtime"]["works"]), ""
    for item in record["packages"]:
        yield "", "installed", item["package"], int(item["version"] is not None), ""


_VALUES: Final = {
    "convert": _conversion,
    "evaluate": _evaluation,
    "compare": _comparison,
    "benchmark": _benchmark,
    "train": _training,
    "explain": _explanation,
    "robustness": _robustness,
    "camera": _camera,
    "predict": _prediction,
    "demo": _demo,
    "sensitivity": _sensitivity,
    "inspect": _inspection,
    "doctor": _installation,
}
