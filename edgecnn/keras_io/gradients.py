"""Gradients of what a network says, for its pictures or for what its layers make of them. TensorFlow does it."""

from collections.abc import Callable, Sequence
from typing import Any

from edgecnn.errors import EdgecnnError, MissingExtraError, ModelError

# From the outputs of a network and what came with the pictures to one number a picture, (n,).
Objective = Callable[[Any, Any], Any]


def input_gradient(model: Any, objective: Objective, *, training: bool = False) -> Callable[[Any, Any], Any]:
    """A function from pictures (n, height, width, channels) and targets to the objective's gradient for the pictures.

    It works on tensors and may be called inside of a tf.function; the gradient has the shape of the pictures.

    Args:
        model: keras.Model of one image input.
        objective: written with keras.ops.
        training: batch normalization and dropout work as in training.

    Raises:
        EdgecnnError: Keras runs on another engine than TensorFlow.
    """
    tf = _tensorflow()

    def gradient(pictures: Any, targets: Any) -> Any:
        pictures = tf.convert_to_tensor(pictures)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(pictures)
            values = objective(model(pictures, training=training), targets)
        return tape.gradient(values, pictures)

    return gradient


def layer_gradient(
    model: Any, layers: Sequence[str], objective: Objective
) -> Callable[[Any, Any], tuple[list[Any], list[Any]]]:
    """A function from pictures and targets to the outputs of layers, and the objective's gradients for these.

    Args:
        model: flat keras.Model, as `edgecnn.keras_io.graph.flat_copy` makes it.
        layers: names.
        objective: written with keras.ops.

    Raises:
        EdgecnnError: Keras runs on another engine than TensorFlow.
        ModelError: the model has no such layer.
    """
    import keras

    tf = _tensorflow()
    known = {layer.name: layer for layer in model.layers}
    if missing := [name for name in layers if name not in known]:
        raise ModelError(f"the model has no layer {missing[0]}")
    inner = keras.Model(model.inputs, [*(known[name].output for name in layers), model.outputs[0]])

    def gradient(pictures: Any, targets: Any) -> tuple[list[Any], list[Any]]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            pictures = tf.convert_to_tensor(pictures)
            tape.watch(pictures)  # or nothing that follows is recorded
            *activations, outputs = inner(pictures, training=False)
            values = objective(outputs, targets)
        zero = tf.UnconnectedGradients.ZERO
        return activations, tape.gradient(values, activations, unconnected_gradients=zero)

    return gradient


def compiled(gradient: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A gradient function that is traced once for pictures of one shape: several times as fast from the second call."""
    return _tensorflow().function(gradient)  # type: ignore[no-any-return]  # no types


def _tensorflow() -> Any:
    try:
        import keras
        import tensorflow as tf
    except ImportError as exc:
        raise MissingExtraError("Keras with TensorFlow", "train") from exc
    if keras.backend.backend() != "tensorflow":
        raise EdgecnnError("gradients need Keras' TensorFlow backend; set KERAS_BACKEND=tensorflow")
    return tf
