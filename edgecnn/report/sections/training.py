"""One training: its curves and what came of it."""

from typing import Any, Final

from edgecnn.report import comparison as c
from edgecnn.report import curves, method
from edgecnn.report import numbers as n
from edgecnn.report.blocks import Cell, Facts, Figure, Grid, Part, Section, Table, Tile, Verdict, Words
from edgecnn.report.sections.quality import quality_legend, quality_parts, quality_table

_EPOCHS: Final = 24  # in figures


def training(record: dict[str, Any]) -> Section:
    """What a `train` record says."""
    name = n.file_name(record["model"])
    named = [(name, record["evaluation"])]
    lines = curves.learning_curves(record["history"], record["kept_epoch"])
    epochs = [_epoch_table(record)] if record["history"] else []
    learning = [Grid(tuple(map(Figure, lines)))] if lines else []
    return Section(
        title=f"Training of {name}",
        subtitle=f"{record['arch']} · {n.noun(record['parameters'], 'parameter')} · {record['preprocess_spec']}",
        verdict=judge_training(record),
        tiles=tuple(_tiles(record)),
        parts=(
            *([Part("Learning", (*learning, *epochs))] if epochs else []),
            Part("Final metrics", (quality_table(named, "Final metrics"), Words(quality_legend(named), is_small=True))),
            *quality_parts(named),
            Part("How it was trained", (Facts(tuple(method.training_facts(record))),)),
        ),
    )


def judge_training(record: dict[str, Any]) -> Verdict:
    """What the trained model scores, which epoch it is of, and whether it learned its pictures by heart."""
    evaluation = record["evaluation"]
    images = f"{n.noun(evaluation['samples'], 'image')} of the {record['split']} split"
    bounds = c.top1_interval(evaluation)
    known = f" (95{n.SPACE}% interval {c.interval_text(bounds)})" if bounds else ""
    headline = f"{n.file_name(record['model'])} is right on {n.percent(evaluation['top1'])} of {images}{known}."
    if evaluation["top1"] is None:
        headline = "No accuracy was measured: the data had no labels."
    remarks = [f"It has the weights of epoch {record['kept_epoch']} of {n.count(record['epochs'])}."]
    kept = next((item for item in record["history"] if item["epoch"] == record["kept_epoch"]), None)
    if kept and kept["val_accuracy"] is not None:
        gap = 100 * (kept["accuracy"] - kept["val_accuracy"])
        remarks.append(
            f"In that epoch it was right on {n.percent(kept['accuracy'])} of the training pictures, as they were "
            f"changed for training, and on {n.percent(kept['val_accuracy'])} of the validation pictures "
            f"({n.points(-gap)})."
        )
    if robust := record.get("robust"):
        remarks.append(
            f"Of {n.noun(robust['samples'], 'image')} it is right on {n.percent(robust['clean'])} as they are and on "
            f"{n.percent(robust['top1'])} after PGD in {robust['steps']} steps, which changes no pixel by more than "
            f"{n.decimal(255 * robust['epsilon'], 0)} of 255 levels."
        )
    return Verdict("plain", headline, (*remarks, *record["notes"]))


def _tiles(record: dict[str, Any]) -> list[Tile]:
    evaluation = record["evaluation"]
    tiles = [
        Tile("Training pictures", n.count(record["pictures"].get("train", 0)), ()),
        Tile("Epochs", n.count(record["epochs"]), (f"weights of epoch {record['kept_epoch']}",)),
        Tile("Time", n.seconds(record["seconds"]), (record["device"],)),
    ]
    if evaluation["top1"] is not None:
        notes = (f"{record['split']} split", n.noun(evaluation["samples"], "image"))
        tiles.insert(0, Tile("Top-1", n.percent(evaluation["top1"]), notes))
    if robust := record.get("robust"):
        clean = f"{n.percent(robust['clean'])} without attack"
        tiles.insert(1, Tile(f"Under PGD-{robust['steps']}", n.percent(robust["top1"]), (clean,)))
    return tiles


def _epoch_table(record: dict[str, Any]) -> Table:
    shown = n.spread(record["history"], _EPOCHS)
    rows = []
    for item in shown:
        shares = [Cell(item[key], n.percent(item[key], 2)) for key in ("accuracy", "val_accuracy")]
        losses = [Cell(item[key], n.decimal(item[key], 4)) for key in ("loss", "val_loss")]
        rate = Cell(item["learning_rate"], f"{item['learning_rate']:.2g}")
        rows.append((Cell(item["epoch"], n.count(item["epoch"])), losses[0], losses[1], *shares, rate,
                     Cell(item["seconds"], n.seconds(item["seconds"]))))  # fmt: skip
    kept = next((place for place, item in enumerate(shown) if item["epoch"] == record["kept_epoch"]), None)
    some = f"{len(shown)} of {len(record['history'])} epochs" if len(shown) < len(record["history"]) else "All epochs"
    heads = ("Epoch", "Loss", "Validation", "Accuracy", "Validation", "Learning rate", "Time")
    return Table(f"{some} in figures", heads, tuple(rows), marked=kept, folded=True)
