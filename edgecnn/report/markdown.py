"""Results as Markdown with GitHub's tables: for pull requests, release notes and model cards."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from edgecnn.report import classes, compression, method, verdict
from edgecnn.report import comparison as c
from edgecnn.report import numbers as n
from edgecnn.report.schema import kind_of

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~&$!])")
_CLASS_LIMIT: Final = 40
_FLIP_LIMIT: Final = 20


def render_markdown(records: Sequence[dict[str, Any]]) -> str:
    """The records as Markdown: verdicts, tables and how it was measured; no pictures."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for record in n.printable(list(records)):
        kinds.setdefault(kind_of(record), []).append(record)
    blocks = ["# edgecnn report"]
    for record in kinds.get("convert", []):
        blocks += _conversion(record)
    for record in kinds.get("sensitivity", []):
        blocks += _sensitivity(record)
    if "evaluate" in kinds:
        blocks += _evaluations(kinds["evaluate"])
    if "benchmark" in kinds:
        blocks += _benchmarks(kinds["benchmark"])
    if "predict" in kinds:
        blocks += _predictions(kinds["predict"])
    for record in kinds.get("demo", []):
        blocks += _demo(record)
    return "\n\n".join(blocks) + "\n"


def _conversion(record: dict[str, Any]) -> Iterator[str]:
    name = c.short_name(record)
    yield f"## {_plain(n.file_name(record['model']))} → {_plain(name)}"
    yield from _verdict(verdict.judge_conversion(record))
    yield _table(
        ["Metric", "float", name, "Change"],
        [[row.metric, *(_cell(cell) for cell in (row.before, row.after)), row.change] for row in c.rows(record)],
    )
    yield from _compression(record)
    yield from _layers(compression.layers_of(record))
    evaluation = record.get("evaluation")
    if evaluation:
        before, after = evaluation["float"], evaluation["output"]
        yield from _classes(before, after, name)
    flips = [
        example for example in record.get("examples") or [] if example["float"]["label"] != example["output"]["label"]
    ]
    if flips:
        yield "### Examples with another label"
        yield _table(
            ["Image", "True", "float", name],
            [
                [n.file_name(flip["image"]), flip["label"] or n.NONE, _guess(flip["float"]), _guess(flip["output"])]
                for flip in flips[:_FLIP_LIMIT]
            ],
            texts=4,
        )
    choice = record["preprocess_choice"]
    yield "### Preprocessing"
    yield f"{_plain(record['preprocess_spec'])} ({_plain(choice['source'])}): {_plain(choice['detail'])}"
    if choice["candidates"]:
        yield _table(
            ["Candidate", "Accuracy"], [[item["spec"], n.percent(item["accuracy"])] for item in choice["candidates"]]
        )
    if record["steps"]:
        yield "### Steps"
        rows = [[step["name"], n.seconds(step["seconds"]), step["detail"]] for step in record["steps"]]
        yield _table(["Step", "Time", "Detail"], rows)
    if record["layers_kept_float"]:
        yield "### Layers kept in float"
        yield _list(record["layers_kept_float"])
    if record["notes"]:
        yield "### Notes"
        yield _list(record["notes"])
    yield from _facts(method.conversion_facts(record))
    unknown = method.unknown(record)
    if unknown:
        yield "### What is not known"
        yield _list(unknown)


def _compression(record: dict[str, Any]) -> Iterator[str]:
    """Stages with what they bought, and the ladder."""
    stages = compression.stage_table(record)
    if stages:
        yield "### Compression"
        yield _plain_table(stages)
        if gains := compression.gains(record):
            yield _list(f"{gain.what}: {gain.words}" if gain.what else gain.words for gain in gains)
        if figures := compression.gain_table(record):
            yield _plain_table(figures)
        for table in compression.stage_details(record):
            yield f"#### {_plain(table.title)}"
            yield _plain_table(table)
    ladder = compression.ladder_table(record)
    if ladder:
        yield "### Accuracy ladder"
        yield _plain(compression.ladder_lead(record["ladder"]))
        yield _plain_table(ladder)


def _layers(layers: list[dict[str, Any]]) -> Iterator[str]:
    table = compression.layer_table(layers)
    if table:
        yield "### Layer by layer"
        yield _plain(compression.LAYERS_LEAD)
        yield _plain_table(table)


def _sensitivity(record: dict[str, Any]) -> Iterator[str]:
    yield f"## Layers of {_plain(n.file_name(record['model']))}"
    yield from _verdict(verdict.judge_sensitivity(record))
    yield from _layers(compression.layers_of(record))
    yield from _facts(method.sensitivity_facts(record))


