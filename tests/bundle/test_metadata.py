"""TFLite Metadata: our own, that of other tools, and damaged ones."""

from collections.abc import Callable

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.bundle.metadata import METADATA_NAME, TFLiteMetadata, pack_metadata, read_metadata
from edgecnn.config import NORMALIZATIONS, Preprocess, named_normalization
from edgecnn.errors import BundleError, ModelError

MakeModel = Callable[..., bytes]


def packed(preprocess: Preprocess, *, name: str = "", description: str = "") -> bytes:
    return pack_metadata(
        preprocess,
        name=name,
        description=description,
        output_name="probability",
        label_file="labels.txt",
        card_file="edgecnn.json",
    )


def read(make_model: MakeModel, payload: bytes) -> TFLiteMetadata | None:
    return read_metadata(make_model(metadata={"min_runtime_version": b"1.5.0", METADATA_NAME: payload}))


@given(st.text(), st.text())
def test_names_come_back_as_written(make_model: MakeModel, name: str, description: str) -> None:
    result = read(make_model, packed(Preprocess(width=4, height=4), name=name, description=description))
    assert result is not None
    assert (result.name, result.description, result.label_file) == (name, description, "labels.txt")


@pytest.mark.parametrize("name", NORMALIZATIONS)
@pytest.mark.parametrize("color", ["rgb", "bgr", "gray"])
def test_normalizations_come_back_as_written(make_model: MakeModel, name: str, color: str) -> None:
    mean, std = named_normalization(name, color)
    result = read(make_model, packed(Preprocess(width=4, height=4, color=color, mean=mean, std=std)))
    assert result is not None
    assert result.color == ("" if color == "bgr" else color)
    length = max(len(mean), len(std))  # readers want one length for both
    assert len(result.mean) == len(result.std) == length
    assert result.mean == (mean if len(mean) == length else mean * length)
    assert result.std == (std if len(std) == length else std * length)


def test_a_model_without_metadata_has_none(make_model: MakeModel) -> None:
    assert read_metadata(make_model()) is None
    assert read_metadata(make_model(metadata={"min_runtime_version": b"1.5.0"})) is None


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(ModelError, match="expected a TFLite model"):
        read_metadata(b"\0\0\0\0M001 and more")


class Writer:
    """Writes metadata as the generated code of the public schema does: every field, in the schema's order."""

    def __init__(self) -> None:
        self.builder = flatbuffers.Builder(256)

    def vector(self, offsets: list[int]) -> int:
        self.builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.builder.PrependUOffsetTRelative(offset)
        return int(self.builder.EndVector())

    def table(self, size: int, **fields: int) -> int:
        """Fields are named by number: o3 is an offset in field 3, b0 a byte in field 0."""
        self.builder.StartObject(size)
        for name, value in fields.items():
            slot = self.builder.PrependUOffsetTRelativeSlot if name[0] == "o" else self.builder.PrependInt8Slot
            slot(int(name[1:]), value, 0)
        return int(self.builder.EndObject())

    def text(self, value: str) -> int:
        return int(self.builder.CreateString(value))

    def floats(self, values: list[float]) -> int:
        return int(self.builder.CreateNumpyVector(np.array(values, np.float32)))

    def finish(self, root: int) -> bytes:
        self.builder.Finish(root, b"M001")
        return bytes(self.builder.Output())


def foreign(*, mean: list[float], std: list[float], files: list[tuple[str, int]], unit: int = 1) -> bytes:
    """Metadata in the manner of a model maker: versions, authors, sizes, ranges, locales, threshold units."""
    w = Writer()
    size = w.table(2)
    image = w.table(2, b0=1, o1=size)
    span = w.table(2)
    content = w.table(3, b0=2, o1=image, o2=span)
    options = w.table(2, o0=w.floats(mean), o1=w.floats(std))
    threshold = w.table(2, b0=3, o1=w.table(1))
    units = w.vector([threshold, w.table(2, b0=unit, o1=options)])
    stats = w.table(2, o0=w.floats([1.0]), o1=w.floats([-1.0]))
    picture = w.table(7, o0=w.text("image"), o1=w.text("Input"), o3=content, o4=units, o5=stats)
    entries = [w.table(5, o0=w.text(name), b2=kind, o3=w.text("en"), o4=w.text("v1")) for name, kind in files]
    scores = w.table(7, o0=w.text("probability"), o6=w.vector(entries))
    graph = w.table(10, o2=w.vector([picture]), o3=w.vector([scores]))
    root = w.table(
        8, o0=w.text("EfficientNet"), o1=w.text("Flowers"), o2=w.text("v1"), o3=w.vector([graph]), o4=w.text("me"),
        o5=w.text("Apache"), o7=w.text("1.0.0"),
    )  # fmt: skip
    return w.finish(root)


def test_metadata_of_other_tools_is_read(make_model: MakeModel) -> None:
    payload = foreign(mean=[127.0], std=[128.0], files=[("scores.csv", 4), ("flowers.txt", 2), ("blumen.txt", 2)])
    assert read(make_model, payload) == TFLiteMetadata(
        name="EfficientNet", description="Flowers", color="rgb", mean=(127.0,), std=(128.0,), label_file="flowers.txt"
    )


def test_metadata_that_says_little_is_no_error(make_model: MakeModel) -> None:
    assert read(make_model, foreign(mean=[], std=[], files=[("notes.txt", 1)], unit=2)) == TFLiteMetadata(
        name="EfficientNet", description="Flowers", color="rgb"
    )
    w = Writer()
    assert read(make_model, w.finish(w.table(8))) == TFLiteMetadata()


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"M001", "expected TFLite metadata of kind M001"),
        (b"\x08\0\0\0M002" + bytes(20), "expected TFLite metadata of kind M001"),
        (b"\xff\xff\xff\x7fM001", "is damaged"),
        (foreign(mean=[float("nan")], std=[1.0], files=[]), "its normalization is no list of numbers"),
        (foreign(mean=[0.0], std=[float("inf")], files=[]), "its normalization is no list of numbers"),
        (foreign(mean=[0.0] * 20_000, std=[1.0], files=[]), "its normalization is no list of numbers"),
        (foreign(mean=[0.0], std=[1.0], files=[("l.txt", 2)] * 10_001), "a list of 10001 items"),
    ],
)
def test_damaged_metadata_is_one_clear_error(make_model: MakeModel, payload: bytes, message: str) -> None:
    with pytest.raises(BundleError, match=message) as caught:
        read(make_model, payload)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("index", [3, 2**32 - 1])
def test_an_entry_that_points_nowhere_is_one_clear_error(make_model: MakeModel, index: int) -> None:
    model = schema.ModelT.InitFromPackedBuf(make_model(metadata={METADATA_NAME: b"x"}), 0)
    model.metadata[0].buffer = index
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    with pytest.raises(BundleError, match="points outside the model"):
        read_metadata(bytes(builder.Output()))


@given(st.data())
def test_any_damage_is_read_or_one_clear_error(make_model: MakeModel, data: st.DataObject) -> None:
    good = foreign(mean=[127.0], std=[128.0], files=[("flowers.txt", 2)])
    payload = bytearray(good)
    for _ in range(data.draw(st.integers(1, 6))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.sampled_from([0, 1, 4, 127, 128, 255]))
    message = ""
    try:
        result = read(make_model, bytes(payload[: data.draw(st.integers(1, len(payload)))]))
    except BundleError as exc:
        message = str(exc)
    else:
        assert isinstance(result, TFLiteMetadata)
    assert "\n" not in message
