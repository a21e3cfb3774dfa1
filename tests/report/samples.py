"""Small results records for the tests, and a strategy that draws any record the schema allows."""

import copy
from typing import Any

from hypothesis import strategies as st

from edgecnn.report.schema import SCHEMAS
from edgecnn.report.shapes.evaluate import METRICS
from edgecnn.report.shapes.kinds import Each, Maybe

LABELS = ["cat", "dog", "bird"]
FLOAT, OUTPUT = "fa" * 32, "01" * 32  # SHA-256 of the float model of a conversion, and of its output
PICTURE = "data:image/jpeg;base64,/9j/4AAQSkZJRg=="
MACHINE = {"cpu": "Some CPU", "cores": 4, "governor": None, "load": 0.5}
VERSIONS = {"edgecnn": "0.1.0", "ai-edge-litert": "2.3.0"}
Record = dict[str, Any]


def evaluation(confusion: list[list[int]] | None = None, labels: list[str] | None = None, **changes: Any) -> Record:
    """An `evaluate` record whose metrics follow from its confusion matrix."""
    labels = labels or LABELS
    confusion = confusion or [[30, 6, 4], [5, 33, 2], [1, 0, 39]]
    support = [sum(row) for row in confusion]
    predicted = [sum(row[column] for row in confusion) for column in range(len(labels))]
    hits = [confusion[index][index] for index in range(len(labels))]
    per_class: list[Record] = [
        {
            "label": label,
            "index": index,
            "precision": hits[index] / max(1, predicted[index]),
            "recall": hits[index] / max(1, support[index]),
            "f1": 2 * hits[index] / max(1, support[index] + predicted[index]),
            "support": support[index],
        }
        for index, label in enumerate(labels)
    ]
    top1 = sum(hits) / max(1, sum(support))
    record: Record = {
        "schema": "edgecnn.evaluate/1",
        "model": "models/pets.tflite",
        "sha256": "ab" * 32,
        "data": "pets",
        "split": "test",
        "samples": sum(support),
        "skipped": 1,
        "skipped_images": [{"image": "cat/7.jpg", "reason": "the file is truncated"}],
        "top1": top1,
        "top1_ci95": [max(0.0, top1 - 0.07), min(1.0, top1 + 0.07)],
        "top5": 1.0,
        "precision": sum(item["precision"] for item in per_class) / len(labels),
        "recall": sum(item["recall"] for item in per_class) / len(labels),
        "f1": sum(item["f1"] for item in per_class) / len(labels),
        "per_class": per_class,
        "confusion": confusion,
        "labels": labels,
        "images_per_second": 812.5,
    }
    return record | copy.deepcopy(changes)


def benchmark(p50: float = 0.25, **changes: Any) -> Record:
    """A `benchmark` record around a median."""
    record: Record = {
        "schema": "edgecnn.benchmark/1",
        "model": "models/pets.tflite",
        "sha256": "cd" * 32,
        "size_bytes": 300_000,
        "threads": 1,
        "runs": 200,
        "init_ms": 1.5,
        "first_ms": 3 * p50,
        "min_ms": 0.9 * p50,
        "p50_ms": p50,
        "p90_ms": 1.2 * p50,
        "p99_ms": 1.5 * p50,
        "mean_ms": 1.05 * p50,
        "peak_rss_mb": 41.5,
        "stages": {"preprocess_ms": 0.04, "invoke_ms": p50, "postprocess_ms": 0.01},
        "machine": MACHINE,
        "versions": VERSIONS,
        "histogram": [[0.9 * p50, 20], [p50, 150], [1.1 * p50, 30]],
    }
    return record | copy.deepcopy(changes)


def example(label: str | None = "cat", before: str = "cat", after: str = "dog", **changes: Any) -> Record:
    """One picture with the answers of both models."""
    record: Record = {
        "image": f"test/{label}/1.jpg",
        "label": label,
        "float": {"label": before, "score": 0.81},
        "output": {"label": after, "score": 0.52},
        "thumbnail": PICTURE,
    }
    return record | copy.deepcopy(changes)


