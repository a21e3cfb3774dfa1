"""Models on spoilt pictures: corruptions, attacks, and what int8 loses besides."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from edgecnn.report import comparison as c
from edgecnn.report import method
from edgecnn.report import numbers as n
from edgecnn.report import robustness as r
from edgecnn.report.blocks import (
    Beside,
    Cell,
    Facts,
    Figure,
    Gallery,
    Grid,
    Part,
    Section,
    Shot,
    Table,
    Tile,
    Verdict,
    Words,
    text_cell,
)

_LARGE: Final = 5.0  # points that a model loses more than the first and that are bad
_CURVES: Final = (
    "Top-1 accuracy against severity, each line the mean of the corruptions named. All charts have one axis and begin "
    "with the images as they are."
)
_PATCH: Final = (
    "One square, trained to fool {model} on other images wherever it lies, was put at random places into each image. "
    "Random pixels at the same places hide as much and tell how much of the loss is the patch's doing."
)
_ATTACKS: Final = (
    "The images are changed so little that people hardly see it, in the direction that makes {model} err. Every model "
    "was shown the very same images."
)


def robustness(record: dict[str, Any]) -> Section:
    """What a `robustness` record says."""
    names, corruptions = record["names"], r.corruptions_of(record)
    whose = " and ".join(n.file_name(item["model"]) for item in record["models"][:2])
    if len(record["models"]) > 2:
        whose = n.noun(len(record["models"]), "model")
    split = f" of the {record['split']} split" if record["split"] else ""
    attacks = r.attacks_of(record)
    return Section(
        title=f"Robustness of {whose}",
        subtitle=f"{n.noun(record['samples'], 'image')}{split} of {record['data']}, spoilt alike for every model",
        verdict=judge_robustness(record),
        tiles=tuple(_tiles(record, corruptions)),
        parts=(
            Part("At a glance", (_glance(record, corruptions, attacks),)),
            *_severities(record),
            *_corruptions(record, corruptions),
            *_attacks(record, names, attacks),
            Part("How it was measured", (Facts(tuple(method.robustness_facts(record))),)),
        ),
    )


def judge_robustness(record: dict[str, Any]) -> Verdict:
    """The record's own sentence, and whether a model loses more than the first beyond chance."""
    more = [item["points"] for item in record["extra"] if item["ci95"][0] > 0]
    level = "plain" if not more else "bad" if max(more) > _LARGE else "warn"
    return Verdict(level, record["verdict"], tuple(_remarks(record)))


def _remarks(record: dict[str, Any]) -> Iterator[str]:
    if record["attacks"] and record["names"]:
        strongest = min(reversed(record["attacks"]), key=lambda item: min(item["top1"], default=1.0))
        kept = zip(record["names"], strongest["top1"], strict=False)
        words = ", ".join(f"{name} {n.percent(share)}" for name, share in kept)
        yield f"Attacked on {strongest['crafted_on']} ({r.attack_name(strongest)}), right are: {words}."
    if record["skipped"]:
        was = "was" if record["skipped"] == 1 else "were"
        yield f"{n.noun(record['skipped'], 'image')} could not be read and {was} left out."
    yield from record["notes"]


def _tiles(record: dict[str, Any], corruptions: Sequence[r.Condition]) -> Iterator[Tile]:
    names = record["names"]
    everything = r.kinds_of(corruptions)[-1:]
    attacks = r.attacks_of(record)
    for condition in (r.clean_of(record), *everything, *attacks[:3]):
        if condition.top1 and condition.top1[0] is not None:
            others = zip(names[1:4], condition.top1[1:4], strict=True)
            notes = tuple(f"{name} {n.percent(share)}" for name, share in others)
            yield Tile(condition.label[:1].upper() + condition.label[1:], n.percent(condition.top1[0]), notes)
    if len(names) == 2 and len(record["mce"]) == 2 and record["mce"][1] is not None:
        yield Tile(f"mCE of {names[1]}", n.percent(record["mce"][1]), (f"{names[0]} is 100{n.SPACE}%",))


