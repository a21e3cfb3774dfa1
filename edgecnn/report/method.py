"""How a result was measured, and what it does not tell: terms and their values for the end of a section."""

from collections.abc import Sequence
from typing import Any, Final

from edgecnn.report import comparison as c
from edgecnn.report import numbers as n

Fact = tuple[str, str]
_CORRUPTIONS: Final = "after Hendrycks and Dietterich (2019), and those of a camera"
_MCE: Final = (
    "of each corruption the errors of all severities, as a share of the first model's; then the mean of these. "
    "The relative one takes what is lost from clean images on"
)
_INTERVALS: Final = "95 %: Wilson's; of a loss Agresti and Min's for pairs, each image counting once"
_SKIPPED: Final = 20  # images named that could not be read
_CAMERA_STAGES: Final = {
    "Reading a frame, median": "read_ms",
    "Preprocessing, median": "preprocess_ms",
    "Inference, median": "invoke_ms",
    "Postprocessing, median": "postprocess_ms",
}
_WORDS: Final = {
    "cpu": "CPU",
    "memory_mb": "Memory, MB",
    "clock_mhz": "Clock, MHz",
    "temperature_c": "Temperature, °C",
}


def conversion_facts(record: dict[str, Any]) -> list[Fact]:
    """Files, data, settings and machine of a conversion."""
    accuracy, parity = record["accuracy"], record["parity"]
    split = f" of the {accuracy['split']} split" if accuracy["split"] else ""
    facts: list[Fact] = [
        ("Model", record["model"]),
        ("Model, SHA-256", record["model_sha256"]),
        ("Output", record["output"]),
        ("Output, SHA-256", record["sha256"]),
        ("Quantization", f"{record['quantize']}, {record['io']} input and output"),
        ("Labels", n.count(record["labels"])),
        ("Preprocessing", record["preprocess_spec"]),
        ("Calibration", n.noun(record["calibration_samples"], "image") if record["calibration_samples"] else "none"),
        ("Measured on", f"{n.noun(accuracy['samples'], 'image')}{split}"),
    ]
    if record["sparsity"]:
        facts.append(("Weights that are 0", n.percent(record["sparsity"])))
    if parity:
        found = f"outputs differ by at most {parity['max_abs_difference']:.2g} on {n.noun(parity['samples'], 'image')}"
        facts.append(("Float .tflite against Keras", f"{found}; allowed is {parity['tolerance']:.2g}"))
    if record.get("benchmark"):
        runs, threads = record["benchmark"][1]["runs"], record["benchmark"][1]["threads"]
        facts.append(("Latency", f"{n.noun(runs, 'run')}, {n.noun(threads, 'thread')}"))
    return [*facts, *machine_facts(record.get("machine") or {}, record["versions"])]


def evaluation_facts(records: Sequence[dict[str, Any]]) -> list[Fact]:
    """Data and hashes of evaluated models."""
    facts = []
    for record in records:
        name = n.file_name(record["model"])
        split = f", {record['split']} split" if record["split"] else ""
        facts.append((name, f"{n.noun(record['samples'], 'image')} of {record['data']}{split}"))
        facts.append((f"{name}, SHA-256", record["sha256"]))
        if record.get("preprocess"):
            facts.append(
                (f"{name}, preprocessing", f"{record['preprocess']['source']}: {record['preprocess']['detail']}")
            )
        facts += [(f"{name}, note", note) for note in record.get("notes", [])]
    return facts


def comparison_facts(record: dict[str, Any]) -> list[Fact]:
    """Files, data and preprocessing of two compared models."""
    split = f", {record['split']} split" if record["split"] else ""
    facts: list[Fact] = [("Measured on", f"{n.noun(record['samples'], 'image')} of {record['data']}{split}")]
    for number, side in (("First", "float"), ("Second", "quantized")):
        model, choice = record[side], (record.get("preprocess") or {}).get(side)
        facts += [(f"{number} model", model["model"]), (f"{number} model, SHA-256", model["sha256"])]
        if choice:
            facts.append((f"{number} model, preprocessing", f"{choice['source']}: {choice['detail']}"))
    if record["mcnemar"]:
        facts.append(("McNemar's test", record["mcnemar"]["method"]))
    facts += [("Note", note) for note in record.get("notes", [])]
    return [*facts, *_skipped(record)]


