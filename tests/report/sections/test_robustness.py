"""What a page says of models on spoilt pictures."""

import numpy as np
import pytest

from edgecnn.report import numbers as n
from edgecnn.report import robustness as r
from edgecnn.report.blocks import Gallery, Grid, Table
from edgecnn.report.curves import LineChart
from edgecnn.report.html import render_html
from edgecnn.report.markdown import render_markdown
from edgecnn.report.sections.robustness import judge_robustness, robustness
from edgecnn.report.tables import render_csv
from edgecnn.report.values import values_of
from tests.report.measured import robustness as trial


def plain(text: str) -> str:
    return text.replace(n.SPACE, " ")


def test_the_section_of_a_float_model_and_its_int8() -> None:
    section = robustness(trial())
    assert section.title == "Robustness of pets.keras and pets_int8.tflite"
    assert plain(section.subtitle) == "200 images of the test split of pets, spoilt alike for every model"
    assert {tile.label: (plain(tile.value), *map(plain, tile.notes)) for tile in section.tiles} == {
        "Clean": ("90.0 %", "int8 88.0 %"),
        "All corruptions": ("72.5 %", "int8 65.0 %"),
        "FGSM, 8/255": ("20.0 %", "int8 25.0 %"),
        f"PGD, 10{n.SPACE}steps, 8/255": ("5.0 %", "int8 10.0 %"),
        f"Patch, 10{n.SPACE}% of the area": ("30.0 %", "int8 45.0 %"),
        "mCE of int8": ("125.0 %", "float is 100 %"),
    }
    assert [part.title for part in section.parts] == [
        "At a glance", "How accuracy falls", "Corruption by corruption", "Images made to fool a model",
        "A patch that fools a model", "How it was measured",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("low", "points", "level"), [(1.5, 4.0, "warn"), (3.0, 8.0, "bad"), (-0.5, 1.0, "plain"), (-3.0, -2.0, "plain")]
)
def test_the_verdict_warns_where_int8_loses_more_than_chance_explains(low: float, points: float, level: str) -> None:
    extra = [{"model": 1, "condition": "corruptions", "points": points, "ci95": [low, 2 * points - low]}]
    verdict = judge_robustness(trial(extra=extra))
    assert verdict.level == level
    assert verdict.headline == trial()["verdict"]
    assert plain(verdict.remarks[0]) == (
        "Attacked on pets.keras (PGD, 10 steps, 8/255), right are: float 5.0 %, int8 10.0 %."
    )
    assert plain(verdict.remarks[1]) == "1 image could not be read and was left out."
    assert verdict.remarks[2] == "the models cut pictures to different sizes"


def test_the_table_has_every_condition_and_what_int8_loses_more() -> None:
    (table,) = robustness(trial()).parts[0].blocks
    assert isinstance(table, Table)
    assert table.heads == ("Top-1", "float", "int8", "int8 loses more by")
    rows = {plain(row[0].text): row for row in table.rows}
    assert list(rows) == [
        "Clean", "Noise", "Digital", "All corruptions", "mCE", "Relative mCE", "FGSM, 8/255", "PGD, 10 steps, 8/255",
        "Patch, 10 % of the area", "Random pixels in its place",
    ]  # fmt: skip
    assert [cell.value for cell in rows["Noise"][1:3]] == pytest.approx([0.6, 0.5])
    assert [cell.value for cell in rows["All corruptions"][1:3]] == pytest.approx([0.725, 0.65])
    worse, better, chance = (rows[name][3] for name in ("All corruptions", "FGSM, 8/255", "PGD, 10 steps, 8/255"))
    assert (worse.value, plain(worse.note), worse.tone) == (4.0, "1.5 to 6.5", "worse")
    assert (better.value, better.tone, chance.tone) == (-7.0, "better", "")
    assert plain(rows["mCE"][2].text) == "125.0 %"
    assert rows["Relative mCE"][2].text == n.NONE


def test_curves_begin_with_clean_pictures_and_share_an_axis() -> None:
    first, second = r.curves_of(trial())
    assert isinstance(first, LineChart)
    assert (first.title, second.title) == ("Noise: gaussian noise", "Digital: JPEG")
    assert [tick.text for tick in first.x_ticks] == ["clean", "1", "2", "3", "4", "5"]
    assert first.y_ticks == second.y_ticks
    float_line, int8_line = first.series
    assert (float_line.label, int8_line.label) == ("float", "int8")
    low, high = (0.2, 1.0)  # the axis, by its first and last tick
    assert [plain(tick.text) for tick in (first.y_ticks[0], first.y_ticks[-1])] == ["20 %", "100 %"]
    places = [(x / 5, (y - low) / (high - low)) for x, y in ((0, 0.88), (1, 0.7), (3, 0.5), (5, 0.3))]
    np.testing.assert_allclose(int8_line.runs[0], places)


def test_corruptions_are_listed_the_worst_first_with_every_severity() -> None:
    beside, whole = robustness(trial()).parts[2].blocks
    assert [row[0].text for row in beside.table.rows] == ["gaussian noise", "jpeg compression"]
    (figure,) = beside.figures
    assert [pair.label for pair in figure.chart.pairs] == ["gaussian noise", "JPEG"]
    assert [pair.is_better for pair in figure.chart.pairs] == [False, False]
    assert figure.chart.pairs[0].text == f"{n._MINUS}10.0"
    assert [cell.value for cell in whole.rows[0][2:]] == [0.8, None, 0.6, None, 0.4]


def test_the_patch_is_shown_with_what_it_does() -> None:
    words, bars, gallery = robustness(trial()).parts[4].blocks
    assert "pets.keras" in words.text
    assert isinstance(bars, Grid)
    assert len(bars.blocks) == 2
    assert isinstance(gallery, Gallery)
    assert [tuple(map(plain, line)) for line in gallery.shots[0].lines] == [
        ("float", "", "30.0 %"),
        ("int8", "", "45.0 %"),
        ("float says", "cat", "60.0 %"),
        ("int8 says", "cat", "40.0 %"),
    ]


def test_a_model_alone_and_parts_that_are_missing() -> None:
    record = trial(names=["float"], models=trial()["models"][:1], extra=[], corruptions=[], patch=None, skipped=0)
    section = robustness(record)
    assert section.title == "Robustness of pets.keras"
    assert [part.title for part in section.parts] == [
        "At a glance", "Images made to fool a model", "How it was measured",
    ]  # fmt: skip
    assert section.parts[0].blocks[0].heads == ("Top-1", "float")
    several = trial(names=["a", "b", "c"], models=[trial()["models"][0]] * 3)
    assert plain(robustness(several).title) == "Robustness of 3 models"
    for known in (record, several):
        assert render_html([known]).startswith("<!DOCTYPE html>")
        assert render_markdown([known]).startswith("# ")


def test_every_figure_is_in_the_list_of_numbers() -> None:
    values = {(side, metric, item): value for side, metric, item, value, _ in values_of("robustness", trial())}
    assert values["int8", "top1", ""] == 0.88
    assert values["int8", "top1", "gaussian_noise 3"] == 0.5
    assert values["float", "top1", "pgd"] == 0.05
    assert values["float", "noise_top1", "patch"] == 0.7
    assert values["int8", "hits", "patch"] == 0.4
    assert values["int8", "mce", ""] == 1.25
    assert values["int8", "extra_loss_pp", "corruptions"] == 4.0
    assert values["int8", "extra_loss_pp_low", "corruptions"] == 1.5
    assert "pets.keras -> out/pets_int8.tflite" in render_csv([trial()])
