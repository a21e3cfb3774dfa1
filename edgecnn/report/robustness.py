"""The figures of a `robustness` record: accuracy under each condition, and its curves and bars."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from edgecnn.report import numbers as n
from edgecnn.report.axes import percent_axis
from edgecnn.report.charts import BarChart, bar_chart
from edgecnn.report.classes import Pair, PairChart
from edgecnn.report.curves import LineChart, severity_curves

_ROLES: Final = ("float", "output", "best", "second")  # of models that are told apart by colour
_WORDS: Final = {"jpeg compression": "JPEG", "elastic transform": "elastic"}
_VISIBLE: Final = 1.0  # points from which a difference is coloured

Shares = tuple[float | None, ...]


@dataclass(frozen=True)
class Condition:
    """Top-1 of every model under one condition.

    Attributes:
        label: what it is called; kind: of a corruption, else "".
        top1: one a model; None where the record has none.
        bounds: 95 % interval of each.
    """

    label: str
    kind: str
    top1: Shares
    bounds: tuple[tuple[float, float] | None, ...]


def corruptions_of(record: dict[str, Any]) -> list[Condition]:
    """Each corruption, as the mean over its severities."""
    models = len(record["names"])
    return [
        Condition(
            item["name"].replace("_", " "),
            item["kind"],
            tuple(_mean(row) for row in _padded(item["top1"], models, ())),
            (None,) * models,
        )
        for item in record["corruptions"]
    ]


def kinds_of(conditions: Sequence[Condition]) -> list[Condition]:
    """The mean of the corruptions of each kind, then of all."""
    kinds = dict.fromkeys(condition.kind for condition in conditions)
    groups = [(kind, [c for c in conditions if c.kind == kind]) for kind in kinds]
    if len(groups) > 1:
        groups.append(("all corruptions", list(conditions)))
    return [
        Condition(
            label,
            label,
            tuple(map(_mean, zip(*(c.top1 for c in group), strict=True))),
            (None,) * len(group[0].top1),
        )
        for label, group in groups
    ]


def clean_of(record: dict[str, Any]) -> Condition:
    """The pictures as they are."""
    return _condition("clean", record["clean"], record.get("clean_ci95"), len(record["names"]))


def attacks_of(record: dict[str, Any]) -> list[Condition]:
    """Each attack, and the patch with what it is compared with."""
    models = len(record["names"])
    found = [_condition(attack_name(item), item["top1"], item.get("top1_ci95"), models) for item in record["attacks"]]
    if patch := record["patch"]:
        label = f"patch, {n.percent(patch['share'], 0)} of the area"
        found.append(_condition(label, patch["top1"], patch.get("top1_ci95"), models))
        found.append(_condition("random pixels in its place", patch["noise_top1"], None, models))
    return found


def attack_name(attack: dict[str, Any]) -> str:
    """An attack with its strength: "PGD, 10 steps, 8/255"."""
    whole = round(255 * attack["epsilon"])
    strength = f"{whole}/255" if abs(255 * attack["epsilon"] - whole) < 1e-6 else n.significant(attack["epsilon"])
    steps = f"{n.noun(attack['steps'], 'step')}, " if attack["steps"] > 1 else ""
    return f"{attack['name'].upper()}, {steps}{strength}"


def curves_of(record: dict[str, Any]) -> list[LineChart]:
    """Accuracy against severity, clean pictures being 0: the mean of all corruptions of a kind, a chart each."""
    known = [item for item in record["corruptions"] if item["severities"]]
    ends = [share for item in known for row in item["top1"] for share in row] + list(record["clean"])
    if not ends:
        return []
    found = []
    for kind in dict.fromkeys(item["kind"] for item in known):
        items = [item for item in known if item["kind"] == kind]
        lines = []
        for place, name in enumerate(record["names"][: len(_ROLES)]):
            points: dict[int, list[float]] = {0: list(record["clean"][place : place + 1])}
            for item in items:
                row = item["top1"][place] if place < len(item["top1"]) else ()
                for severity, share in zip(item["severities"], row, strict=False):
                    points.setdefault(severity, []).append(share)
            lines.append((name, [(x, _mean(shares)) for x, shares in sorted(points.items())]))
        title = f"{kind}: {', '.join(_short(item['name']) for item in items)}"
        found += severity_curves(title[:1].upper() + title[1:], lines, (min(ends), max(ends)))
    return found


def pair_chart(record: dict[str, Any], conditions: Sequence[Condition]) -> PairChart | None:
    """The first two models side by side under each corruption; None for fewer models or corruptions."""
    known = [(c.label, c.top1[0], c.top1[1]) for c in conditions if len(c.top1) > 1]
    values = [value for _, *both in known for value in both if value is not None]
    if not values:
        return None
    axis, pairs = percent_axis(min(values), max(values)), []
    names = (record["names"][0], record["names"][1])
    for label, before, after in known:
        places = [None if value is None else axis.place(value) for value in (before, after)]
        gain = None if before is None or after is None else 100 * (after - before)
        hint = f"{label}: {names[0]} {n.percent(before)}, {names[1]} {n.percent(after)}"
        is_better = None if gain is None or abs(gain) < _VISIBLE else gain > 0
        text = n.points(gain, 1).partition(n.SPACE)[0]
        pairs.append(Pair(_short(label), places[0], places[1], text, hint, is_better))
    title = "Top-1 under each corruption, mean of its severities"
    return PairChart(title, "; ".join(pair.hint for pair in pairs), tuple(pairs), axis.ticks, "", names)


def attack_charts(record: dict[str, Any], conditions: Iterable[Condition]) -> Iterator[BarChart]:
    """Bars of all models under each condition, on one axis from 0 to 100 %."""
    for condition in conditions:
        bars = [
            (name, share, n.percent(share), role)
            for name, share, role in zip(record["names"], condition.top1, _ROLES * len(condition.top1), strict=False)
            if share is not None
        ]
        if bars:
            yield bar_chart(condition.label[:1].upper() + condition.label[1:], bars, top=1.0)


def _condition(label: str, top1: Sequence[float], bounds: Sequence[Sequence[float]] | None, models: int) -> Condition:
    spans = [(low, high) for low, high in bounds or ()]
    return Condition(label, "", tuple(_padded(top1, models, None)), tuple(_padded(spans, models, None)))


def _padded(items: Sequence[Any], count: int, missing: Any) -> list[Any]:
    return [*items[:count], *[missing] * (count - len(items))]


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _short(name: str) -> str:
    words = name.replace("_", " ")
    return _WORDS.get(words, words)
