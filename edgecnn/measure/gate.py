"""A gate for continuous integration: fail when a model became slower, larger or worse than a stored result."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from edgecnn.errors import EdgecnnError, ResultError

# Key of a rule -> key of a `benchmark` record, and its unit. Top-1 is told in percent and compared in points.
_KEYS: Final = {
    "p50": ("p50_ms", "ms"),
    "p90": ("p90_ms", "ms"),
    "p99": ("p99_ms", "ms"),
    "mean": ("mean_ms", "ms"),
    "min": ("min_ms", "ms"),
    "init": ("init_ms", "ms"),
    "first": ("first_ms", "ms"),
    "size": ("size_bytes", "B"),
    "memory": ("peak_rss_mb", "MB"),
    "top1": ("top1", "pp"),
}
_RULE: Final = re.compile(r"(\w+)\s*(>\s*\+|<\s*-)\s*(\d+(?:\.\d*)?|\.\d+)\s*(%?)", re.ASCII)
_SLACK: Final = 1e-9  # 0.71 - 0.70 is not more than 0.01


@dataclass(frozen=True)
class Rule:
    """What must not happen: the figure `key` changes by more than `limit`, upwards or downwards (`rises`).

    Attributes:
        text: as it was written.
        limit: above 0 or 0; percent of the baseline where `relative`, else ms, bytes, MB, or points of top-1.
    """

    text: str
    key: str
    rises: bool
    limit: float
    relative: bool


@dataclass(frozen=True)
class Check:
    """One rule applied to one model.

    Attributes:
        baseline, value: the stored figure and the new one; None where this machine does not tell it.
        change: from the one to the other, in words.
    """

    rule: str
    baseline: float
    value: float | None
    change: str | None
    passed: bool

    def to_dict(self) -> dict[str, Any]:
        """One entry of `gate` in a `benchmark` JSON record."""
        return asdict(self)


def parse_rules(text: str) -> tuple[Rule, ...]:
    """Rules such as "p50>+10%,top1<-1", separated by commas; each says when the gate fails.

    Raises:
        EdgecnnError: not that form, or an unknown key.
    """
    return tuple(_parse(part.strip()) for part in text.split(","))


def _parse(text: str) -> Rule:
    match = _RULE.fullmatch(text)
    if match is None:
        raise EdgecnnError(f"expected rules such as p50>+10% (percent) or top1<-1 (points), got {text!r}")
    key, direction, number, percent = match.groups()
    if key not in _KEYS:
        raise EdgecnnError(f"expected a rule about one of {', '.join(_KEYS)}, got {key!r}")
    return Rule(text, key, direction[0] == ">", float(number), percent == "%")


def find_baseline(
    records: Sequence[Mapping[str, Any]], rules: Sequence[Rule], model: str, threads: int
) -> dict[str, Any]:
    """What the stored records say of a model: the keys of a `benchmark` record that the rules need.

    A benchmark record is the model's if it has its file name and number of threads, an evaluate record if it has its
    file name; where several have, that with the same path is taken. Top-1 may stand in either kind; "samples" is how
    many images an evaluate record has it from.

    Args:
        records: of `edgecnn benchmark` and `edgecnn evaluate`.
        model: path of the model that is measured now.

    Raises:
        ResultError: no record fits, several do, or a figure is missing in it.
    """
    name = Path(model).name
    timings = [record for record in records if _kind(record) == "benchmark"]
    found = _only([record for record in timings if record["threads"] == threads], model)
    if not found and any(rule.key != "top1" for rule in rules):
        there = ", ".join(f"{Path(r['model']).name} with {r['threads']}" for r in timings) or "none"
        raise ResultError(f"the baseline has no benchmark of {name} with {threads} thread(s); it has: {there}")
    if any(rule.key == "top1" for rule in rules):
        scored = _only([record for record in records if _kind(record) == "evaluate"], model)
        found |= {"top1": scored.get("top1", found.get("top1")), "samples": scored.get("samples")}
    for rule in rules:
        if found.get(_KEYS[rule.key][0]) is None:
            hint = "; add the JSON of edgecnn evaluate as another --baseline" if rule.key == "top1" else ""
            raise ResultError(f"the baseline does not tell {rule.key} of {name}, which {rule.text} needs{hint}")
    return found


def _kind(record: Mapping[str, Any]) -> str:
    return str(record["schema"]).removeprefix("edgecnn.").partition("/")[0]


def _only(records: Sequence[Mapping[str, Any]], model: str) -> dict[str, Any]:
    """The record of a model, by its file name, and by its path where that is not enough; empty if there is none."""
    found = [record for record in records if Path(record["model"]).name == Path(model).name]
    if len(found) > 1:
        found = [record for record in found if record["model"] == model] or found
    if len(found) > 1:
        raise ResultError(f"the baseline has {len(found)} {_kind(found[0])} records of {Path(model).name}; keep one")
    return dict(found[0]) if found else {}


def check(rules: Sequence[Rule], baseline: Mapping[str, Any], record: Mapping[str, Any]) -> tuple[Check, ...]:
    """Apply rules to the `benchmark` record of a model. A figure that this machine does not tell passes no rule.

    Args:
        baseline: from `find_baseline`.
    """
    return tuple(_check(rule, float(baseline[_KEYS[rule.key][0]]), record.get(_KEYS[rule.key][0])) for rule in rules)


def _check(rule: Rule, before: float, after: float | None) -> Check:
    if after is None:
        return Check(rule.text, before, None, None, False)
    unit = _KEYS[rule.key][1]
    change = after - before
    if rule.relative:
        amount = 100 * change / before if before else float("inf") * change if change else 0.0
        words = f"{amount:+.1f} %"
    else:
        amount = 100 * change if unit == "pp" else change
        words = f"{amount:+,.0f} B" if unit == "B" else f"{amount:+.3g} {unit}"
    passed = amount <= rule.limit + _SLACK if rule.rises else amount >= -rule.limit - _SLACK
    return Check(rule.text, before, after, words, passed)


def doubts(baseline: Mapping[str, Any], record: Mapping[str, Any], samples: int | None = None) -> tuple[str, ...]:
    """Sentences on what was not the same: the CPU, or the images that top-1 is of; what nobody knows is left out.

    Args:
        samples: images that the top-1 of the record is of.
    """
    found = []
    before, now = (r.get("machine", {}).get("cpu") for r in (baseline, record))
    if before != now and None not in (before, now):
        found.append(f"the baseline was timed on {before}, this is {now}; times of two machines cannot be compared")
    counts = (baseline.get("samples"), samples)
    if counts[0] != counts[1] and None not in counts:
        found.append(f"the baseline's top-1 is of {counts[0]:,} images, this one of {counts[1]:,}")
    return tuple(found)
