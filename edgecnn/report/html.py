"""The page: one HTML file that needs no network, no script and no other file."""

from collections.abc import Sequence
from typing import Any

from edgecnn.errors import MissingExtraError
from edgecnn.report import numbers
from edgecnn.report.sections import sections


def render_html(records: Sequence[dict[str, Any]], *, title: str | None = None) -> str:
    """Draw checked records as a page.

    Args:
        records: as `read_results` returns them.
        title: heading of the page; by default that of its only section, or "Results".

    Raises:
        MissingExtraError: Jinja2 is not installed.
    """
    try:
        import jinja2
    except ImportError as exc:
        raise MissingExtraError("Jinja2", "report") from exc
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("edgecnn.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["n"] = numbers
    parts = sections(numbers.printable(list(records)))
    heading = numbers.printable(title) if title else parts[0]["title"] if len(parts) == 1 else "Results"
    return environment.get_template("page.html.j2").render(parts=parts, title=heading)
