"""What the layers of a Keras model make of a picture: their most active feature maps as a grid to look at."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecnn.data.preprocess import Preprocessor
from edgecnn.explain.gradients import Explained, spatial_layers
from edgecnn.explain.maps import normalized

_MOST: Final = 16  # maps in a grid
_SIDE: Final = 96  # pixels that a map is enlarged to, in whole steps
_GAP: Final = 2  # pixels between maps
_GAP_COLOR: Final = (255, 255, 255)


@dataclass(frozen=True)
class FeatureGrid:
    """The most active feature maps of one layer, most active first, in rows.

    Attributes:
        layer: its name in Keras.
        shown: maps in the picture.
        channels: maps that the layer has.
        picture: uint8 (height, width, 3) BGR; each map is scaled by itself, from dark to bright.
    """

    layer: str
    shown: int
    channels: int
    picture: NDArray[np.uint8]


def feature_maps(explained: Explained, frame: NDArray[np.uint8], layers: Sequence[str]) -> list[FeatureGrid]:
    """A grid for each of some layers, in the order given.

    A channel is as active as the mean of its absolute values; those that are zero all over are left out.

    Args:
        frame: uint8 BGR (height, width, 3) of any size, or gray.
        layers: names of layers with a feature map, as Keras has them.

    Raises:
        ModelError: a layer is unknown, or gives no feature map.
        ImageError: the frame is not uint8 or has another shape.
    """
    import keras

    names = spatial_layers(explained.logits, layers)
    tensor = Preprocessor(explained.preprocess)(frame)
    outputs = [explained.logits.get_layer(name).output for name in names]
    answers = keras.Model(explained.logits.inputs[0], outputs)(tensor[None], training=False)
    maps = [keras.ops.convert_to_numpy(answer)[0] for answer in keras.tree.flatten(answers)]  # one alone is no list
    return [_grid(name, values) for name, values in zip(names, maps, strict=True)]


def _grid(layer: str, maps: NDArray[Any]) -> FeatureGrid:
    """The grid of maps (height, width, channels), as near to a square as it gets."""
    height, width, channels = maps.shape
    activity = np.abs(maps).mean(axis=(0, 1))
    active = np.argsort(-activity, kind="stable")[: max(1, min(_MOST, np.count_nonzero(activity)))]
    columns = math.ceil(math.sqrt(len(active)))
    rows = math.ceil(len(active) / columns)
    factor = max(1, round(_SIDE / max(height, width)))
    down, right = height * factor + _GAP, width * factor + _GAP
    picture = np.empty((rows * down - _GAP, columns * right - _GAP, 3), np.uint8)
    picture[:] = _GAP_COLOR
    for place, channel in enumerate(active):
        top, left = place // columns * down, place % columns * right
        cell = picture[top : top + down - _GAP, left : left + right - _GAP]
        cell[:] = _colored(maps[..., channel]).repeat(factor, axis=0).repeat(factor, axis=1)
    return FeatureGrid(layer, len(active), channels, picture)


def _colored(values: NDArray[Any]) -> NDArray[np.uint8]:
    """A map (height, width) from its least value, dark, to its largest, bright: (height, width, 3) BGR."""
    return np.asarray(cv2.applyColorMap(np.rint(255 * normalized(values)).astype(np.uint8), cv2.COLORMAP_VIRIDIS))
