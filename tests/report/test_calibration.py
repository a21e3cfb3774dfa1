from typing import Any

import pytest

from edgecnn.report import numbers as n
from edgecnn.report.calibration import gap_words, reliability, table
from tests.report import measured, samples


def words(**changes: Any) -> str:
    return gap_words(samples.evaluation(**changes)).replace(n.SPACE, " ")


def test_columns_are_the_bins_with_images() -> None:
    chart = reliability("int8", measured.full_evaluation())
    assert chart is not None
    assert [column.left for column in chart.columns] == pytest.approx([index / 15 for index in range(8, 15)])
    assert all(column.confidence - column.accuracy == pytest.approx(0.04) for column in chart.columns)
    assert [column.weight for column in chart.columns] == pytest.approx([index / 7 for index in range(1, 8)])
    assert chart.columns[0].hint.replace(n.SPACE, " ") == "says 56.7 %, is right on 52.7 % of 10 images"


@pytest.mark.parametrize(
    ("error", "told"),
    [(0.04, "too sure"), (-0.04, "not sure enough"), (0.0, "neither too sure nor too unsure")],
)
def test_the_gap_is_told_in_words(error: float, told: str) -> None:
    bins = measured.calibration(error) | {"ece": abs(error)}
    text = words(calibration=bins, intervals={"ece": [0.01, 0.07]})
    assert text.startswith(
        f"Its scores are off by {100 * abs(error):.1f} points on average (expected calibration error"
    )
    assert "95 % interval 1.0 to 7.0)" in text
    assert f"On the whole it is {told}: it says" in text
    assert f"it says 83.3 % and is right on {83.3 - 100 * error:.1f} %" in text


def test_nothing_stored_nothing_drawn() -> None:
    empty = measured.calibration() | {"bins": []}
    for record in (samples.evaluation(), samples.evaluation(calibration=None), samples.evaluation(calibration=empty)):
        assert reliability("a", record) is None
        assert gap_words(record) == ""
        assert table("a", record) is None


def test_the_table_has_the_figures_of_the_chart() -> None:
    found = table("int8", measured.full_evaluation())
    assert found is not None
    assert [cell.text.replace(n.SPACE, " ") for cell in found.rows[-1]] == ["93 % to 100 %", "70", "96.7 %", "92.7 %"]
