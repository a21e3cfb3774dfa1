"""What a network is built of: operators and layers, from the "architecture" of a `convert` record."""

from typing import Any

from edgecnn.report import numbers as n
from edgecnn.report.blocks import Cell, Table, text_cell


def architecture_words(architecture: dict[str, Any]) -> str:
    """The network in a sentence."""
    shape = "×".join(map(str, architecture["input"])) or "unknown"
    parts = [
        f"input {shape}",
        n.noun(len(architecture["layers"]), "layer") if architecture["layers"] else "",
        n.noun(architecture["parameters"], "parameter"),
        "" if architecture["macs"] is None else f"{n.count(architecture['macs'])} multiply-accumulates an image",
    ]
    return ", ".join(filter(None, parts)).capitalize() + "."


def operator_table(architecture: dict[str, Any]) -> Table | None:
    """How many operators of each kind there are, and their work; None without any."""
    work = sum(item["macs"] or 0 for item in architecture["operators"]) or 1
    rows = tuple(
        (
            text_cell(item["op"]),
            Cell(item["count"], n.count(item["count"])),
            Cell(item["macs"], n.NONE if item["macs"] is None else n.count(item["macs"])),
            Cell(None, n.NONE if item["macs"] is None else n.percent(item["macs"] / work)),
            Cell(None, "", bar=(item["macs"] or 0) / work),
        )
        for item in architecture["operators"]
    )
    return Table("Operators", ("Operator", "Count", "MACs", "Share", ""), rows) if rows else None


def layer_table(architecture: dict[str, Any]) -> Table | None:
    """Every layer with the shape of its output; None without any."""
    rows = tuple(
        (
            text_cell(item["name"], item["op"]),
            text_cell("×".join(map(str, item["output"])) or n.NONE),
            *(Cell(item[key], n.NONE if item[key] is None else n.count(item[key])) for key in ("parameters", "macs")),
        )
        for item in architecture["layers"]
    )
    title = f"All {n.noun(len(rows), 'layer')}" if len(rows) > 1 else "The layer"
    heads = ("Layer", "Output", "Parameters", "MACs")
    return Table(title, heads, rows, look="plain", folded=True) if rows else None
