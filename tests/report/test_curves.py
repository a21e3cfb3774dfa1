import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.report import numbers as n
from edgecnn.report.curves import class_curves, learning_curves, sustained_charts
from tests.report import measured, samples


def test_learning_curves_show_both_splits_and_the_epoch_that_was_kept() -> None:
    history = measured.training(11)["history"]
    loss, accuracy = learning_curves(history, kept=6)
    assert loss.title == "Loss, logarithmic"
    assert [line.label for line in loss.series] == ["training", "validation"]
    assert [(mark.fraction, mark.text) for mark in loss.marks] == [(0.5, "kept: 6")]
    training, validation = (line.runs[0] for line in accuracy.series)
    assert [x for x, _ in training] == pytest.approx([index / 10 for index in range(11)])
    assert all(first[1] > second[1] for first, second in zip(training, validation, strict=True))
    assert accuracy.summary.replace(n.SPACE, " ") == "training ends at 92.7 %; validation ends at 91.8 %"


def test_what_was_not_validated_is_not_drawn() -> None:
    history = [item | {"val_loss": None, "val_accuracy": None} for item in measured.training(5)["history"]]
    assert [len(chart.series) for chart in learning_curves(history, kept=99)] == [1, 1]
    assert learning_curves(history, kept=99)[0].marks == ()
    assert learning_curves(history[:1], kept=1) == []


def test_a_gap_parts_a_line() -> None:
    history = measured.training(5)["history"]
    history[2]["val_loss"] = None
    runs = learning_curves(history, kept=1)[0].series[1].runs
    assert [len(run) for run in runs] == [2, 2]


@given(st.lists(st.floats(-1e15, 1e15), min_size=2, max_size=5))
def test_any_loss_is_drawn_inside_the_chart(losses: list[float]) -> None:
    history = [
        measured.training(1)["history"][0] | {"epoch": place, "loss": loss} for place, loss in enumerate(losses, 1)
    ]
    for chart in learning_curves(history, kept=1):
        for line in chart.series:
            for run in line.runs:
                assert all(0 <= value <= 1 and math.isfinite(value) for point in run for value in point)


def test_curves_of_two_models_share_a_chart() -> None:
    record = measured.full_evaluation()
    roc, precision = class_curves([("float", record), ("int8", record | {"roc_auc": 0.9})])
    assert roc.title == "ROC: true over false positive rate, “dog” being positive"
    assert [line.label for line in roc.series] == ["float: AUC 0.9512", "int8: AUC 0.9000"]
    assert roc.series[0].runs == (tuple((x, y) for x, y in record["curves"]["roc"]),)
    assert roc.diagonal == "guessing"
    assert (precision.x_name, precision.diagonal) == ("recall", "")
    assert precision.summary == "float: average precision 0.9433; int8: average precision 0.9433"


def test_curves_of_another_positive_class_are_left_out() -> None:
    other = measured.full_evaluation()
    other["curves"]["positive"] = "cat"
    charts = class_curves([("a", measured.full_evaluation()), ("b", other), ("c", samples.evaluation())])
    assert [len(chart.series) for chart in charts] == [1, 1]
    assert class_curves([("c", samples.evaluation()), ("d", samples.evaluation(curves=None))]) == []


def test_a_long_run_shows_where_the_machine_slowed_down() -> None:
    latency, temperature, clock = sustained_charts("int8", measured.sustained(30))
    assert [line.label for line in latency.series] == ["p50", "p99"]
    assert len(latency.shades) == 9  # of 30 windows those after the 21st
    assert latency.shades[0][0] == pytest.approx(105 / 150)
    assert latency.shade_name == "slowed down"
    assert temperature.summary.replace(n.SPACE, " ") == "temperature from 50.0 to 81.1 °C"
    assert clock.summary.replace(n.SPACE, " ") == "clock from 1,800 to 1,200 MHz"
    assert len(clock.y_ticks) <= 5


def test_what_the_machine_does_not_tell_has_no_chart() -> None:
    unknown = {"temperature_c": None, "clock_mhz": None, "throttled": None}
    charts = sustained_charts("int8", [window | unknown for window in measured.sustained(5)])
    assert [chart.title for chart in charts] == ["Frame to label of int8 over time, ms"]
    assert charts[0].shades == ()
    assert sustained_charts("int8", measured.sustained(1)) == []
