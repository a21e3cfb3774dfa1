"""EfficientNet-Lite0: EfficientNet-B0 made for 8-bit devices."""

import math
from typing import Any, Final

from edgecnn.train.nets.parts import classifier, convolution, mean, normalized, picture

# A line is a stage: size of the depthwise kernel, strides of its first block, expansion, filters, blocks.
_STAGES: Final = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)


def efficientnet_lite0(shape: tuple[int, int, int], units: int, *, dropout: float) -> Any:
    """B0's blocks without squeeze-and-excitation, ReLU6 in place of swish; without stochastic depth."""
    image = picture(shape)
    x = normalized(convolution(image, 32, 3, strides=2, bias=False), "relu6")
    for kernel, strides, expansion, filters, blocks in _STAGES:
        for block in range(blocks):
            x = _inverted_residual(x, kernel, strides if block == 0 else 1, expansion, filters)
    x = normalized(convolution(x, 1280, 1, bias=False), "relu6")
    return classifier(image, mean(x), units, dropout)


def _inverted_residual(x: Any, kernel: int, strides: int, expansion: int, filters: int) -> Any:
    """Widen, filter every channel alone, narrow; added to its input where the shape stays."""
    import keras

    channels = x.shape[-1]
    y = x if expansion == 1 else normalized(convolution(x, expansion * channels, 1, bias=False), "relu6")
    # Keras' own initializers count all channels as inputs of each filter and would start it far too small.
    start = keras.initializers.RandomNormal(stddev=math.sqrt(2) / kernel)
    y = keras.layers.DepthwiseConv2D(
        kernel, strides=strides, padding="same", use_bias=False, depthwise_initializer=start
    )(y)
    y = normalized(convolution(normalized(y, "relu6"), filters, 1, bias=False))
    return keras.layers.Add()([x, y]) if strides == 1 and channels == filters else y
