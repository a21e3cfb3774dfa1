import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.report import numbers as n


def spaced(text: str) -> str:
    """The text with plain spaces."""
    return text.replace(n.SPACE, " ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (n.percent(0.7548, 2), "75.48 %"),
        (n.percent(0.7548), "75.5 %"),
        (n.percent(0), "0.0 %"),
        (n.percent(0.0001), "< 0.1 %"),
        (n.percent(0.99999), "99.9 %"),
        (n.percent(1), "100.0 %"),
        (n.percent(1 + 1e-7), "100.0 %"),
        (n.percent(-1e-7), "0.0 %"),
        (n.percent(None), "—"),
        (n.points(0.1549), "+0.15 points"),
        (n.points(-0.15), "\u22120.15 points"),
        (n.points(-0.001), "0.00 points"),
        (n.points(None), "—"),
        (n.allowance(1), "1 point"),
        (n.allowance(0.5), "0.5 points"),
        (n.count(10_000), "10,000"),
        (n.noun(1, "image"), "1 image"),
        (n.noun(2_000, "image"), "2,000 images"),
        (n.size(999), "999 B"),
        (n.size(98_496), "98.5 kB"),
        (n.size(999_949), "999.9 kB"),
        (n.size(999_950), "1.0 MB"),
        (n.size_exact(98_496), "98,496 B"),
        (n.megabytes(43.14), "43.1 MB"),
        (n.milliseconds(0.0783), "0.0783 ms"),
        (n.milliseconds(1.254), "1.25 ms"),
        (n.milliseconds(12.44), "12.4 ms"),
        (n.milliseconds(1250), "1,250 ms"),
        (n.milliseconds(0.0001), "0.000100 ms"),
        (n.milliseconds(1e-7), "1.0e-07 ms"),
        (n.milliseconds(0), "0 ms"),
        (n.seconds(0.42), "0.4 s"),
        (n.seconds(59.97), "1 min 00 s"),
        (n.seconds(125), "2 min 05 s"),
        (n.ratio(1.066), "1.07 ×"),
        (n.ratio(3.23), "3.2 ×"),
        (n.ratio(39.2), "39 ×"),
        (n.change(318_144, 98_496, "smaller", "larger"), "3.2 × smaller"),
        (n.change(1, 1.5, "faster", "slower"), "1.50 × slower"),
        (n.change(1, 1.001, "faster", "slower"), "equal"),
        (n.change(1, 0, "faster", "slower"), "—"),
        (n.change(None, 1, "faster", "slower"), "—"),
        (n.file_name("a/b/c.tflite"), "c.tflite"),
        (n.file_name("C:\\models\\c.keras"), "c.keras"),
        (n.file_name("saved_model/"), "saved_model"),
        (n.file_name("/"), "/"),
        (n.file_name(""), "—"),
        (n.clip("abcdef", 6), "abcdef"),
        (n.clip("abcdefg", 6), "abcde…"),
        (n.plain({"a": 1, "b": [True, None]}), "a 1, b yes, —"),
        (n.plain(0.1234567), "0.123457"),
        (n.plain(""), "—"),
    ],
)
def test_numbers_are_written_for_people(text: str, expected: str) -> None:
    assert spaced(text) == expected


@given(st.floats(0, 1), st.integers(0, 3))
def test_only_all_is_written_as_100_percent_and_only_none_as_0(share: float, digits: int) -> None:
    text = spaced(n.percent(share, digits)).removesuffix(" %")
    assert (float(text.lstrip("< ")) == 100) == (share == 1)
    assert (text == f"{0:.{digits}f}") == (share == 0)


@given(st.floats(0, 1e15), st.floats(0, 1e15))
def test_a_quotient_is_finite_or_missing(numerator: float, denominator: float) -> None:
    quotient = n.divide(numerator, denominator)
    assert quotient is None or math.isfinite(quotient)


@given(
    st.recursive(
        st.text(st.characters()), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=4
    )
)
def test_printable_text_can_be_written_and_stays_on_one_line(value: Any) -> None:
    def check(item: Any) -> None:
        if isinstance(item, str):
            item.encode()
            assert len(item.splitlines()) <= 1
        else:
            for inner in [*item.keys(), *item.values()] if isinstance(item, dict) else item:
                check(inner)

    check(n.printable(value))


def test_printable_keeps_ordinary_text_and_replaces_what_no_file_can_hold() -> None:
    assert n.printable(["日本語 ünï 🐈", "a\nb\tc", "\ud800", "\u202eabc", 7, None, True]) == [
        "日本語 ünï 🐈", "a b c", "\ufffd", "\ufffdabc", 7, None, True,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.3, "0.30"), (-0.1, "\u22120.10"), (-0.001, "0.00"), (0, "0.00"), (-1234.5, "\u22121,234.50"), (None, "—")],
)
def test_a_decimal_has_a_sign_only_below_zero(value: float | None, text: str) -> None:
    assert n.decimal(value) == text
