"""What a page says of the accuracy of models."""

from edgecnn.report import numbers as n
from edgecnn.report.sections.quality import quality_legend, quality_parts, quality_table
from tests.report import measured, samples


def test_only_what_was_measured_has_a_column() -> None:
    plain = quality_table([("pets", samples.evaluation())], "Accuracy")
    assert plain.heads == ("Model", "Top-1", "Precision", "Recall", "F1")  # of three classes five are always right
    full = quality_table([("pets", measured.full_evaluation())], "Accuracy")
    assert full.heads[5:] == ("F1, weighted", "ROC-AUC", "Avg. precision", "ECE")
    cells = [(cell.text.replace(n.SPACE, " "), cell.note) for cell in full.rows[0]]
    assert cells[0][1].replace(n.SPACE, " ") == "120 images · 812 a second"
    assert cells[4] == ("87.48 %", "80.0 to 92.0")
    assert cells[5:] == [("86.30 %", ""), ("0.9512", ""), ("0.9433", ""), ("4.00 %", "1.0 to 7.0")]


def test_top5_is_told_where_it_is_not_always_right() -> None:
    labels = [f"label {index}" for index in range(6)]
    confusion = [[9 if row == column else 1 for column in range(6)] for row in range(6)]
    assert "Top-5" in quality_table([("", samples.evaluation(confusion, labels))], "").heads


def test_the_legend_says_where_intervals_come_from() -> None:
    assert "bootstrap" not in quality_legend([("", samples.evaluation())])
    text = quality_legend([("", measured.full_evaluation())]).replace(n.SPACE, " ")
    assert "by bootstrap with 1,000 resamples (seed 0)" in text
    assert "ECE is the expected calibration error" in text


def test_models_of_the_same_classes_stand_side_by_side() -> None:
    pair = [("float", measured.full_evaluation()), ("int8", measured.full_evaluation())]
    mixed, single, curves, sure = quality_parts(pair)
    assert [figure.chart.title for figure in mixed.blocks[1].blocks] == ["Confusion, float", "Confusion, int8"]
    assert single.blocks[0].blocks[0].chart.names == ("float", "int8")
    assert len(curves.blocks[0].blocks) == 2
    assert [card.blocks[0].chart.title for card in sure.blocks[1].blocks] == [
        "Reliability of float",
        "Reliability of int8",
    ]


def test_models_of_other_classes_are_not_compared() -> None:
    pair = [("a", samples.evaluation()), ("b", measured.full_evaluation())]
    classes = quality_parts(pair)[1]
    assert [block.chart.names for block in classes.blocks[0].blocks if block.kind == "figure"] == [(), ()]


def test_images_that_could_not_be_read_are_listed_once() -> None:
    record = samples.evaluation(skipped_images=[{"image": f"{index}.jpg", "reason": "no JPEG"} for index in range(25)])
    skipped = quality_parts([("a", record), ("b", record)])[-1]
    (card,) = skipped.blocks[0].blocks
    assert card.title == ""
    assert card.blocks[0].items[:2] == ("0.jpg: no JPEG", "1.jpg: no JPEG")
    assert card.blocks[0].items[20:] == ("and 5 more",)
