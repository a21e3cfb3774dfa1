"""What compression did: stages, what they bought, the rungs of the ladder, layer by layer; as tables and charts."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from edgecnn.report import charts
from edgecnn.report import comparison as c
from edgecnn.report import numbers as n
from edgecnn.report.blocks import Cell, Gain, Table
from edgecnn.report.blocks import text_cell as _text

LAYERS_LEAD: Final = (
    "One layer alone in int8, all others in float. The damages of layers do not add up, but their order says where to "
    "look first, and what to keep in float."
)
_TITLES: Final = {
    "blocks": "Blocks taken out",
    "channel": "Channels pruned",
    "magnitude": "Weights pruned",
    "cluster": "Weights clustered",
    "qat": "Trained with int8",
}
_NAMED: Final = 3  # layers named in a sentence; the table of all has the others
_BARS: Final = 30
_COLUMN: Final = 15  # bars above which they stand in two columns


def stage_table(record: dict[str, Any]) -> Table | None:
    """The stages before quantization in words; None without any."""
    rows = []
    for stage in record.get("stages") or []:
        what = _title(stage), "\n".join(_did(stage)), "\n".join(_stayed(stage)) or n.NONE
        rows.append(tuple(_text(text) for text in what))
    heads = ("Stage", "What it did", "What stays as it was, and why")
    return Table("Stages", heads, tuple(rows), texts=3, look="plain") if rows else None


def stage_details(record: dict[str, Any]) -> list[Table]:
    """For each stage its groups of channels, or its layers."""
    found = []
    stages = record.get("stages") or []
    for number, stage in enumerate(stages, 1):
        title = _title(stage) if len(stages) == 1 else f"{number}. {_title(stage)}"
        if stage.get("groups"):
            rows = tuple(
                (
                    _text(", ".join(group["layers"]), group["reason"]),
                    *(Cell(group[key], n.count(group[key])) for key in ("before", "after")),
                )
                for group in stage["groups"]
            )
            heads = ("Layers", "Before", "After")
            found.append(Table(f"{title}: every group of channels", heads, rows, look="plain", folded=True))
        layers = [(item["layer"], item["change"]) for item in stage.get("changed", [])]
        layers += [(item["layer"], item["reason"]) for item in stage.get("skipped", [])]
        if layers:
            texts = tuple((_text(layer), _text(words)) for layer, words in layers)
            words = ("Layer", "What was done, or why not")
            found.append(Table(f"{title}: every layer", words, texts, texts=2, look="plain", folded=True))
    return found


def gains(record: dict[str, Any]) -> list[Gain]:
    """The sentences about file, gzip and latency against the same model without the stages."""
    found = []
    for sentence in (record.get("gains") or {}).get("words", []):
        what, colon, words = sentence.partition(": ")
        found.append(Gain(what if colon else "", words if colon else sentence, "no gain" not in sentence))
    return found


def gain_table(record: dict[str, Any]) -> Table | None:
    """The figures behind the sentences."""
    if not record.get("gains"):
        return None
    before, after = record["gains"]["plain"], record["gains"]["output"]
    rows = []
    for metric, key, text, words in (
        ("File size", "size_bytes", n.size_exact, ("smaller", "larger")),
        ("Size after gzip", "gzip_bytes", n.size_exact, ("smaller", "larger")),
        ("Inference p50", "p50_ms", n.milliseconds, ("faster", "slower")),
        ("Multiply-accumulates", "macs", n.count, ("fewer", "more")),
        ("Parameters", "parameters", n.count, ("fewer", "more")),
        ("Weights that are 0", "sparsity", n.percent, None),
    ):
        pair = [Cell(side[key], text(side[key])) for side in (before, after)]
        change = n.change(before[key], after[key], *words) if words else ""
        rows.append((_text(metric), *pair, _text(change)))
    name = c.short_name(record)
    heads = ("Metric", f"{name} alone", f"{name} after the stages", "Change")
    return Table(f"Against {name} alone", heads, tuple(rows), look="plain", folded=True)


def ladder_table(record: dict[str, Any]) -> Table | None:
    """The float model, every rung that was tried, and those that were not; None without a ladder."""
    ladder = record.get("ladder")
    if not ladder:
        return None
    rows = [_rung_row(ladder["float"] | {"drop": None}, "")]
    for place, rung in enumerate(ladder["rungs"]):
        verdict = "no model" if rung["failed"] else "inside" if rung["inside"] else "outside"
        rows.append(_rung_row(rung, f"✓ taken, {verdict}" if place == ladder["taken"] else verdict))
    blank = (_text(n.NONE),) * 6
    rows += [(_text(item["rung"], item["reason"]), _text("not tried"), *blank) for item in ladder["skipped"]]
    heads = ("Rung", "Budget", "Top-1 lost, points", "Top-1", "Same label", "Size", "gzip", "p50")
    return Table(
        "Rungs of the ladder", heads, tuple(rows), marked=1 + ladder["taken"], is_good=ladder["inside"], look="plain"
    )


def ladder_lead(ladder: dict[str, Any]) -> str:
    """What the table and the chart of a ladder show."""
    return (
        f"Top-1 may fall by {n.allowance(ladder['max_drop'])}. From the least effort up, the first rung whose loss "
        f"stays inside this budget with its whole 95{n.SPACE}% interval is taken. Rungs are judged on pictures of "
        "their own, not on those of the accuracy above."
    )


def ladder_chart(record: dict[str, Any]) -> charts.DotChart | None:
    """The loss of each rung with its interval against the budget; None where there is nothing to draw."""
    ladder = record.get("ladder") or {"rungs": []}
    dots = []
    for place, rung in enumerate(ladder["rungs"]):
        if rung["drop"] and not rung["failed"]:
            drop, is_taken = rung["drop"], place == ladder["taken"]
            label = f"✓ {rung_name(rung)}, taken" if is_taken else rung_name(rung)
            bounds = (drop["low"], drop["high"])
            dots.append((label, drop["points"], bounds, "best" if is_taken else "output"))
    if not dots:
        return None
    limit = (ladder["max_drop"], f"budget: {n.allowance(ladder['max_drop'])}")
    return charts.loss_chart("Loss of top-1 in points, 95 % interval", dots, limit)


def taken_rung(record: dict[str, Any]) -> dict[str, Any] | None:
    """The rung that was taken; None without a ladder."""
    ladder = record.get("ladder")
    return next(iter(ladder["rungs"][ladder["taken"] :]), None) if ladder else None


def rung_name(rung: dict[str, Any]) -> str:
    """Its name, with the number of layers that it keeps in float."""
    kept = len(rung["float_layers"])
    return f"{rung['name']}, {n.noun(kept, 'layer')}" if kept else str(rung["name"])


def layers_of(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The sensitivity of the layers, worst first; of a `sensitivity` record, or of a ladder that needed it."""
    layers = record["layers"] if "layers" in record else (record.get("ladder") or {}).get("sensitivity", [])
    return list(layers)


