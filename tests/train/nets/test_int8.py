"""Networks of every kind through the conversion: whole in int8, and close to float."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.bundle.tflite import describe
from edgecnn.compress.quantize import quantize
from edgecnn.keras_io.export import check_parity, export_float
from edgecnn.keras_io.load import wrap_keras_model
from edgecnn.keras_io.safety import SourceFile
from edgecnn.runtime.interpreter import Engine
from edgecnn.train.architectures import build_network

SIZE, UNITS, PICTURES = 28, 3, 12


def outputs(content: bytes, tensors: NDArray[np.float32]) -> NDArray[np.float32]:
    engine = Engine(content)
    stored = engine.input_type.quantize(tensors)
    return engine.output_type.dequantize(np.stack([engine.run(tensor) for tensor in stored]))


@pytest.mark.parametrize(
    "name",
    ["lenet5", "resnet8", "densenet", "mobilenetv2_035", pytest.param("efficientnet_lite0", marks=pytest.mark.slow)],
)
def test_networks_convert_to_int8(name: str) -> None:
    import keras

    keras.utils.set_random_seed(1)
    model = build_network(name, (SIZE, SIZE, 1), UNITS)
    random = np.random.default_rng(2)
    coarse = random.uniform(-1, 1, (PICTURES, 4, 4, 1))
    tensors = np.kron(coarse, np.ones((1, SIZE // 4, SIZE // 4, 1))).astype(np.float32)
    faint = name == "mobilenetv2_035"
    if faint:  # its signal fades to nothing until the normalizations know its statistics
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = 0.0
        model(tensors, training=True)
    source = wrap_keras_model(model, SourceFile(Path(name), "keras"))
    content = export_float(source, width=SIZE, height=SIZE)
    check_parity(source, content, tensors[:2])
    result = quantize(
        content, kind="int8", io="int8", head="logits", tensors=list(tensors), input_range=(-1.0, 1.0)
    ).content
    info = describe(result)
    assert (info.inputs[0].dtype, info.outputs[0].dtype) == ("int8", "int8")
    assert "DEQUANTIZE" not in info.ops  # nothing in between is computed in float
    if not faint:  # with statistics of a few pictures every rounding becomes noise
        got = outputs(result, tensors)
        assert np.corrcoef(outputs(content, tensors).ravel(), got.ravel())[0, 1] > 0.98
