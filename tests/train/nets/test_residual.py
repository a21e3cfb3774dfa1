"""ResNet-8 against the trained one of MLPerf Tiny: the same network, so that weights of one fit the other."""

from pathlib import Path

import numpy as np
import pytest

from edgecnn.train.architectures import build_network


def test_resnet8_computes_what_mlperf_tinys_does(shared_data: Path) -> None:
    import keras

    published = keras.saving.load_model(shared_data / "models" / "mlperf_tiny_resnet8_cifar10.h5", compile=False)
    model = build_network("resnet8", (32, 32, 3), 10)
    assert [weight.shape for weight in model.weights] == [weight.shape for weight in published.weights]
    model.set_weights(published.get_weights())
    pictures = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3)).astype(np.float32)
    expected = np.asarray(keras.ops.convert_to_numpy(published([pictures])))
    scores = np.asarray(keras.ops.convert_to_numpy(keras.ops.softmax(model(pictures))))
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    assert np.ptp(expected, axis=0).max() > 0.1  # otherwise nothing would be compared


@pytest.mark.parametrize(("name", "layers"), [("resnet8", 8), ("resnet20", 20), ("densenet", 40)])
def test_the_name_counts_the_layers_on_the_longest_way(name: str, layers: int) -> None:
    model = build_network(name, (32, 32, 3), 10)
    weighted = [layer for layer in model.layers if type(layer).__name__ in ("Conv2D", "Dense")]
    short_cuts = [layer for layer in weighted if name.startswith("resnet") and layer.kernel.shape[0] == 1]
    assert len(weighted) - len([layer for layer in short_cuts if layer.name != "logits"]) == layers
