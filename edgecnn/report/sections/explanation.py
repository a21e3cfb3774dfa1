"""Which pixels the answers of one model, or of two, rest on."""

import re
import statistics
from collections.abc import Iterator, Sequence
from typing import Any, Final

from edgecnn.report import numbers as n
from edgecnn.report.blocks import Cell, Facts, Gallery, Part, Section, Shot, Table, Tile, Verdict, Words, text_cell
from edgecnn.report.gallery import PICTURES

_EVEN: Final = 0.1  # mass in the best tenth of the pixels of a map of which no part says more than another
_WIDTH: Final = 12  # of a model's name under its map
_LEAD: Final = (
    "Red pixels speak most for the class, dark blue ones not at all or against it. The picture is shown as the model "
    "sees it."
)
_CORRELATIONS: Final = (("correlation", "Correlation"), ("rank_correlation", "Of ranks"))


def explanations(records: list[dict[str, Any]]) -> Section:
    """What `explain` records say."""
    models = list(dict.fromkeys(n.file_name(record["model"]) for record in records))
    methods = list(dict.fromkeys(record["method"] for record in records))
    whose = models[0] if len(models) == 1 else n.noun(len(models), "model")
    return Section(
        title=f"What {whose} looks at" if len(models) == 1 else f"What {whose} look at",
        subtitle=f"{', '.join(methods)}, {n.noun(len(records), 'image')}",
        verdict=judge_explanations(records),
        tiles=tuple(_tiles(records)),
        parts=(
            Part("Image by image", (_table(records),)),
            *_pictures(records),
            Part("How it was made", (Facts(tuple(_facts(records))),)),
        ),
    )


def judge_explanations(records: Sequence[dict[str, Any]]) -> Verdict:
    """How alike the maps of two models are; of one model, how much lies in the best tenth of the pixels."""
    remarks = tuple(dict.fromkeys(text for record in records for text in record["notes"]))
    middle = statistics.median(record["mass"] for record in records)
    focus = f"The best tenth of the pixels holds {n.percent(middle, 0)} of what speaks for the class"
    which = " (median)" if len(records) > 1 else ""
    alone = f"{focus}{which}; of a map without any focus it would hold {n.percent(_EVEN, 0)}."
    compared = [record for record in records if record["against"]]
    known = [record for record in compared if record["against"]["correlation"] is not None]
    if not compared:
        return Verdict("plain", alone, remarks)
    names = n.tell_apart([compared[0]["model"], compared[0]["against"]["model"]])
    if not known:
        return Verdict("plain", f"The maps of {names[0]} and {names[1]} cannot be correlated: one is even.", remarks)
    values = [record["against"]["correlation"] for record in known]
    words = f"The maps of {names[0]} and {names[1]} have a correlation of {n.decimal(statistics.median(values), 3)}"
    if len(known) > 1:
        worst = min(known, key=lambda record: float(record["against"]["correlation"]))
        words += (
            f" (median of {n.noun(len(known), 'image')}); {n.decimal(min(values), 3)} at least, on "
            f"{n.file_name(worst['image'])}"
        )
    return Verdict("plain", f"{words}.", (alone, *remarks))


def _tiles(records: Sequence[dict[str, Any]]) -> Iterator[Tile]:
    several = len(records) > 1
    middle = statistics.median(record["mass"] for record in records)
    yield Tile("In the best tenth", n.percent(middle, 0), ("of what speaks", "for the class"))
    against = [record["against"] for record in records if record["against"]]
    for key, name in _CORRELATIONS:
        values = [side[key] for side in against if side[key] is not None]
        if values:
            spread = (f"{n.decimal(min(values), 3)} to {n.decimal(max(values), 3)}",) if several else ()
            title = "Correlation of ranks" if key == "rank_correlation" else name
            yield Tile(title, n.decimal(statistics.median(values), 3), ("median", *spread) if several else ())
    seconds = statistics.median(record["seconds"] for record in records)
    yield Tile("A map takes", n.seconds(seconds), ("median",) if several else ())


