"""Operations of `keras.ops` that stand in a Keras 3 graph, and activations, in terms of tf_keras."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from edgecnn.errors import ModelError

_ARITHMETIC: Final = {"Add": "Add", "Subtract": "Subtract", "Multiply": "Multiply", "Maximum": "Maximum"} | {
    "Minimum": "Minimum"
}
_DIVIDE: Final = ("Divide", "TrueDivide")
_ACTIVATIONS: Final = {
    "Relu": "relu",
    "Relu6": "relu6",
    "Sigmoid": "sigmoid",
    "Silu": "silu",
    "Tanh": "tanh",
    "HardSigmoid": "hard_sigmoid",
    "HardSilu": "hard_silu",
    "Softplus": "softplus",
    "Elu": "elu",
    "Gelu": "gelu",
}


def as_layer(operation: Any, inputs: Sequence[Any], options: dict[str, Any]) -> tuple[Any, list[Any]]:
    """The tf_keras layer of an operation, with its name, and what that layer is called with.

    Args:
        operation: keras.Operation that is no layer.
        inputs: its positional arguments: tf_keras tensors and constants.
        options: its other arguments.

    Raises:
        ModelError: there is no such layer.
    """
    import keras
    import tf_keras

    layers, kind, name = tf_keras.layers, type(operation).__name__, operation.name
    values = [*inputs, *(value for value in options.values() if value is not None)]
    tensors = [value for value in values if hasattr(value, "_keras_history")]
    constants = [value for value in values if not any(value is tensor for tensor in tensors)]
    swapped = bool(values) and not any(values[0] is tensor for tensor in tensors)
    if kind in _ARITHMETIC and len(tensors) == len(values) == 2:
        return getattr(layers, _ARITHMETIC[kind])(name=name), [tensors]
    if len(tensors) == 1 and len(values) == 2 and (scaling := _scaling(kind, constants[0], swapped)):
        return layers.Rescaling(*scaling, name=name), tensors
    if kind in _ACTIVATIONS and len(values) == 1:
        return layers.Activation(
            tf_activation(getattr(keras.activations, _ACTIVATIONS[kind]), name), name=name
        ), tensors
    if kind == "Softmax" and len(tensors) == 1:
        return layers.Softmax(axis=operation.axis, name=name), tensors
    if kind in ("Mean", "Max") and len(tensors) == 1 and _spatial(operation.axis, len(tensors[0].shape)):
        pooling = layers.GlobalAveragePooling2D if kind == "Mean" else layers.GlobalMaxPooling2D
        return pooling(keepdims=bool(operation.keepdims), name=name), tensors
    if kind == "Reshape" and len(tensors) == 1:
        return layers.Reshape(tuple(-1 if n is None else n for n in operation.newshape[1:]), name=name), tensors
    if kind == "Concatenate":
        parts = inputs[0] if isinstance(inputs[0], list | tuple) else inputs
        return layers.Concatenate(axis=operation.axis, name=name), [list(parts)]
    raise ModelError(
        f"the operation {name!r} (keras.ops {kind}) cannot be rebuilt in tf_keras; replace it by a Keras layer"
    )


def tf_activation(function: Any, layer: str) -> Any:
    """What tf_keras' `activation` takes for an activation of Keras 3: a name, or a function where the formulas differ.

    Raises:
        ModelError: tf_keras has no such activation.
    """
    import tf_keras

    name = getattr(function, "__name__", type(function).__name__)
    if name in ("hard_sigmoid", "hard_silu"):
        return _hard(name)
    try:
        tf_keras.activations.get(name)
    except ValueError as exc:
        raise ModelError(
            f"the activation {name!r} of the layer {layer!r} has no counterpart in tf_keras; "
            "use one of relu, relu6, silu, hard_silu, sigmoid, tanh, gelu, elu"
        ) from exc
    return name


def _hard(name: str) -> Any:
    """Keras 3's `hard_sigmoid` or `hard_silu`, registered so that tf_keras copies layers with it.

    tf_keras' own hard_sigmoid has another slope.
    """
    import tensorflow as tf
    import tf_keras

    known = tf_keras.saving.get_registered_object(f"edgecnn>{name}")
    if known is not None:
        return known

    def hard_sigmoid(x: Any) -> Any:
        return tf.nn.relu6(x + 3.0) * (1 / 6)

    def hard_silu(x: Any) -> Any:
        return x * tf.nn.relu6(x + 3.0) * (1 / 6)  # in the order that the converter knows as one operation

    function = {"hard_sigmoid": hard_sigmoid, "hard_silu": hard_silu}[name]
    return tf_keras.saving.register_keras_serializable("edgecnn")(function)


def _scaling(kind: str, constant: Any, swapped: bool) -> tuple[Any, Any] | None:
    """(scale, offset) of the Rescaling that computes an operation with a constant, which stands first if `swapped`."""
    import keras

    value = np.asarray(keras.ops.convert_to_numpy(constant), np.float64)
    if value.size != value.shape[-1] if value.ndim else False:
        return None  # not one for all or one a channel
    plain = value.reshape(-1).tolist() if value.ndim else float(value)
    ones, none = np.ones_like(value).tolist(), np.zeros_like(value).tolist()
    if kind == "Add":
        return ones, plain
    if kind == "Multiply":
        return plain, none
    if kind == "Subtract":
        negative = np.negative(value).reshape(-1).tolist() if value.ndim else -float(value)
        return (np.negative(ones).tolist(), plain) if swapped else (ones, negative)
    if kind in _DIVIDE and not swapped:
        inverse = 1 / value
        return (inverse.reshape(-1).tolist() if value.ndim else float(inverse)), none
    return None


def _spatial(axis: Any, rank: int) -> bool:
    """Whether an operation goes over height and width of (batch, height, width, channels)."""
    return rank == 4 and isinstance(axis, list | tuple) and sorted(n % rank for n in axis) == [1, 2]
