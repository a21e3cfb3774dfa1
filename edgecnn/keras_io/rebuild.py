"""A Keras 3 model rebuilt in tf_keras, layer by layer, for what works on tf_keras models only.

Layer names stay. Every layer's output is compared on a random batch, so that a model that comes back is the same one.
"""

import inspect
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.errors import ModelError
from edgecnn.keras_io.graph import flat_copy
from edgecnn.keras_io.keras_ops import as_layer, tf_activation

# Largest allowed difference of a layer's output, relative to its largest value (at least 1). Both libraries call the
# same kernels, so that outputs are mostly equal bit for bit; a wrong argument differs by orders of magnitude more.
TOLERANCE: Final = 1e-4

_ANY_SIZE: Final = 64  # side of the compared pictures where a model takes any
_DROPPED: Final = ("_initializer", "_regularizer", "_constraint")  # weights are copied, and training is another's
_RENAMED: Final = {"LeakyReLU": {"negative_slope": "alpha"}}  # arguments by the name that tf_keras gives them


def as_tf_keras(model: Any) -> Any:
    """A tf_keras Functional model with the layers, layer names and weights of a Keras 3 model, models inside dissolved.

    Regularizers and constraints are left out. An operation of `keras.ops` becomes the layer that computes it.

    Args:
        model: built Functional or Sequential keras.Model of one input and one output.

    Raises:
        ModelError: a layer that tf_keras has not, by its name and type; or one that computes something else there,
            the first by its name.
    """
    import keras
    import tf_keras

    flat = flat_copy(model)
    copies: dict[int, Any] = {}

    def call(operation: Any, *inputs: Any, **options: Any) -> Any:
        if isinstance(operation, keras.Layer):
            if id(operation) not in copies:
                copies[id(operation)] = _copy(operation)
            copy = copies[id(operation)]
            given = [value for value in inputs if value is not None]
        else:
            copy, given = as_layer(operation, inputs, options)
            options = {}
        options.pop("training", None)
        try:
            result = copy(*given, **options)
        except Exception as exc:  # each layer raises its own for arguments that it does not take
            raise _refused(operation, exc) from exc
        if isinstance(operation, keras.Layer):
            _copy_weights(operation, copy)
        return result

    image = tf_keras.Input(tuple(flat.inputs[0].shape[1:]), name="image")
    outputs = flat._run_through_graph([image], operation_fn=lambda operation: partial(call, operation))
    (output,) = keras.tree.flatten(outputs)
    rebuilt = tf_keras.Model(image, output, name=model.name)
    _check(flat, rebuilt)
    return rebuilt


def _copy(layer: Any) -> Any:
    """The tf_keras layer with a Keras 3 layer's arguments, without weights yet."""
    import keras
    import tf_keras

    kind = type(layer).__name__
    own = getattr(keras.layers, kind, None)
    known = getattr(tf_keras.layers, kind, None)
    if own is not type(layer) or known is None:
        raise ModelError(
            f"the layer {layer.name!r} cannot be rebuilt in tf_keras, which has no {kind}; use standard layers"
        )
    given, names = layer.get_config(), _parameters(known)
    renamed = _RENAMED.get(kind, {})
    config = {
        renamed.get(key, key): value
        for key, value in given.items()
        if renamed.get(key, key) in names and not key.endswith(_DROPPED)
    }
    if "activation" in config:
        config["activation"] = tf_activation(layer.activation, layer.name)
    if kind == "Normalization":
        config |= {key: np.asarray(getattr(layer, key)).reshape(-1).tolist() for key in ("mean", "variance")}
    try:
        return known(name=layer.name, **config)
    except Exception as exc:  # each layer raises its own for arguments that it does not take
        raise _refused(layer, exc) from exc


def _parameters(layer: Any) -> set[str]:
    """Names that a tf_keras constructor takes, without those of every layer."""
    names: set[str] = set()
    for parent in layer.__mro__:
        init = parent.__dict__.get("__init__")
        if parent.__name__ == "Layer":
            break
        if init is not None:
            names |= set(inspect.signature(init).parameters)
    return names - {"self", "args", "kwargs", "name", "dtype", "trainable"}


def _copy_weights(layer: Any, copy: Any) -> None:
    import keras

    if isinstance(layer, keras.layers.Normalization):
        return  # its arguments
    weights = layer.get_weights()
    shapes, wanted = [array.shape for array in weights], [tuple(array.shape) for array in copy.weights]
    if shapes != wanted:
        raise ModelError(
            f"the layer {layer.name!r} ({type(layer).__name__}) has weights of shape {shapes}, in tf_keras {wanted}; "
            "replace it by standard layers"
        )
    copy.set_weights(weights)


def _check(flat: Any, rebuilt: Any) -> None:
    """Compare all layers on a random batch: one picture of -1..1, one of 0..255, because both occur."""
    import keras
    import tf_keras

    batch = _random_batch(flat.inputs[0].shape[1:])
    operations = [operation for operation in flat.operations if len(keras.tree.flatten(operation.output)) == 1]
    names = [operation.name for operation in operations if operation.name in {layer.name for layer in rebuilt.layers}]
    given = {operation.name: operation.output for operation in operations}
    probe = keras.Model(flat.inputs[0], [given[name] for name in names])
    answer = tf_keras.Model(rebuilt.input, [rebuilt.get_layer(name).get_output_at(0) for name in names])
    expected = [keras.ops.convert_to_numpy(value) for value in probe(batch, training=False)]
    got = [np.asarray(value) for value in answer(batch, training=False)]
    for name, one, other in zip(names, expected, got, strict=True):
        if one.shape != other.shape:
            raise ModelError(f"the layer {name!r} gives {one.shape} in Keras 3 and {other.shape} in tf_keras")
        difference = float(np.abs(one - other).max(initial=0.0))
        tolerance = TOLERANCE * max(1.0, float(np.abs(one).max(initial=0.0)))
        if not difference <= tolerance:  # written so that NaN fails
            raise ModelError(
                f"the layer {name!r} ({type(rebuilt.get_layer(name)).__name__}) computes something else in tf_keras: "
                f"difference {difference:.3g}, allowed {tolerance:.2g}; replace it by standard layers"
            )


def _random_batch(shape: tuple[int | None, ...]) -> NDArray[np.float32]:
    height, width, channels = (n or _ANY_SIZE for n in shape)
    random = np.random.default_rng(0)
    ranges = np.array([[-1, 1], [0, 255]], np.float32)[:, :, None, None, None]
    uniform = random.random((2, height, width, channels), np.float32)
    return np.asarray(ranges[:, 0] + uniform * (ranges[:, 1] - ranges[:, 0]), np.float32)


def _refused(operation: Any, exc: Exception) -> ModelError:
    reason = next((line.strip() for line in str(exc).splitlines() if line.strip()), type(exc).__name__)[:200]
    return ModelError(
        f"the layer {operation.name!r} ({type(operation).__name__}) cannot be rebuilt in tf_keras: {reason}"
    )
