"""Reading and editing the flatbuffer, on models made by hand and on real ones."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.bundle.archive import append_archive
from edgecnn.bundle.metadata import METADATA_NAME
from edgecnn.bundle.tflite import TensorInfo, describe, first_signature, with_metadata, with_signature
from edgecnn.errors import MissingExtraError, ModelError

MakeModel = Callable[..., bytes]

REAL = [
    ("mlperf_tiny_resnet8_cifar10_float", "float32", 77_706, {"CONV_2D": 9, "SOFTMAX": 1}, 32, 10),
    ("mlperf_tiny_resnet8_cifar10_int8", "int8", 77_706, {"CONV_2D": 9, "SOFTMAX": 1}, 32, 10),
    ("mlperf_tiny_vww_96_float", "float32", 210_850, {"CONV_2D": 14, "DEPTHWISE_CONV_2D": 13}, 96, 2),
    ("mlperf_tiny_vww_96_int8", "int8", 210_850, {"CONV_2D": 14, "DEPTHWISE_CONV_2D": 13}, 96, 2),
]


def run(content: bytes, seed: int = 0) -> list[Any]:
    """Outputs of a model for a random input."""
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    details = interpreter.get_input_details()[0]
    values = np.random.default_rng(seed).integers(-100, 100, details["shape"])
    interpreter.set_tensor(details["index"], values.astype(details["dtype"]))
    interpreter.invoke()
    return [interpreter.get_tensor(item["index"]).tolist() for item in interpreter.get_output_details()]


def buffers(content: bytes) -> list[tuple[int, bytes]]:
    """(offset in the file, content) of every buffer that is not empty."""
    model = schema.Model.GetRootAs(content, 0)
    parts = [model.Buffers(index) for index in range(model.BuffersLength())]
    return [(p._tab.Vector(p._tab.Offset(4)), p.DataAsNumpy().tobytes()) for p in parts if p.DataLength()]


def edited(content: bytes, change: Callable[[Any], None]) -> bytes:
    """The model after `change` of its unpacked form."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    change(model)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def complaint(read: Callable[[bytes], object], content: bytes) -> str:
    """The message of the ModelError that `read` raises, if it does; any other error fails the test."""
    try:
        read(content)
    except ModelError as exc:
        return str(exc)
    return ""


def test_inputs_and_outputs_are_described(make_model: MakeModel) -> None:
    info = describe(make_model(classes=5, channels=1))
    assert info.inputs == (TensorInfo("serving_default_image:0", (-1, 4, 4, 1), "float32", 0.0, 0),)
    assert info.outputs == (TensorInfo("softmax", (-1, 5), "float32", 0.0, 0),)
    assert not info.has_signature
    quantized = describe(make_model(io="int8")).inputs[0]
    assert (quantized.dtype, quantized.scale, quantized.zero_point) == ("int8", 1.0, 0)


@pytest.mark.parametrize(
    ("options", "head"),
    [
        ({"head": "softmax"}, "softmax"),
        ({"head": "reshaped"}, "softmax"),
        ({"head": "sigmoid"}, "sigmoid"),
        ({"head": "logits"}, "logits"),
        ({"head": "softmax", "custom": "Mine"}, "logits"),
        ({"head": "softmax", "outputs": 2}, "logits"),
    ],
)
def test_the_head_is_found_behind_operators_that_change_no_score(
    make_model: MakeModel, options: dict[str, Any], head: str
) -> None:
    assert describe(make_model(**options)).head == head


def test_operators_are_counted_most_frequent_first(make_model: MakeModel) -> None:
    ops = describe(make_model(head="reshaped", custom="FlexErf")).ops
    assert list(ops.items()) == [("FULLY_CONNECTED", 1), ("FlexErf", 1), ("RESHAPE", 1), ("SOFTMAX", 1)]


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "uint8", "int16"])
@pytest.mark.parametrize("zeros", [0, 7, 48])
def test_parameters_and_exact_zeros_are_counted(make_model: MakeModel, dtype: str, zeros: int) -> None:
    weights = np.ones((3, 16), dtype)
    weights.reshape(-1)[:zeros] = 0
    info = describe(make_model(channels=1, weights=weights))
    assert info.parameters == 48
    assert info.sparsity == zeros / 48


def test_a_zero_is_the_zero_point(make_model: MakeModel) -> None:
    weights = np.full((2, 16), 128, np.uint8)
    assert describe(make_model(classes=2, channels=1, weights=weights)).sparsity == 0.0
    assert describe(make_model(classes=2, channels=1, weights=weights, scales=[0.1], zero_points=[128])).sparsity == 1.0
    by_row = make_model(classes=2, channels=1, weights=weights, scales=[0.1, 0.1], zero_points=[128, 3])
    assert describe(by_row).sparsity == 0.5


