"""Explanations of Keras models from the inside: by gradients, and by the maps that a network makes of the picture.

All explain the logit of a class, the score before the softmax or sigmoid: behind a softmax that is sure, gradients
vanish.

Sources: B. Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016 (CAM); R. Selvaraju et al.,
"Grad-CAM", ICCV 2017; A. Chattopadhay et al., "Grad-CAM++", WACV 2018; K. Simonyan, A. Vedaldi, A. Zisserman, "Deep
Inside Convolutional Networks", ICLR workshop 2014 (saliency); M. Sundararajan, A. Taly, Q. Yan, "Axiomatic Attribution
for Deep Networks", ICML 2017 (integrated gradients).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecnn.config import NORMALIZATIONS, Preprocess
from edgecnn.data.preprocess import Preprocessor
from edgecnn.errors import EdgecnnError, ModelError, PreprocessError
from edgecnn.explain.maps import Map
from edgecnn.keras_io.classifier import KerasClassifier, load_classifier, usual_color
from edgecnn.keras_io.gradients import compiled, input_gradient, layer_gradient
from edgecnn.keras_io.graph import averaged, flat_copy
from edgecnn.quantization import TensorType
from edgecnn.runtime.classifier import fitting_labels
from edgecnn.runtime.head import Head
from edgecnn.spec import Spec

METHODS: Final = ("grad-cam", "grad-cam++", "cam", "saliency", "integrated-gradients")

# Integrated gradients: the sum of the attributions is the difference of the logit between picture and baseline, up to
# this share of the difference, or this much where the difference is below 1. The source recommends 5 %.
COMPLETENESS: Final = 0.05
_STEPS, _MOST_STEPS = 32, 864  # on the way from the baseline; tripled until they are enough
_BATCH = 16  # pictures at a time on that way


@dataclass(frozen=True)
class Explained:
    """A Keras classifier that can be looked into.

    Attributes:
        logits: flat keras.Model from float32 pictures (n, height, width, channels) to logits (n, classes), or (n, 1) of
            a sigmoid.
        head: what makes probabilities of the logits: "softmax" or "sigmoid"; "logits" for what usually does.
        labels: class names.
        preprocess: what is done to every picture.
    """

    logits: Any
    head: str
    labels: tuple[str, ...]
    preprocess: Preprocess

    def probabilities(self, tensors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities (n, classes) of pictures (n, height, width, channels) as the model takes them."""
        answer = _numpy(self.logits(tensors, training=False))
        if self.head == "sigmoid" and answer.shape[-1] > 1:
            return np.asarray(Head("sigmoid", TensorType()).activated(answer.astype(np.float64)), np.float32)
        return Head("logits", TensorType()).probabilities(answer)

    @cached_property
    def gradient(self) -> Callable[[NDArray[np.float32], NDArray[np.int32]], Any]:
        """A compiled function from pictures and the number of a class, (), to the gradients of its logit for them."""
        return compiled(input_gradient(self.logits, _evidence))


def load_explained(
    path: str | Path,
    *,
    preprocess: Spec | None = None,
    labels: Sequence[str] | None = None,
    allow_unsafe: bool = False,
) -> Explained:
    """Load a Keras classifier to explain its answers.

    Args:
        preprocess: what the user states; replaces what the file says.
        labels: class names in output order; replace those in the file.

    Raises:
        ModelError: no Keras model of single images, or no classifier.
        UnsafeModelError: it carries code and `allow_unsafe` is False.
        BundleError: labels are missing or do not fit, or the card inside is damaged.
        PreprocessError: preprocessing is not known or does not fit the input.
        MissingExtraError: Keras is not installed.
    """
    found = load_classifier(path, allow_unsafe=allow_unsafe)
    wanted = _preprocess(found, preprocess or Spec(), path)
    shape = (wanted.height, wanted.width, wanted.channels)
    logits = found.model if -1 not in found.shape else flat_copy(found.model, shape)
    known = labels or (found.card.labels if found.card else ())
    return Explained(logits, found.head, fitting_labels(known, found.classes, str(path)), wanted)


