"""Small Keras models in every form that users bring, and folders of pictures that they tell apart."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecnn.quiet import quiet

COLORS = ("blue", "green", "red")  # the classes of `write_colors`, in the order of their folders and of BGR


def network(
    library: Any,
    *,
    size: tuple[int | None, int | None] = (8, 6),
    channels: int = 3,
    head: str = "softmax",
    form: str = "sequential",
    inside: str = "",
    batch: int | None = None,
    seed: int = 1,
) -> Any:
    """A convolutional classifier with random weights.

    Args:
        library: the module keras or tf_keras.
        size: (height, width); None where any will do.
        head: "softmax", "activation" (a softmax layer of its own), "logits", or "sigmoid" (one unit).
        form: "sequential", "functional" (with a branch), "nested" (a backbone inside), or "named" (dictionaries).
        inside: "rescaling" or "normalization" for such a layer in front.
        batch: a fixed batch size.
    """
    library.utils.set_random_seed(seed)
    layers = library.layers
    units = 1 if head == "sigmoid" else 3
    front: list[Any] = []
    if inside == "rescaling":
        front = [layers.Rescaling(1 / 127.5, offset=-1)]
    elif inside == "normalization":
        front = [layers.Normalization(mean=[120.0] * channels, variance=[3600.0] * channels)]
    body = [layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization(), layers.GlobalAveragePooling2D()]
    end = [layers.Dropout(0.5), layers.Dense(units, {"softmax": "softmax", "sigmoid": "sigmoid"}.get(head))]
    end += [layers.Softmax()] if head == "activation" else []
    image = layers.Input((*size, channels), batch_size=batch, name="image")
    if form == "nested":
        backbone = library.Sequential([layers.Input((*size, channels)), *front, *body])
        return library.Sequential([image, backbone, library.Sequential([layers.Input((4,)), *end])])
    if form == "sequential":
        return library.Sequential([image, *front, *body, *end])
    last = image
    for layer in (*front, *body):
        last = layer(last)
    last = layers.Add()([last, layers.Dense(4)(last)])
    for layer in end:
        last = layer(last)
    return library.Model({"image": image}, {"scores": last}) if form == "named" else library.Model(image, last)


def color_network(library: Any, *, size: tuple[int | None, int | None] = (8, 8), common: float = 0.0) -> Any:
    """A classifier of raw RGB pictures made by `write_colors`: the brightest channel of the mean colour wins.

    Args:
        size: (height, width).
        common: added to every score for every step of brightness; a large one leaves 8 bits no room for what counts.
    """
    layers = library.layers
    model = library.Sequential(
        [
            layers.Input((*size, 3)),
            layers.Conv2D(3, 1, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    same, none = np.eye(3, dtype=np.float32), np.zeros(3, np.float32)
    model.set_weights([same[None, None], none, 0.2 * same[:, ::-1] + common, none])
    return model


def save(model: Any, path: Path) -> Path:
    """Save as .keras, .h5 or .hdf5, or as a SavedModel where the name has no ending."""
    with quiet():  # Keras calls HDF5 old, and TensorFlow talks about every SavedModel
        if path.suffix:
            model.save(path)
        elif type(model).__module__.startswith("keras."):
            model.export(str(path), verbose=False)
        else:
            model.save(path, save_format="tf")
    return path


def save_function(
    function: Callable[[Any], Any],
    path: Path,
    *,
    shape: tuple[int | None, ...] | None = (None, 8, 8, 3),
    dtype: str = "float32",
    variable: Any = None,
) -> Path:
    """Save a function of one TensorFlow tensor as a SavedModel with one signature.

    Args:
        shape, dtype: of the signature's input, which is named "image".
        variable: the variable that the function uses.
    """
    import tensorflow as tf

    module = tf.Module()
    module.variable = variable
    module.score = tf.function(
        lambda image: function(image), input_signature=[tf.TensorSpec(shape, tf.as_dtype(dtype), name="image")]
    )
    tf.saved_model.save(module, str(path), signatures=module.score)
    return path


def scores(model: Any, tensors: NDArray[np.float32]) -> NDArray[np.float32]:
    """What Keras itself gives for float32 tensors (samples, height, width, channels): (samples, units)."""
    rows = []
    for tensor in tensors:
        answer = model({"image": tensor[None]} if isinstance(getattr(model, "input", None), dict) else tensor[None])
        rows.append(np.asarray(answer["scores"] if isinstance(answer, dict) else answer).reshape(-1))
    return np.stack(rows).astype(np.float32)


def pictures(count: int, height: int, width: int, channels: int = 3, *, seed: int = 0) -> NDArray[np.float32]:
    """Random tensors (count, height, width, channels) of whole numbers from 0 to 255, some dark and some bright."""
    random = np.random.default_rng(seed)
    levels = random.uniform(0.1, 1.0, (count, 1, 1, 1))
    return np.floor(random.integers(0, 256, (count, height, width, channels)) * levels).astype(np.float32)


def color_picture(color: str, random: np.random.Generator, *, size: tuple[int, int] = (12, 10)) -> NDArray[np.uint8]:
    """A noisy BGR picture of (width, height) with more of one colour."""
    picture = random.integers(0, 120, (size[1], size[0], 3), np.uint8)
    picture[..., COLORS.index(color)] += 100
    return picture


def write_colors(folder: Path, counts: Mapping[str, int], *, seed: int = 0, size: tuple[int, int] = (12, 10)) -> Path:
    """Class folders of `COLORS` with so many pictures a class in each split; "" is a folder without splits."""
    random = np.random.default_rng(seed)
    for split, count in counts.items():
        for color in COLORS:
            place = folder / split / color
            place.mkdir(parents=True)
            for i in range(count):
                cv2.imwrite(str(place / f"{color}{i}.png"), color_picture(color, random, size=size))
    return folder


def write_flat(folder: Path, count: int, *, seed: int = 0) -> Path:
    """A folder of pictures of `COLORS` in turn, without class folders."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    for i in range(count):
        cv2.imwrite(str(folder / f"{i:03d}.png"), color_picture(COLORS[i % 3], random))
    return folder