def _evaluations(records: list[dict[str, Any]]) -> Iterator[str]:
    yield "## Evaluation"
    yield from _verdict(verdict.judge_evaluations(records))
    rows = []
    for record in records:
        shares = [n.percent(record[key], 2) for key in ("top1", "top5", "precision", "recall", "f1")]
        counts = [n.count(record["samples"]), n.count(record["skipped"])]
        rows.append(
            [n.file_name(record["model"]), shares[0], c.interval_text(c.top1_interval(record)), *shares[1:], *counts]
        )
    heads = ["Model", "Top-1", "95 % interval", "Top-5", "Precision", "Recall", "F1", "Images", "Skipped"]
    yield _table(heads, rows)
    for record in records:
        yield from _classes(None, record, n.file_name(record["model"]))
    yield from _facts(method.evaluation_facts(records))


def _benchmarks(records: list[dict[str, Any]]) -> Iterator[str]:
    yield "## Benchmark"
    yield from _verdict(verdict.judge_benchmarks(records))
    rows = []
    for record in records:
        times = [n.milliseconds(record[key]) for key in ("p50_ms", "p90_ms", "p99_ms", "first_ms", "init_ms")]
        whole, memory = n.milliseconds(c.frame_to_label(record)), n.megabytes(record["peak_rss_mb"])
        counts = [n.size_exact(record["size_bytes"]), str(record["threads"]), n.count(record["runs"])]
        rows.append([n.file_name(record["model"]), *counts, *times, whole, memory])
    heads = [
        "Model",
        "Size",
        "Threads",
        "Runs",
        "p50",
        "p90",
        "p99",
        "First",
        "Loading",
        "Frame to label",
        "Peak memory",
    ]
    yield _table(heads, rows)
    yield from _facts(method.benchmark_facts(records))


def _predictions(records: list[dict[str, Any]]) -> Iterator[str]:
    yield "## Predictions"
    rows = []
    for record in records:
        for place, item in enumerate(record["predictions"]):
            image = "" if place else n.file_name(record["image"])
            rows.append([image, item["label"], n.percent(item["score"])])
    yield _table(["Image", "Label", "Score"], rows, texts=2)


def _demo(record: dict[str, Any]) -> Iterator[str]:
    yield "## Clip, frame by frame"
    yield from _verdict(verdict.judge_clip(record))
    rows = [
        [str(frame["frame"]), frame["label"], n.percent(frame["score"]), frame["truth"] or n.NONE]
        for frame in record["frames"]
    ]
    yield _table(["Frame", "Label", "Score", "True"], rows)
    facts = method.clip_facts(record)
    if facts:
        yield _table(["", ""], [list(fact) for fact in facts], texts=2)


def _verdict(judged: verdict.Verdict) -> Iterator[str]:
    yield f"**{_plain(judged.headline)}**"
    if judged.remarks:
        yield _list(judged.remarks)


def _classes(before: dict[str, Any] | None, after: dict[str, Any], name: str) -> Iterator[str]:
    worst = classes.confusions(before, after)
    if worst:
        yield f"### Most frequent mistakes of {_plain(name)}"
        rows = [
            [
                item.true,
                item.predicted,
                *([] if item.before is None else [n.count(item.before)]),
                n.count(item.after),
                n.count(item.support),
            ]
            for item in worst
        ]
        yield _table(["True", "Predicted", *(["float"] if before else []), name, "of"], rows, texts=2)
    if 0 < len(after["per_class"]) <= _CLASS_LIMIT:
        yield f"### F1 a class of {_plain(name)}"
        rows = []
        for index, item in enumerate(after["per_class"]):
            first = [before["per_class"][index]["f1"]] if before else []
            shares = [n.percent(share if item["support"] else None) for share in (*first, item["f1"])]
            rows.append([item["label"], *shares, n.count(item["support"])])
        yield _table(["Class", *(["float"] if before else []), name, "Images"], rows)


def _facts(facts: Iterable[method.Fact]) -> Iterator[str]:
    yield "### How it was measured"
    yield _table(["", ""], [list(fact) for fact in facts], texts=2)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int = 1) -> str:
    """A table whose first `texts` columns are text and whose others are numbers."""
    align = ["---" if place < texts else "---:" for place in range(len(heads))]
    lines = [[_plain(text) for text in line] for line in (heads, *rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in [lines[0], align, *lines[1:]])


def _plain_table(table: compression.Table) -> str:
    """A table of cells; the lines of a cell become one."""
    rows = [[_cell(cell).replace("\n", "; ") for cell in row] for row in table.rows]
    return _table(table.heads, rows, texts=table.texts)


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {_plain(item)}" for item in items)


def _cell(cell: c.Cell) -> str:
    return f"{cell.text} ({cell.note})" if cell.note else cell.text


def _guess(guess: dict[str, Any]) -> str:
    return f"{guess['label']} {n.percent(guess['score'], 0)}"


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", text)
