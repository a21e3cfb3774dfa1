"""Quantization of a small network in every kind, with every input and output type."""

import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.bundle.flatbuffer import dtype_of, unpack
from edgecnn.bundle.layers import operations, tensor_type
from edgecnn.bundle.tflite import describe
from edgecnn.bundle.weights import is_float
from edgecnn.compress.quantize import IO_TYPES, WEIGHTS, quantize
from edgecnn.errors import ConversionError, MissingExtraError, ModelError
from edgecnn.runtime.head import Head
from edgecnn.runtime.interpreter import Engine

RANGE = (0.0, 255.0)
KINDS = [(kind, io) for kind, types in IO_TYPES.items() for io in types]


def probabilities(content: bytes, pictures: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    engine = Engine(content)
    raw = np.stack([engine.run(engine.input_type.quantize(picture)) for picture in pictures])
    return Head("softmax", engine.output_type).probabilities(raw)


@pytest.mark.parametrize(("kind", "io"), KINDS)
def test_every_kind_computes_nearly_the_same(
    kind: str, io: str, network: bytes, pictures: list[NDArray[np.float32]]
) -> None:
    result = quantize(network, kind=kind, io=io, head="softmax", tensors=pictures, input_range=RANGE)
    info = describe(result.content)
    assert (info.inputs[0].dtype, info.outputs[0].dtype) == (io, io)
    difference = np.abs(probabilities(network, pictures) - probabilities(result.content, pictures))
    allowed = {"float32": 0.0, "float16": 2e-3, "dynamic": 0.05, "int16x8": 0.05, "int8": 0.1}[kind]
    assert difference.max() <= allowed
    assert is_float(network)
    assert is_float(result.content) == (kind == "float32")


@pytest.mark.parametrize(("io", "zero_point"), [("int8", -128), ("uint8", 0)])
def test_an_8_bit_input_holds_every_pixel_value(
    io: str, zero_point: int, network: bytes, pictures: list[NDArray[np.float32]]
) -> None:
    darker = [picture * 0.5 for picture in pictures]  # calibration never sees white
    content = quantize(network, kind="int8", io=io, head="softmax", tensors=darker, input_range=RANGE).content
    assert tuple(Engine(content).input_type) == (io, pytest.approx(1.0), zero_point)


def test_the_least_divergent_candidate_is_taken(network: bytes, pictures: list[NDArray[np.float32]]) -> None:
    result = quantize(network, kind="int8", io="int8", head="softmax", tensors=pictures, input_range=RANGE)
    assert result.chosen is not None
    assert result.chosen.divergence == min(candidate.divergence for candidate in result.candidates)
    assert {candidate.range_quantile for candidate in result.candidates} == {1.0, 0.99, 0.95, 0.9}
    assert {candidate.weights for candidate in result.candidates} == {"min-max", "octav"}
    assert {candidate.bias_correction for candidate in result.candidates} == {True, False}
    again = quantize(network, kind="int8", io="int8", head="softmax", tensors=pictures, input_range=RANGE)
    assert again == result


@pytest.mark.parametrize("kind", ["int8", "int16x8"])
def test_calibration_pictures_are_needed(kind: str, network: bytes) -> None:
    with pytest.raises(ConversionError, match="needs calibration pictures"):
        quantize(network, kind=kind, io=IO_TYPES[kind][0], head="softmax")


def test_a_missing_quantizer_names_the_pip_line(monkeypatch: pytest.MonkeyPatch, network: bytes) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_quantizer", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'edgecnn\[quantize\]'"):
        quantize(network, kind="dynamic", io="float32", head="softmax")
    assert quantize(network, kind="float32", io="float32", head="softmax").content == network


def dtypes(content: bytes, names: tuple[str, ...]) -> list[str]:
    """Element type of the outputs of layers."""
    return [
        tensor_type(content, step.outputs[0]).dtype
        for step in operations(content)
        if step.layer in names and step.kind not in ("QUANTIZE", "DEQUANTIZE")
    ]


def test_layers_stay_float_or_become_wide(network: bytes, pictures: list[NDArray[np.float32]]) -> None:
    result = quantize(
        network, kind="int8", io="int8", head="softmax", tensors=pictures, input_range=RANGE,
        keep_float=["dense", "softmax"], wide=["second"],
    )  # fmt: skip
    assert dtypes(result.content, ("first", "pooled")) == ["int8", "int8"]
    assert dtypes(result.content, ("second",)) == ["int16"]
    assert dtypes(result.content, ("dense",)) == ["float32"]
    assert np.abs(probabilities(network, pictures) - probabilities(result.content, pictures)).max() <= 0.1


@pytest.mark.parametrize("kind", ["float16", "dynamic", "int16x8"])
def test_layers_stay_float_in_every_kind(kind: str, network: bytes, pictures: list[NDArray[np.float32]]) -> None:
    def stored(keep: tuple[str, ...]) -> set[str]:
        content = quantize(
            network, kind=kind, io="float32", head="softmax", tensors=pictures, input_range=RANGE, keep_float=keep
        ).content
        used = {index for step in operations(content) for index in step.inputs if index >= 0}
        made = {index for step in operations(content) for index in step.outputs}
        model = unpack(content)
        return {dtype_of(model.subgraphs[0].tensors[index]) for index in used - made} - {"int32", "int64"}

    everything = ("first", "second", "pooled", "dense", "softmax")
    assert stored(everything) == {"float32"}
    assert stored(everything[1:]) > {"float32"}


def test_every_weight_algorithm_is_tried(network: bytes, pictures: list[NDArray[np.float32]]) -> None:
    result = quantize(
        network, kind="int8", io="int8", head="softmax", tensors=pictures, input_range=RANGE, weights=WEIGHTS
    )
    assert {candidate.weights for candidate in result.candidates} == set(WEIGHTS)
    assert np.abs(probabilities(network, pictures) - probabilities(result.content, pictures)).max() <= 0.1


def test_unknown_layers_and_wide_layers_elsewhere_are_refused(
    network: bytes, pictures: list[NDArray[np.float32]]
) -> None:
    with pytest.raises(ModelError, match="got 'third', which this model has not"):
        quantize(network, kind="int8", io="int8", head="softmax", tensors=pictures, keep_float=["third"])
    with pytest.raises(ConversionError, match="16-bit layers in an int8 model only, got dynamic"):
        quantize(network, kind="dynamic", io="float32", head="softmax", wide=["first"])