@pytest.mark.parametrize(
    ("zero_point", "byte", "share"), [(0, 0x10, 0.5), (-1, 0xF1, 0.5), (-1, 0xFF, 1.0), (3, 0, 0.0)]
)
def test_four_bit_weights_are_two_in_a_byte(make_model: MakeModel, zero_point: int, byte: int, share: float) -> None:
    info = describe(
        make_model(
            channels=1, weights=np.full(24, byte, np.uint8), dtype="int4", scales=[0.1], zero_points=[zero_point]
        )
    )
    assert (info.parameters, info.sparsity) == (48, share)


def test_zero_points_that_fit_no_weight_are_damage(make_model: MakeModel) -> None:
    weights = np.ones((3, 16), np.uint8)
    with pytest.raises(ModelError, match="2 zero points for weights of shape"):
        describe(make_model(channels=1, weights=weights, scales=[0.1, 0.1], zero_points=[1, 2]))


def test_a_signature_is_added_once(make_model: MakeModel) -> None:
    content = make_model()
    with pytest.raises(ModelError, match="expected a TFLite model with a signature"):
        first_signature(content)
    signed = with_signature(content)
    assert describe(signed).has_signature
    assert with_signature(signed) is signed
    signature = first_signature(signed)
    assert (signature.key, signature.input_name) == ("serving_default", "image")
    assert signature.input_tensor == "serving_default_image:0"
    runner = Interpreter(model_content=signed).get_signature_runner("serving_default")
    assert list(runner.get_input_details()) == ["image"]
    assert list(runner.get_output_details()) == ["softmax"]


def test_signature_names_are_unique_and_never_empty(make_model: MakeModel) -> None:
    model = schema.ModelT.InitFromPackedBuf(with_signature(make_model(outputs=3, names=False)), 0)
    assert [entry.name for entry in model.signatureDefs[0].outputs] == [b"output", b"output_1", b"output_2"]
    assert [entry.name for entry in model.signatureDefs[0].inputs] == [b"input"]


def test_metadata_replaces_older_and_keeps_other_entries(make_model: MakeModel) -> None:
    content = make_model(metadata={"min_runtime_version": b"1.5.0", METADATA_NAME: b"older", "mine": b"note"})
    once = with_metadata(content, b"first")
    twice = with_metadata(once, b"second, and longer")
    assert with_metadata(twice, b"first") == once
    model = schema.ModelT.InitFromPackedBuf(twice, 0)
    entries = {entry.name: model.buffers[entry.buffer].data.tobytes() for entry in model.metadata}
    assert entries == {b"min_runtime_version": b"1.5.0", b"mine": b"note", b"TFLITE_METADATA": b"second, and longer"}
    assert len(model.buffers) == len(schema.ModelT.InitFromPackedBuf(content, 0).buffers)


def test_metadata_never_overwrites_a_buffer_in_use(make_model: MakeModel) -> None:
    def point_to_weights(model: Any) -> None:
        model.metadata[0].buffer = 1

    content = edited(make_model(metadata={METADATA_NAME: b"older"}), point_to_weights)
    weights = buffers(content)[0][1]
    changed = with_metadata(content, b"new")
    assert [data for _, data in buffers(changed)] == [weights, b"older", b"new"]
    assert run(changed) == run(content)


def test_weights_stay_aligned_as_the_schema_asks(make_model: MakeModel) -> None:
    for change in (with_signature, lambda content: with_metadata(content, b"odd")):
        changed = change(make_model(metadata={"min_runtime_version": b"1.5.0"}))
        assert [offset % 16 for offset, _ in buffers(changed)] == [0] * len(buffers(changed))


def test_an_edited_model_computes_the_same(make_model: MakeModel) -> None:
    content = make_model()
    assert run(with_metadata(with_signature(content), b"x")) == run(content)


