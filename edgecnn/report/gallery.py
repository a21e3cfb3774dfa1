"""Pictures with what two models said of them, disagreements first."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from edgecnn.report import numbers as n
from edgecnn.report.blocks import Gallery, Shot, Table, text_cell

PICTURES: Final = 48  # more make the page heavy and nobody looks at them
_ROWS: Final = 20  # of the table in formats without pictures


@dataclass(frozen=True)
class _Mark:
    """How the two models did on a picture: its place in the order, and a style, a sign and a word for it."""

    order: int
    style: str
    sign: str
    word: str


def gallery(examples: Sequence[dict[str, Any]], keys: tuple[str, str], names: tuple[str, str]) -> Gallery | None:
    """Pictures that have a thumbnail, those that a model broke first; None without any example.

    Args:
        examples: {"image", "label": the true one or None, key: {"label", "score"} of both keys, "thumbnail"?}.
        keys: of the two models in an example; names: what they are called.
    """
    marked = sorted(((_mark(item, keys, names[1]), item) for item in examples), key=lambda pair: pair[0].order)
    drawn = [pair for pair in marked if pair[1].get("thumbnail")][:PICTURES]
    shots = tuple(_shot(item, keys, names, mark) for mark, item in drawn)
    flips = [item for mark, item in marked if mark.order < 3]
    rows = []
    for item in flips[:_ROWS]:
        words = (n.file_name(item["image"]), item["label"] or n.NONE, *(_guess(item[key]) for key in keys))
        rows.append(tuple(map(text_cell, words)))
    heads = ("Image", "True", *names)
    table = Table("Images with another label", heads, tuple(rows), texts=4) if rows else None
    return Gallery(shots, table) if shots or table else None


def flips_of(examples: Iterable[dict[str, Any]], keys: tuple[str, str]) -> int:
    """How many examples got another label from the second model."""
    return sum(item[keys[0]]["label"] != item[keys[1]]["label"] for item in examples)


def _shot(item: dict[str, Any], keys: tuple[str, str], names: tuple[str, str], mark: _Mark) -> Shot:
    label, answers = item["label"], [item[key] for key in keys]
    lines = [
        (name, answer["label"], n.percent(answer["score"], 0)) for name, answer in zip(names, answers, strict=True)
    ]
    if label is not None and {label} != {answer["label"] for answer in answers}:
        lines.insert(0, ("true", label, ""))
    name = n.file_name(item["image"])
    alt = name if label is None else f"{name}, true label {label}"
    return Shot(item["thumbnail"], alt, mark.style, mark.sign, mark.word, tuple(lines), name, item["image"])


def _mark(item: dict[str, Any], keys: tuple[str, str], name: str) -> _Mark:
    truth, before, after = item["label"], item[keys[0]]["label"], item[keys[1]]["label"]
    if before != after:
        if truth is not None and before == truth:
            return _Mark(0, "broken", "▼", f"broken by {name}")
        if truth is not None and after == truth:
            return _Mark(1, "fixed", "▲", f"corrected by {name}")
        return _Mark(2, "differs", "≠", "both wrong" if truth is not None else "differs")
    if truth is None:
        return _Mark(4, "same", "=", "same label")
    return _Mark(4, "same", "✓", "both right") if after == truth else _Mark(3, "wrong", "✗", "both wrong")


def _guess(guess: dict[str, Any]) -> str:
    return f"{guess['label']} {n.percent(guess['score'], 0)}"
