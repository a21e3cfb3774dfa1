"""What each layer's quantization costs."""

from typing import Any

from edgecnn.report import comparison as c
from edgecnn.report import compression, method
from edgecnn.report import numbers as n
from edgecnn.report.blocks import Facts, Figure, Grid, Part, Section, Verdict, Words


def sensitivity(record: dict[str, Any]) -> Section:
    """What a `sensitivity` record says."""
    return Section(
        title=f"Layers of {n.file_name(record['model'])}",
        subtitle=f"{n.noun(record['samples'], 'image')} of {record['data']}",
        verdict=judge_sensitivity(record),
        tiles=(),
        parts=(
            *layer_parts(compression.layers_of(record)),
            Part("How it was measured", (Facts(tuple(method.sensitivity_facts(record))),)),
        ),
    )


def layer_parts(layers: list[dict[str, Any]]) -> list[Part]:
    """Layer by layer, of a `sensitivity` record or of a ladder that needed it."""
    table, drawn = compression.layer_table(layers), compression.layer_charts(layers)
    if not table:
        return []
    legend = (
        "Bars: Kullback-Leibler divergence of the probabilities from float's, in nats. Top-1 changes in points; "
        "decibels are the signal to quantization noise ratio (SQNR) of the model's output."
    )
    grid = Grid(tuple(map(Figure, drawn)))
    charts = [grid, Words(legend, is_small=True)] if drawn else []
    return [Part("Layer by layer", (Words(compression.LAYERS_LEAD), *charts, table))]


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
