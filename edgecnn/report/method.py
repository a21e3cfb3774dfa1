"""How a result was measured, and what it does not tell: terms and their values for the end of a section."""

from collections.abc import Sequence
from typing import Any, Final

from edgecnn.report import comparison as c
from edgecnn.report import numbers as n

Fact = tuple[str, str]
_WORDS: Final = {"cpu": "CPU"}


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


def benchmark_facts(records: Sequence[dict[str, Any]]) -> list[Fact]:
    """Hashes of timed models; the machine once where it is the same."""
    facts = [(f"{n.file_name(record['model'])}, SHA-256", record["sha256"]) for record in records]
    seen: list[list[Fact]] = []
    for record in records:
        machine = machine_facts(record["machine"], record["versions"])
        if machine not in seen:
            seen.append(machine)
            facts += machine
    return list(dict.fromkeys(facts))


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