@pytest.mark.parametrize("read", [describe, with_signature, first_signature])
@pytest.mark.parametrize("content", [b"", b"TFL3", b"PK\3\4 and more", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_model_is_refused(read: Callable[[bytes], object], content: bytes) -> None:
    with pytest.raises(ModelError, match=r"expected a TFLite model \(bytes 4 to 8 are b'TFL3'\)"):
        read(content)


def test_a_model_without_graph_is_refused() -> None:
    with pytest.raises(ModelError, match=r"with a graph and buffers|is damaged"):
        describe(b"\x10\0\0\0TFL3\x04\0\x04\0\x04\0\0\0\x08\0\0\0" + bytes(16))


def moved_out(content: bytes, *, shift: int = 0) -> bytes:
    """The model with its weights behind the flatbuffer, as tools write large models."""
    weights = buffers(content)[0][1]

    def refer(model: Any, offset: int) -> None:
        model.buffers[1].data, model.buffers[1].offset, model.buffers[1].size = None, offset, len(weights)

    flatbuffer = edited(content, lambda model: refer(model, 1 << 20))  # the size does not depend on the offset
    return edited(content, lambda model: refer(model, len(flatbuffer) + shift)) + weights


def test_weights_behind_the_flatbuffer_are_brought_in(make_model: MakeModel) -> None:
    content = make_model(metadata={"min_runtime_version": b"1.5.0"})
    outside = moved_out(content)
    assert describe(outside) == describe(content)
    changed = with_metadata(append_archive(outside, {"labels.txt": b"a\nb\nc\n"}), b"x")
    assert changed == with_metadata(content, b"x")
    assert run(changed) == run(outside) == run(content)


def test_weights_outside_the_file_are_damage(make_model: MakeModel) -> None:
    with pytest.raises(ModelError, match="is damaged"):
        describe(moved_out(make_model(), shift=1))


def test_options_outside_the_flatbuffer_are_refused(make_model: MakeModel) -> None:
    def move_out(model: Any) -> None:
        model.subgraphs[0].operators[0].largeCustomOptionsOffset = 4096

    with pytest.raises(ModelError, match="expected all of the TFLite model inside its flatbuffer"):
        describe(edited(make_model(), move_out))


def test_a_huge_list_is_refused_at_once(make_model: MakeModel) -> None:
    content = make_model()
    tensors = schema.Model.GetRootAs(content, 0).Subgraphs(0)
    place = tensors._tab.Vector(tensors._tab.Offset(4)) - 4
    huge = content[:place] + b"\xff\xff\xff\x7f" + content[place + 4 :] + bytes(1 << 20)
    with pytest.raises(ModelError, match="more than 50000 parts"):
        describe(huge)


@settings(deadline=2000)
@given(st.data())
def test_any_damage_is_read_or_one_clear_error(make_model: MakeModel, data: st.DataObject) -> None:
    content = bytearray(with_signature(make_model(channels=1, metadata={"min_runtime_version": b"1.5.0"})))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(
            st.sampled_from([0, 1, 3, 4, 64, 127, 128, 255])
        )
    damaged = bytes(content[: data.draw(st.integers(0, len(content)))])
    for read in (describe, first_signature, with_signature, lambda model: with_metadata(model, b"x")):
        assert "\n" not in complaint(read, damaged)


@pytest.mark.parametrize(("name", "dtype", "parameters", "ops", "size", "classes"), REAL)
def test_real_models_are_described(
    shared_data: Path, name: str, dtype: str, parameters: int, ops: dict[str, int], size: int, classes: int
) -> None:
    info = describe((shared_data / "models" / f"{name}.tflite").read_bytes())
    assert [(item.shape, item.dtype) for item in info.inputs] == [((-1, size, size, 3), dtype)]
    assert [(item.shape, item.dtype) for item in info.outputs] == [((-1, classes), dtype)]
    assert info.ops | ops == info.ops
    assert (info.head, info.parameters) == ("softmax", parameters)


@pytest.mark.parametrize("name", [row[0] for row in REAL])
def test_edited_real_models_compute_the_same_and_stay_aligned(shared_data: Path, name: str) -> None:
    content = (shared_data / "models" / f"{name}.tflite").read_bytes()
    edited = with_metadata(with_signature(content), b"x" * 1001)
    assert {offset % 16 for offset, _ in buffers(edited)} == {0}
    assert run(edited) == run(content)


def test_damaged_real_models_are_read_or_one_clear_error(shared_data: Path) -> None:
    content = (shared_data / "models" / "mlperf_tiny_resnet8_cifar10_int8.tflite").read_bytes()
    random = np.random.default_rng(0)
    for _ in range(60):
        damaged = np.frombuffer(content, np.uint8).copy()
        places = random.integers(0, len(content) if random.random() < 0.5 else 20_000, 20)
        damaged[places] = random.choice([0, 1, 4, 127, 255], 20)
        assert "\n" not in complaint(with_signature, damaged.tobytes()) + complaint(describe, damaged.tobytes())


def test_without_the_schema_the_line_to_type_is_said(make_model: MakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with pytest.raises(MissingExtraError, match="looks into model files, is not installed; type: pip install edgecnn"):
        describe(make_model())
