import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from edgecnn.errors import ResultError
from edgecnn.report.results import parse_results, read_results
from edgecnn.report.schema import check_record
from tests.report import compressed, measured, samples

COUNT = "a whole number from 0 to 1e15"


def changed(record: dict[str, Any], path: str, value: Any) -> str:
    """The record as JSON with the value at a dotted path replaced, or the key removed when the value is ...."""
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place: Any = record
    for part in parents:
        place = place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return json.dumps(record)


@given(samples.records())
def test_a_record_within_the_schema_is_accepted_as_it_is(record: dict[str, Any]) -> None:
    assert parse_results(json.dumps(record), "run.json") == [record]


@pytest.mark.parametrize(
    ("record", "path", "value", "words"),
    [
        (samples.conversion(), "size_bytes", "big", "a whole number from 0 to 1e15"),
        (samples.conversion(), "size_bytes", True, "a whole number from 0 to 1e15"),
        (samples.conversion(), "size_bytes", 1.5, "a whole number from 0 to 1e15"),
        (samples.evaluation(), "samples", 10**16, "a whole number from 0 to 1e15"),
        (samples.conversion(), "accuracy.float", 75.48, "a number from 0 to 1"),
        (samples.conversion(), "steps.1.seconds", -1, "a number from 0 to 1e15"),
        (samples.conversion(), "accuracy.drop_pp", "1", "a number up to 1e15"),
        (samples.conversion(), "quantize", None, "a text"),
        (samples.conversion(), "accuracy", [], "an object"),
        (samples.conversion(), "notes", "none", "a list"),
        (samples.conversion(), "within_budget", 1, "true or false"),
        (samples.conversion(), "benchmark", [], "a list of 2"),
        (samples.conversion(), "benchmark.1.p50_ms", None, "a number from 0 to 1e15"),
        (compressed.compressed(), "ladder.taken", -1, "a whole number from 0 to 1e15"),
        (compressed.compressed(), "ladder.rungs.0.drop", 0.5, "an object"),
        (compressed.compressed(), "stages.1.against_trained.agreement", 2, "a number from 0 to 1"),
        (compressed.compressed(), "gains.words", "none", "a list"),
        (compressed.sensitivity(), "layers.0.divergence", None, "a number from 0 to 1e15"),
        (samples.prediction(), "thumbnail", "http://example.com/a.jpg", "a data:image/…;base64 picture"),
        (samples.prediction(), "thumbnail", "data:image/svg+xml;base64,AAAA", "a data:image/…;base64 picture"),
        (samples.demo(), "frames.0", 7, "an object"),
        (measured.full_evaluation(), "calibration.bins.0.low", 2, "a number from 0 to 1"),
        (measured.full_evaluation(), "averages.weighted.f1", "1", "a number from 0 to 1"),
        (measured.full_evaluation(), "curves.roc.1", [0.5], "a list of 2"),
        (measured.full_evaluation(), "intervals.ece.1", None, "a number from 0 to 1"),
        (measured.comparison(), "flips.0.quantized.score", -1, "a number from 0 to 1"),
        (measured.comparison(), "mcnemar.only_float", 1.5, "a whole number from 0 to 1e15"),
        (measured.comparison(), "drift.histogram.0.1", "many", "a whole number from 0 to 1e15"),
        (measured.comparison(), "flips.0.thumbnail", "a.jpg", "a data:image/…;base64 picture"),
        (measured.full_benchmark(), "ratio.ci95", [1], "a list of 2"),
        (measured.full_benchmark(), "profile.operators.2.ms", None, "a number from 0 to 1e15"),
        (measured.full_benchmark(), "sustained.0.throttled", 1, "true or false"),
        (measured.full_benchmark(), "gate.1.passed", "yes", "true or false"),
        (measured.training(), "history.3.accuracy", 85, "a number from 0 to 1"),
        (measured.training(), "evaluation.top1", 85, "a number from 0 to 1"),
        (measured.camera(), "throttled", "now", "a list"),
        (measured.explanation(), "map.0.1", 2, "a number from 0 to 1"),
        (measured.explanation(), "against.overlay", "a.png", "a data:image/…;base64 picture"),
        (measured.camera(), "labels", ["cat"], "an object"),
        (samples.conversion(architecture=measured.ARCHITECTURE), "architecture.layers.0.output.0", -1, COUNT),
        (
            samples.conversion(confidence=measured.CONFIDENCE),
            "confidence.temperature",
            "hot",
            "a number from 0 to 1e15",
        ),
    ],
)
def test_a_wrong_value_is_named_with_its_key(record: dict[str, Any], path: str, value: Any, words: str) -> None:
    key = re.sub(r"\.(\d+)", r"[\1]", path)
    with pytest.raises(ResultError) as caught:
        parse_results(changed(record, path, value), "run.json")
    assert str(caught.value) == f"run.json: expected {key} to be {words}, got {value!r}"


