"""The sentence a report opens with, computed from the numbers.

It never flatters: a gain in accuracy is "keeps", a budget that was missed comes first, and a model that
is not smaller or not faster says so in capitals.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from edgecnn.report import comparison as c
from edgecnn.report import compression
from edgecnn.report import numbers as n

_KEPT: Final = 0.5  # points of top-1 that "keeps" may hide
_LARGE: Final = 5.0  # points that make a bad verdict without any budget
_SAME: Final = 0.05  # share by which two latencies must differ to be called different


@dataclass(frozen=True)
class Verdict:
    """The result in words.

    Attributes:
        level: "good", "warn", "bad", or "plain" where nothing was to be judged.
        headline: one sentence, or two.
        remarks: what a reader must know besides, one sentence each.
    """

    level: str
    headline: str
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Clause:
    verb: str
    rest: str
    level: str = "good"


def judge_conversion(record: dict[str, Any]) -> Verdict:
    """The verdict on one conversion: accuracy, size, speed, budget and the rung that kept it."""
    missed = c.budget_is_missed(record)
    clauses = [_accuracy(record), _size(record)]
    speed = _speed(record)
    if speed:
        clauses.append(speed)
    name = c.output_name(record)
    sentence = f"{name[0].upper() + name[1:] if ' ' in name else name} {_join(clauses)}."
    if not speed:
        sentence += " Its speed was not measured."
    sentence += _ladder(record, missed)
    remarks, alarms = _remarks(record), _alarms(record)
    levels = {clause.level for clause in clauses} | ({"bad"} if missed or alarms else set())
    level = next(level for level in ("bad", "warn", "plain", "good") if level in levels)
    if missed:
        sentence = f"BUDGET MISSED: {sentence}"
    return Verdict(level, sentence, (*alarms, *remarks))


def judge_evaluations(records: list[dict[str, Any]]) -> Verdict:
    """What one or several evaluated models score, and whether the order can be chance."""
    scored = [record for record in records if record["top1"] is not None]
    if not scored:
        return Verdict("plain", "No accuracy was measured: the data had no labels.")
    best = max(scored, key=lambda record: float(record["top1"]))
    bounds = c.top1_interval(best)
    known = f" (95{n.SPACE}% interval {c.interval_text(bounds)})" if bounds else ""
    headline = (
        f"{n.file_name(best['model'])} is right on {n.percent(best['top1'])} of "
        f"{n.noun(best['samples'], 'image')}{known}."
    )
    remarks = []
    if len(scored) > 1:
        headline = f"Best of {len(scored)} models: {headline}"
        if len({(record["data"], record["split"], record["samples"]) for record in scored}) > 1:
            remarks.append("The models were evaluated on different data: their accuracies cannot be compared.")
        elif _order_may_be_chance(scored):
            remarks.append("The intervals of the first two overlap: which of them is better may be chance.")
    skipped = sum(record["skipped"] for record in records)
    if skipped:
        remarks.append(f"{n.noun(skipped, 'image')} could not be read and {_was(skipped)} left out.")
    return Verdict("plain", headline, tuple(remarks))


def _order_may_be_chance(scored: list[dict[str, Any]]) -> bool:
    first, second = sorted(scored, key=lambda record: float(record["top1"]), reverse=True)[:2]
    upper, lower = c.top1_interval(first), c.top1_interval(second)
    return upper is not None and lower is not None and upper[0] <= lower[1]


def judge_benchmarks(records: list[dict[str, Any]]) -> Verdict:
    """Which model is fastest, and what was measured."""
    fastest = min(records, key=lambda record: float(record["p50_ms"]))
    slowest = max(records, key=lambda record: float(record["p50_ms"]))
    headline = (
        f"{n.file_name(fastest['model'])} takes {n.milliseconds(fastest['p50_ms'])} an inference "
        f"(median of {n.noun(fastest['runs'], 'run')}, {n.noun(fastest['threads'], 'thread')})."
    )
    factor = n.divide(slowest["p50_ms"], fastest["p50_ms"])
    if len(records) > 1 and factor and factor > 1 + _SAME:
        headline += f" {n.file_name(slowest['model'])} takes {n.ratio(factor)} as long."
    remarks: tuple[str, ...] = ()
    if len({n.plain(record["machine"].get("cpu")) for record in records}) > 1:
        remarks = ("The models were measured on different machines: their latencies cannot be compared.",)
    return Verdict("plain", headline, remarks)


def judge_sensitivity(record: dict[str, Any]) -> Verdict:
    """Which layer changes the answers most when it alone is int8, and whether accuracy tells."""
    layers = [layer for layer in record["layers"] if not layer["reason"]]
    left = len(record["layers"]) - len(layers)
    remarks = [f"{n.noun(left, 'layer')} cannot be quantized alone."] if left else []
    if not layers:
        return Verdict("plain", "No layer could be quantized alone.", tuple(remarks))
    images, worst = n.noun(record["samples"], "image"), layers[0]
    changed = max(0.0, 1 - worst["agreement"])
    top1 = "" if worst["top1_drop"] is None else f"; top-1 changes by {n.points(0 - worst['top1_drop'])}"
    cost = f"alone in int8 it changes the label of {n.percent(changed)} of {images}{top1}"
    headline = f"{worst['layer']} moves the probabilities most: {cost}."
    if all(layer["agreement"] >= 1 for layer in layers):
        headline = f"No layer alone changes a label on {images}; {worst['layer']} moves the probabilities most."
    if record["float_top1"] is None:
        remarks.append("The images had no labels: whether a changed label is a loss is not known.")
    else:
        told = sum(_is_beyond_chance(layer, record["samples"]) for layer in layers)
        remarks.append(
            f"For {n.count(told)} of {n.noun(len(layers), 'layer')} the change of top-1 is more than what chance "
            f"explains on {images} (95{n.SPACE}%)."
        )
    return Verdict("plain", headline, tuple(remarks))


def _is_beyond_chance(layer: dict[str, Any], samples: int) -> bool:
    spread = c.noise(layer["agreement"], samples)
    return layer["top1_drop"] is not None and spread is not None and abs(layer["top1_drop"]) > spread


def judge_clip(record: dict[str, Any]) -> Verdict:
    """How many frames of a clip were right, where their labels are known."""
    frames = record["frames"]
    known = [frame for frame in frames if frame["truth"] is not None]
    right = sum(frame["label"] == frame["truth"] for frame in known)
    headline = f"{n.noun(len(frames), 'frame')} here; the true labels are not known."
    if known:
        which = "" if len(known) == len(frames) else " with a known label"
        headline = f"{n.count(right)} of the {n.noun(len(known), 'frame')} here{which} got the right label."
    summary = record.get("summary")
    return Verdict("plain", headline, (summary,) if isinstance(summary, str) and summary else ())


def _accuracy(record: dict[str, Any]) -> _Clause:
    cost = c.loss(record)
    if cost is None:
        agreement = record["accuracy"]["agreement"]
        if agreement is None:
            return _Clause("has", "no measured accuracy", "plain")
        images = n.noun(record["accuracy"]["samples"], "image")
        return _Clause("gives", f"float's label on {n.percent(agreement)} of {images} without labels", "plain")
    before, after = n.percent(cost.before), n.percent(cost.after)
    if cost.points <= _KEPT:
        return _Clause("keeps", f"{after} top-1 (float {before})")
    lost = f"{cost.points:.1f}{n.SPACE}points of top-1 ({after}, float {before})"
    if c.allowed_loss(record) is not None and not c.budget_is_missed(record):
        return _Clause("loses", lost)
    return _Clause("LOSES" if cost.points > _LARGE else "loses", lost, "bad" if cost.points > _LARGE else "warn")


def _size(record: dict[str, Any]) -> _Clause:
    before, after = record["float_size_bytes"], record["size_bytes"]
    factor = n.divide(before, after)
    if not factor:
        return _Clause("has", "no measured size", "plain")
    if factor > 1.005:
        return _Clause("is", f"{n.ratio(factor)} smaller")
    if record["quantize"] == "float32" and factor > 0.995:
        return _Clause("is", "as large as float", "plain")
    return _Clause("is", f"NOT smaller ({n.ratio(n.divide(after, before))} float's size)", "warn")


def _speed(record: dict[str, Any]) -> _Clause | None:
    if not record.get("benchmark"):
        return None
    before, after = record["benchmark"]
    factor = n.divide(before["p50_ms"], after["p50_ms"])
    if not factor:
        return None
    if factor > 1 + _SAME:
        return _Clause("is", f"{n.ratio(factor)} faster on this machine")
    if factor < 1 / (1 + _SAME):
        return _Clause(
            "is",
            f"SLOWER than float on this machine ({n.ratio(n.divide(after['p50_ms'], before['p50_ms']))} its time)",
            "warn",
        )
    level = "plain" if record["quantize"] == "float32" else "warn"
    return _Clause("is", f"{'as fast as' if level == 'plain' else 'NOT faster than'} float on this machine", level)


def _ladder(record: dict[str, Any], missed: bool) -> str:
    """Which rung of the ladder kept the budget, or that none did; empty without a ladder."""
    ladder, rung = record.get("ladder"), compression.taken_rung(record)
    if not ladder or not rung:
        return ""
    name = compression.rung_name(rung)
    budget = f"the budget of {n.allowance(ladder['max_drop'])}"
    if not ladder["inside"]:
        least = (
            f" It loses at most {n.decimal(rung['drop']['high'])}, by its 95{n.SPACE}% interval."
            if rung["drop"]
            else ""
        )
        return f" No rung of the ladder kept {budget} for sure; “{name}” was taken.{least}"
    where = " where rungs are judged, but not here" if missed else ""
    return f" The rung “{name}” kept {budget}{where}."


def _join(clauses: list[_Clause]) -> str:
    words = [f"{clauses[0].verb} {clauses[0].rest}"]
    for previous, clause in pairwise(clauses):
        words.append(clause.rest if clause.verb == previous.verb else f"{clause.verb} {clause.rest}")
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _alarms(record: dict[str, Any]) -> list[str]:
    found = []
    cost, parity = c.loss(record), record["parity"]
    if cost:
        samples, chance = record["accuracy"]["samples"], _chance(record)
        bounds = c.interval(cost.before, samples)
        if bounds and chance and bounds[0] <= chance:
            found.append(
                f"On {n.noun(samples, 'image')} the float model itself cannot be told from guessing, which gets "
                f"{n.percent(chance)} right: check the preprocessing, the order of the labels and the data."
            )
    if parity and parity["max_abs_difference"] > parity["tolerance"]:
        found.append(
            f"The converted model computes something else than the Keras model: outputs differ by up to "
            f"{parity['max_abs_difference']:.2g}, allowed is {parity['tolerance']:.2g}."
        )
    return found


def _chance(record: dict[str, Any]) -> float | None:
    """What saying the most frequent label every time gets right; labels count as equally frequent where unknown."""
    if record["labels"] < 2:
        return None
    if not record.get("evaluation"):
        return n.divide(1, record["labels"])
    supports = [entry["support"] for entry in record["evaluation"]["float"]["per_class"]]
    return n.divide(max(supports, default=0), sum(supports))


def _remarks(record: dict[str, Any]) -> list[str]:
    found = []
    cost, allowed = c.loss(record), c.allowed_loss(record)
    if cost is None and record.get("ladder"):
        found.append("Without labels the ladder counts every label that changed as a loss.")
    elif allowed is not None and cost is None:
        found.append(f"The budget of {n.allowance(allowed)} could not be checked: the data had no labels.")
    elif allowed is not None and cost is not None:
        lost = f"The loss of top-1 is {cost.points:.2f} points" if cost.points > 0 else "No top-1 was lost"
        found.append(f"{lost}; the budget allows {n.allowance(allowed)}.")
    if cost and cost.noise is not None:
        beyond = abs(cost.points) > cost.noise
        found.append(
            f"On {n.noun(record['accuracy']['samples'], 'image')} the change of {n.points(-cost.points)} is "
            f"{'more than' if beyond else 'within'} what chance explains (±{cost.noise:.2f}, 95{n.SPACE}%)."
        )
    whole = _frame_to_label(record)
    if whole:
        found.append(whole)
    kept = record["layers_kept_float"]
    if kept:
        found.append(f"{n.noun(len(kept), 'layer')} {_was(len(kept))} kept in float to hold the accuracy.")
    return found


def _frame_to_label(record: dict[str, Any]) -> str | None:
    """The same latency with the work around the inference, which quantization does not make faster."""
    if not record.get("benchmark"):
        return None
    before, after = (c.frame_to_label(benchmark) for benchmark in record["benchmark"])
    if before is None or after is None:
        return None
    return (
        f"From a frame to its label, preprocessing included, it takes {n.milliseconds(after)} "
        f"instead of {n.milliseconds(before)} ({n.change(before, after, 'faster', 'slower')})."
    )


def _was(number: int) -> str:
    return "was" if number == 1 else "were"
