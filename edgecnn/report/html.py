"""The page: one HTML file that needs no network, no script and no other file."""

from collections.abc import Sequence
from functools import cache
from itertools import count
from typing import Any

from edgecnn.errors import MissingExtraError
from edgecnn.report import numbers
from edgecnn.report.document import sections_of


def render_html(records: Sequence[dict[str, Any]], *, title: str | None = None) -> str:
    """Draw checked records as a page.

    Args:
        records: as `read_results` returns them.
        title: heading of the page; by default that of its only section, or "Results".

    Raises:
        MissingExtraError: Jinja2 is not installed.
    """
    page = _page()
    sections = sections_of(records)
    heading = numbers.printable(title) if title else sections[0].title if len(sections) == 1 else "Results"
    numbered = count(1)  # `fresh` is a name that no other chart of the page has
    return str(page.render(sections=sections, title=heading, n=numbers, fresh=lambda: f"c{next(numbered)}"))


@cache
def _page() -> Any:
    """The page's template, compiled once: that takes longer than to draw a page."""
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
    return environment.get_template("page.html.j2")
