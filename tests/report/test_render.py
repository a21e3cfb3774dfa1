"""Markdown, CSV and JSON, and the one entry for all formats."""

import csv
import io
import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgecnn.errors import ResultError
from edgecnn.report import numbers as n
from edgecnn.report.render import FORMATS, render
from edgecnn.report.results import parse_results
from tests.report import compressed, measured, samples

ALL = [
    *(samples.conversion(), samples.evaluation(), samples.benchmark(), samples.prediction(), samples.demo()),
    *(compressed.compressed(), compressed.sensitivity(), *measured.EVERYTHING),
]
SOME = st.lists(samples.records(), min_size=1, max_size=2)
SLOWLY = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def rows(records: list[dict[str, Any]]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(render(records, "csv"))))


def value(table: list[dict[str, str]], **wanted: str) -> float:
    """The one number of the rows that have these columns."""
    found = [row for row in table if wanted.items() <= row.items()]
    assert len(found) == 1, found
    return float(found[0]["value"])


@SLOWLY
@given(SOME)
def test_json_is_read_back_to_the_same_records(records: list[dict[str, Any]]) -> None:
    text = render(records, "json")
    assert parse_results(text.encode(), "report.json") == records


@SLOWLY
@given(SOME)
def test_every_markdown_table_has_equal_rows(records: list[dict[str, Any]]) -> None:
    text = render(records, "md")
    text.encode()
    for block in text.split("\n\n"):
        if block.startswith("| "):
            assert len({len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in block.splitlines()}) == 1, block


@SLOWLY
@given(SOME)
def test_every_csv_row_is_one_number_and_no_formula(records: list[dict[str, Any]]) -> None:
    render(records, "csv").encode()
    for row in rows(records):
        assert None not in row
        float(row["value"])
        assert not row["item"].startswith(("=", "+", "-", "@"))
        assert not row["name"].startswith(("=", "+", "-", "@"))


def test_csv_holds_the_numbers_of_the_records() -> None:
    table = rows(ALL)
    record = samples.conversion()
    assert value(table, record="1", side="output", metric="size_bytes") == 98_496
    assert value(table, record="1", side="float", metric="top1") == record["accuracy"]["float"]
    assert value(table, record="1", side="output", metric="p50_ms") == 0.1
    assert value(table, record="1", side="output", metric="class_f1", item="dog") == pytest.approx(66 / 79)
    assert value(table, record="1", metric="step_seconds", item="load") == 1.25
    assert value(table, record="1", metric="drop_pp") == pytest.approx(0.8333, abs=1e-4)
    assert value(table, record="2", kind="evaluate", metric="confusion", item="cat -> dog") == 6
    assert value(table, record="3", kind="benchmark", metric="preprocess_ms") == 0.04
    assert value(table, record="4", kind="predict", name="photos/tom.jpg", metric="score", item="dog") == 0.1
    assert value(table, record="5", kind="demo", metric="right", item="frame 1: dog") == 0


def test_csv_holds_stages_rungs_and_layers() -> None:
    table = rows([compressed.compressed(), compressed.sensitivity()])
    assert value(table, record="1", side="float", metric="macs") == 3_000_000
    assert value(table, metric="stage_macs", item="1 channel") == 1_000_000
    assert value(table, metric="stage_layers_skipped", item="2 qat") == 5
    assert value(table, metric="stage_agreement", item="2 qat") == 0.96875
    assert value(table, metric="channels_after", item="1 stem, project") == 16
    assert value(table, side="plain", metric="stages_size_bytes") == 98_000
    assert value(table, side="output", metric="stages_size_bytes") == 49_000
    assert value(table, metric="rung_drop_pp_high", item="1 int8") == pytest.approx(0.7)
    assert value(table, metric="rung_taken", item="4 float-layers") == 1
    assert {row["metric"] for row in table if row["item"] == "3 equalize"} == {"rung_taken"}
    assert value(table, record="1", metric="layer_divergence", item="stem") == 0.02
    assert value(table, record="2", kind="sensitivity", metric="layer_top1_drop_pp", item="stem") == 2.5
    assert value(table, record="2", metric="layer_output_sqnr_db", item="conv") == 24.25
    assert not [row for row in table if row["item"] == "odd"]


def test_markdown_tells_stages_rungs_and_layers() -> None:
    text = render([compressed.compressed(), compressed.sensitivity()], "md").replace(n.SPACE, " ")
    assert "3.0 × fewer; 80,000 → 40,000 parameters, 2.0 × fewer; 3 epochs of learning | logits: its channels" in text
    assert "\n- latency: no gain from pruning\n" in text
    assert "| float-layers (in float: stem) | ✓ taken, inside | \u22120.10 (\u22120.40 to 0.20) | 85.10 % |" in text
    assert "The rung “float-layers, 1 layer” kept the budget of 0.5 points.**" in text
    assert text.count("### Layer by layer") == 2
    assert "\n## Layers of pets.keras\n" in text