def layer_charts(layers: Sequence[dict[str, Any]]) -> list[charts.BarChart]:
    """Bars of the layers' damage on one scale, the worst first, in columns; none where no layer was measured."""
    measured = [layer for layer in layers if not layer["reason"]]
    bars = [(layer["layer"], layer["divergence"], ", ".join(_damage(layer)), "output") for layer in measured[:_BARS]]
    top = max((value for _, value, _, _ in bars), default=None)
    half = len(bars) if len(bars) <= _COLUMN else (len(bars) + 1) // 2
    columns = [bars[:half], bars[half:]]
    some = f"the worst {_BARS} of {len(measured)} layers" if len(measured) > _BARS else "worst layer first"
    titles = [f"Divergence from float, {some}", "Divergence from float, continued"]
    return [charts.bar_chart(title, column, top=top) for title, column in zip(titles, columns, strict=True) if column]


def layer_table(layers: Sequence[dict[str, Any]]) -> Table | None:
    """Every layer in figures, those that cannot be quantized alone at the end with their reasons."""
    if not layers:
        return None
    labelled = any(layer["top1_drop"] is not None for layer in layers)
    rows = []
    for layer in sorted(layers, key=lambda layer: bool(layer["reason"])):
        if layer["reason"]:
            rows.append((_text(layer["layer"], layer["reason"]), *(_text(n.NONE),) * (4 + labelled)))
            continue
        gain = None if layer["top1_drop"] is None else 0 - layer["top1_drop"]
        rows.append(
            (
                _text(layer["layer"], ", ".join(layer["kinds"])),
                *((Cell(gain, n.points(gain)),) if labelled else ()),
                Cell(layer["agreement"], n.percent(layer["agreement"], 2)),
                Cell(layer["divergence"], n.significant(layer["divergence"])),
                *(Cell(layer[key], _decibels(layer[key])) for key in ("output_sqnr_db", "layer_sqnr_db")),
            )
        )
    heads = ("Layer", *(("Top-1",) if labelled else ()), "Same label", "Divergence", "SQNR", "SQNR, its own output")
    title = f"All {len(layers)} layers" if len(layers) > 1 else "The layer"
    return Table(title, heads, tuple(rows), look="plain", folded=True)


