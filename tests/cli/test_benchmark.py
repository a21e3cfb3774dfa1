"""`edgecnn benchmark`: several models in turn, several numbers of threads."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from edgecnn.files import sha256_bytes, sha256_path

Run = Callable[..., Result]
QUICK = ("--runs", "4", "--warmup", "1")
CONTRACT = {
    "model": str, "sha256": str, "size_bytes": int, "threads": int, "runs": int, "init_ms": float, "first_ms": float,
    "min_ms": float, "p50_ms": float, "p90_ms": float, "p99_ms": float, "mean_ms": float, "peak_rss_mb": float,
    "stages": dict, "machine": dict,
}  # fmt: skip


def test_every_key_of_the_contract(edgecnn: Run, place: Path) -> None:
    models = ("int8.tflite", "float.tflite")
    records = json.loads(edgecnn("benchmark", *models, "--threads", "1,2", *QUICK, "--json").stdout)
    assert [(record["model"], record["threads"]) for record in records] == [
        ("int8.tflite", 1), ("float.tflite", 1), ("int8.tflite", 2), ("float.tflite", 2),
    ]  # fmt: skip
    for record in records:
        assert {key: type(record[key]) for key in CONTRACT} == CONTRACT
        assert record["sha256"] == sha256_path(place / record["model"])
        assert record["size_bytes"] == (place / record["model"]).stat().st_size
        assert record["runs"] == 4
        assert record["min_ms"] <= record["p50_ms"] <= record["p90_ms"] <= record["p99_ms"]
        assert record["stages"].keys() == {"preprocess_ms", "invoke_ms", "postprocess_ms"}


def test_a_keras_model_is_timed_as_float_tflite(edgecnn: Run) -> None:
    record = json.loads(edgecnn("benchmark", "model.keras", *QUICK, "--json").stdout)[0]
    assert record["size_bytes"] < 5000  # the .keras file is larger
    assert record["sha256"] != sha256_bytes(b"")


def test_a_picture_of_ones_own_and_labels_are_taken(edgecnn: Run) -> None:
    for options in (("--image", "red.png"), ("--labels", "labels.txt"), ("--preprocess", "unit,bgr")):
        assert edgecnn("benchmark", "float.tflite", *QUICK, *options).exit_code == 0


def test_what_is_shown(edgecnn: Run) -> None:
    result = edgecnn("benchmark", "int8.tflite", "float.tflite", *QUICK)
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["model", "threads", "p50", "p90", "min", "first", "memory", "ratio"]
    assert [line.split()[0] for line in lines[1:3]] == ["int8.tflite", "float.tflite"]
    assert lines[1].endswith("1.00")
    assert "Milliseconds an inference over 4 runs" in lines[4]
    assert "cores, load" in " ".join(line.strip() for line in lines[-3:])


@pytest.mark.parametrize("threads", ["0", "65", "1,", "1;2", "²", "-1", "x", "1.5", ""])
def test_numbers_of_threads_that_are_none(threads: str, edgecnn: Run) -> None:
    result = edgecnn("benchmark", "int8.tflite", "--threads", threads)
    assert result.exit_code == 2
    assert f"expected numbers of threads from 1 to 64 such as 1,2,4, got {threads!r}" in result.stderr


@pytest.mark.parametrize("wrong", [("--runs", "0"), ("--warmup", "-1"), ("--runs", "x")])
def test_wrong_usage_exits_2(wrong: tuple[str, str], edgecnn: Run) -> None:
    assert edgecnn("benchmark", "int8.tflite", *wrong).exit_code == 2


def test_a_bad_model_among_good_ones_is_told_before_any_is_timed(edgecnn: Run) -> None:
    result = edgecnn("benchmark", "int8.tflite", "text.keras", "--runs", "100000", "--json")
    assert (result.exit_code, result.stdout) == (1, "")