def _glance(record: dict[str, Any], corruptions: Sequence[r.Condition], attacks: Sequence[r.Condition]) -> Table:
    names, extra = record["names"], _extra(record)
    rows = [_row(r.clean_of(record), None, extra)]
    kinds = r.kinds_of(corruptions)
    rows += [_row(item, "corruptions" if item is kinds[-1] else None, extra) for item in kinds]
    for label, key in (("mCE", "mce"), ("Relative mCE", "relative_mce")):
        values = [*record[key][: len(names)], *[None] * (len(names) - len(record[key]))]
        if any(value is not None for value in values):
            cells = [Cell(v, n.NONE if v is None else f"{n.decimal(100 * v, 1)}{n.SPACE}%") for v in values]
            rows.append((text_cell(label), *cells, *([text_cell("")] if extra is not None else [])))
    known = [item["name"] for item in record["attacks"]] + (["patch", ""] if record["patch"] else [])
    rows += [_row(item, name, extra) for item, name in zip(attacks, known, strict=True)]
    heads = ("Top-1", *names, *((f"{names[1]} loses more by",) if extra is not None else ()))
    return Table("Accuracy under each condition", heads, tuple(rows))


def _extra(record: dict[str, Any]) -> dict[str, dict[str, Any]] | None:
    """By condition, what the second of two models loses more; None for another number of models."""
    if len(record["names"]) != 2:
        return None
    return {item["condition"]: item for item in record["extra"] if item["model"] == 1}


def _row(condition: r.Condition, name: str | None, extra: dict[str, dict[str, Any]] | None) -> tuple[Cell, ...]:
    cells = [
        Cell(share, n.percent(share), c.interval_text(bounds) if bounds else "")
        for share, bounds in zip(condition.top1, condition.bounds, strict=True)
    ]
    label = text_cell(condition.label[:1].upper() + condition.label[1:])
    if extra is None:
        return (label, *cells)
    item = extra.get(name or "")
    if item is None:
        return (label, *cells, text_cell(""))
    low, high = item["ci95"]
    is_better = None if low <= 0 <= high else high < 0
    note = f"{n.decimal(low, 1)} to {n.decimal(high, 1)}"
    return (label, *cells, Cell(item["points"], n.points(item["points"], 1), note, c.tone(is_better)))


def _severities(record: dict[str, Any]) -> Iterator[Part]:
    if drawn := r.curves_of(record):
        yield Part("How accuracy falls", (Words(_CURVES), Grid(tuple(map(Figure, drawn)))))


def _corruptions(record: dict[str, Any], corruptions: Sequence[r.Condition]) -> Iterator[Part]:
    if not corruptions:
        return
    corruptions = sorted(corruptions, key=lambda item: 0.0 if not item.top1 else item.top1[0] or 0.0)
    rows = tuple(
        (text_cell(item.label), text_cell(item.kind), *(Cell(share, n.percent(share)) for share in item.top1))
        for item in corruptions
    )
    table = Table("The worst first", ("Corruption", "Kind", *record["names"]), rows, texts=2, look="dense")
    chart = r.pair_chart(record, corruptions)
    whole = _whole(record)
    block = Beside(table, (Figure(chart),)) if chart else table
    yield Part("Corruption by corruption", (block, *([whole] if whole.rows else [])))


def _whole(record: dict[str, Any]) -> Table:
    rows = []
    for item in record["corruptions"]:
        for name, shares in zip(record["names"], item["top1"], strict=False):
            found = dict(zip(item["severities"], shares, strict=False))
            cells = (Cell(found.get(place), n.percent(found.get(place))) for place in range(1, 6))
            rows.append((text_cell(item["name"].replace("_", " ")), text_cell(name), *cells))
    heads = ("Corruption", "Model", *(f"Severity {place}" for place in range(1, 6)))
    return Table("Every severity in figures", heads, tuple(rows), texts=2, look="dense", folded=True)


def _attacks(record: dict[str, Any], names: Sequence[str], attacks: Sequence[r.Condition]) -> Iterator[Part]:
    count = len(record["attacks"])
    if attacks[:count]:
        model = record["attacks"][0]["crafted_on"]
        charts = tuple(Figure(chart) for chart in r.attack_charts(record, [r.clean_of(record), *attacks[:count]]))
        yield Part("Images made to fool a model", (Words(_ATTACKS.format(model=model)), Grid(charts)))
    patch = record["patch"]
    if patch:
        lines = [(name, "", n.percent(share)) for name, share in zip(names, patch["top1"], strict=False)]
        if patch["hits"]:
            found = zip(names, patch["hits"], strict=False)
            lines += [(f"{name} says", patch["aim"] or "", n.percent(share)) for name, share in found]
        shot = Shot(patch["picture"], "The adversarial patch", "same", "", "", tuple(lines), "the patch, enlarged")
        charts = tuple(Figure(chart) for chart in r.attack_charts(record, attacks[count:]))
        words = Words(_PATCH.format(model=patch["crafted_on"]))
        yield Part("A patch that fools a model", (words, Grid(charts), Gallery((shot,))))