def _skipped(record: dict[str, Any]) -> list[Fact]:
    skipped = record.get("skipped_images", [])
    facts = [("Could not be read", f"{item['image']}: {item['reason']}") for item in skipped[:_SKIPPED]]
    return [*facts, *([("", f"and {len(skipped) - _SKIPPED} more")] if len(skipped) > _SKIPPED else [])]


def benchmark_facts(records: Sequence[dict[str, Any]]) -> list[Fact]:
    """Hashes of timed models and what they ran on; the machine once where it is the same."""
    facts: list[Fact] = []
    for record in records:
        name, warmup = n.file_name(record["model"]), record.get("warmup")
        facts.append((f"{name}, SHA-256", record["sha256"]))
        if record.get("input"):
            facts.append((f"{name}, input", record["input"]))
        if warmup:
            state = "until it was steady" if warmup["steady"] else "but it was not steady yet"
            facts.append(
                (
                    f"{name}, {n.noun(record['threads'], 'thread')}",
                    f"{n.noun(warmup['runs'], 'run')} of warm-up, {state}",
                )
            )
    seen: list[list[Fact]] = []
    for record in records:
        machine = machine_facts(record["machine"], record["versions"])
        if machine not in seen:
            seen.append(machine)
            facts += machine
    return list(dict.fromkeys(facts))


def training_facts(record: dict[str, Any]) -> list[Fact]:
    """File, data, options and machine of a training."""
    return [
        ("Model", record["model"]),
        ("Model, SHA-256", record["sha256"]),
        ("File size", n.size_exact(record["size_bytes"])),
        ("Architecture", f"{record['arch']}, {n.noun(record['parameters'], 'parameter')}"),
        ("Preprocessing", record["preprocess_spec"]),
        ("Pictures", n.plain(record["pictures"])),
        *(
            (key.replace("_", " ").capitalize(), n.plain(value))
            for key, value in record["options"].items()
            if value is not None
        ),
        ("Device", record["device"]),
        ("Time", n.seconds(record["seconds"])),
        ("Logs", record["logs"]),
        *([("Versions", n.plain(record["versions"]))] if record["versions"] else []),
    ]


def camera_facts(record: dict[str, Any]) -> list[Fact]:
    """Source, counts and state of the board."""
    facts = [
        ("Source", record.get("source")),
        ("Model", record.get("model")),
        ("Threads", n.count(record["threads"])),
        ("Frames", f"{n.count(record['frames'])} in {n.seconds(record['seconds'])}"),
        ("Dropped", n.noun(record["dropped"], "frame")),
        ("Could not be decoded", n.noun(record["skipped"], "frame")),
        ("Reconnects", n.count(record["reconnects"])),
        *((name, n.milliseconds(record["stages"][key])) for name, key in _CAMERA_STAGES.items()),
        ("Temperature, °C", None if record["temperature_c"] is None else n.decimal(record["temperature_c"], 1)),
        ("Highest temperature, °C", None if record["hottest_c"] is None else n.decimal(record["hottest_c"], 1)),
        ("Slowed down", None if record["throttled"] is None else n.plain(record["throttled"] or "no")),
        ("Drift watch", None if "drift" not in record else _drift_words(record["drift"])),
        ("Uncertain pictures saved", None if "saved" not in record else n.count(record["saved"])),
        ("Left out of the recording", None if "left_out" not in record else n.noun(record["left_out"], "picture")),
    ]
    return [(term, value) for term, value in facts if value]


def _drift_words(drift: dict[str, Any] | None) -> str:
    if drift is None:
        return "none"
    return f"{n.noun(drift['begun'], 'drift')}, {drift['now'] or 'none'} at the end"


def sensitivity_facts(record: dict[str, Any]) -> list[Fact]:
    """Data and preprocessing of a sensitivity analysis."""
    split = f", {record['split']} split" if record["split"] else ""
    facts = [
        ("Model", record["model"]),
        ("Measured on", f"{n.noun(record['samples'], 'image')} of {record['data']}{split}"),
        ("Calibration", n.noun(record["calibration_samples"], "image")),
    ]
    if record["float_top1"] is not None:
        facts.append(("Top-1 of the float model", n.percent(record["float_top1"], 2)))
    if record.get("preprocess"):
        facts.append(("Preprocessing", f"{record['preprocess']['source']}: {record['preprocess']['detail']}"))
    return facts


