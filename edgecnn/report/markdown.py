"""Results as Markdown with GitHub's tables: for pull requests, release notes and model cards."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from edgecnn.report.blocks import Cell, Section, Table, Verdict
from edgecnn.report.document import sections_of

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~&$!])")


def render_markdown(records: Sequence[dict[str, Any]]) -> str:
    """The records as Markdown: verdicts, tables and how it was measured; no pictures."""
    blocks = ["# edgecnn report"]
    for section in sections_of(records):
        blocks += _section(section)
    return "\n\n".join(blocks) + "\n"


def _section(section: Section) -> Iterator[str]:
    yield f"## {_plain(section.title)}"
    if section.verdict:
        yield from _verdict(section.verdict)
    for part in section.parts:
        found = [text for block in part.blocks for text in _block(block)]
        words = sum(block.kind == "words" for block in part.blocks)
        if len(found) > words or words == len(part.blocks):  # else words on what could only be drawn
            yield from [f"### {_plain(part.title)}"] if part.title else []
            yield from found


def _block(block: Any) -> Iterator[str]:
    """What of a block can be written; a chart or a picture gives its table."""
    if block.kind == "table":
        yield from _titled(block) if block.folded or block.caption else [_table(block)]
    elif block.kind == "words":
        yield _plain(block.text)
    elif block.kind in ("figure", "gallery", "classified"):
        yield from _titled(block.table) if block.table else []
    elif block.kind == "facts":
        yield _rows(["", ""], block.items, texts=2)
    elif block.kind == "items":
        yield _list(block.items)
    elif block.kind == "gains":
        yield _list(f"{gain.what}: {gain.words}" if gain.what else gain.words for gain in block.gains)
    elif block.kind == "beside":
        yield from _block(block.table)
    else:
        if getattr(block, "title", ""):
            yield f"#### {_plain(block.title)}"
        for inner in block.blocks:
            yield from _block(inner)


def _verdict(judged: Verdict) -> Iterator[str]:
    yield f"**{_plain(judged.headline)}**"
    if judged.remarks:
        yield _list(judged.remarks)


def _titled(table: Table) -> Iterator[str]:
    yield f"#### {_plain(table.title)}"
    yield _table(table)


def _table(table: Table) -> str:
    """A table without the columns that only have bars."""
    kept = [place for place in range(len(table.heads)) if not all(_is_bar(row[place]) for row in table.rows)]
    rows = [[_cell(row[place]) for place in kept] for row in table.rows]
    return _rows([table.heads[place] for place in kept], rows, texts=table.texts)


def _is_bar(cell: Cell) -> bool:
    return cell.bar is not None and not cell.text


def _rows(heads: Sequence[str], rows: Iterable[Sequence[str]], *, texts: int) -> str:
    """A table whose first `texts` columns are text and whose others are numbers."""
    align = ["---" if place < texts else "---:" for place in range(len(heads))]
    lines = [[_plain(text) for text in line] for line in (heads, *rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in [lines[0], align, *lines[1:]])


def _cell(cell: Cell) -> str:
    """The lines of a cell become one."""
    text = cell.text.replace("\n", "; ")
    return f"{text} ({cell.note})" if cell.note else text


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {_plain(item)}" for item in items)


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", text)
