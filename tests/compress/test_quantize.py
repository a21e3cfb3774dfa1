"""Quantization of a small network in every kind, with every input and output type."""

import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.bundle.tflite import describe
from edgecnn.bundle.weights import is_float
from edgecnn.compress.quantize import IO_TYPES, default_io, quantize
from edgecnn.errors import ConversionError, MissingExtraError
from edgecnn.runtime.classifier import Head
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
        quantize(network, kind=kind, io=default_io(kind), head="softmax")


def test_a_missing_quantizer_names_the_pip_line(monkeypatch: pytest.MonkeyPatch, network: bytes) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_quantizer", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'edgecnn\[quantize\]'"):
        quantize(network, kind="dynamic", io="float32", head="softmax")
    assert quantize(network, kind="float32", io="float32", head="softmax").content == network