def explain(
    explained: Explained,
    frame: NDArray[np.uint8],
    method: str,
    *,
    index: int | None = None,
    layer: str | None = None,
) -> Map:
    """What of a picture speaks for a class.

    Args:
        frame: uint8 BGR (height, width, 3) of any size, or gray.
        method: one of METHODS. Values of "cam" and "integrated-gradients" are below 0 where the picture speaks against
            the class, others are never.
        index: the class; None for the most probable one.
        layer: of "grad-cam" and "grad-cam++", whose feature map is used; None for the last that has one.

    Raises:
        EdgecnnError: the method or class is not known, or Keras runs on another engine than TensorFlow.
        ModelError: the model has no such layer, or is not built for this method.
        ImageError: the frame is not uint8 or has another shape.
    """
    if method not in METHODS:
        raise EdgecnnError(f"expected a method of {', '.join(METHODS)}, got {method!r}")
    tensor = Preprocessor(explained.preprocess)(frame)
    probabilities = explained.probabilities(tensor[None])[0]
    chosen = int(np.argmax(probabilities)) if index is None else index
    if not 0 <= chosen < len(probabilities):
        raise EdgecnnError(f"expected a class from 0 to {len(probabilities) - 1}, got {chosen}")
    if layer is not None and method not in ("grad-cam", "grad-cam++"):
        raise EdgecnnError(f"{method} takes no layer; leave it out, or take grad-cam")
    if method in ("grad-cam", "grad-cam++"):
        values = _grad_cam(explained.logits, tensor, chosen, layer, squared=method == "grad-cam++")
    elif method == "cam":
        values = _cam(explained.logits, tensor, chosen)
    elif method == "saliency":
        gradient = input_gradient(explained.logits, _evidence)  # a single call does not pay for being compiled
        values = np.abs(_numpy(gradient(tensor[None], chosen))[0]).max(axis=-1)
    else:
        black = Preprocessor(explained.preprocess)(np.zeros_like(frame))
        values = _integrated_gradients(explained, tensor, black, chosen).sum(axis=-1)
    spread = cv2.resize(
        np.ascontiguousarray(values, np.float32), explained.preprocess.size, None, 0, 0, cv2.INTER_LINEAR
    )
    return Map(method, np.asarray(spread, np.float32), chosen, float(probabilities[chosen]))


def spatial_layers(logits: Any, names: Sequence[str | None]) -> list[str]:
    """Names of layers with a feature map: those named, checked, and for None the last one.

    Args:
        logits: flat keras.Model.
        names: as Keras has them.

    Raises:
        ModelError: there is none, or one is unknown (the nearest names are told) or gives no feature map.
    """
    known = [layer.name for layer in logits.layers]
    spatial = [layer.name for layer in logits.layers[1:] if _is_spatial(layer)]
    if not spatial:
        raise ModelError(f"{logits.name} has no layer with a feature map; take saliency or integrated-gradients")
    for name in names:
        if name is not None and name not in spatial:
            fault = "gives no feature map" if name in known else "is not there"
            near = get_close_matches(name, spatial, n=3, cutoff=0.4) or spatial[-3:]
            raise ModelError(f"the layer {name!r} {fault}; layers with one are {', '.join(near)}")
    return [name or spatial[-1] for name in names]


def _is_spatial(layer: Any) -> bool:
    shape: tuple[int, ...] = getattr(layer.output, "shape", ())  # a layer may give several tensors
    return len(shape) == 4 and shape[1] * shape[2] > 1


def _grad_cam(
    logits: Any, tensor: NDArray[np.float32], index: int, layer: str | None, *, squared: bool
) -> NDArray[Any]:
    """Grad-CAM, or `squared` Grad-CAM++, (rows, columns) of the layer's feature map.

    Grad-CAM++ derives exp(score), whose derivatives are powers of the score's gradient times exp(score) in a network
    of ReLUs. That factor is the same everywhere and left out.
    """
    (name,) = spatial_layers(logits, [layer])
    answer = layer_gradient(logits, [name], _evidence)(tensor[None], index)
    (activations,), (gradients,) = ([_numpy(part)[0].astype(np.float64) for part in parts] for parts in answer)
    if squared:
        second, third = gradients**2, gradients**3
        below = 2 * second + activations.sum(axis=(0, 1)) * third
        shares = np.divide(second, below, out=np.zeros_like(second), where=below != 0)
        weights = (shares * np.maximum(gradients, 0)).sum(axis=(0, 1))
    else:
        weights = gradients.mean(axis=(0, 1))
    return np.asarray(np.maximum(activations @ weights, 0))


