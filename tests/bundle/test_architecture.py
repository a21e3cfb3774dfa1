"""The summary of layers adds up, and agrees with Keras' own count."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.bundle.architecture import architecture
from edgecnn.bundle.tflite import describe
from edgecnn.compress.quantize import quantize
from edgecnn.convert.loading import load_float
from edgecnn.spec import Spec


@pytest.fixture(scope="module")
def keras_model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, bytes]:
    """A Keras model and what it was converted to."""
    layers = import_module("keras").layers
    picture = layers.Input((12, 10, 3))
    wide = layers.Conv2D(8, 3, padding="same", activation="relu", name="wide")(picture)
    deep = layers.DepthwiseConv2D(3, strides=2, padding="same", name="deep")(wide)
    scores = layers.Dense(5, activation="softmax", name="scores")(layers.Flatten(name="flat")(deep))
    model = import_module("keras").Model(picture, scores)
    # equal constants, such as biases of zero, would be one tensor in the file
    model.set_weights([np.random.default_rng(i).normal(size=w.shape) for i, w in enumerate(model.get_weights())])
    path = tmp_path_factory.mktemp("model") / "model.keras"
    model.save(path)
    return model, load_float(path, Spec())


def test_layers_have_their_keras_names_shapes_parameters_and_work(keras_model: tuple[Any, bytes]) -> None:
    model, content = keras_model
    found = architecture(content)
    rows = {row["name"]: row for row in found["layers"]}
    assert found["input"] == [12, 10, 3]
    assert {name: rows[name]["output"] for name in ("wide", "deep", "scores")} == {
        "wide": [12, 10, 8],
        "deep": [6, 5, 8],
        "scores": [5],
    }
    for name in ("wide", "deep", "scores"):
        assert rows[name]["parameters"] == model.get_layer(name).count_params()
    assert {name: rows[name]["macs"] for name in ("wide", "deep", "scores")} == {
        "wide": 12 * 10 * 8 * 3 * 3 * 3,
        "deep": 6 * 5 * 8 * 3 * 3,
        "scores": 6 * 5 * 8 * 5,
    }
    assert rows["scores"]["op"] == "FULLY_CONNECTED", "not the softmax behind it, which belongs to the same layer"


def test_the_rows_add_up_to_the_whole(keras_model: tuple[Any, bytes], shared_data: Path) -> None:
    vww = (shared_data / "models" / "mlperf_tiny_vww_96_int8.tflite").read_bytes()
    for content in (keras_model[1], vww):
        found, info = architecture(content), describe(content)
        for key in ("parameters", "macs"):
            assert sum(row[key] for row in found["layers"]) == found[key] == getattr(info, key)
        assert sum(operator["macs"] for operator in found["operators"]) == info.macs
        work = [operator["macs"] for operator in found["operators"]]
        assert work == sorted(work, reverse=True)


def test_weights_in_half_precision_count_where_they_are_used(keras_model: tuple[Any, bytes]) -> None:
    half = quantize(keras_model[1], kind="float16", io="float32", head="softmax").content
    assert "DEQUANTIZE" in describe(half).ops
    assert architecture(half)["layers"] == architecture(keras_model[1])["layers"]
