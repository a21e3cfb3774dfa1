"""What a page says of the pixels that answers rest on."""

import pytest

from edgecnn.report import numbers as n
from edgecnn.report.blocks import Gallery, Table
from edgecnn.report.html import render_html
from edgecnn.report.markdown import render_markdown
from edgecnn.report.sections.explanation import explanations, judge_explanations
from edgecnn.report.values import values_of
from tests.report.measured import explanation


def plain(text: str) -> str:
    return text.replace(n.SPACE, " ")


def test_the_section_of_two_models() -> None:
    section = explanations([explanation(), explanation("photos/leo.jpg", 0.5), explanation("photos/kit.jpg", 0.97)])
    assert section.title == "What pets-float.tflite looks at"
    assert plain(section.subtitle) == "rise, 3 images"
    assert section.verdict is not None
    assert plain(section.verdict.headline) == (
        "The maps of float and int8 have a correlation of 0.930 (median of 3 images); 0.500 at least, on leo.jpg."
    )
    assert plain(section.verdict.remarks[0]) == (
        "The best tenth of the pixels holds 42 % of what speaks for the class (median); of a map without any focus it "
        "would hold 10 %."
    )
    assert {tile.label: plain(tile.value) for tile in section.tiles} == {
        "In the best tenth": "42 %",
        "Correlation": "0.930",
        "Correlation of ranks": "0.870",
        "A map takes": "3.2 s",
    }
    assert [part.title for part in section.parts] == [
        "Image by image", "tom.jpg: cat", "leo.jpg: cat", "kit.jpg: cat", "How it was made",
    ]  # fmt: skip


def test_the_table_has_what_the_records_say() -> None:
    (table,) = explanations([explanation(), explanation("leo.jpg", None)]).parts[0].blocks
    assert isinstance(table, Table)
    assert table.heads == ("Image", "Class", "Score", "Second model", "Correlation", "Of ranks", "In the best tenth")
    assert [cell.value for cell in table.rows[0][2:]] == [0.91, 0.88, 0.93, 0.87, 0.42]
    assert table.rows[1][4].text == n.NONE
    alone = explanations([explanation(against=None)]).parts[0].blocks[0]
    assert alone.heads == ("Image", "Class", "Score", "In the best tenth")
    several = explanations([explanation(), explanation(model="other.tflite")]).parts[0].blocks[0]
    assert several.heads[:3] == ("Image", "Model", "Class")


def test_every_picture_stands_beside_its_maps_and_features() -> None:
    _, gallery = explanations([explanation()]).parts[1].blocks
    assert isinstance(gallery, Gallery)
    assert [shot.name for shot in gallery.shots] == [
        "tom.jpg", "rise, pets-float.tflite", "rise, pets-int8.tflite", "conv2d_3",
    ]  # fmt: skip
    assert gallery.shots[2].lines == (
        ("int8", "cat", f"88{n.SPACE}%"),
        ("best tenth", "", f"40{n.SPACE}%"),
        ("correlation", "", "0.930"),
    )
    assert len({shot.alt for shot in gallery.shots}) == 4
    (only,) = explanations([explanation(against=None, features=None, picture=None)]).parts[1].blocks[1].shots
    assert only.lines[0] == ("class", "cat", f"91{n.SPACE}%")
    assert only.name == "rise, pets-float.tflite"
    long = explanations([explanation(model="a model with a long name.tflite")]).parts[1].blocks[1].shots
    assert [shot.lines[0][0] for shot in long[1:3]] == ["first", "second"]


def test_images_of_one_name_are_told_with_their_folders() -> None:
    section = explanations([explanation("photos/cats/1.jpg"), explanation("photos\\dogs\\1.jpg")])
    assert [part.title for part in section.parts[1:3]] == ["cats/1.jpg: cat", "dogs/1.jpg: cat"]
    assert [row[0].text for row in section.parts[0].blocks[0].rows] == ["cats/1.jpg", "dogs/1.jpg"]


def test_many_pictures_are_thinned_out_and_it_is_told() -> None:
    records = [explanation(f"{number}.jpg") for number in range(60)]
    section = explanations(records)
    assert len(section.parts) == 48 + 2
    assert section.parts[1].blocks[0].text.endswith("48 of 60 images, evenly spaced.")
    assert len(section.parts[0].blocks[0].rows) == 60


@pytest.mark.parametrize("against", [None, explanation(correlation=None)["against"]])
def test_the_verdict_without_a_correlation(against: object) -> None:
    verdict = judge_explanations([explanation(against=against, notes=["the models see other parts"])])
    expected = "cannot be correlated: one is even." if against else "it would hold 10 %."
    assert plain(verdict.headline).endswith(expected)
    assert verdict.remarks == ("the models see other parts",)
    assert verdict.level == "plain"


def test_pages_show_the_pictures_and_markdown_the_table() -> None:
    page = render_html([explanation()])
    assert page.count("<img") == 4
    assert 'class="gallery large"' in page
    text = plain(render_markdown([explanation()]))
    assert "| tom.jpg | cat | 91.0 % | 88.0 % | 0.930 | 0.870 | 42 % |" in text
    assert "tom.jpg: cat" not in text


def test_every_number_is_a_value() -> None:
    values = {(side, metric): value for side, metric, _, value, _ in values_of("explain", explanation())}
    assert values["", "mass"] == 0.42
    assert values["against", "mass"] == 0.4
    assert values["", "correlation"] == 0.93
    alone = {(side, metric): value for side, metric, _, value, _ in values_of("explain", explanation(against=None))}
    assert alone["against", "score"] is None
    assert alone["", "rank_correlation"] is None
