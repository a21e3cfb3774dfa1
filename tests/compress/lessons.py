"""Batches of random pictures, and a small network with everything that quantization-aware training treats apart."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class RandomLessons:
    """Batches of random pictures (n, size, size, 3) of 0..255 with random labels of `classes`."""

    def __init__(self, *, size: int = 12, classes: int = 5, batches: int = 2, batch: int = 4, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.pictures = (random.random((batches, batch, size, size, 3), np.float32) * 255).astype(np.float32)
        self.labels = np.eye(classes, dtype=np.float32)[random.integers(0, classes, (batches, batch))]
        self.started: list[int] = []

    def start(self, epoch: int) -> None:
        self.started.append(epoch)

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, number: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        pictures = self.pictures[number]
        return pictures, self.labels[number], np.ones(len(pictures), np.float32)


def mixed_network(library: Any, *, head: str | None = "softmax", units: int = 5, seed: int = 1) -> Any:
    """A tf_keras classifier of pictures (12, 12, 3) of 0..255."""
    library.utils.set_random_seed(seed)
    layers = library.layers
    image = layers.Input((12, 12, 3), name="image")
    x = layers.Rescaling(1 / 127.5, -1, name="rescaled")(image)
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="first")(x)
    x = layers.ReLU(6.0, name="relu")(layers.BatchNormalization(name="norm")(x))
    x = layers.DepthwiseConv2D(3, padding="same", activation="swish", name="deep")(x)
    gate = layers.Conv2D(8, 1, activation="sigmoid", name="gate")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    x = layers.Multiply(name="gated")([x, gate])
    branch = layers.SeparableConv2D(8, 3, padding="same", name="separable")(x)
    x = layers.Concatenate(name="joined")([x, branch])
    x = layers.Activation("relu", name="alone_relu")(layers.BatchNormalization(name="alone")(x))
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    model = library.Model(image, layers.Dense(units, head, name="last")(x))
    random = np.random.default_rng(seed)
    for name in ("norm", "alone"):
        layer = model.get_layer(name)
        layer.set_weights([random.uniform(0.5, 2, array.shape) for array in layer.get_weights()])
    return model
