"""How numbers and names are written for people: one rounding rule a quantity, the same in every format."""

import math
import re
from collections.abc import Sequence
from typing import Any, Final, TypeVar

T = TypeVar("T")
NONE: Final = "—"
SPACE: Final = "\u00a0"  # between a number and its unit, so that a line never breaks there
_MINUS: Final = "\u2212"
# Control characters, halves of surrogate pairs and characters that reverse the text after them.
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def percent(share: float | None, digits: int = 1) -> str:
    """A share in [0, 1] as "75.5 %"; a share that only rounds to 100 or 0 is not written as if it were."""
    if share is None:
        return NONE
    smallest = 10.0**-digits
    value = round(100 * max(0.0, share), digits)
    if value >= 100 and share < 1:
        value = 100 - smallest
    if value <= 0 < share:
        return f"<{SPACE}{smallest:.{digits}f}{SPACE}%"
    return f"{value:.{digits}f}{SPACE}%"


def points(value: float | None, digits: int = 2) -> str:
    """A signed difference of two percentages: "+0.15 points"."""
    if value is None:
        return NONE
    text = f"{abs(value):.{digits}f}"
    sign = "" if float(text) == 0 else "+" if value > 0 else _MINUS
    return f"{sign}{text}{SPACE}points"


def decimal(value: float | None, digits: int = 2) -> str:
    """A number with a sign only where it is negative: "0.30", minus "0.10"."""
    if value is None:
        return NONE
    text = f"{abs(value):,.{digits}f}"
    return text if value >= 0 or not text.strip("0.,") else f"{_MINUS}{text}"


def allowance(value: float) -> str:
    """A number of percentage points as a budget: "1 point", "0.5 points"."""
    return f"{value:g}{SPACE}point{'' if value == 1 else 's'}"


def count(value: int) -> str:
    """A whole number with thousands separated: "10,000"."""
    return f"{value:,}"


def noun(number: int, one: str) -> str:
    """A count with its noun: "1 image", "300 images"."""
    return f"{number:,}{SPACE}{one}{'' if number == 1 else 's'}"


def size(value: int) -> str:
    """Bytes in decimal units: "98.5 kB"."""
    if value < 1000:
        return f"{value}{SPACE}B"
    scaled, unit = (value / 1e3, "kB") if value < 999_950 else (value / 1e6, "MB")
    return f"{scaled:,.1f}{SPACE}{unit}"


def size_exact(value: int | None) -> str:
    """Bytes to the byte: "98,496 B"."""
    return NONE if value is None else f"{value:,}{SPACE}B"


def megabytes(value: float | None) -> str:
    """Memory: "34.2 MB"."""
    return NONE if value is None else f"{value:,.1f}{SPACE}MB"


def milliseconds(value: float | None) -> str:
    """A latency: "0.0783 ms", "12.4 ms", "1,250 ms"."""
    return NONE if value is None else f"{significant(value)}{SPACE}ms"


def seconds(value: float) -> str:
    """A duration: "0.4 s", "2 min 05 s"."""
    if value < 59.95:
        return f"{value:.1f}{SPACE}s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes:,}{SPACE}min{SPACE}{rest:02d}{SPACE}s"


def ratio(value: float | None) -> str:
    """A factor of 0 or more: "1.07 ×", "3.2 ×", "39 ×"."""
    if value is None:
        return NONE
    digits = 2 if value < 1.995 else 1 if value < 9.95 else 0
    return f"{value:,.{digits}f}{SPACE}×"


def significant(value: float) -> str:
    """Three digits that count: 0.0783, 1.25, 12.4, 1,250; an exponent only below a millionth."""
    if value == 0:
        return "0"
    if abs(value) < 1e-6:
        return f"{value:.1e}"
    digits = 2 - math.floor(math.log10(abs(value)))
    return f"{value:,.{max(0, digits)}f}"


def p_value(value: float) -> str:
    """A p-value: "0.041", "< 0.001"."""
    return f"{value:.3f}" if value >= 0.001 else f"<{SPACE}0.001"


def divide(numerator: float | None, denominator: float | None) -> float | None:
    """The quotient, or None where a part is missing, or the denominator is 0 or next to it."""
    if numerator is None or not denominator:
        return None
    quotient = numerator / denominator
    return quotient if math.isfinite(quotient) else None


def change(before: float | None, after: float | None, better: str, worse: str) -> str:
    """How a quantity of which less is better changed: "3.2 × smaller", "1.40 × slower", "equal"."""
    factor = divide(before, after)
    inverse = divide(after, before)
    if factor is None or inverse is None:
        return NONE
    if abs(factor - 1) < 0.005:
        return "equal"
    return f"{ratio(factor)} {better}" if factor > 1 else f"{ratio(inverse)} {worse}"


def file_name(path: str) -> str:
    """The last part of a path of any system; never empty."""
    return re.split(r"[\\/]", path.rstrip("\\/"))[-1] or path or NONE


def tell_apart(paths: Sequence[str]) -> list[str]:
    """Short names of files: the words in which their names differ, as "float" and "int8"; else the whole names."""
    names = [file_name(path) for path in paths]
    words = [re.split(r"[-_. ]+", name.rpartition(".")[0] or name) for name in names]
    shortest = min((len(item) for item in words), default=0)
    start = next((place for place in range(shortest) if len({item[place] for item in words}) > 1), shortest)
    rest = [item[start:] for item in words]
    shortest = min((len(item) for item in rest), default=0)
    end = next((place for place in range(shortest) if len({item[-1 - place] for item in rest}) > 1), shortest)
    short = ["-".join(item[: len(item) - end]) for item in rest]
    return short if len(set(short)) == len(names) > 1 and all(short) and (start or end) else names


def spread(items: Sequence[T], limit: int) -> Sequence[T]:
    """At most `limit` items, evenly spaced, the first and the last among them."""
    if len(items) <= limit:
        return items
    return [items[round(index * (len(items) - 1) / (limit - 1))] for index in range(limit)]


def clip(text: str, length: int) -> str:
    """Text of at most `length` characters, the cut shown by an ellipsis."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def printable(value: Any) -> Any:
    """A JSON value with every character that no page, table or file can hold replaced by U+FFFD."""
    if isinstance(value, str):
        return _UNPRINTABLE.sub("\ufffd", re.sub("[\t\r\n\u2028\u2029]+", " ", value))
    if isinstance(value, list):
        return [printable(item) for item in value]
    if isinstance(value, dict):
        return {printable(key): printable(item) for key, item in value.items()}
    return value


def plain(value: Any) -> str:
    """Any JSON value on one line: for the free parts of a record (machine, versions, clip, summary)."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {plain(item)}" for key, item in value.items()) or NONE
    if isinstance(value, list):
        return ", ".join(plain(item) for item in value) or NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return NONE if value is None or value == "" else str(value)
