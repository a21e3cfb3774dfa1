"""`annotate`: what is drawn lies in the band and on the region's edge, whatever the size and the label."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecnn.sinks.annotate import annotate, ascii_only
from tests.camera.seen import seen

# A gray that a third of which, white and yellow all differ from.
GRAY = 90


def changed(
    height: int, width: int, label: str = "ant", roi: tuple[int, int, int, int] | None = None, age_ms: float = 12.3
) -> NDArray[np.bool_]:
    """Which pixels of a gray picture are drawn over."""
    picture = np.full((height, width, 3), GRAY, np.uint8)
    annotate(picture, seen(0, label=label, age_ms=age_ms), roi=roi)
    return np.asarray((picture != GRAY).any(axis=2))


def band(drawn: NDArray[np.bool_]) -> int:
    """Rows of the band; it begins left of the text."""
    return int(drawn[:, 0].sum())


@settings(max_examples=60, deadline=None)
@given(st.integers(16, 400), st.integers(16, 400), st.text(max_size=30), st.floats(0, 1e9))
def test_any_size_and_label_changes_the_band_only(height: int, width: int, label: str, age_ms: float) -> None:
    drawn = changed(height, width, label, age_ms=age_ms)
    rows = band(drawn)
    assert 10 <= rows <= max(22, height / 7)
    assert not drawn[: height - rows].any()
    assert drawn[height - rows :].mean() > 0.95  # the edge of a letter may have the picture's gray


def test_a_region_is_framed_on_its_edge() -> None:
    x, y, width, height = 40, 30, 100, 60
    drawn = changed(720, 1280, roi=(x, y, width, height))
    drawn = drawn[: 720 - band(drawn)]
    assert drawn[y, x : x + width].all()
    assert drawn[y + height - 1, x : x + width].all()
    assert drawn[y : y + height, x].all()
    assert drawn[y : y + height, x + width - 1].all()
    inner = np.zeros_like(drawn)
    inner[y - 1 : y + height + 1, x - 1 : x + width + 1] = True  # the line is two pixels wide
    inner[y + 2 : y + height - 2, x + 2 : x + width - 2] = False
    assert not (drawn & ~inner).any()


def test_the_whole_picture_may_be_the_region() -> None:
    drawn = changed(48, 64, roi=(0, 0, 64, 48))
    assert drawn[0].all()
    assert drawn[:, 0].all()
    assert drawn[:, -1].all()
    assert not drawn[5:20, 5:-5].any()


def test_what_is_shown_differs_by_label_score_and_age() -> None:
    pictures = []
    for other in ({}, {"label": "bee"}, {"score": 0.5}, {"age_ms": 99.0}):
        picture = np.full((240, 320, 3), GRAY, np.uint8)
        annotate(picture, seen(0, **({"label": "ant"} | other)))
        pictures.append(picture.tobytes())
    assert len(set(pictures)) == 4


def test_a_picture_without_place_for_the_age_shows_the_label() -> None:
    old, new = (np.full((32, 64, 3), GRAY, np.uint8) for _ in range(2))
    annotate(old, seen(0, age_ms=900.0))
    annotate(new, seen(0, age_ms=1.0))
    np.testing.assert_array_equal(old, new)
    assert (old == 255).any()


@pytest.mark.parametrize(
    ("text", "drawn"), [("ant", "ant"), ("Größe", "Gr??e"), ("犬 dog", "? dog"), ("\ud800", "?"), ("", "")]
)
def test_letters_that_the_font_has_not_are_question_marks(text: str, drawn: str) -> None:
    assert ascii_only(text) == drawn
