"""The evidence that goes into a report: both models measured side by side, on the same pictures."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgecnn.convert.proof import prove
from edgecnn.convert.result import ConvertResult
from edgecnn.data.dataset import open_dataset
from edgecnn.files import sha256_bytes
from edgecnn.report.render import FORMATS, render
from tests.keras_models import COLORS

# Keys that scripts read of a benchmark, from the command-line contract.
CONTRACT = {
    "model", "sha256", "size_bytes", "threads", "runs", "init_ms", "first_ms", "min_ms", "p50_ms", "p90_ms", "p99_ms",
    "mean_ms", "peak_rss_mb", "stages", "machine",
}  # fmt: skip


def proved(convert: Callable[..., ConvertResult], model: Path, data: Path, output: Path, **options: Any) -> Any:
    result = convert(model, output, data, labels=COLORS, **options)
    with open_dataset(data) as dataset:
        return result, prove(result, dataset, runs=5)


@pytest.mark.parametrize("kind", ["int8", "float32"])
def test_a_labelled_conversion_is_proved(
    kind: str, convert: Callable[..., ConvertResult], model: Path, colors: Path, tmp_path: Path
) -> None:
    result, record = proved(convert, model, colors, tmp_path / "out.tflite", quantize=kind)
    before, after = record["benchmark"]
    for timing in (before, after):
        assert timing.keys() >= CONTRACT
        assert timing["runs"] == 5
        assert 0 < timing["min_ms"] <= timing["p50_ms"] <= timing["p99_ms"]
        assert timing["peak_rss_mb"] > 5
    assert (before["model"], after["model"]) == ("out (float32)", f"out ({kind})")
    assert after["sha256"] == sha256_bytes((tmp_path / "out.tflite").read_bytes())
    assert before["sha256"] == sha256_bytes(result.float_content)
    assert {key: record["evaluation"][key]["top1"] for key in ("float", "output")} == {"float": 1, "output": 1}
    assert ("examples" in record) == (kind != "float32")
    assert record["machine"]["cores"] >= 1
    assert {key: record[key] for key in result.to_dict()} == result.to_dict()


@pytest.mark.parametrize("form", FORMATS)
def test_the_evidence_makes_a_report_of_every_format(
    form: str, convert: Callable[..., ConvertResult], model: Path, colors: Path, tmp_path: Path
) -> None:
    record = proved(convert, model, colors, tmp_path / "out.tflite", max_drop=1)[1]
    assert render([json.loads(json.dumps(record, allow_nan=False))], form).count("int8")


def test_without_labels_there_is_no_evaluation(
    convert: Callable[..., ConvertResult], model: Path, flat: Path, tmp_path: Path
) -> None:
    record = proved(convert, model, flat, tmp_path / "out.tflite")[1]
    assert "evaluation" not in record
    assert record["accuracy"]["agreement"] == 1
    assert "agree" in render([record], "md").lower()
