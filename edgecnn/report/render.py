"""One entry for every format of a report."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from edgecnn.errors import ResultError
from edgecnn.report.html import render_html
from edgecnn.report.markdown import render_markdown
from edgecnn.report.schema import check_record
from edgecnn.report.tables import render_csv, render_json

FORMATS: Final[dict[str, Callable[[Sequence[dict[str, Any]]], str]]] = {
    "html": render_html,
    "md": render_markdown,
    "csv": render_csv,
    "json": render_json,
}


def render(records: Sequence[dict[str, Any]], format: str) -> str:
    """Records as "html", "md", "csv" or "json".

    Raises:
        ResultError: no records, a record that this release cannot report, or an unknown format.
        MissingExtraError: Jinja2 is not installed and the format is "html".
    """
    if format not in FORMATS:
        raise ResultError(f"expected a format of {', '.join(FORMATS)}, got {format!r}")
    if not records:
        raise ResultError("expected at least one record to report, got none")
    return FORMATS[format]([check_record(record, f"record {place}") for place, record in enumerate(records, 1)])