def _table(records: Sequence[dict[str, Any]]) -> Table:
    models = len({record["model"] for record in records}) > 1
    compared = any(record["against"] for record in records)
    heads = ("Image", *(("Model",) if models else ()), "Class", "Score")
    heads = (*heads, *(("Second model", *(name for _, name in _CORRELATIONS)) if compared else ()), "In the best tenth")
    rows = tuple(
        (text_cell(name), *_cells(record, models, compared))
        for record, name in zip(records, _images(records), strict=True)
    )
    return Table("Image by image", heads, rows, texts=2 + models, look="dense")


def _cells(record: dict[str, Any], models: bool, compared: bool) -> Iterator[Cell]:
    if models:
        yield text_cell(n.file_name(record["model"]))
    yield text_cell(record["label"])
    yield Cell(record["score"], n.percent(record["score"]))
    side = record["against"]
    if compared:
        yield Cell(side["score"], n.percent(side["score"])) if side else text_cell(n.NONE)
        for key, _ in _CORRELATIONS:
            value = side[key] if side else None
            yield Cell(value, n.decimal(value, 3))
    yield Cell(record["mass"], n.percent(record["mass"], 0))


def _pictures(records: list[dict[str, Any]]) -> Iterator[Part]:
    shown = n.spread(records, PICTURES)
    some = f" {len(shown)} of {len(records)} images, evenly spaced." if len(shown) < len(records) else ""
    for place, (record, name) in enumerate(zip(shown, _images(shown), strict=True)):
        lead = () if place else (Words(_LEAD + some),)
        title = f"{name}: {record['label']}"
        yield Part(title, (*lead, Gallery(tuple(_shots(record)), look="large")))


def _images(records: Sequence[dict[str, Any]]) -> list[str]:
    """File names of the images; with their folders where they repeat."""
    names = [n.file_name(record["image"]) for record in records]
    if len(set(names)) == len(names):
        return names
    return ["/".join(re.split(r"[\\/]", record["image"])[-2:]) or n.NONE for record in records]


def _shots(record: dict[str, Any]) -> Iterator[Shot]:
    sides = [record, *([record["against"]] if record["against"] else [])]
    names = n.tell_apart([side["model"] for side in sides]) if len(sides) > 1 else ["class"]
    if max(map(len, names)) > _WIDTH:
        names = ["first", "second"]
    image = n.file_name(record["image"])
    if record.get("picture"):
        yield Shot(record["picture"], image, "same", "", "", (), image, record["image"])
    for name, side in zip(names, sides, strict=True):
        lines = [(name, side["label"], n.percent(side["score"], 0)), ("best tenth", "", n.percent(side["mass"], 0))]
        if side is not record:
            lines.append(("correlation", "", n.decimal(side["correlation"], 3)))
        model = n.file_name(side["model"])
        alt = f"{image}: what speaks for {side['label']}, by {model}"
        yield Shot(side["overlay"], alt, "same", "", "", tuple(lines), f"{side['method']}, {model}", side["model"])
    for grid in record.get("features") or []:
        shown = f"{n.count(grid['shown'])} of {n.noun(grid['channels'], 'map')}"
        lines = [("feature maps", shown, "")]
        yield Shot(grid["picture"], f"Feature maps of {grid['layer']}", "same", "", "", tuple(lines), grid["layer"])


def _facts(records: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    sides = [side for record in records for side in (record, record["against"]) if side]
    for model, sha256 in dict.fromkeys((side["model"], side["sha256"]) for side in sides):
        yield "Model", model
        yield f"{n.file_name(model)}, SHA-256", sha256
    yield "Method", ", ".join(dict.fromkeys(side["method"] for side in sides))
    for key, name in (("samples", "Masks or samples"), ("seed", "Seed")):
        values = dict.fromkeys(str(record[key]) for record in records if key in record)
        if values:
            both = (
                ", the same for both models"
                if key == "samples" and any(record["against"] for record in records)
                else ""
            )
            yield name, ", ".join(values) + both