@pytest.mark.parametrize(
    ("record", "path", "value", "message"),
    [
        (samples.conversion(), "sha256", ..., "the key sha256 is missing; write the file again with this edgecnn"),
        (samples.conversion(), "accuracy.split", ..., "the key accuracy.split is missing; write the file again"),
        (samples.conversion(), "evaluation.output.labels", ["a", "b", "c"], "expected the same labels in evaluation."),
        (samples.evaluation(), "confusion", [[1]], "expected confusion to be 3 by 3, one row a label, got"),
        (samples.evaluation(), "confusion.1", [1, 2], "expected confusion to be 3 by 3, one row a label, got"),
        (samples.evaluation(), "per_class", [], "expected 3 entries in per_class, got 0"),
        (samples.evaluation(), "model", ["x" * 100], "expected model to be a text, got ['" + 55 * "x" + "..."),
        (measured.training(), "evaluation.confusion", [[1]], "expected confusion to be 3 by 3, one row a label, got"),
        (measured.comparison(), "mcnemar.method", ..., "the key mcnemar.method is missing; write the file again"),
        (measured.camera(), "labels", {"cat": -1}, "expected labels.'cat' to be a whole number from 0 to 1e15, got -1"),
    ],
)
def test_a_record_that_does_not_hang_together_is_refused(
    record: dict[str, Any], path: str, value: Any, message: str
) -> None:
    with pytest.raises(ResultError) as caught:
        parse_results(changed(record, path, value), "run.json")
    assert str(caught.value).startswith(f"run.json: {message}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"schema": "edgecnn.convert/2"}', "edgecnn.convert/2 was written by a newer edgecnn; this release reads /1"),
        ('{"schema": "edgecnn.train/2"}', "edgecnn.train/2 was written by a newer edgecnn; this release reads /1"),
        ('{"schema": "edgecnn.convert/0"}', "edgecnn.convert/0 does not exist; this release reads /1"),
        (
            '{"schema": "edgecnn.foretell/1"}',
            "edgecnn.foretell/1 cannot be reported; expected one of convert, evaluate",
        ),
        ('{"schema": "other"}', "expected a results record with a schema key such as 'edgecnn.convert/1', got 'other'"),
        ('{"schema": 1}', "expected a results record with a schema key such as 'edgecnn.convert/1', got 1"),
        ("{}", "expected a results record with a schema key such as 'edgecnn.convert/1', got {}"),
        ("7", "expected a results record with a schema key such as 'edgecnn.convert/1', got 7"),
        ("[]", "expected at least one record, got an empty list"),
        ("", "expected JSON that edgecnn wrote with --json, got text it cannot read: Expecting value"),
        ("<html>", "expected JSON that edgecnn wrote with --json, got text it cannot read: Expecting value"),
        (
            '{"a": NaN}',
            "expected JSON that edgecnn wrote with --json, got text it cannot read: NaN is no number in JSON",
        ),
        ("[" * 100_000, "expected JSON that edgecnn wrote with --json, got text it cannot read: "),
        (b"\xff\xff\xff", "expected JSON that edgecnn wrote with --json, got text it cannot read: "),
    ],
)
def test_a_wrong_document_is_told_in_one_line(text: str | bytes, message: str) -> None:
    with pytest.raises(ResultError) as caught:
        parse_results(text, "run.json")
    assert str(caught.value).startswith(f"run.json: {message}")
    assert "\n" not in str(caught.value)


def test_the_wrong_record_of_a_list_is_counted() -> None:
    with pytest.raises(ResultError, match=r"^run\.json, record 2: expected a results record"):
        parse_results(json.dumps([samples.prediction(), {}]), "run.json")


def test_keys_that_the_schema_does_not_name_are_kept() -> None:
    record = samples.prediction(more={"any": [1]})
    assert check_record(record, "run.json") == record


def test_files_are_read_in_order_whatever_their_encoding(tmp_path: Path) -> None:
    one, two = samples.prediction(image="ä.jpg"), [samples.demo(), samples.evaluation()]
    (tmp_path / "1.json").write_bytes(json.dumps(one, ensure_ascii=False).encode("utf-16"))
    (tmp_path / "2.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(two).encode())
    assert read_results([tmp_path / "1.json", str(tmp_path / "2.json")]) == [one, *two]


def test_a_text_may_begin_with_a_byte_order_mark() -> None:
    assert parse_results("\ufeff" + json.dumps(samples.demo()), "run.json") == [samples.demo()]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"^cannot read .*none\.json: No such file or directory$"):
        read_results([tmp_path / "none.json"])
