"""Networks with short cuts for small pictures: ResNet and DenseNet as their papers build them for CIFAR.

Both keep the size of the picture in their first stage, so the cost grows with its area; for pictures of 100 pixels and
more resnet50 and densenet121 are the ones to take.
"""

from typing import Any

from edgecnn.train.nets.parts import classifier, convolution, mean, normalized, picture, relu, smaller_side


def resnet(shape: tuple[int, int, int], units: int, *, dropout: float, blocks: int) -> Any:
    """Three stacks of 16, 32 and 64 filters with so many blocks of two convolutions each: 6 * blocks + 2 layers.

    Where a stack changes the shape, the short cut is a convolution of 1x1 with bias and no normalization, as in MLPerf
    Tiny's ResNet-8 and Keras' own example; the paper pads with zeros there (its option A).
    """
    image = picture(shape)
    x = normalized(convolution(image, 16, 3), "relu")
    for filters in (16, 32, 64):
        for block in range(blocks):
            strides = 2 if filters > 16 and block == 0 else 1
            y = normalized(convolution(x, filters, 3, strides=strides), "relu")
            y = convolution(y, filters, 3)
            x = x if strides == 1 else convolution(x, filters, 1, strides=strides)
            x = relu(_sum(x, normalized(y)))
    return classifier(image, mean(x), units, dropout)


def densenet(shape: tuple[int, int, int], units: int, *, dropout: float, depth: int, growth: int) -> Any:
    """DenseNet-BC: three blocks of bottleneck layers, each of which adds `growth` channels, halved between blocks.

    Args:
        depth: layers with weights, 6 n + 4.
        growth: channels that each layer adds.
    """
    image = picture(shape)
    x = convolution(image, 2 * growth, 3, bias=False)
    for block in range(3):
        if block:
            x = _transition(x)
        for _ in range((depth - 4) // 6):
            y = convolution(normalized(x, "relu"), 4 * growth, 1, bias=False)
            y = convolution(normalized(y, "relu"), growth, 3, bias=False)
            x = _joined(x, y)
    return classifier(image, mean(normalized(x, "relu")), units, dropout)


def _transition(x: Any) -> Any:
    """Half the channels and, where the map has at least two pixels a side, half the sides."""
    import keras

    x = convolution(normalized(x, "relu"), x.shape[-1] // 2, 1, bias=False)
    return x if smaller_side(x) < 2 else keras.layers.AveragePooling2D(2)(x)


def _sum(x: Any, y: Any) -> Any:
    import keras

    return keras.layers.Add()([x, y])


def _joined(x: Any, y: Any) -> Any:
    import keras

    return keras.layers.Concatenate()([x, y])