def test_csv_holds_every_new_number_of_an_evaluation_and_a_comparison() -> None:
    table = rows([measured.full_evaluation(), measured.comparison()])
    assert value(table, record="1", metric="f1_weighted") == 0.863
    assert value(table, record="1", metric="ece_ci95_high") == 0.07
    assert value(table, record="1", metric="class_roc_auc", item="cat") == 0.95
    assert value(table, record="1", metric="roc_tpr", item="point 3") == 0.9
    assert value(table, record="1", metric="bin_count", item="0.9333 to 1") == 70
    assert (
        value(table, record="2", name="out/pets-float.tflite -> out/pets-int8.tflite", metric="mcnemar_p_value")
        == 0.0081
    )
    assert value(table, record="2", side="quantized", metric="top1_ci95_low") == 0.8076
    assert value(table, record="2", metric="drop_ci95_high") == 3.07
    assert value(table, record="2", metric="class_recall_change_pp", item="bird") == -4
    assert value(table, record="2", metric="drift_count", item="from -0.01") == 900


def test_csv_holds_every_new_number_of_benchmarks_trainings_and_runs() -> None:
    conversion = samples.conversion(architecture=measured.ARCHITECTURE, confidence=measured.CONFIDENCE)
    table = rows([measured.full_benchmark(), measured.training(), measured.camera(), conversion])
    assert value(table, record="1", metric="ratio_ci95_low") == 2.4
    assert value(table, record="1", metric="operator_ms", item="1 ADD layer_1") == 0.05
    assert value(table, record="1", metric="sustained_temperature_c", item="second 5") == 50
    assert value(table, record="1", metric="gate_passed", item="p50>+10%") == 0
    assert value(table, record="1", metric="peak_share") == 0.625
    assert value(table, record="2", metric="epoch_val_accuracy", item="epoch 2") == 0.55
    assert value(table, record="2", metric="pictures", item="train") == 1439
    assert value(table, record="2", metric="top1") == pytest.approx(0.85)
    assert value(table, record="3", metric="label_frames", item="unknown") == 100
    assert value(table, record="3", metric="read_ms") == 4.6
    assert value(table, record="4", side="output", metric="confidence_temperature") == 1.412
    assert value(table, record="4", side="output", metric="layer_macs", item="stem") == 442_368


def test_markdown_has_the_figures_of_what_it_cannot_draw() -> None:
    text = render([measured.full_evaluation(), *measured.EVERYTHING], "md").replace(n.SPACE, " ")
    for title in (
        "Reliability of",
        "Most frequent mistakes of",
        "The long run of",
        "Images with another label",
        "All 3 classes in figures, the largest loss of recall first",
        "All epochs in figures",
        "Frames with each label",
    ):
        assert f"\n#### {title}" in text
    assert "| 1.jpg | cat | cat 61 % | dog 55 % |" in text
    assert "| 10 | 0.2000 | 0.3100 | 92.00 % | 91.00 % | 0.0001 | 1.5 s |" in text
    assert "| 0 CONV\\_2D (layer\\_0) | 0.100 ms | 54.5 % | 1,000,000 | 10.0 |" in text
    assert "## All together" in text


def test_csv_leaves_out_what_was_not_measured() -> None:
    metrics = {row["metric"] for row in rows([samples.scored(None, None, benchmark=None)])}
    assert not metrics & {"top1", "drop_pp", "p50_ms"}
    assert "agreement" in metrics


def test_markdown_says_the_verdict_and_has_every_section() -> None:
    text = render(ALL, "md").replace(n.SPACE, " ")
    assert "**int8 loses 0.8 points of top-1 (84.2 %, float 85.0 %), is 3.2 × smaller and 2.5 × faster" in text
    assert "| File size | 318,144 B | 98,496 B | 3.2 × smaller |" in text
    assert "| cat | dog | 6 | 6 | 40 |" in text
    assert "| photos" not in text
    for heading in (
        "## Evaluation",
        "## Benchmark",
        "## Predictions",
        "## Clip, frame by frame",
    ):
        assert f"\n{heading}\n" in text


@pytest.mark.parametrize("label", ["<b>", "a|b", "*a*", "[x](http://y)", "`a`", "a\\"])
def test_markdown_shows_labels_as_they_are(label: str) -> None:
    text = render([samples.prediction(predictions=[{"label": label, "index": 0, "score": 1}])], "md")
    assert re.sub(r"([\\`*_{}\[\]<>|#~&$!])", r"\\\1", label) in text
    assert f"| {label} |" not in text or label.isalnum()


@pytest.mark.parametrize("format", sorted(FORMATS))
def test_one_record_or_many_can_be_rendered(format: str) -> None:
    for record in ALL:
        assert render([record], format)
    assert render(ALL, format)


def test_html_is_a_page_and_json_a_list() -> None:
    assert render(ALL, "html").lstrip().startswith("<!DOCTYPE html>")
    assert json.loads(render(ALL[:1], "json")) == ALL[:1]


@pytest.mark.parametrize(
    ("records", "format", "message"),
    [
        (ALL, "pdf", "expected a format of html, md, csv, json, got 'pdf'"),
        ([], "html", "expected at least one record to report, got none"),
        ([ALL[0], {}], "csv", "record 2: expected a results record with a schema key"),
    ],
)
def test_what_cannot_be_rendered_is_told(records: list[dict[str, Any]], format: str, message: str) -> None:
    with pytest.raises(ResultError) as caught:
        render(records, format)
    assert str(caught.value).startswith(message)
