"""Load a Keras classifier of any vintage up to its logits, with what its file says about its use."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edgecnn.config import Preprocess, named_normalization
from edgecnn.errors import ModelError
from edgecnn.keras_io.card import KerasCard, read_card
from edgecnn.keras_io.graph import flat_copy, head, logits
from edgecnn.keras_io.network import image_shape, load_network
from edgecnn.signature import Shape

# Names that keras.applications gives its models, and the normalization each was trained with.
_TRAINED_WITH: Final = (
    (r"mobilenet(v2)?_\d.*|(inception|xception|nasnet).*|resnet\d+v2", "symmetric"),
    (r"resnet(50|101|152)|vgg(16|19)", "caffe"),
    (r"densenet\d+", "imagenet"),
)
_ARITHMETIC: Final = ("Rescaling", "Normalization", "Subtract", "TrueDivide", "Divide", "Multiply")


@dataclass(frozen=True)
class KerasClassifier:
    """A classifier without its last softmax or sigmoid.

    Attributes:
        model: flat Keras model from float32 pictures (n, height, width, channels) to logits (n, outputs).
        name: of its file.
        head: what was taken off: "softmax" or "sigmoid"; "logits" where there was neither.
        shape: (height, width, channels) of its pictures, -1 where any will do.
        normalization: name of the normalization that it is known to need; None where nothing says it.
        card: what edgecnn wrote into its file; None for other files.
    """

    model: Any
    name: str
    head: str
    shape: Shape
    normalization: str | None
    card: KerasCard | None

    @property
    def classes(self) -> int:
        """How many classes it tells apart; 2 for one unit."""
        return max(2, int(self.model.outputs[0].shape[-1]))

    @property
    def preprocess(self) -> Preprocess | None:
        """What it needs done to a picture; None where its file does not say all of it."""
        height, width, channels = self.shape
        if self.card is not None:
            return self.card.preprocess
        if self.normalization is None or -1 in (height, width):
            return None
        color = usual_color(channels, self.normalization)
        return Preprocess(width, height, color, *named_normalization(self.normalization, color))


def load_classifier(path: str | Path, *, allow_unsafe: bool = False) -> KerasClassifier:
    """Load a classifier from a `.keras` or `.h5` file, on any backend of Keras.

    Raises:
        ModelError: no Keras model of single images, or no classifier.
        UnsafeModelError: it carries code and `allow_unsafe` is False.
        BundleError: the card inside is damaged.
        MissingExtraError: Keras is not installed.
    """
    loaded = load_network(path, allow_unsafe=allow_unsafe)
    shape = image_shape(loaded, path)
    if sum(n != 1 for n in loaded.outputs[0].shape[1:]) > 1:
        raise ModelError(f"{path} is no classifier: expected class scores, it gives {loaded.outputs[0].shape[1:]}")
    card = read_card(path)
    flat = flat_copy(loaded)
    kind, normalization = head(flat), known_normalization(loaded, flat)  # before the copy's last layer is changed
    return KerasClassifier(logits(flat), Path(path).name, kind, shape, normalization, card)


def known_normalization(model: Any, flat: Any) -> str | None:
    """Name of the normalization that a model is known to need; None where it does not say.

    "raw" where it normalizes itself in front of its first weights; else by the names that keras.applications gives.

    Args:
        model: as loaded.
        flat: its `flat_copy`.
    """
    for layer in flat.operations:
        if type(layer).__name__ in _ARITHMETIC:
            return "raw"
        if getattr(layer, "weights", None):
            break
    names = [model.name, *(layer.name for layer in model._flatten_layers() if hasattr(layer, "layers"))]
    for name in names:
        for pattern, normalization in _TRAINED_WITH:
            if re.fullmatch(pattern, name, re.IGNORECASE):
                return normalization
    return None


def usual_color(channels: int, normalization: str | None) -> str:
    """Colour order of a network's pictures where nobody says it: what Caffe trained on were BGR."""
    if channels == 1:
        return "gray"
    return "bgr" if normalization == "caffe" else "rgb"
