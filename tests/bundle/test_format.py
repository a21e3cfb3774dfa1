"""docs/bundle-format.md against what is written: every row of its tables, read here without edgecnn's own readers."""

import json
import re
import struct
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgecnn.bundle.bundle import seal
from edgecnn.bundle.card import STATISTICS, Card, Confidence, Reference
from edgecnn.files import sha256_bytes

MakeModel = Callable[..., bytes]
MakeCard = Callable[..., Card]

DOCUMENT = (Path(__file__).parents[2] / "docs" / "bundle-format.md").read_text("utf-8")
CARD, CONFIDENCE, REFERENCE = re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)
ARCHIVE_ROWS = re.findall(r"^\| A\+(\d+) \| (?:`([0-9a-f ]+)`|card) \|", DOCUMENT, re.MULTILINE)
METADATA_ROWS = re.findall(
    r"^\| `([\d.\[\]]+)` \| [^|]+ \| (string|byte|floats|table) \| (?:`(.*)`)? ?\|$", DOCUMENT, re.MULTILINE
)


@pytest.fixture
def sealed(make_model: MakeModel, make_card: MakeCard, labels: tuple[str, ...]) -> bytes:
    """The document's example."""
    card = make_card(recipe={"quantize": "float32"}, calibration={}, accuracy=None)
    model = make_model(metadata={"min_runtime_version": b"1.5.0"})
    return seal(model, labels=labels, preprocess=card.preprocess, card=card, name="tiny")


@pytest.fixture
def archive_start(sealed: bytes) -> int:
    """A of the document, from the directory's first entry."""
    (directory,) = struct.unpack_from("<L", sealed, len(sealed) - 6)
    (offset,) = struct.unpack_from("<L", sealed, directory + 42)
    return int(offset)


def test_the_example_is_these_bytes(sealed: bytes) -> None:
    assert len(sealed) == 2722
    assert sha256_bytes(sealed) == "976c7b678f932259a3c2257124f954e1906f8ecd40a99cfdebbb72b6e75d40fd"


def test_the_archive_is_the_table_without_a_gap(sealed: bytes, archive_start: int) -> None:
    rows = {int(offset): bytes.fromhex(data) if data else CARD.encode() for offset, data in ARCHIVE_ROWS}
    assert b"".join(rows.values()) == sealed[archive_start:]
    for offset, data in rows.items():
        assert sealed[archive_start + offset :].startswith(data)


class Table:
    """A flatbuffer table by field number, from the flatbuffers specification alone."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data, self.position = data, position
        vtable = position - struct.unpack_from("<l", data, position)[0]
        size = struct.unpack_from("<H", data, vtable)[0]
        offsets = struct.unpack_from(f"<{(size - 4) // 2}H", data, vtable + 4)
        self.fields = {number: offset for number, offset in enumerate(offsets) if offset}

    def target(self, field: int) -> int:
        place = self.position + self.fields[field]
        return int(place + struct.unpack_from("<L", self.data, place)[0])

    def table(self, field: int) -> "Table":
        return Table(self.data, self.target(field))

    def item(self, field: int, index: int) -> "Table":
        place = self.target(field) + 4 + 4 * index
        return Table(self.data, place + struct.unpack_from("<L", self.data, place)[0])

    def length(self, field: int) -> int:
        return int(struct.unpack_from("<L", self.data, self.target(field))[0])

    def value(self, field: int, kind: str) -> Any:
        if kind == "byte":
            return self.data[self.position + self.fields[field]]
        start = self.target(field) + 4
        if kind == "floats":
            return list(struct.unpack_from(f"<{self.length(field)}f", self.data, start))
        return self.data[start : start + self.length(field)].decode()


def metadata_buffer(sealed: bytes) -> bytes:
    """The steps of the document's table."""
    model = Table(sealed, struct.unpack_from("<L", sealed)[0])
    for index in range(model.length(6)):
        entry = model.item(6, index)
        if entry.value(0, "string") == "TFLITE_METADATA":
            (number,) = struct.unpack_from("<L", sealed, entry.position + entry.fields[1])
            buffer = model.item(4, number)
            assert (buffer.target(0) + 4) % 16 == 0
            return sealed[buffer.target(0) + 4 :][: buffer.length(0)]
    raise AssertionError("no metadata")


def test_the_metadata_is_the_table_and_nothing_else(sealed: bytes) -> None:
    payload = metadata_buffer(sealed)
    assert sealed[4:8] == b"TFL3"
    assert payload[4:8] == b"M001"
    documented: dict[int, set[int]] = defaultdict(set)
    present: dict[int, set[int]] = {}
    for path, kind, literal in METADATA_ROWS:
        table = Table(payload, struct.unpack_from("<L", payload)[0])
        *way, last = [re.fullmatch(r"(\d+)(\[0\])?", part) for part in path.split(".")]
        for step in way:
            assert step is not None
            field = int(step[1])
            documented[table.position].add(field)
            present[table.position] = set(table.fields)
            if step[2]:
                assert table.length(field) == 1
            table = table.item(field, 0) if step[2] else table.table(field)
        assert last is not None
        documented[table.position].add(int(last[1]))
        present[table.position] = set(table.fields)
        if kind == "table":
            assert not table.table(int(last[1])).fields
        else:
            assert table.value(int(last[1]), kind) == json.loads(literal), path
    assert len(METADATA_ROWS) == 22
    assert documented == present


def test_the_documented_card_is_read(make_card: MakeCard) -> None:
    assert Card.from_json(CARD) == make_card(recipe={"quantize": "float32"}, calibration={}, accuracy=None)
    keys = set(re.findall(r"^\| `(\w+)` \| (?:integer|string|object)", DOCUMENT, re.MULTILINE))
    assert keys == set(json.loads(CARD))
    for key in json.loads(CARD)["preprocess"]:
        assert f"`{key}`" in DOCUMENT


def test_the_documented_confidence_is_these_bytes(make_card: MakeCard) -> None:
    values = json.loads(f"{{{CONFIDENCE}}}")["confidence"]
    card = make_card(confidence=Confidence(**values))
    without = make_card().to_json()
    place = without.index('  "format"')
    text = "".join(f"  {line}\n" for line in CONFIDENCE.splitlines())
    assert card.to_json() == without[:place] + text[:-1] + ",\n" + without[place:]
    assert Card.from_json(card.to_json()) == card
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| [^|]*(?:0\.1 to|0 to 1|integer from 1)", DOCUMENT, re.MULTILINE)
    assert sorted(re.findall(r"\w+", " ".join(rows))) == sorted(values)


def test_the_documented_reference_is_these_bytes(make_card: MakeCard) -> None:
    values = json.loads(f"{{{REFERENCE}}}")["reference"]
    card = make_card(reference=Reference.from_dict(values))
    without = make_card().to_json()
    place = without.index('  "source"')
    text = "".join(f"  {line}\n" for line in REFERENCE.splitlines())
    assert card.to_json() == without[:place] + text[:-1] + ",\n" + without[place:]
    assert Card.from_json(card.to_json()) == card
    rows = re.findall(r"^\| `(\w+)` \| up to (\d) \|", DOCUMENT, re.MULTILINE)
    assert {name: float(most) for name, most in rows} == STATISTICS
