"""The record of a conversion: every key of the contract, with its type, and equal to what was really written."""

import dataclasses
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.convert.result import ConvertResult
from edgecnn.files import sha256_path
from edgecnn.report.results import parse_results
from tests.keras_models import COLORS, color_picture

# Keys that scripts read, from the command-line contract.
CONTRACT = {
    "output": str, "sha256": str, "size_bytes": int, "float_size_bytes": int, "quantize": str, "io": str,
    "calibration_samples": int, "sparsity": float, "labels": int, "steps": list, "accuracy": dict,
    "within_budget": bool, "layers_kept_float": list,
}  # fmt: skip


@pytest.fixture(scope="module")
def result(
    convert: Callable[..., ConvertResult], model: Path, colors: Path, tmp_path_factory: pytest.TempPathFactory
) -> ConvertResult:
    return convert(model, tmp_path_factory.mktemp("result") / "out.tflite", colors, spec="auto", max_drop=2)


def test_the_record_has_every_key_of_the_contract(result: ConvertResult) -> None:
    record = result.to_dict()
    assert {key: type(record[key]) for key in CONTRACT} == CONTRACT
    assert {key: type(value) for key, value in record["steps"][0].items()} == {
        "name": str,
        "seconds": float,
        "detail": str,
    }
    accuracy = {key: type(record["accuracy"][key]) for key in ("float", "output", "drop_pp", "samples")}
    assert accuracy == {"float": float, "output": float, "drop_pp": float, "samples": int}


def test_the_record_is_json_that_the_report_reads(result: ConvertResult) -> None:
    text = json.dumps(result.to_dict(), allow_nan=False)
    assert parse_results(text, "convert.json") == [json.loads(text)]


def test_the_record_is_true(result: ConvertResult) -> None:
    record, content = result.to_dict(), result.output.read_bytes()
    assert record["output"] == str(result.output)
    assert record["sha256"] == sha256_path(result.output)
    assert (record["size_bytes"], record["gzip_bytes"]) == (len(content), len(gzip.compress(content, 9)))
    assert record["float_size_bytes"] == len(result.float_content)
    assert (record["labels"], record["label_names"]) == (3, list(COLORS))
    assert (record["quantize"], record["io"], record["calibration_samples"]) == ("int8", "int8", 33)
    assert record["sparsity"] == pytest.approx(14 / 21, abs=1e-6)  # two 3x3 matrices with a diagonal, three zero biases
    assert record["preprocess_choice"]["source"] == "auto"
    assert record["parity"]["samples"] == 8


def test_the_classifiers_are_the_output_and_the_float_model(result: ConvertResult) -> None:
    assert result.classifier().engine.input_type.dtype == "int8"
    assert result.classifier(float_model=True, threads=2).engine.input_type.dtype == "float32"
    assert result.classifier(threads=2).threads == 2
    picture = color_picture("red", np.random.default_rng(0))
    for both in (True, False):
        assert result.classifier(float_model=both).classify(picture)[0].label == "red"


def test_the_evaluations_are_of_both_models(result: ConvertResult) -> None:
    evaluations = result.evaluations()
    assert list(evaluations) == ["float", "output"]
    for evaluation in evaluations.values():
        assert (evaluation["samples"], evaluation["top1"], np.trace(evaluation["confusion"])) == (24, 1.0, 24)


@pytest.mark.parametrize(
    ("drop", "allowed", "within"),
    [
        (0.0, 0.0, True),
        (1.0, 1.0, True),
        (0.1 + 0.2, 0.3, True),
        (1.01, 1.0, False),
        (-3.0, 0.0, True),
        (50.0, None, True),
    ],
)
def test_the_budget_is_met_up_to_its_very_value(
    drop: float, allowed: float | None, within: bool, result: ConvertResult
) -> None:
    changes: dict[str, Any] = {
        "accuracy": result.accuracy | {"drop_pp": drop},
        "config": dataclasses.replace(result.config, max_drop=allowed),
    }
    assert dataclasses.replace(result, **changes).within_budget is within