def _integrated_gradients(
    explained: Explained, tensor: NDArray[np.float32], baseline: NDArray[np.float32], index: int
) -> NDArray[Any]:
    """How much each value of a tensor (height, width, channels) adds to a class's logit, compared with the baseline's.

    The integral is the sum over the midpoints of 32 equal steps, then of three times as many, until the attributions
    are complete to COMPLETENESS or there are 864.
    """
    number = np.array(index, np.int32)
    ends = explained.logits(np.stack([baseline, tensor]), training=False)
    low, high = _numpy(_evidence(ends, number)).astype(np.float64)
    way = tensor - baseline
    total = np.zeros(tensor.shape, np.float64)
    steps, places = _STEPS, (np.arange(_STEPS) + 0.5) / _STEPS
    while True:
        for some in np.split(places, range(_BATCH, len(places), _BATCH)):
            pictures = baseline + some[:, None, None, None].astype(np.float32) * way
            total += _numpy(explained.gradient(pictures, number)).sum(axis=0, dtype=np.float64)
        attributions = way * (total / steps)
        gap = abs(float(attributions.sum()) - (high - low))
        if gap <= COMPLETENESS * max(1.0, abs(high - low)) or steps >= _MOST_STEPS:
            return attributions
        steps *= 3
        middles = np.arange(steps) + 0.5
        places = middles[np.arange(steps) % 3 != 1] / steps  # every third midpoint was one before


def _cam(logits: Any, tensor: NDArray[np.float32], index: int) -> NDArray[Any]:
    """The averaged feature map, weighted as the Dense layer behind weights its means: (rows, columns)."""
    import keras

    found = averaged(logits)
    if found is None:
        raise ModelError(
            f"cam needs global average pooling followed by one dense layer, which {logits.name} has not; take grad-cam"
        )
    features, dense = found
    activations = _numpy(keras.Model(logits.inputs[0], features)(tensor[None], training=False))[0]
    return np.asarray(activations @ _numpy(_evidence(dense.kernel, index)))


def _evidence(outputs: Any, index: Any) -> Any:
    """The logit of one class, (n,), from those of all (n, classes).

    Of one unit (n, 1), what speaks for the first class is what speaks against the second.
    """
    from keras import ops

    if outputs.shape[-1] > 1:
        return ops.take(outputs, index, axis=1)
    return outputs[:, 0] * ops.cast(2 * index - 1, outputs.dtype)


def _preprocess(found: KerasClassifier, stated: Spec, path: str | Path) -> Preprocess:
    """What is stated, filled from the file and checked against the model's input."""
    height, width, channels = found.shape
    known = found.preprocess
    if stated.auto:
        raise PreprocessError(f"auto needs labelled data; say how {path} wants its input: {', '.join(NORMALIZATIONS)}")
    if known is None:
        if not stated.states_normalization and found.normalization is None:
            raise PreprocessError(
                f"{path} does not say how its input is prepared; give --preprocess with one of "
                f"{', '.join(NORMALIZATIONS)} or mean=…,std=…"
            )
        if stated.size is None and -1 in (height, width):
            raise PreprocessError(f"{path} takes pictures of any size; say which with --preprocess size=WIDTHxHEIGHT")
        color = usual_color(channels, stated.normalization or found.normalization)
        size = stated.size or (width, height)
        result = stated.complete(*size, color, found.normalization or "raw")
    else:
        result = stated.over(known)
    fits = height in (-1, result.height) and width in (-1, result.width) and channels == result.channels
    if not fits:
        wanted = "x".join("?" if n == -1 else str(n) for n in (width, height, channels))
        raise PreprocessError(
            f"{path} takes pictures of {wanted} (width x height x channels), "
            f"but the preprocessing gives {result.width}x{result.height}x{result.channels}"
        )
    return result


def _numpy(tensor: Any) -> NDArray[Any]:
    from keras import ops

    return np.asarray(ops.convert_to_numpy(tensor))
