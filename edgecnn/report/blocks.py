"""What a report is made of, whatever its format: sections of titled parts, parts of tables, charts and pictures.

The page draws every block. Markdown has no pictures: a block that only draws may bring a table with the same figures.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Verdict:
    """The result in words.

    Attributes:
        level: "good", "warn", "bad", or "plain" where nothing was to be judged.
        headline: one sentence, or two.
        remarks: what a reader must know besides, one sentence each.
    """

    level: str
    headline: str
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cell:
    """One value of a table.

    Attributes:
        value: exact, for machines; text: rounded, for people.
        note: a remark in small print, such as an interval.
        tone: "better" or "worse" where it is one of them.
        bar: length of a bar in place of the text, in [0, 1].
    """

    value: float | None
    text: str
    note: str = ""
    tone: str = ""
    bar: float | None = None


@dataclass(frozen=True)
class Table:
    """Rows of cells under heads.

    Attributes:
        texts: its first columns that are text; the others are numbers.
        marked: row that stands out; `is_good` says as what.
        look: "plain" for columns of sentences, "dense" for many columns.
        folded: shown only when asked for.
        caption: the title stands above it.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    texts: int = 1
    marked: int | None = None
    is_good: bool = True
    look: str = ""
    folded: bool = False
    caption: bool = False
    kind: str = "table"


@dataclass(frozen=True)
class Words:
    """A paragraph; a small one is a remark on what stands above it."""

    text: str
    is_small: bool = False
    kind: str = "words"


@dataclass(frozen=True)
class Figure:
    """One of the charts; `table` has its figures where no other table has them."""

    chart: Any
    table: Table | None = None
    kind: str = "figure"


@dataclass(frozen=True)
class Tile:
    """A figure to remember."""

    label: str
    value: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Gain:
    """What was done to one quantity, in words that a loss and "no gain" are said in as well."""

    what: str
    words: str
    is_gain: bool


@dataclass(frozen=True)
class Gains:
    """Gains and losses side by side."""

    gains: tuple[Gain, ...]
    kind: str = "gains"


@dataclass(frozen=True)
class Facts:
    """Terms and their values."""

    items: tuple[tuple[str, str], ...]
    kind: str = "facts"


@dataclass(frozen=True)
class Items:
    """A list; `is_code` where its items are names from a program."""

    items: tuple[str, ...]
    is_code: bool = False
    kind: str = "items"


@dataclass(frozen=True)
class Shot:
    """A picture with what was said of it.

    Attributes:
        mark: "broken", "fixed", "differs", "same" or "wrong"; sign and word say it without colour.
        lines: (who, label, score) each.
        name: file name; path: all of it.
    """

    thumbnail: str
    alt: str
    mark: str
    sign: str
    word: str
    lines: tuple[tuple[str, str, str], ...]
    name: str = ""
    path: str = ""


@dataclass(frozen=True)
class Gallery:
    """Pictures; `table` is what Markdown shows instead of them, `look` is "large" for whole ones with more room."""

    shots: tuple[Shot, ...]
    table: Table | None = None
    look: str = ""
    kind: str = "gallery"


@dataclass(frozen=True)
class Classified:
    """One picture with the scores of its labels; `table` is what Markdown shows."""

    name: str
    thumbnail: str | None
    note: str
    chart: Any
    table: Table
    kind: str = "classified"


@dataclass(frozen=True)
class Card:
    """Blocks that belong together, under a title of their own or none."""

    title: str
    blocks: tuple[Any, ...]
    kind: str = "card"


@dataclass(frozen=True)
class Grid:
    """Blocks side by side as far as there is room.

    Attributes:
        look: "wide" for blocks that need more room than a chart, "narrow" for a single small one, "full" for one that
            takes all there is.
    """

    blocks: tuple[Any, ...]
    look: str = ""
    kind: str = "grid"


@dataclass(frozen=True)
class Beside:
    """A table, and beside it charts in one card."""

    table: Table
    figures: tuple[Figure, ...]
    kind: str = "beside"


@dataclass(frozen=True)
class Part:
    """A piece of a section under a title, or without one."""

    title: str
    blocks: tuple[Any, ...]


@dataclass(frozen=True)
class Section:
    """What is told of one record, or of several that belong together."""

    title: str
    subtitle: str
    verdict: Verdict | None
    tiles: tuple[Tile, ...]
    parts: tuple[Part, ...]


def text_cell(text: str, note: str = "") -> Cell:
    """A cell without a number."""
    return Cell(None, text, note)
