"""Models made to measure with: they compute what they say."""

import sys

import numpy as np
import pytest

from edgecnn.bundle.flatbuffer import unpack
from edgecnn.bundle.probe import pointwise_convolution
from edgecnn.bundle.tflite import describe
from edgecnn.errors import MissingExtraError, ModelError
from edgecnn.runtime.interpreter import Runner


def stored(content: bytes, dtype: str) -> np.ndarray:
    """The weights in the file, (filters, channels)."""
    model = unpack(content)
    tensor = model.subgraphs[0].tensors[1]
    values = np.frombuffer(bytes(model.buffers[tensor.buffer].data), dtype)
    return values.reshape(tensor.shape[0], tensor.shape[3])


@pytest.mark.parametrize(("size", "channels", "filters"), [(1, 1, 1), (2, 5, 3), (4, 16, 8)])
def test_the_float_model_is_a_product_of_matrices(size: int, channels: int, filters: int) -> None:
    content = pointwise_convolution("float32", size=size, channels=channels, filters=filters)
    runner = Runner(content)
    picture = np.random.default_rng(1).standard_normal((1, size, size, channels)).astype(np.float32)
    runner.inputs[0][...] = picture
    runner.invoke()
    np.testing.assert_allclose(runner.outputs[0], picture @ stored(content, "float32").T, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("size", "channels", "filters"), [(1, 1, 1), (2, 5, 3), (4, 16, 8)])
def test_the_int8_model_is_a_product_of_matrices(size: int, channels: int, filters: int) -> None:
    content = pointwise_convolution("int8", size=size, channels=channels, filters=filters)
    info = describe(content)
    runner = Runner(content)
    picture = np.random.default_rng(1).integers(-128, 128, (1, size, size, channels)).astype(np.int8)
    runner.inputs[0][...] = picture
    runner.invoke()
    product = picture.astype(np.int64) @ stored(content, "int8").astype(np.int64).T
    exact = product * (info.inputs[0].scale * 0.05 / info.outputs[0].scale)
    assert np.abs(np.clip(exact, -128, 127) - runner.outputs[0]).max() <= 0.51
    assert runner.outputs[0].any()


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_its_work_is_as_stated(dtype: str) -> None:
    info = describe(pointwise_convolution(dtype, size=7, channels=24, filters=40))
    assert info.macs == 7 * 7 * 24 * 40
    assert (info.inputs[0].dtype, info.outputs[0].dtype) == (dtype, dtype)
    assert info.outputs[0].shape == (1, 7, 7, 40)


def test_other_types_are_refused() -> None:
    with pytest.raises(ModelError, match="expected float32 or int8, got int16"):
        pointwise_convolution("int16", size=1, channels=1, filters=1)


def test_without_litert_it_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.schema_py_generated", None)
    with pytest.raises(MissingExtraError, match=r"pip install edgecnn$"):
        pointwise_convolution("int8", size=1, channels=1, filters=1)