def robustness_facts(record: dict[str, Any]) -> list[Fact]:
    """Models, pictures and methods of a trial of robustness."""
    facts: list[Fact] = []
    for item in record["models"]:
        name = n.file_name(item["model"])
        facts += [(name, item["kind"]), (f"{name}, SHA-256", item["sha256"])]
        if item.get("preprocess"):
            facts.append((f"{name}, preprocessing", item["preprocess"]["detail"]))
    split = f", {record['split']} split" if record["split"] else ""
    facts.append(("Measured on", f"{n.noun(record['samples'], 'image')} of {record['data']}{split}"))
    if record["corruptions"]:
        size = f", in {record['size'][0]}x{record['size'][1]}" if record.get("size") else ""
        facts.append(("Corruptions", f"{_CORRUPTIONS}{size}; the same random numbers at every severity"))
        facts.append(("mCE", _MCE))
    for item in record["attacks"]:
        more = "random start, " if item["steps"] > 1 else ""
        words = f"{more}{n.noun(item['steps'], 'step')}, {item['norm']} of {item['epsilon']:.4g}, in whole levels"
        facts.append((item["name"].upper(), f"{words}; crafted on {item['crafted_on']}"))
    if patch := record["patch"]:
        aim = f"to be taken for {patch['aim']}" if patch["aim"] else "away from the true class"
        where = f"trained {aim} on {n.noun(patch['trained_on'], 'image')} of {patch['trained_split']}"
        size = f"{patch['side']}x{patch['side']}"
        facts.append(("Patch", f"{size} pixels of the input of {patch['crafted_on']}, {where}; Brown et al. (2017)"))
    return [*facts, ("Intervals", _INTERVALS), ("Seed", n.count(record["seed"])), *_skipped(record)]


def machine_facts(machine: dict[str, Any], versions: dict[str, Any]) -> list[Fact]:
    """What is known of the machine, and the versions on one line."""
    facts = [
        (_WORDS.get(key, key.replace("_", " ").capitalize()), n.plain(value))
        for key, value in machine.items()
        if value is not None
    ]
    return [*facts, ("Versions", n.plain(versions))] if versions else facts


def clip_facts(record: dict[str, Any]) -> list[Fact]:
    """What a demo record tells of its clip and its run, whatever its keys; a summary in words is in the verdict."""
    facts = []
    for name in ("clip", "summary"):
        value = record.get(name)
        if isinstance(value, dict):
            facts += [(key.replace("_", " "), n.plain(item)) for key, item in value.items()]
        elif value is not None and not (name == "summary" and isinstance(value, str)):
            facts.append((name, n.plain(value)))
    return facts


def unknown(record: dict[str, Any]) -> list[str]:
    """What the record of a conversion does not tell, one sentence each."""
    accuracy, benchmarks = record["accuracy"], record.get("benchmark")
    cost = c.loss(record)
    found = []
    if cost is None:
        found.append("How accurate the models are: the data had no labels.")
    elif cost.noise is not None and cost.noise > 0.5:
        found.append(
            f"Changes of top-1 below {cost.noise:.1f} points: {n.noun(accuracy['samples'], 'image')} are too few."
        )
    if accuracy["split"] not in (None, "test"):
        found.append(f"Accuracy on a test split: it was measured on the {accuracy['split']} split.")
    if cost is not None and not record.get("evaluation"):
        found.append("Which classes suffered: no evaluation is in this record.")
    if not benchmarks:
        found.append("Latency and memory: no benchmark is in this record.")
    else:
        found.append("Latency on any other machine: it was measured on the one named here.")
        if None in [benchmark["peak_rss_mb"] for benchmark in benchmarks]:
            found.append("Peak memory: this machine could not measure it.")
    if record["parity"] is None:
        found.append("Whether the float .tflite computes what the Keras model does: it was not compared.")
    return found
