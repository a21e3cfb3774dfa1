"""What a page says of two models on the same pictures."""

import pytest

from edgecnn.report import numbers as n
from edgecnn.report.blocks import Gallery, Table
from edgecnn.report.html import render_html
from edgecnn.report.sections.comparing import comparison, judge_comparison, names_of_sides
from tests.report import measured
from tests.report.samples import Record


def test_the_page_shows_all_of_a_comparison() -> None:
    section = comparison(measured.comparison())
    assert section.title == "pets-float.tflite against pets-int8.tflite"
    assert [part.title for part in section.parts] == [
        "Side by side", "Who is right", "Images with another label", "Class by class", "How far scores drift",
        "How it was measured",
    ]  # fmt: skip
    tiles = {tile.label: tile.value.replace(n.SPACE, " ") for tile in section.tiles}
    assert tiles == {
        "Agreement": "95.5 %",
        "Change of top-1": "\u22121.80 points",
        "Other labels": "4",
        "McNemar's test": "p = 0.008",
        "File size": "98.5 kB",
    }


def test_flips_come_in_the_order_of_what_they_cost() -> None:
    words, gallery = comparison(measured.comparison()).parts[2].blocks
    assert isinstance(gallery, Gallery)
    assert [shot.word for shot in gallery.shots] == ["broken by int8", "corrected by int8", "both wrong"]
    assert gallery.shots[0].lines == (
        ("true", "cat", ""),
        ("float", "cat", f"61{n.SPACE}%"),
        ("int8", "dog", f"55{n.SPACE}%"),
    )
    assert words.text.replace(n.SPACE, " ") == (
        "4 images got another label from int8: 2 broken by int8, 1 corrected by int8, 1 wrong both times. Shown are 3."
    )
    assert gallery.table is not None
    assert len(gallery.table.rows) == 4  # the one without a picture too


def test_who_is_right_adds_up_to_all_images() -> None:
    _, grid = comparison(measured.comparison()).parts[1].blocks
    (table,) = grid.blocks
    assert isinstance(table, Table)
    assert [[cell.value for cell in row[1:]] for row in table.rows] == [[820, 30], [12, 138]]


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({}, "warn"),
        ({"drop_pp": 7.0}, "bad"),
        ({"drop_pp": -1.8, "drop_ci95": [-3.1, -0.5]}, "good"),
        ({"max_drop": 2.0}, "good"),
        ({"max_drop": 1.0, "within_budget": False}, "bad"),
        ({"p_value": 0.4, "drop_ci95": [-0.5, 0.9]}, "good"),
        ({"p_value": 0.4, "drop_ci95": [-0.5, 3.9]}, "plain"),
        ({"drop_pp": None, "drop_ci95": None, "mcnemar": None}, "plain"),
    ],
)
def test_the_level_follows_from_the_test_and_the_budget(changes: Record, level: str) -> None:
    record = measured.comparison()
    if "p_value" in changes:
        record["mcnemar"]["p_value"] = changes["p_value"]
    assert judge_comparison(record | {key: value for key, value in changes.items() if key != "p_value"}).level == level


def test_the_sentence_is_the_records_own_and_a_missed_budget_comes_first() -> None:
    assert judge_comparison(measured.comparison()).headline == "int8 loses 1.80 points of float's accuracy."
    missed = judge_comparison(measured.comparison(max_drop=1.0, within_budget=False))
    assert missed.headline.startswith("BUDGET MISSED: int8 loses")
    assert missed.remarks[0].replace(n.SPACE, " ") == "The budget of 1 point is MISSED."


def test_pictures_without_labels_tell_the_agreement_only() -> None:
    unlabelled = dict.fromkeys(("float_top1", "float_ci95", "quantized_top1", "quantized_ci95", "drop_pp", "drop_ci95"))
    record = measured.comparison(**unlabelled, mcnemar=None, per_class=[], flips=[measured.flip(None)])
    section = comparison(record)
    assert [part.title for part in section.parts] == [
        "Side by side", "Images with another label", "How far scores drift", "How it was measured",
    ]  # fmt: skip
    assert "Top-1" not in render_html([record])


@pytest.mark.parametrize(
    ("models", "names"),
    [
        (("a/pets-float.tflite", "b/pets-int8.tflite"), ("float", "int8")),
        (("one.tflite", "two.tflite"), ("one.tflite", "two.tflite")),
        (("a/same.tflite", "b/same.tflite"), ("first", "second")),
    ],
)
def test_models_are_called_by_what_tells_them_apart(models: tuple[str, str], names: tuple[str, str]) -> None:
    sides = ({"model": name, "sha256": "", "size_bytes": 1} for name in models)
    assert names_of_sides(dict(zip(("float", "quantized"), sides, strict=True))) == names
