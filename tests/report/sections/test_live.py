"""What a page says of a run with a camera, and of a training."""

import pytest

from edgecnn.report import numbers as n
from edgecnn.report.sections.live import camera, judge_camera
from edgecnn.report.sections.training import judge_training, training
from tests.report import measured
from tests.report.samples import Record

NOTHING: Record = {
    "frames": 0, "fps": None, "seconds": 0.0, "p50_ms": None, "p90_ms": None, "age_p50_ms": None, "age_p90_ms": None,
    "stages": dict.fromkeys(("read_ms", "preprocess_ms", "invoke_ms", "postprocess_ms")), "labels": {}, "dropped": 0,
    "skipped": 0, "reconnects": 0, "hottest_c": None, "temperature_c": None, "throttled": None,
    "drift": None,
}  # fmt: skip


def test_a_run_is_told_in_a_sentence_with_what_went_wrong() -> None:
    verdict = judge_camera(measured.camera())
    assert verdict.level == "warn"
    assert verdict.headline.replace(n.SPACE, " ") == (
        "600 frames labelled, 25.5 a second; a label is 3.90 ms old when it is there (median)."
    )
    assert [remark.replace(n.SPACE, " ") for remark in verdict.remarks] == [
        "11 frames came while inference ran and were dropped.",
        "1 frame could not be decoded.",
        "The source was lost and found again 1 time.",
        "The board slowed itself down: throttled now.",
        "What it saw was unlike the pictures at conversion 2 times: dark for 12.3 s, blurred for 4.0 s.",
    ]
    assert judge_camera(measured.camera(**NOTHING)).headline.replace(n.SPACE, " ") == "0 frames labelled."
    assert judge_camera(measured.camera(**NOTHING)).level == "plain"


def test_a_drift_alone_is_a_warning_and_a_run_without_a_watch_says_so() -> None:
    drifted = {"begun": 1, "seconds": {"dark": 3.0}, "now": "dark"}
    for drift, level, fact in (
        (drifted, "warn", "1 drift, dark at the end"),
        (drifted | {"begun": 0, "seconds": {}, "now": None}, "plain", "0 drifts, none at the end"),
        (None, "plain", "none"),
    ):
        record = measured.camera(**NOTHING | {"drift": drift})
        assert judge_camera(record).level == level
        facts = dict(camera(record).parts[-1].blocks[0].items)
        assert facts["Drift watch"].replace(n.SPACE, " ") == fact
    record = measured.camera(**NOTHING)
    del record["drift"]  # of an earlier release
    assert "Drift watch" not in dict(camera(record).parts[-1].blocks[0].items)


def test_a_run_shows_latency_stages_and_labels() -> None:
    section = camera(measured.camera())
    assert section.title == "Camera: 0"
    latency, stages, labels = (figure.chart for figure in section.parts[0].blocks[0].blocks)
    assert [bar.text.replace(n.SPACE, " ") for bar in latency.bars] == ["2.50 ms, p90 4.00 ms", "3.90 ms, p90 17.3 ms"]
    assert stages.names == ("reading", "preprocessing", "inference", "postprocessing")
    assert [bar.label for bar in labels.bars] == ["cat", "unknown"]
    assert (
        len(camera(measured.camera(labels={str(i): i for i in range(30)})).parts[0].blocks[0].blocks[2].chart.bars)
        == 12
    )


@pytest.mark.parametrize("missing", [("source", "model", "saved", "full", "left_out")])
def test_a_run_without_anything_has_only_its_facts(missing: tuple[str, ...]) -> None:
    record = {key: value for key, value in measured.camera(**NOTHING).items() if key not in missing}
    section = camera(record)
    assert section.title == "Camera"
    assert [part.title for part in section.parts] == ["How it was measured"]


def test_a_training_is_told_with_its_epoch() -> None:
    verdict = judge_training(measured.training())
    assert verdict.headline.replace(n.SPACE, " ") == (
        "pets.keras is right on 85.0 % of 120 images of the test split (95 % interval 78.0 to 92.0)."
    )
    assert verdict.remarks[0] == "It has the weights of epoch 10 of 12."
    assert verdict.remarks[1].replace(n.SPACE, " ") == (
        "In that epoch it was right on 92.0 % of the training pictures, as they were changed for training, and on "
        "91.0 % of the validation pictures (\u22121.00 points)."
    )
    assert verdict.remarks[-1] == "no test split: 80 % of every class are train"


def test_a_training_shows_its_curves_metrics_and_options() -> None:
    section = training(measured.training(60))
    assert [part.title for part in section.parts] == [
        "Learning", "Final metrics", "What is mixed up", "Class by class", "Images that could not be read",
        "How it was trained",
    ]  # fmt: skip
    grid, table = section.parts[0].blocks
    assert len(grid.blocks) == 2
    assert table.title == "24 of 60 epochs in figures"
    assert dict(section.parts[-1].blocks[0].items)["Learning rate"] == "0.001"
    assert "Teacher" not in dict(section.parts[-1].blocks[0].items)


def test_the_epoch_that_was_kept_is_marked() -> None:
    table = training(measured.training(12)).parts[0].blocks[1]
    assert table.title == "All epochs in figures"
    assert table.marked == 9
