"""tensorflow-model-optimization behind one door, and what its wrappers need: seeds, a split head, copies of graphs."""

import contextlib
import os
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from edgecnn.errors import MissingExtraError
from edgecnn.quiet import quiet
from edgecnn.train.checkpoint import EpochRecord

_SWITCH: Final = "TF_USE_LEGACY_KERAS"
_SCORES: Final = ("softmax", "sigmoid")


@dataclass(frozen=True)
class Compressed:
    """What a technique made of a model.

    Attributes:
        model: tf_keras.Model, pictures as before to scores as before.
        changed: (layer, what was done to it).
        skipped: (layer, why nothing or not everything was done to it).
        history: of the fine-tuning, an entry an epoch.
    """

    model: Any
    changed: tuple[tuple[str, str], ...]
    skipped: tuple[tuple[str, str], ...]
    history: tuple[EpochRecord, ...]


def tfmot() -> Any:
    """The module tensorflow_model_optimization, imported so that the process stays as it was.

    It sets an environment variable that turns `tf.keras` into Keras 2 for everybody.

    Raises:
        MissingExtraError: it is not installed.
    """
    before = os.environ.get(_SWITCH)
    try:
        import tensorflow as tf

        tf.keras.__name__  # noqa: B018  # decides which Keras tf.keras is, before the variable is set
        with quiet():
            import tensorflow_model_optimization
    except ImportError as exc:
        raise MissingExtraError("tensorflow-model-optimization", "train") from exc
    finally:
        if before is None:
            os.environ.pop(_SWITCH, None)
        else:
            os.environ[_SWITCH] = before
    return tensorflow_model_optimization


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """TensorFlow, NumPy's and Python's random numbers from a seed; the last two go on afterwards as if unused."""
    import tf_keras

    python, numpy = random.getstate(), np.random.get_state()
    tf_keras.utils.set_random_seed(seed)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def recomposed(model: Any, replace: Callable[[Any], Sequence[Any]], *, front: Sequence[Any] = ()) -> Any:
    """A copy of a functional model in which each layer is a chain of others.

    Args:
        replace: new layers for a layer that is no input, in the order in which they are called; called once a layer.
        front: layers between the input and the rest.
    """
    import tf_keras

    chains: dict[int, Sequence[Any]] = {}
    tensors: dict[int, Any] = {}
    for node in nodes(model):
        layer = node.layer
        if isinstance(layer, tf_keras.layers.InputLayer):
            start = value = tf_keras.Input(batch_shape=layer.output_shape[0], name=layer.name)
            for step in front:
                value = step(value)
        else:
            if id(layer) not in chains:
                chains[id(layer)] = replace(layer)
            value = _at(node.input_tensors, tensors)
            for step in chains[id(layer)]:
                value = step(value)
        tensors[id(node.outputs)] = value
    return tf_keras.Model(start, tensors[id(model.outputs[0])], name=model.name)


def _at(tensors: Any, made: dict[int, Any]) -> Any:
    if isinstance(tensors, list | tuple):
        return [made[id(tensor)] for tensor in tensors]
    return made[id(tensors)]


def nodes(model: Any) -> list[Any]:
    """Calls of layers in a functional model, each after those whose output it takes."""
    return [node for depth in sorted(model._nodes_by_depth, reverse=True) for node in model._nodes_by_depth[depth]]


def copy_of(layer: Any, **arguments: Any) -> Any:
    """A built copy of a layer, or of the one in tfmot's wrapper, with its weights and with some other arguments."""
    shape, layer = layer.get_input_shape_at(0), getattr(layer, "layer", layer)
    copy = type(layer).from_config(layer.get_config() | arguments)
    copy.build(shape)
    copy.set_weights(layer.get_weights())
    return copy


def activation_name(layer: Any) -> str:
    """Name of a layer's activation; "" where it has none."""
    return str(getattr(getattr(layer, "activation", None), "__name__", ""))


def split_activation(layer: Any) -> list[Any]:
    """Copies of a layer without its activation and, after it, of the activation as a layer NAME_ACTIVATION."""
    import tf_keras

    name = f"{layer.name}_{activation_name(layer)}"
    return [copy_of(layer, activation="linear"), tf_keras.layers.Activation(layer.activation, name=name)]


def split_head(model: Any) -> Any:
    """A copy whose last softmax or sigmoid, if any, is a layer of its own, so that its logits can be trained."""
    import tf_keras

    def replace(layer: Any) -> list[Any]:
        last = layer.output is model.outputs[0] if len(layer._inbound_nodes) == 1 else False
        if last and activation_name(layer) in _SCORES and not isinstance(layer, tf_keras.layers.Activation):
            return split_activation(layer)
        return [copy_of(layer)]

    return recomposed(model, replace)


def logits_of(model: Any) -> tuple[Any, str]:
    """(tensor of the logits, "softmax" or "sigmoid" or "logits" for what follows it) of a model with a split head."""
    import tf_keras

    output = model.outputs[0]
    layer = output._keras_history.layer
    inner = getattr(layer, "layer", layer)  # tfmot's wrappers hold the layer that they change
    if isinstance(inner, tf_keras.layers.Softmax):
        return layer.input, "softmax"
    if isinstance(inner, tf_keras.layers.Activation) and activation_name(inner) in _SCORES:
        return layer.input, activation_name(inner)
    return output, "logits"
