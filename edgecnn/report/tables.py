"""Results for machines: CSV and JSON."""

import csv
import io
import json
import re
from collections.abc import Sequence
from typing import Any, Final

from edgecnn.report import numbers as n
from edgecnn.report.schema import kind_of
from edgecnn.report.values import values_of

_SURROGATE = re.compile("[\ud800-\udfff]")
_COLUMNS: Final = ("record", "kind", "name", "side", "metric", "item", "value", "unit")
# A spreadsheet takes a cell that starts like this for a formula and runs it.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def render_json(records: Sequence[dict[str, Any]]) -> str:
    """The records as one JSON list, which `parse_results` reads back to equal records."""
    text = json.dumps(list(records), ensure_ascii=False, indent=2, allow_nan=False)
    # Half of a surrogate pair (from a file name that is no UTF-8) cannot be written as UTF-8, but as an escape.
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text) + "\n"


def render_csv(records: Sequence[dict[str, Any]]) -> str:
    """The records in long format: one row a number, with its unit; what was not measured has no row.

    Columns: record (its place, from 1), kind, name (model, image or frame), side ("float" or "output" in a conversion,
    "plain" for the output without its stages, "float" or "quantized" in a comparison, "against" for the
    second model of an explanation), metric, item (label, step, layer, rung, operator, epoch, second or "true ->
    predicted"), value, unit. A text that a spreadsheet would run as a formula gets an apostrophe before it.
    """
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for place, record in enumerate(n.printable(list(records)), 1):
        kind = kind_of(record)
        name = _text(record.get("model") or record.get("image") or _compared(record))
        for side, metric, item, value, unit in values_of(kind, record):
            if value is not None:
                writer.writerow((place, kind, name, side, metric, _text(item), value, unit))
    return table.getvalue()


def _text(value: str) -> str:
    return f"'{value}" if value.startswith(_FORMULA) else value


def _compared(record: dict[str, Any]) -> str:
    """The models of a comparison or of a trial; empty for other records."""
    models = [record["float"], record["quantized"]] if "quantized" in record else record.get("models", [])
    return " -> ".join(item["model"] for item in models)
