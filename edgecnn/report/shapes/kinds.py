"""The words that shapes are written in.

A shape is the name of a kind ("text", "share", …), `Maybe(shape)` where null is allowed, `Each(shape)` for an object
whose keys are free, `[shape]` for a list, a tuple for a list of that length, or a dict for an object. A key with "?"
at its end may be missing; keys that a shape does not name are left alone, so that a record may carry more.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True)
class Maybe:
    """A shape, or null."""

    shape: Any


@dataclass(frozen=True)
class Each:
    """An object with any keys, each value of which has the shape."""

    shape: Any


# A picture must carry its bytes inside: a page that loads from elsewhere would not be offline.
_PICTURE = re.compile(r"data:image/(jpeg|png|webp);base64,[A-Za-z0-9+/]+={0,2}")
_SLACK = 1e-6  # a float32 softmax may sum to a little more than 1
_LARGEST = 1e15  # beyond, a number is a mistake, and sums of it would overflow


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return -_LARGEST <= value <= _LARGEST  # false for NaN


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and _is_number(value) and value >= 0


# What a value is called in messages, and whether it is one.
KINDS: Final[dict[str, tuple[str, Callable[[Any], bool]]]] = {
    "any": ("any value", lambda value: True),
    "text": ("a text", lambda value: isinstance(value, str)),
    "flag": ("true or false", lambda value: isinstance(value, bool)),
    "count": ("a whole number from 0 to 1e15", _is_count),
    "number": ("a number up to 1e15", _is_number),
    "amount": ("a number from 0 to 1e15", lambda value: _is_number(value) and value >= 0),
    "share": ("a number from 0 to 1", lambda value: _is_number(value) and -_SLACK <= value <= 1 + _SLACK),
    "table": ("an object", lambda value: isinstance(value, dict)),
    "picture": (
        "a data:image/…;base64 picture",
        lambda value: isinstance(value, str) and _PICTURE.fullmatch(value) is not None,
    ),
}
