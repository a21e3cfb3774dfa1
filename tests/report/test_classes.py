import pytest

from edgecnn.report import classes
from edgecnn.report import numbers as n
from tests.report import samples


def test_matrices_share_one_scale_and_colour_only_mistakes() -> None:
    before, after = samples.evaluation([[8, 2], [0, 10]], ["a", "b"]), samples.evaluation([[6, 4], [1, 9]], ["a", "b"])
    first, second = classes.heat_maps([("float", before), ("int8", after)])
    assert [(cell.row, cell.column, cell.strength, cell.text) for cell in first.cells] == [
        (0, 0, 0, "80"), (0, 1, 0.5, "20"), (1, 1, 0, "100"),
    ]  # fmt: skip
    assert [(cell.row, cell.column, cell.strength, cell.text) for cell in second.cells] == [
        (0, 0, 0, "60"), (0, 1, 1, "40"), (1, 0, 0.25, "10"), (1, 1, 0, "90"),
    ]  # fmt: skip
    assert second.cells[1].hint == "true a, predicted b: 4 of 10"
    assert second.summary == "15 of 20 images on the diagonal"


def test_a_class_without_images_has_an_empty_row() -> None:
    heat = classes.heat_maps([("int8", samples.evaluation([[5, 0], [0, 0]], ["a", "b"]))])[0]
    assert [(cell.row, cell.column, cell.text) for cell in heat.cells] == [(0, 0, "100"), (1, 1, "")]


def test_numbers_are_left_out_where_they_do_not_fit() -> None:
    labels = [f"label {index}" for index in range(13)]
    confusion = [[1] * 13 for _ in labels]
    assert {cell.text for cell in classes.heat_maps([("", samples.evaluation(confusion, labels))])[0].cells} == {""}


def test_no_matrix_of_no_or_too_many_classes() -> None:
    labels = [f"label {index}" for index in range(classes.MATRIX_LIMIT + 1)]
    assert classes.heat_maps([]) == []
    assert classes.heat_maps([("", samples.evaluation([[1] * len(labels) for _ in labels], labels))]) == []


def test_the_most_frequent_mistakes_come_first_with_floats_number() -> None:
    before, after = samples.evaluation([[8, 2], [0, 10]], ["a", "b"]), samples.evaluation([[9, 1], [3, 7]], ["a", "b"])
    assert classes.confusions(before, after) == [
        classes.Confusion("b", "a", 10, 0, 3),
        classes.Confusion("a", "b", 10, 2, 1),
    ]
    assert classes.confusions(None, after, limit=1) == [classes.Confusion("b", "a", 10, None, 3)]
    assert classes.confusions(None, samples.evaluation([[5, 0], [0, 5]], ["a", "b"])) == []


def test_f1_of_both_models_is_on_one_axis_and_only_clear_changes_are_good_or_bad() -> None:
    before, after = samples.evaluation(), samples.evaluation([[20, 16, 4], [5, 33, 2], [1, 0, 39]])
    chart = classes.f1_chart(before["per_class"], after["per_class"], "int8")
    assert chart is not None
    cat, dog, bird = chart.pairs
    assert cat.before is not None
    assert cat.after is not None
    assert 0 <= cat.after < cat.before <= 1
    assert (cat.is_better, dog.is_better, bird.is_better) == (False, False, None)
    assert cat.text == "\u221218.3"  # from 60/76 to 40/66
    assert cat.hint.replace(n.SPACE, " ") == "cat: int8 60.6 %, 40 images, float 78.9 %"
    assert bird.text == "0.0"


def test_f1_that_is_not_defined_is_not_drawn() -> None:
    entries: list[samples.Record] = [{"label": "a", "f1": None, "support": 1}, {"label": "b", "f1": 0.5, "support": 2}]
    chart = classes.f1_chart(entries, entries, "int8")
    assert chart is not None
    assert (chart.pairs[0].before, chart.pairs[0].after, chart.pairs[0].text) == (None, None, "—")


@pytest.mark.parametrize("alone", [True, False])
def test_of_many_classes_those_that_matter_are_kept(alone: bool) -> None:
    before = [{"label": str(index), "f1": 0.9, "support": 1} for index in range(30)]
    after = [item | {"f1": 0.4} if item["label"] == "29" else item for item in before]
    chart = classes.f1_chart(None if alone else before, after, "int8")
    assert chart is not None
    assert len(chart.pairs) == 20
    assert chart.pairs[0].label == "29"
    assert chart.note.startswith("The 20 of 30 classes " + ("with the lowest F1" if alone else "whose F1 changed most"))


def test_classes_without_images_have_no_f1() -> None:
    chart = classes.f1_chart(None, samples.evaluation([[5, 1], [0, 0]], ["a", "b"])["per_class"], "int8")
    assert chart is not None
    assert [pair.label for pair in chart.pairs] == ["a"]
    assert chart.note.replace(n.SPACE, " ") == "1 label without images left out."
    assert classes.f1_chart(None, samples.evaluation([[0, 0], [0, 0]], ["a", "b"])["per_class"], "int8") is None


def test_no_classes_no_chart() -> None:
    assert classes.f1_chart(None, [], "int8") is None
