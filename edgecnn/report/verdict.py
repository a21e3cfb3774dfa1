"""The sentence a report opens with, computed from the numbers.

It never flatters: a gain in accuracy is "keeps", a budget that was missed comes first, and a model that
is not smaller or not faster says so in capitals.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from edgecnn.report import comparison as c
from edgecnn.report import compression
from edgecnn.report import numbers as n
from edgecnn.report.blocks import Verdict

_KEPT: Final = 0.5  # points of top-1 that "keeps" may hide
_LARGE: Final = 5.0  # points that make a bad verdict without any budget
_SAME: Final = 0.05  # share by which two latencies must differ to be called different


@dataclass(frozen=True)
class Clause:
    """A part of a sentence, and how good its news is."""

    verb: str
    rest: str
    level: str = "good"


def judge_conversion(record: dict[str, Any]) -> Verdict:
    """The verdict on one conversion: accuracy, size, speed, budget and the rung that kept it."""
    missed = c.budget_is_missed(record)
    is_float = record["quantize"] == "float32"
    clauses = [_accuracy(record), size_clause(record["float_size_bytes"], record["size_bytes"], may_equal=is_float)]
    speed = None
    if record.get("benchmark"):
        before, after = record["benchmark"]
        speed = speed_clause(before["p50_ms"], after["p50_ms"], may_equal=is_float)
    name = c.output_name(record)
    words = sentence(name[0].upper() + name[1:] if " " in name else name, [*clauses, *([speed] if speed else [])])
    if not speed:
        words += " Its speed was not measured."
    words += _ladder(record, missed)
    remarks, alarms = _remarks(record), _alarms(record)
    levels = [clause.level for clause in (*clauses, speed) if clause] + (["bad"] if missed or alarms else [])
    if missed:
        words = f"BUDGET MISSED: {words}"
    return Verdict(worst(levels), words, (*alarms, *remarks))


def accuracy_clause(before: float, after: float, base: str = "float", *, is_allowed: bool = False) -> Clause:
    """What happened to top-1, from shares in [0, 1].

    Args:
        base: what the first model is called.
        is_allowed: a loss stays inside a budget.
    """
    shares, points = (n.percent(before), n.percent(after)), 100 * (before - after)
    if points <= _KEPT:
        return Clause("keeps", f"{shares[1]} top-1 ({base} {shares[0]})")
    lost = f"{points:.1f}{n.SPACE}points of top-1 ({shares[1]}, {base} {shares[0]})"
    if is_allowed:
        return Clause("loses", lost)
    return Clause("LOSES" if points > _LARGE else "loses", lost, "bad" if points > _LARGE else "warn")


def size_clause(before: int, after: int, base: str = "float", *, may_equal: bool = False) -> Clause:
    """What happened to the file, from bytes; `may_equal` where it was not meant to become smaller."""
    factor = n.divide(before, after)
    if not factor:
        return Clause("has", "no measured size", "plain")
    if factor > 1.005:
        return Clause("is", f"{n.ratio(factor)} smaller")
    if may_equal and factor > 0.995:
        return Clause("is", f"as large as {base}", "plain")
    return Clause("is", f"NOT smaller ({n.ratio(n.divide(after, before))} {base}'s size)", "warn")


def speed_clause(before: float, after: float, base: str = "float", *, may_equal: bool = False) -> Clause | None:
    """What happened to the latency, from milliseconds; None where nothing was measured."""
    factor = n.divide(before, after)
    if not factor:
        return None
    if factor > 1 + _SAME:
        return Clause("is", f"{n.ratio(factor)} faster on this machine")
    if factor < 1 / (1 + _SAME):
        slower = n.ratio(n.divide(after, before))
        return Clause("is", f"SLOWER than {base} on this machine ({slower} its time)", "warn")
    return Clause("is", f"{'as fast as' if may_equal else 'NOT faster than'} {base} on this machine",
                  "plain" if may_equal else "warn")  # fmt: skip


def sentence(name: str, clauses: Sequence[Clause]) -> str:
    """One sentence of clauses; a verb that repeats is said once."""
    words = [f"{clauses[0].verb} {clauses[0].rest}"]
    for previous, clause in pairwise(clauses):
        words.append(clause.rest if clause.verb == previous.verb else f"{clause.verb} {clause.rest}")
    return f"{name} {', '.join(words[:-1])} and {words[-1]}." if words[1:] else f"{name} {words[0]}."


def worst(levels: Iterable[str]) -> str:
    """The level that a verdict with these levels has."""
    known = set(levels)
    return next((level for level in ("bad", "warn", "plain", "good") if level in known), "plain")


def _accuracy(record: dict[str, Any]) -> Clause:
    cost = c.loss(record)
    if cost:
        is_allowed = c.allowed_loss(record) is not None and not c.budget_is_missed(record)
        return accuracy_clause(cost.before, cost.after, is_allowed=is_allowed)
    agreement = record["accuracy"]["agreement"]
    if agreement is None:
        return Clause("has", "no measured accuracy", "plain")
    images = n.noun(record["accuracy"]["samples"], "image")
    return Clause("gives", f"float's label on {n.percent(agreement)} of {images} without labels", "plain")


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