def _rung_row(rung: dict[str, Any], verdict: str) -> tuple[Cell, ...]:
    if rung["failed"]:
        return _text(rung["name"], rung["failed"]), _text(verdict), *(_text(n.NONE),) * 6
    drop = rung["drop"]
    span = f"{n.decimal(drop['low'])} to {n.decimal(drop['high'])}" if drop else ""
    return (
        _text(rung["name"], rung["detail"]),
        _text(verdict),
        Cell(drop["points"], n.decimal(drop["points"]), span) if drop else _text(n.NONE),
        Cell(rung["accuracy"], n.percent(rung["accuracy"], 2)),
        Cell(rung["agreement"], n.percent(rung["agreement"], 2)),
        Cell(rung["size_bytes"], n.size_exact(rung["size_bytes"])),
        Cell(rung["gzip_bytes"], n.size_exact(rung["gzip_bytes"])),
        Cell(rung["p50_ms"], n.milliseconds(rung["p50_ms"])),
    )


def _damage(layer: dict[str, Any]) -> Iterator[str]:
    if layer["top1_drop"] is not None:
        yield f"top-1 {n.points(0 - layer['top1_drop']).partition(n.SPACE)[0]}"
    else:
        yield f"{n.percent(layer['agreement'])} same label"
    yield _decibels(layer["output_sqnr_db"], 0)


def _decibels(value: float, digits: int = 1) -> str:
    return f"{n.decimal(value, digits)}{n.SPACE}dB"


def _title(stage: dict[str, Any]) -> str:
    return _TITLES.get(stage["technique"], str(stage["technique"]))


def _did(stage: dict[str, Any]) -> Iterator[str]:
    for key, words in (("macs", "multiply-accumulates"), ("parameters", "parameters")):
        before, after = stage.get(f"{key}_before"), stage.get(key)
        if before is not None and after is not None:
            change = n.change(before, after, "fewer", "more")
            yield f"{n.count(before)} → {n.count(after)} {words}, {change}"
    for block in stage.get("dropped", []):
        loss = n.decimal(block["loss"], 3)
        yield f"{_some(block['layers'])}: {n.count(block['macs'])} multiply-accumulates, loss {loss} without"
    if "changed" in stage:
        yield f"{n.noun(len(stage['changed']), 'layer')} changed"
    compared = stage.get("against_trained")
    if compared:
        images = n.noun(compared["samples"], "image")
        yield f"The file gives the trained model's label on {n.percent(compared['agreement'])} of {images}"
        if compared["worst_layer"]:
            yield f"Layer that differs most from the trained model: {compared['worst_layer']}"
        if compared["first_layer"]:
            yield f"DIFFERS from the trained model by more than rounding, first in layer {compared['first_layer']}"
    if "epochs" in stage:
        yield f"{n.noun(stage['epochs'], 'epoch')} of learning" if stage["epochs"] else "no learning afterwards"


def _stayed(stage: dict[str, Any]) -> Iterator[str]:
    """Layers that stay as they were, one line a reason."""
    reasons: dict[str, list[str]] = {}
    for group in stage.get("groups", []):
        if group["reason"]:
            reasons.setdefault(group["reason"], []).extend(group["layers"])
    for item in stage.get("skipped", []):
        reasons.setdefault(item["reason"], []).append(item["layer"])
    for reason, layers in reasons.items():
        yield f"{_some(layers)}: {reason}"


def _some(names: Sequence[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {n.count(rest)} more" if rest > 0 else "")
