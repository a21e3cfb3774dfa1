"""Data sets that have a name: `digits` comes with scikit-learn, the others through Keras' downloader and cache."""

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.errors import DataError, MissingExtraError

_DIGITS = tuple("0123456789")
_FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_CIFAR100 = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl",
    "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair",
    "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin",
    "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp",
    "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain",
    "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck",
    "pine_tree", "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket",
    "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider", "squirrel",
    "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor",
    "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
)  # fmt: skip


@dataclass(frozen=True)
class Pictures:
    """One part of a built-in data set.

    Attributes:
        images: uint8, (count, height, width) gray or (count, height, width, 3) RGB.
        labels: (count,) integers, indices into the classes.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.integer[Any]]


@dataclass(frozen=True)
class _KerasSource:
    classes: tuple[str, ...]
    cached: str  # what Keras looks for in its folder of data sets
    origin: str  # the file that it downloads there


# Keras 3 keeps a downloaded archive under the name of its folder with "_archive" behind it.
_KERAS: Final = {
    "mnist": _KerasSource(_DIGITS, "mnist.npz", "mnist.npz"),
    "fashion_mnist": _KerasSource(_FASHION, "fashion-mnist/", "the four *-ubyte.gz files of Fashion-MNIST"),
    "cifar10": _KerasSource(_CIFAR10, "cifar-10-batches-py-target_archive", "cifar-10-python.tar.gz"),
    "cifar100": _KerasSource(_CIFAR100, "cifar-100-python-target_archive", "cifar-100-python.tar.gz"),
}
BUILTIN_NAMES: Final = ("digits", *_KERAS)


def load_builtin(name: str) -> tuple[tuple[str, ...], dict[str, Pictures]]:
    """Load one of BUILTIN_NAMES.

    Returns:
        Class names in label order, and the pictures as the source splits them: "train" and "test", or all under
        "" where it does not.

    Raises:
        MissingExtraError: scikit-learn or Keras is not installed.
        DataError: the download failed.
    """
    if name == "digits":
        return _DIGITS, {"": _digits()}
    return _KERAS[name].classes, _from_keras(name)


def _digits() -> Pictures:
    try:
        from sklearn.datasets import load_digits
    except ImportError as exc:
        raise MissingExtraError("scikit-learn", "train") from exc
    values, labels = load_digits(return_X_y=True)  # 0 to 16
    images = np.round(values.reshape(-1, 8, 8) * 255 / 16).astype(np.uint8)
    return Pictures(images, labels)


def _from_keras(name: str) -> dict[str, Pictures]:
    try:
        import keras

        loader: Callable[[], Any] = importlib.import_module(f"keras.datasets.{name}").load_data
    except ImportError as exc:
        raise MissingExtraError("Keras", "train") from exc
    talks = keras.config.is_interactive_logging_enabled()
    keras.config.disable_interactive_logging()  # its downloader prints to standard output, which belongs to results
    try:
        train, test = loader()
    except Exception as exc:  # the downloader raises plain Exception for a failed connection
        source = _KERAS[name]
        place = os.path.join(os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras"), "datasets", source.cached)
        raise DataError(
            f"cannot load {name} through Keras ({' '.join(str(exc).split())}); without a network, get {source.origin} "
            f"elsewhere and put it at {place}"
        ) from exc
    finally:
        if talks:
            keras.config.enable_interactive_logging()
    return {"train": Pictures(train[0], train[1].ravel()), "test": Pictures(test[0], test[1].ravel())}
