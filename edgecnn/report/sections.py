"""What each section of the page shows: results become plain values that the templates lay out."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from edgecnn.report import charts, classes, compression, method, verdict
from edgecnn.report import comparison as c
from edgecnn.report import numbers as n
from edgecnn.report.schema import kind_of

_PICTURES: Final = 48  # of a gallery; more make the page heavy and nobody looks at them
_STAGES: Final = ("preprocess_ms", "invoke_ms", "postprocess_ms")

View = dict[str, Any]


def sections(records: Sequence[dict[str, Any]]) -> list[View]:
    """One section a conversion, sensitivity analysis or demo, one for all evaluations, benchmarks or predictions."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        kinds.setdefault(kind_of(record), []).append(record)
    found = [conversion(record) for record in kinds.get("convert", [])]
    found += [sensitivity(record) for record in kinds.get("sensitivity", [])]
    found += [evaluations(kinds["evaluate"])] if "evaluate" in kinds else []
    found += [benchmarks(kinds["benchmark"])] if "benchmark" in kinds else []
    found += [predictions(kinds["predict"])] if "predict" in kinds else []
    found += [demo(record) for record in kinds.get("demo", [])]
    return [view | {"id": f"part{number}"} for number, view in enumerate(found, 1)]


def conversion(record: dict[str, Any]) -> View:
    """Float against output."""
    name = c.short_name(record)
    return {
        "kind": "convert",
        "title": f"{n.file_name(record['model'])} → {name}",
        "subtitle": _subtitle(record),
        "verdict": verdict.judge_conversion(record),
        "tiles": _tiles(record, name),
        "name": name,
        "rows": c.rows(record),
        "legend": " ".join(_legend(record)),
        "charts": _conversion_charts(record, name),
        "compression": _compression(record),
        "ladder": _ladder(record),
        "layers": _layers(compression.layers_of(record)),
        **_class_views(record.get("evaluation") or {}, name),
        "examples": _examples(record, name),
        "choice": _choice(record["preprocess_choice"], record["preprocess_spec"]),
        "spec": record["preprocess_spec"],
        "calibration": _calibration(record),
        "steps": _steps(record["steps"]),
        "total": n.seconds(sum(step["seconds"] for step in record["steps"])),
        "kept": record["layers_kept_float"],
        "notes": record["notes"],
        "method": method.conversion_facts(record),
        "unknown": method.unknown(record),
    }


def sensitivity(record: dict[str, Any]) -> View:
    """What each layer's quantization costs."""
    return {
        "kind": "sensitivity",
        "title": f"Layers of {n.file_name(record['model'])}",
        "subtitle": f"{n.noun(record['samples'], 'image')} of {record['data']}",
        "verdict": verdict.judge_sensitivity(record),
        "layers": _layers(compression.layers_of(record)),
        "method": method.sensitivity_facts(record),
    }


def evaluations(records: list[dict[str, Any]]) -> View:
    """One or several models on labelled data."""
    scored = [record for record in records if record["top1"] is not None]
    names = _names(records)
    dots = [
        (name, record["top1"], c.top1_interval(record), "output")
        for name, record in zip(names, records, strict=True)
        if record["top1"] is not None
    ]
    return {
        "kind": "evaluate",
        "title": "Evaluation" if len(records) > 1 else f"Evaluation of {names[0]}",
        "subtitle": "",
        "verdict": verdict.judge_evaluations(records),
        "method": method.evaluation_facts(records),
        "chart": charts.dot_chart("Top-1 accuracy, 95 % interval", dots) if scored else None,
        "models": [
            {"name": name, "record": record, **_class_views({"output": record}, name)}
            for name, record in zip(names, records, strict=True)
        ],
        "intervals": [c.interval_text(c.top1_interval(record)) for record in records],
    }


def benchmarks(records: list[dict[str, Any]]) -> View:
    """Latency of one or several models."""
    names = _names(records)
    pairs = list(zip(names, records, strict=True))
    return {
        "kind": "benchmark",
        "title": "Benchmark" if len(records) > 1 else f"Benchmark of {names[0]}",
        "subtitle": "",
        "verdict": verdict.judge_benchmarks(records),
        "charts": _latency_charts(pairs, ["output"] * len(pairs)),
        "records": records,
        "totals": [c.frame_to_label(record) for record in records],
        "histograms": [chart for name, record in pairs if (chart := charts.histogram(name, record))],
        "method": method.benchmark_facts(records),
    }


def predictions(records: list[dict[str, Any]]) -> View:
    """Pictures with their labels."""
    return {
        "kind": "predict",
        "title": "Predictions",
        "subtitle": n.noun(len(records), "image"),
        "verdict": None,
        "images": [
            {
                "name": n.file_name(record["image"]),
                "thumbnail": record.get("thumbnail"),
                "latency": n.milliseconds(record["latency_ms"]),
                "chart": charts.bar_chart(
                    f"Scores of {n.file_name(record['image'])}",
                    [
                        (item["label"], item["score"], n.percent(item["score"]), "plain")
                        for item in record["predictions"]
                    ],
                    top=1.0,
                ),
            }
            for record in records
        ],
    }


