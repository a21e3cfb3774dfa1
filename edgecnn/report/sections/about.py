"""What a model is made of, and what is installed: `inspect` and `doctor` records."""

from collections.abc import Iterator
from typing import Any

from edgecnn.report import architecture, method
from edgecnn.report import numbers as n
from edgecnn.report.blocks import Facts, Part, Section, Table, Tile, Verdict, Words, text_cell


def inspected(record: dict[str, Any]) -> Section:
    """What an `inspect` record says."""
    known = record.get("architecture")
    network: list[Any] = []
    if known:
        tables = filter(None, (architecture.operator_table(known), architecture.layer_table(known)))
        network = [Part("The network", (Words(architecture.architecture_words(known)), *tables))]
    return Section(
        title=n.file_name(record["path"]),
        subtitle=_tensors(record["inputs"]) + " → " + _tensors(record["outputs"]),
        verdict=None,
        tiles=tuple(_tiles(record)),
        parts=(*network, Part("What it carries", (Facts(tuple(_carried(record))),))),
    )


def installation(record: dict[str, Any]) -> Section:
    """What a `doctor` record says."""
    works = record["runtime"]["works"]
    headline = f"This machine {'runs' if works else 'CANNOT run'} TFLite models: {record['runtime']['detail']}."
    rows = tuple(
        (
            text_cell(item["package"]),
            text_cell(item["version"] or "missing"),
            text_cell(item["extra"] or "base"),
            text_cell(item["purpose"]),
        )
        for item in record["packages"]
    )
    table = Table("Packages", ("Package", "Version", "Extra", "What for"), rows, texts=4, look="plain")
    missing = sum(item["version"] is None for item in record["packages"])
    return Section(
        title="Installation",
        subtitle="",
        verdict=Verdict("good" if works else "bad", headline),
        tiles=(Tile("Packages", n.count(len(rows) - missing), (f"{n.count(missing)} missing",)),),
        parts=(
            Part("What is installed", (table,)),
            Part("The machine", (Facts(tuple(method.machine_facts(record["machine"], {}))),)),
        ),
    )


def _tiles(record: dict[str, Any]) -> Iterator[Tile]:
    yield Tile("File size", n.size(record["size_bytes"]), ())
    yield Tile("Parameters", n.count(record["parameters"]), (f"{n.percent(record['sparsity'])} are 0",))
    if record.get("macs"):
        yield Tile("Multiply-accumulates", n.count(record["macs"]), ("an image",))
    yield Tile("Labels", n.count(len(record["labels"])), ())


def _carried(record: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "SHA-256", record["sha256"]
    yield "Ends in", record["head"]
    yield "Labels", ", ".join(record["labels"]) or "none"
    preprocess = record["preprocess"]
    yield "Preprocessing", n.plain(preprocess.get("spec", preprocess)) if preprocess else "not stated in the file"
    if record.get("confidence"):
        yield "Confidence", n.plain(record["confidence"])
    if reference := record.get("reference"):
        for name in ("brightness", "contrast", "sharpness", "score"):
            ends = [n.decimal(reference[name][end], 2) for end in (1, -2)]
            yield f"{name.capitalize()} at conversion, 5 % to 95 %", " to ".join(ends)
    for key, value in record["provenance"].items():
        yield key.replace("_", " ").capitalize(), n.plain(value)


def _tensors(tensors: list[dict[str, Any]]) -> str:
    return ", ".join(
        "×".join("?" if size < 0 else f"{size:g}" for size in tensor["shape"]) + f" {tensor['dtype']}"
        for tensor in tensors
    )
