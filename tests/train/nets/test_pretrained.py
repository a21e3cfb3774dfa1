"""What stands around the networks of keras.applications."""

from typing import Any

import numpy as np
import pytest

from edgecnn.train.architectures import build_network


def factors(model: Any) -> list[tuple[int, int]]:
    return [layer.size for layer in model.layers if type(layer).__name__ == "UpSampling2D"]


@pytest.mark.parametrize(("shape", "expected"), [((32, 33, 3), []), ((31, 64, 3), [(2, 2)]), ((28, 10, 1), [(4, 4)])])
def test_small_pictures_are_enlarged_by_a_whole_factor(
    shape: tuple[int, int, int], expected: list[tuple[int, int]]
) -> None:
    assert factors(build_network("mobilenet_025", shape, 2)) == expected


def test_efficientnetb0_computes_what_keras_does_behind_its_preprocessing() -> None:
    import keras

    published = keras.applications.EfficientNetB0(
        input_shape=(32, 32, 3), include_top=False, weights=None, pooling="avg"
    )
    model = build_network("efficientnetb0", (32, 32, 3), 2)
    # Their Normalization has a mean, a variance and a count in front; our last layer a kernel and a bias behind.
    weights = [np.asarray(weight) for weight in published.get_weights()][3:]
    model.set_weights([*weights, *model.get_weights()[-2:]])
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.float32)
    features = keras.Model(model.input, model.layers[-2].input)  # what the dropout gets
    expected, got = (
        np.asarray(keras.ops.convert_to_numpy(value)) for value in (published(pixels), features(pixels / 255))
    )
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-6 * np.abs(expected).max())
    assert np.ptp(expected) > 0