def demo(record: dict[str, Any]) -> View:
    """A clip, frame by frame."""
    frames = record["frames"]
    shown = spread([frame for frame in frames if frame["thumbnail"]], _PICTURES)
    return {
        "kind": "demo",
        "title": "Clip, frame by frame",
        "subtitle": "",
        "verdict": verdict.judge_clip(record),
        "timeline": charts.timeline(frames),
        "frames": [frame | _mark_frame(frame) for frame in shown],
        "shown": "" if len(shown) == len(frames) else f"{len(shown)} of {len(frames)} frames, evenly spaced.",
        "facts": method.clip_facts(record),
    }


def spread(items: list[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    """At most `limit` items, evenly spaced, the first and the last among them."""
    if len(items) <= limit:
        return items
    return [items[round(index * (len(items) - 1) / (limit - 1))] for index in range(limit)]


def _subtitle(record: dict[str, Any]) -> str:
    samples, split = record["accuracy"]["samples"], record["accuracy"]["split"]
    data = f"{n.noun(samples, 'image')}{f' of the {split} split' if split else ''}" if samples else "no images"
    return f"{n.file_name(record['output'])} · {record['io']} input and output · {data}"


def _tiles(record: dict[str, Any], name: str) -> list[View]:
    """The few figures to remember."""
    tiles = []
    cost = c.loss(record)
    if cost:
        notes = [f"float {n.percent(cost.before)}", n.points(-cost.points)]
        tiles.append({"label": f"Top-1, {name}", "value": n.percent(cost.after), "notes": notes})
    agreement = record["accuracy"]["agreement"]
    if agreement is not None:
        tiles.append(
            {"label": "Agreement", "value": n.percent(agreement), "notes": ["of labels are the", "same as float's"]}
        )
    sizes = (record["float_size_bytes"], record["size_bytes"])
    notes = [f"float {n.size(sizes[0])}", n.change(*sizes, "smaller", "larger")]
    tiles.append({"label": "File size", "value": n.size(sizes[1]), "notes": notes})
    if record.get("benchmark"):
        before, after = (benchmark["p50_ms"] for benchmark in record["benchmark"])
        notes = [f"float {n.milliseconds(before)}", n.change(before, after, "faster", "slower")]
        tiles.append({"label": "Inference, median", "value": n.milliseconds(after), "notes": notes})
    allowed = c.allowed_loss(record)
    if allowed is not None:
        unchecked = cost is None and not record.get("ladder")
        value = "missed" if c.budget_is_missed(record) else "not checked" if unchecked else "met"
        notes = [f"{n.allowance(allowed)} of top-1", "may be lost"]
        tiles.append({"label": "Budget", "value": value, "notes": notes})
    return tiles


def _legend(record: dict[str, Any]) -> Iterator[str]:
    """What the comparison table needs to be understood."""
    if c.loss(record):
        yield "Small figures are 95 % intervals; a change of accuracy is coloured when chance does not explain it."
    if record.get("benchmark"):
        yield "Frame to label is the sum of the medians of preprocessing, inference and postprocessing."


def _steps(steps: list[dict[str, Any]]) -> list[View]:
    longest = max((step["seconds"] for step in steps), default=0.0) or 1.0
    return [step | {"fraction": step["seconds"] / longest} for step in steps]


def _conversion_charts(record: dict[str, Any], name: str) -> list[Any]:
    sizes = (("float", record["float_size_bytes"], "float"), (name, record["size_bytes"], "output"))
    found: list[Any] = [
        charts.bar_chart("File size", [(label, size, n.size(size), role) for label, size, role in sizes])
    ]
    if record.get("benchmark"):
        pairs = list(zip(("float", name), record["benchmark"], strict=True))
        found += _latency_charts(pairs, ["float", "output"])
    cost = c.loss(record)
    if cost:
        bounds = c.intervals(record)
        dots = [("float", cost.before, bounds["float"], "float"), (name, cost.after, bounds["output"], "output")]
        found.append(charts.dot_chart("Top-1 accuracy, 95 % interval", dots))
    return found


def _latency_charts(pairs: list[tuple[str, dict[str, Any]]], roles: list[str]) -> list[Any]:
    bars = [
        (name, record["p50_ms"], n.milliseconds(record["p50_ms"]), role)
        for (name, record), role in zip(pairs, roles, strict=True)
    ]
    reaches = [record["p90_ms"] for _, record in pairs]
    found: list[Any] = [charts.bar_chart("Inference: median, line to p90", bars, reaches=reaches)]
    stages = [(name, [record["stages"][key] for key in _STAGES]) for name, record in pairs]
    known = [(name, parts) for name, parts in stages if None not in parts]
    return [*found, charts.stage_chart("Frame to label, medians", known)] if known else found


def _class_views(evaluation: dict[str, dict[str, Any]], name: str) -> View:
    """Confusion matrices, the worst confusions and F1 a class; empty where nothing was evaluated."""
    before, after = evaluation.get("float"), evaluation.get("output")
    if after is None:
        return {"heats": [], "worst": [], "classes": None, "has_float": False}
    named = [("float", before)] if before else []
    return {
        "heats": classes.heat_maps([*named, (name, after)]),
        "worst": classes.confusions(before, after),
        "classes": classes.f1_chart(before["per_class"] if before else None, after["per_class"], name),
        "has_float": before is not None,
    }


def _examples(record: dict[str, Any], name: str) -> View:
    items = [(_mark(example, name), example) for example in (record.get("examples") or []) if example["thumbnail"]]
    items.sort(key=lambda item: item[0]["order"])
    flips = sum(mark["order"] < 3 for mark, _ in items)
    return {"shots": [example | mark for mark, example in items[:_PICTURES]], "flips": flips, "total": len(items)}


def _mark(example: dict[str, Any], name: str) -> View:
    """How the two models did on a picture, in a sign, a word and a place in the order."""
    truth, before, after = example["label"], example["float"]["label"], example["output"]["label"]
    if before != after:
        if truth is not None and before == truth:
            return {"mark": "broken", "sign": "▼", "word": f"broken by {name}", "order": 0}
        if truth is not None and after == truth:
            return {"mark": "fixed", "sign": "▲", "word": f"corrected by {name}", "order": 1}
        return {"mark": "differs", "sign": "≠", "word": "both wrong" if truth is not None else "differs", "order": 2}
    if truth is None:
        return {"mark": "same", "sign": "=", "word": "same label", "order": 4}
    if after == truth:
        return {"mark": "same", "sign": "✓", "word": "both right", "order": 4}
    return {"mark": "wrong", "sign": "✗", "word": "both wrong", "order": 3}


def _mark_frame(frame: dict[str, Any]) -> View:
    if frame["truth"] is None:
        return {"mark": "same", "sign": "", "word": ""}
    if frame["truth"] == frame["label"]:
        return {"mark": "same", "sign": "✓", "word": "right"}
    return {"mark": "broken", "sign": "✗", "word": "wrong"}


def _compression(record: dict[str, Any]) -> View | None:
    stages = compression.stage_table(record)
    if not stages:
        return None
    return {
        "stages": stages,
        "details": compression.stage_details(record),
        "gains": compression.gains(record),
        "figures": compression.gain_table(record),
    }


def _ladder(record: dict[str, Any]) -> View | None:
    table = compression.ladder_table(record)
    if not table:
        return None
    return {
        "table": table,
        "chart": compression.ladder_chart(record),
        "lead": compression.ladder_lead(record["ladder"]),
    }


def _layers(layers: list[dict[str, Any]]) -> View | None:
    table = compression.layer_table(layers)
    if not table:
        return None
    return {"table": table, "charts": compression.layer_charts(layers), "lead": compression.LAYERS_LEAD}


def _choice(choice: dict[str, Any], spec: str) -> View:
    bars = []
    for item in choice["candidates"]:
        role = "best" if item["spec"] == spec else "plain"
        bars.append((item["spec"], item["accuracy"] or 0.0, n.percent(item["accuracy"]), role))
    chart = charts.bar_chart("Accuracy of each candidate", bars, top=1.0) if bars else None
    return {"source": choice["source"], "detail": choice["detail"], "chart": chart}


def _calibration(record: dict[str, Any]) -> charts.BarChart | None:
    calibration = record["calibration"]
    if not calibration or not calibration["candidates"]:
        return None
    bars = []
    for item in calibration["candidates"]:
        chosen = all(calibration[key] == value for key, value in item.items() if key in calibration)
        value = item["divergence"]
        text = n.NONE if value is None else n.significant(value)
        bars.append((_candidate(item), max(0.0, value or 0.0), text, "best" if chosen else "plain"))
    return charts.bar_chart("Divergence from float by quantile of ranges; less is better", bars)


def _candidate(item: dict[str, Any]) -> str:
    quantile = item["range_quantile"]
    words = ["all" if quantile is None or quantile == 1 else f"{100 * quantile:g}{n.SPACE}%"]
    if item.get("weights") is not None:
        words.append(f"{item['weights']} weights")
    if item.get("bias_correction") is not None:
        words.append("biases corrected" if item["bias_correction"] else "biases as they are")
    return ", ".join(words)


def _names(records: list[dict[str, Any]]) -> list[str]:
    """File names; where they repeat, with the number of threads or the place in the list."""
    names = [n.file_name(record["model"]) for record in records]
    if len(set(names)) < len(names) and "threads" in records[0]:
        names = [f"{name}, {n.noun(item['threads'], 'thread')}" for name, item in zip(names, records, strict=True)]
    repeated = Counter(names)
    return [f"{name} ({place})" if repeated[name] > 1 else name for place, name in enumerate(names, 1)]
