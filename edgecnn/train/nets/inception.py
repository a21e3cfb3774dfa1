"""Small Inception: the idea of GoogLeNet at the size of CIFAR."""

from typing import Any, Final

from edgecnn.train.nets.parts import classifier, convolution, mean, normalized, picture

# Filters of 1x1 and of 3x3 a module; a single number is a step to half the size.
_MODULES: Final = ((32, 32), (32, 48), (80,), (112, 48), (96, 64), (80, 80), (48, 96), (96,), (176, 160), (176, 160))


def inception(shape: tuple[int, int, int], units: int, *, dropout: float) -> Any:
    """Eight modules that look at a map with 1x1 and 3x3 side by side, in three sizes of map."""
    import keras

    image = picture(shape)
    x = _layer(image, 96, 3)
    for filters in _MODULES:
        if len(filters) == 1:
            pooled = keras.layers.MaxPooling2D(3, strides=2, padding="same")(x)
            paths = [_layer(x, filters[0], 3, strides=2), pooled]
        else:
            paths = [_layer(x, filters[0], 1), _layer(x, filters[1], 3)]
        x = keras.layers.Concatenate()(paths)
    return classifier(image, mean(x), units, dropout)


def _layer(x: Any, filters: int, size: int, *, strides: int = 1) -> Any:
    return normalized(convolution(x, filters, size, strides=strides), "relu")