def conversion(**changes: Any) -> Record:
    """A `convert` record with everything in it: 3.2 times smaller, 2.5 times faster, 85.0 to 84.2 % top-1."""
    before = evaluation(sha256=FLOAT)
    after = evaluation([[29, 6, 5], [5, 33, 2], [1, 0, 39]], sha256=OUTPUT)
    record: Record = {
        "schema": "edgecnn.convert/1",
        "model": "models/pets.keras",
        "model_sha256": "ef" * 32,
        "output": "out/pets_int8.tflite",
        "sha256": OUTPUT,
        "size_bytes": 98_496,
        "float_size_bytes": 318_144,
        "gzip_bytes": 81_400,
        "float_gzip_bytes": 291_022,
        "quantize": "int8",
        "io": "int8",
        "calibration_samples": 300,
        "calibration": {
            "range_quantile": 0.99,
            "candidates": [
                {"range_quantile": 1.0, "divergence": 0.021},
                {"range_quantile": 0.99, "divergence": 0.015},
            ],
        },
        "sparsity": 0.25,
        "labels": len(LABELS),
        "label_names": LABELS,
        "preprocess": {"width": 32, "height": 32},
        "preprocess_spec": "raw,size=32x32,rgb,stretch",
        "preprocess_choice": {
            "source": "auto",
            "detail": "raw rgb gets 84.0% of 96 training images right",
            "samples": 96,
            "candidates": [
                {"spec": "raw,size=32x32,rgb,stretch", "accuracy": 0.84},
                {"spec": "unit,size=32x32,rgb,stretch", "accuracy": 0.34},
            ],
        },
        "steps": [
            {"name": "load", "seconds": 1.25, "detail": "Keras 3"},
            {"name": "quantize to int8", "seconds": 4.5, "detail": ""},
        ],
        "accuracy": {
            "float": before["top1"],
            "output": after["top1"],
            "drop_pp": 100 * (before["top1"] - after["top1"]),
            "agreement": 0.95,
            "samples": before["samples"],
            "split": "test",
        },
        "max_drop": 1.0,
        "within_budget": True,
        "layers_kept_float": [],
        "parity": {"samples": 16, "max_abs_difference": 1.2e-6, "tolerance": 1e-4},
        "notes": ["one class folder is empty"],
        "machine": MACHINE,
        "versions": VERSIONS,
        "evaluation": {"float": before, "output": after},
        "benchmark": [benchmark(0.25, sha256=FLOAT), benchmark(0.1, sha256=OUTPUT)],
        "examples": [
            example("dog", "dog", "dog"),
            example("cat", "dog", "cat"),
            example("cat", "cat", "dog"),
            example("bird", "cat", "dog"),
            example("bird", "cat", "cat"),
        ],
    }
    return record | copy.deepcopy(changes)


def scored(before: float | None, after: float | None, samples: int = 10_000, **changes: Any) -> Record:
    """A `convert` record with these accuracies and no evaluation."""
    accuracy: Record = {"float": before, "output": after, "drop_pp": None, "agreement": 0.97, "samples": samples}
    return conversion(accuracy=accuracy | {"split": "test"}, evaluation=None, **changes)


def prediction(**changes: Any) -> Record:
    """A `predict` record."""
    record: Record = {
        "schema": "edgecnn.predict/1",
        "image": "photos/tom.jpg",
        "predictions": [{"label": "cat", "index": 0, "score": 0.9}, {"label": "dog", "index": 1, "score": 0.1}],
        "latency_ms": 3.4,
        "thumbnail": PICTURE,
    }
    return record | copy.deepcopy(changes)


def demo(**changes: Any) -> Record:
    """A `demo` record of three frames."""
    labels = (("cat", "cat"), ("dog", "cat"), ("bird", None))
    frames = [
        {"frame": place, "label": label, "score": 0.8, "truth": truth, "thumbnail": PICTURE}
        for place, (label, truth) in enumerate(labels)
    ]
    record: Record = {"schema": "edgecnn.demo/1", "frames": frames, "clip": "digits.mp4", "summary": {"fps": 30.5}}
    return record | copy.deepcopy(changes)


NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7*7 }}",
    "a|b",
    "=1+1",
    "\ud800",
    "\u202eabc",
    "",
]
_TEXT = st.one_of(st.sampled_from(NASTY), st.text(max_size=12))
_AMOUNT = st.one_of(st.just(0), st.just(0.0), st.floats(0, 1e15), st.floats(0, 1e3))
_COUNT = st.one_of(st.integers(0, 3), st.integers(0, 10**15))
_KINDS: dict[str, st.SearchStrategy[Any]] = {
    "any": st.recursive(
        st.none() | st.booleans() | _AMOUNT | _TEXT, lambda inner: st.lists(inner, max_size=2), max_leaves=3
    ),
    "text": _TEXT,
    "flag": st.booleans(),
    "count": _COUNT,
    "number": st.floats(-1e15, 1e15),
    "amount": _AMOUNT,
    "share": st.one_of(st.sampled_from([0, 0.0, 1, 1.0, 1 + 1e-7]), st.floats(0, 1)),
    "table": st.dictionaries(_TEXT, st.none() | _AMOUNT | _TEXT, max_size=2),
    "picture": st.just(PICTURE),
}


def records() -> st.SearchStrategy[Record]:
    """Any record within the schema: optional parts missing, nulls, zeros, 1 class, 100 classes, hostile labels."""
    classes = st.sampled_from([0, 1, 2, 13, 21, 100])
    return st.tuples(st.sampled_from(sorted(SCHEMAS)), classes).flatmap(lambda pair: _record(*pair))


def _record(kind: str, classes: int) -> st.SearchStrategy[Record]:
    return _labels(classes).flatmap(
        lambda labels: _shape(SCHEMAS[kind], labels).map(lambda record: record | {"schema": f"edgecnn.{kind}/1"})
    )


def _labels(classes: int) -> st.SearchStrategy[list[str]]:
    return st.lists(_TEXT, min_size=min(classes, 3), max_size=min(classes, 3)).map(
        lambda texts: texts + [f"label {index}" for index in range(len(texts), classes)]
    )


def _shape(shape: Any, labels: list[str]) -> st.SearchStrategy[Any]:
    if shape is SCHEMAS["evaluate"] or shape is METRICS:
        return _evaluation(labels, shape)
    if isinstance(shape, Maybe):
        return st.none() | _shape(shape.shape, labels)
    if isinstance(shape, Each):
        return st.dictionaries(_TEXT, _shape(shape.shape, labels), max_size=3)
    if isinstance(shape, dict):
        needed = {key: _shape(inner, labels) for key, inner in shape.items() if not key.endswith("?")}
        optional = {key[:-1]: _shape(inner, labels) for key, inner in shape.items() if key.endswith("?")}
        return st.fixed_dictionaries(needed, optional=optional)
    if isinstance(shape, list):
        return st.lists(_shape(shape[0], labels), max_size=3)
    if isinstance(shape, tuple):
        return st.tuples(*(_shape(inner, labels) for inner in shape)).map(list)
    return _KINDS[shape]


def _evaluation(labels: list[str], shape: Record) -> st.SearchStrategy[Record]:
    """An evaluation has as many classes everywhere as it has labels."""
    parts = {key: inner for key, inner in shape.items() if key not in ("labels", "confusion", "per_class")}
    entry = shape["per_class"][0]
    count = len(labels)
    return st.tuples(_shape(parts, labels), _shape(entry, labels), _COUNT, _COUNT).map(
        lambda drawn: (
            drawn[0]
            | {
                "labels": labels,
                "per_class": [drawn[1] | {"label": label, "index": index} for index, label in enumerate(labels)],
                "confusion": [
                    [drawn[2] if row == column else drawn[3] * ((row + column) % 2) for column in range(count)]
                    for row in range(count)
                ],
            }
        )
    )
