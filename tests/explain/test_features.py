"""The grid of feature maps: which are shown, in what order, and every pixel of it."""

from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.errors import ModelError
from edgecnn.explain.features import feature_maps
from edgecnn.explain.gradients import Explained, load_explained
from edgecnn.spec import parse_spec
from tests.keras_models import save


@pytest.fixture
def keras() -> Any:
    return import_module("keras")


def channels(keras: Any, folder: Path, weights: NDArray[Any], *, size: tuple[int, int] = (8, 6)) -> Explained:
    """A network whose layer "maps" gives so many times the red of the picture in each channel."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((*size, 3)),
            layers.Conv2D(len(weights), 1, use_bias=False, name="maps"),
            layers.GlobalAveragePooling2D(name="means"),
            layers.Dense(2, name="scores"),
        ]
    )
    kernel = np.zeros((1, 1, 3, len(weights)), np.float32)
    kernel[0, 0, 0] = weights
    model.get_layer("maps").set_weights([kernel])
    return load_explained(save(model, folder / "model.keras"), preprocess=parse_spec("unit"), labels=["a", "b"])


def frame(height: int = 8, width: int = 6) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_maps_stand_most_active_first_each_scaled_by_itself(keras: Any, tmp_path: Path) -> None:
    picture = frame()
    (grid,) = feature_maps(channels(keras, tmp_path, np.array([1.0, -3, 2, 0])), picture, ["maps"])
    assert (grid.layer, grid.shown, grid.channels) == ("maps", 3, 4)  # one is zero all over
    assert (grid.picture.shape, str(grid.picture.dtype)) == ((2 * 96 + 2, 2 * 72 + 2, 3), "uint8")
    red = picture[..., 2].astype(np.float64)
    scaled = (red - red.min()) / (red.max() - red.min())

    def cell(values: NDArray[Any]) -> NDArray[Any]:
        colors = cv2.applyColorMap(np.rint(255 * values).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
        return np.asarray(cv2.resize(colors, (72, 96), interpolation=cv2.INTER_NEAREST))

    expected = np.full_like(grid.picture, 255)
    expected[:96, :72], expected[:96, 74:], expected[98:, :72] = cell(1 - scaled), cell(scaled), cell(scaled)
    assert np.abs(grid.picture.astype(int) - expected).max() <= 8  # float32 may round to the next of 256 colours
    np.testing.assert_array_equal(grid.picture[96:98], 255)


def test_of_many_maps_sixteen_are_shown_and_large_ones_are_not_enlarged(keras: Any, tmp_path: Path) -> None:
    subject = channels(keras, tmp_path, np.arange(1.0, 41), size=(150, 100))
    (grid,) = feature_maps(subject, frame(20, 20), ["maps"])
    assert (grid.shown, grid.channels) == (16, 40)
    assert grid.picture.shape == (4 * 152 - 2, 4 * 102 - 2, 3)


def test_a_layer_without_anything_is_one_dark_map(keras: Any, tmp_path: Path) -> None:
    (grid,) = feature_maps(channels(keras, tmp_path, np.zeros(3)), frame(), ["maps"])
    assert (grid.shown, grid.picture.shape) == (1, (96, 72, 3))
    assert len(np.unique(grid.picture.reshape(-1, 3), axis=0)) == 1


def test_grids_come_in_the_order_asked_for(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    image = keras.Input((8, 6, 3))
    early = layers.Conv2D(2, 3, name="early")(image)
    late = layers.Conv2D(4, 3, name="late")(early)
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(late)))
    path = save(model, tmp_path / "two.keras")
    subject = load_explained(path, preprocess=parse_spec("unit"), labels=["a", "b"])
    grids = feature_maps(subject, frame(), ["late", "early"])
    assert [(grid.layer, grid.channels) for grid in grids] == [("late", 4), ("early", 2)]


def test_a_layer_that_gives_no_maps_is_refused_with_those_that_do(keras: Any, tmp_path: Path) -> None:
    subject = channels(keras, tmp_path, np.ones(3))
    with pytest.raises(ModelError, match=r"^the layer 'means' gives no feature map; layers with one are maps$"):
        feature_maps(subject, frame(), ["maps", "means"])
    with pytest.raises(ModelError, match=r"^the layer 'mops' is not there; layers with one are maps$"):
        feature_maps(subject, frame(), ["mops"])
