"""What the networks are made of. A map is a Keras tensor (batch, height, width, channels), float.

Networks are used with pictures of any size, so nothing here shrinks a map to nothing: a pooling whose window is
larger than the map is left out, and an unpadded convolution whose kernel is larger pads. Networks of published size
keep it at the size they were published for.
"""

from typing import Any, Final

# Keras' default of 0.99 averages over hundreds of batches: after a short training the network would be evaluated
# with means and variances of long ago.
MOMENTUM: Final = 0.9


def average_recent(network: Any) -> None:
    """Let all batch normalization of a network, Keras 3 or tf_keras, keep its means over the last few batches alone.

    Published networks come with a momentum of up to 0.999, which is for millions of pictures.
    """
    for layer in [*getattr(network, "layers", ()), *([inner] if (inner := getattr(network, "layer", None)) else ())]:
        if hasattr(layer, "moving_variance"):
            layer.momentum = min(float(layer.momentum), MOMENTUM)
        average_recent(layer)


def smaller_side(x: Any) -> int:
    """Pixels of the shorter side of a map."""
    return min(int(x.shape[1]), int(x.shape[2]))


def convolution(x: Any, filters: int, size: int, *, strides: int = 1, padding: str = "same", bias: bool = True) -> Any:
    """A linear convolution, initialised for a ReLU behind it."""
    import keras

    if smaller_side(x) < size:
        padding = "same"
    return keras.layers.Conv2D(
        filters, size, strides=strides, padding=padding, use_bias=bias, kernel_initializer="he_normal"
    )(x)


def normalized(x: Any, activation: str | None = None) -> Any:
    """Batch normalization, then the activation if there is one."""
    import keras

    x = keras.layers.BatchNormalization(momentum=MOMENTUM)(x)
    return keras.layers.Activation(activation)(x) if activation else x


def relu(x: Any) -> Any:
    """max(x, 0)."""
    import keras

    return keras.layers.Activation("relu")(x)


def max_pool(x: Any, window: int = 2) -> Any:
    """Halve both sides by the maximum of windows; left out where the map is smaller than the window."""
    import keras

    return x if smaller_side(x) < window else keras.layers.MaxPooling2D(window, strides=2)(x)


def dense(x: Any, units: int) -> Any:
    """Fully connected with ReLU."""
    import keras

    return keras.layers.Dense(units, activation="relu", kernel_initializer="he_normal")(x)


def dropped(x: Any, rate: float) -> Any:
    """Dropout; nothing where the rate is 0."""
    import keras

    return keras.layers.Dropout(rate)(x) if rate else x


def mean(x: Any) -> Any:
    """Global average pooling: (batch, channels)."""
    import keras

    return keras.layers.GlobalAveragePooling2D()(x)


def flat(x: Any) -> Any:
    """All values of a map: (batch, height * width * channels)."""
    import keras

    return keras.layers.Flatten()(x)


def picture(shape: tuple[int, int, int]) -> Any:
    """The input of a network: (height, width, channels)."""
    import keras

    return keras.Input(shape, name="image")


def classifier(image: Any, features: Any, units: int, dropout: float) -> Any:
    """The keras.Model from pictures to logits (batch, units).

    The logits are float32 under every policy: a loss of half precision would not converge.
    """
    import keras

    logits = keras.layers.Dense(units, dtype="float32", name="logits")(dropped(features, dropout))
    return keras.Model(image, logits)
