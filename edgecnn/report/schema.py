"""The check of a record against what a document of its kind holds."""

import re
from typing import Any, Final

from edgecnn.errors import ResultError
from edgecnn.report.shapes.about import DOCTOR, INSPECT
from edgecnn.report.shapes.benchmark import BENCHMARK
from edgecnn.report.shapes.compare import COMPARE
from edgecnn.report.shapes.convert import CONVERT, SENSITIVITY
from edgecnn.report.shapes.evaluate import EVALUATE
from edgecnn.report.shapes.explain import EXPLAIN
from edgecnn.report.shapes.kinds import KINDS, Each, Maybe
from edgecnn.report.shapes.live import CAMERA, DEMO, PREDICT
from edgecnn.report.shapes.robustness import ROBUSTNESS
from edgecnn.report.shapes.train import TRAIN

VERSION: Final = 1
SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    "convert": CONVERT,
    "evaluate": EVALUATE,
    "compare": COMPARE,
    "benchmark": BENCHMARK,
    "sensitivity": SENSITIVITY,
    "train": TRAIN,
    "explain": EXPLAIN,
    "robustness": ROBUSTNESS,
    "predict": PREDICT,
    "camera": CAMERA,
    "demo": DEMO,
    "inspect": INSPECT,
    "doctor": DOCTOR,
}


def kind_of(record: dict[str, Any]) -> str:
    """The kind of a record ("convert", "evaluate", …), from its schema key."""
    return str(record["schema"]).removeprefix("edgecnn.").partition("/")[0]


def check_record(record: Any, where: str) -> dict[str, Any]:
    """Return the record if it is one this release reads.

    Raises:
        ResultError: names the key that is wrong, or the release that is needed.
    """
    schema = record.get("schema") if isinstance(record, dict) else None
    match = re.fullmatch(r"edgecnn\.([a-z_]+)/(\d{1,9})", schema) if isinstance(schema, str) else None
    if match is None:
        raise ResultError(
            f"{where}: expected a results record with a schema key such as 'edgecnn.convert/{VERSION}', got "
            f"{_short(record if schema is None else schema)}; give a file that edgecnn wrote with --json"
        )
    kind, version = match[1], int(match[2])
    if kind not in SCHEMAS:
        raise ResultError(f"{where}: {schema} cannot be reported; expected one of {', '.join(SCHEMAS)}")
    if version > VERSION:
        raise ResultError(
            f"{where}: {schema} was written by a newer edgecnn; this release reads /{VERSION}; update edgecnn"
        )
    if version < VERSION:
        raise ResultError(f"{where}: {schema} does not exist; this release reads /{VERSION}")
    _check(record, SCHEMAS[kind], where, "")
    evaluations = _evaluations(kind, record)
    for evaluation in evaluations:
        _check_classes(evaluation, where)
    if len({tuple(evaluation["labels"]) for evaluation in evaluations}) > 1:
        raise ResultError(f"{where}: expected the same labels in evaluation.float and evaluation.output")
    return dict(record)


def _check(value: Any, shape: Any, where: str, path: str) -> None:
    if isinstance(shape, Maybe):
        if value is not None:
            _check(value, shape.shape, where, path)
    elif isinstance(shape, Each):
        _expect(isinstance(value, dict), where, path, "an object", value)
        for key, item in value.items():
            _check(item, shape.shape, where, f"{path}.{_short(key)}")
    elif isinstance(shape, dict):
        _expect(isinstance(value, dict), where, path, "an object", value)
        for key, inner in shape.items():
            name = key.removesuffix("?")
            full = f"{path}.{name}" if path else name
            if name in value:
                _check(value[name], inner, where, full)
            elif name == key:
                raise ResultError(f"{where}: the key {full} is missing; write the file again with this edgecnn")
    elif isinstance(shape, list):
        _expect(isinstance(value, list), where, path, "a list", value)
        for index, item in enumerate(value):
            _check(item, shape[0], where, f"{path}[{index}]")
    elif isinstance(shape, tuple):
        _expect(isinstance(value, list) and len(value) == len(shape), where, path, f"a list of {len(shape)}", value)
        for index, (item, inner) in enumerate(zip(value, shape, strict=True)):
            _check(item, inner, where, f"{path}[{index}]")
    else:
        words, holds = KINDS[shape]
        _expect(holds(value), where, path, words, value)


def _evaluations(kind: str, record: dict[str, Any]) -> list[dict[str, Any]]:
    if kind == "convert" and record.get("evaluation"):
        return [record["evaluation"]["float"], record["evaluation"]["output"]]
    return [record] if kind == "evaluate" else [record["evaluation"]] if kind == "train" else []


def _check_classes(evaluation: dict[str, Any], where: str) -> None:
    labels = len(evaluation["labels"])
    lengths = {len(row) for row in evaluation["confusion"]} | {len(evaluation["confusion"])}
    if lengths != {labels}:
        raise ResultError(f"{where}: expected confusion to be {labels} by {labels}, one row a label, got other lengths")
    if len(evaluation["per_class"]) != labels:
        raise ResultError(f"{where}: expected {labels} entries in per_class, got {len(evaluation['per_class'])}")


def _expect(holds: bool, where: str, path: str, words: str, value: Any) -> None:
    if not holds:
        raise ResultError(f"{where}: expected {path or 'a record'} to be {words}, got {_short(value)}")


def _short(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."
