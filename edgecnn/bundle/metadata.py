"""TFLite Metadata: a flatbuffer "M001" in a buffer of the model, which other TFLite tools read too.

Only what an image classifier needs is written and read. Field numbers are those of the public TFLite Metadata
schema, version 1.5.0 (metadata_schema.fbs), and, for the way to the buffer, of the TFLite schema (schema.fbs).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from edgecnn.bundle.archive import check_identifier
from edgecnn.config import Preprocess
from edgecnn.errors import BundleError

METADATA_NAME: Final = "TFLITE_METADATA"
_IDENTIFIER: Final = b"M001"
_MIN_PARSER_VERSION: Final = "1.0.0"

_FEATURE, _IMAGE = 1, 2  # ContentProperties
_NORMALIZATION: Final = 1  # ProcessUnitOptions
_DESCRIPTIONS, _AXIS_LABELS = 1, 2  # AssociatedFileType
_COLOR_SPACE: Final = {"rgb": 1, "gray": 2}  # ColorSpaceType; it has no word for "bgr", which stays UNKNOWN
_MOST_ITEMS: Final = 10_000  # far above any real file; a damaged length must not keep us busy


@dataclass(frozen=True)
class TFLiteMetadata:
    """What TFLite Metadata says about an image classifier; empty where it says nothing.

    Attributes:
        name, description: of the model.
        color: "rgb", "gray", or "" when unknown.
        mean, std: tensor = (pixel - mean) / std on the 0..255 scale; one value, or one a channel.
        label_file: name of the associated file with the labels of the output tensor, one a line.
    """

    name: str = ""
    description: str = ""
    color: str = ""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    label_file: str = ""


def pack_metadata(
    preprocess: Preprocess, *, name: str, description: str, output_name: str, label_file: str, card_file: str
) -> bytes:
    """The metadata flatbuffer of an image classifier with one input and one output.

    Args:
        preprocess: gives the colour space, the normalization and the range of the input.
        name, description: of the model; may be empty.
        output_name: "probability" or "score".
        label_file, card_file: names of the associated files.
    """
    import flatbuffers

    pack = _Packer(flatbuffers.Builder(1024))
    # one length for both, which readers insist on
    mean, std = np.broadcast_arrays(np.array(preprocess.mean, np.float32), np.array(preprocess.std, np.float32))
    low, high = (0 - mean) / std, (255 - mean) / std
    normalization = pack.table({0: pack.floats(mean), 1: pack.floats(std)})
    image = pack.table({}, {0: _COLOR_SPACE.get(preprocess.color, 0)})
    picture = pack.table(
        {
            0: pack.text("image"),
            1: pack.text("Input picture."),
            3: pack.table({1: image}, {0: _IMAGE}),
            4: pack.tables([pack.table({1: normalization}, {0: _NORMALIZATION})]),
            5: pack.table({0: pack.floats(high), 1: pack.floats(low)}),
        }
    )
    scores = pack.table(
        {
            0: pack.text(output_name),
            1: pack.text("One score a class."),
            3: pack.table({1: pack.table({})}, {0: _FEATURE}),
            6: pack.tables([pack.file(label_file, "Class names in output order, one a line.", _AXIS_LABELS)]),
        }
    )
    return pack.finish(
        {
            0: pack.text(name),
            1: pack.text(description),
            3: pack.tables([pack.table({2: pack.tables([picture]), 3: pack.tables([scores])})]),
            6: pack.tables(
                [pack.file(card_file, "edgecnn's card: preprocessing, provenance, accuracy.", _DESCRIPTIONS)]
            ),
            7: pack.text(_MIN_PARSER_VERSION),
        }
    )


def read_metadata(content: bytes) -> TFLiteMetadata | None:
    """The metadata inside a `.tflite` file, whoever wrote it; None when there is none.

    Raises:
        ModelError: `content` is no TFLite model.
        BundleError: there is metadata, or a way to it, that is damaged.
    """
    check_identifier(content)
    try:
        payload = _metadata_buffer(content)
        return None if payload is None else _parse(payload)
    except BundleError:
        raise
    except Exception as exc:  # the flatbuffers package fails in many ways on damaged bytes
        raise BundleError(f"the TFLite metadata is damaged ({type(exc).__name__}); get the file again") from exc


def _metadata_buffer(content: bytes) -> bytes | None:
    model = _Node.root(content)
    for entry in model.children(6):
        if entry.text(0) == METADATA_NAME:
            return model.child_at(4, entry.number(1)).raw(0) or None
    return None


def _parse(payload: bytes) -> TFLiteMetadata:
    if payload[4:8] != _IDENTIFIER:
        raise BundleError(f"expected TFLite metadata of kind M001, got {payload[4:8]!r}; get the file again")
    model = _Node.root(payload)
    graphs = model.children(3)
    inputs = graphs[0].children(2) if graphs else []
    outputs = graphs[0].children(3) if graphs else []
    color, mean, std = _picture(inputs[0]) if inputs else ("", (), ())
    files = [item for item in (outputs[0].children(6) if outputs else []) if item.byte(2) == _AXIS_LABELS]
    return TFLiteMetadata(
        name=model.text(0),
        description=model.text(1),
        color=color,
        mean=mean,
        std=std,
        label_file=files[0].text(0) if files else "",
    )


def _picture(tensor: "_Node") -> tuple[str, tuple[float, ...], tuple[float, ...]]:
    color = ""
    content = tensor.child(3)
    if content is not None and content.byte(0) == _IMAGE:
        image = content.child(1)
        space = image.byte(0) if image is not None else 0
        color = next((name for name, number in _COLOR_SPACE.items() if number == space), "")
    for unit in tensor.children(4):
        options = unit.child(1)
        if unit.byte(0) == _NORMALIZATION and options is not None:
            return color, options.floats(0), options.floats(1)
    return color, (), ()


class _Packer:
    """Writes tables by field number; every method returns the offset of what it wrote."""

    def __init__(self, builder: Any) -> None:
        self._builder = builder

    def text(self, value: str) -> int:
        return int(self._builder.CreateString(value))

    def floats(self, values: Iterable[float]) -> int:
        return int(self._builder.CreateNumpyVector(np.array(values, np.float32)))

    def tables(self, offsets: list[int]) -> int:
        self._builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self._builder.PrependUOffsetTRelative(offset)
        return int(self._builder.EndVector())

    def table(self, offsets: Mapping[int, int], numbers: Mapping[int, int] | None = None) -> int:
        numbers = numbers or {}
        self._builder.StartObject(max([*offsets, *numbers], default=-1) + 1)
        for field, offset in offsets.items():
            self._builder.PrependUOffsetTRelativeSlot(field, offset, 0)
        for field, number in numbers.items():
            self._builder.PrependUint8Slot(field, number, 0)
        return int(self._builder.EndObject())

    def file(self, name: str, description: str, kind: int) -> int:
        return self.table({0: self.text(name), 1: self.text(description)}, {2: kind})

    def finish(self, offsets: Mapping[int, int]) -> bytes:
        self._builder.Finish(self.table(offsets), _IDENTIFIER)
        return bytes(self._builder.Output())


class _Node:
    """A table of a flatbuffer, read by field number; a missing field is empty or 0."""

    def __init__(self, data: bytes, position: int) -> None:
        from flatbuffers.table import Table

        self._table = Table(data, position)

    @classmethod
    def root(cls, data: bytes) -> "_Node":
        return cls(data, int.from_bytes(data[:4], "little"))

    def raw(self, field: int) -> bytes:
        offset = self._offset(field)
        return bytes(self._table.String(self._table.Pos + offset)) if offset else b""

    def text(self, field: int) -> str:
        return self.raw(field).decode()

    def byte(self, field: int) -> int:
        offset = self._offset(field)
        return int(self._table.Bytes[self._table.Pos + offset]) if offset else 0

    def number(self, field: int) -> int:
        from flatbuffers.number_types import Uint32Flags

        offset = self._offset(field)
        return int(self._table.Get(Uint32Flags, self._table.Pos + offset)) if offset else 0

    def child(self, field: int) -> "_Node | None":
        offset = self._offset(field)
        return _Node(self._table.Bytes, self._table.Indirect(self._table.Pos + offset)) if offset else None

    def child_at(self, field: int, index: int) -> "_Node":
        offset = self._offset(field)
        if not offset or index >= self._table.VectorLen(offset):
            raise BundleError("the TFLite metadata points outside the model; get the file again")
        return _Node(self._table.Bytes, self._table.Indirect(self._table.Vector(offset) + 4 * index))

    def children(self, field: int) -> "list[_Node]":
        offset = self._offset(field)
        count = self._table.VectorLen(offset) if offset else 0
        if count > _MOST_ITEMS:
            raise BundleError(f"the TFLite metadata is damaged: a list of {count} items; get the file again")
        return [self.child_at(field, index) for index in range(count)]

    def floats(self, field: int) -> tuple[float, ...]:
        from flatbuffers.number_types import Float32Flags

        offset = self._offset(field)
        values = self._table.GetVectorAsNumpy(Float32Flags, offset) if offset else np.empty(0, np.float32)
        if len(values) > _MOST_ITEMS or not np.isfinite(values).all():
            raise BundleError("the TFLite metadata is damaged: its normalization is no list of numbers")
        # the shortest number that is the same float32, so that 123.675 comes back as it went in
        return tuple(float(str(value)) for value in values)

    def _offset(self, field: int) -> int:
        return int(self._table.Offset(4 + 2 * field))
