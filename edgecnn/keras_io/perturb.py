"""What attacks are made of: the gradient of the cross-entropy for the picture, and steps along its sign."""

from collections.abc import Callable
from typing import Any

from edgecnn.keras_io.gradients import input_gradient


def loss_gradient(model: Any) -> Callable[[Any, Any], Any]:
    """A compiled function from tensors (n, height, width, channels) and classes (n,) to the loss's gradient for them.

    The loss is the cross-entropy of each picture by itself. It is taken from the logits: behind a softmax that is sure,
    the gradient is rounded to zero, and an attack would fail for that reason alone.

    Args:
        model: keras.Model from pictures to logits, as `edgecnn.keras_io.classifier` loads it; 1 unit means 2 classes.

    Raises:
        EdgecnnError: Keras runs on another engine than TensorFlow.
    """
    import keras
    from keras import ops

    def loss(outputs: Any, targets: Any) -> Any:
        if outputs.shape[-1] == 1:
            outputs = ops.concatenate([ops.zeros_like(outputs), outputs], axis=-1)
        return keras.losses.sparse_categorical_crossentropy(targets, outputs, from_logits=True)

    gradient = input_gradient(model, loss)
    import tensorflow as tf  # `input_gradient` has made sure that it is there

    pictures = tf.TensorSpec((None, *model.inputs[0].shape[1:]), tf.float32)
    compiled: Callable[[Any, Any], Any] = tf.function(
        gradient, input_signature=[pictures, tf.TensorSpec((None,), tf.int32)]
    )
    return compiled


def pgd(
    gradient: Callable[[Any, Any], Any],
    pictures: Any,
    targets: Any,
    *,
    epsilon: Any,
    step: Any,
    steps: int,
    low: Any,
    high: Any,
    start: Any = None,
) -> Any:
    """Projected gradient ascent in the maximum norm; with one step of epsilon and no start it is FGSM.

    Sources: A. Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks", ICLR 2018; I. Goodfellow,
    J. Shlens, C. Szegedy, "Explaining and Harnessing Adversarial Examples", ICLR 2015. Works on tensors and may be
    called inside of a graph.

    Args:
        gradient: from (pictures, targets) to the gradient for the pictures of what is to grow, as `loss_gradient` and
            `edgecnn.keras_io.gradients.input_gradient` make it.
        pictures: (n, height, width, channels) as the network takes them.
        targets: what `gradient` takes with them.
        epsilon, step: largest change, and change a step, in units of the pictures; numbers or one a channel.
        steps: how many; 0 gives the start.
        low, high: of valid pictures, numbers or one a channel.
        start: what is added before the first step, of the pictures' shape; None for nothing. It is kept in the ball.

    Returns:
        Pictures of the same shape, at most epsilon off and from low to high.
    """
    from keras import ops

    floor, ceiling = ops.maximum(pictures - epsilon, low), ops.minimum(pictures + epsilon, high)
    moved = pictures if start is None else ops.clip(pictures + start, floor, ceiling)
    for _ in range(steps):
        moved = ops.clip(moved + step * ops.sign(gradient(moved, targets)), floor, ceiling)
    return moved


def random_start(pictures: Any, epsilon: Any, seed: int, step: Any) -> Any:
    """Even random numbers from -epsilon to epsilon in the shape of a tensor, the same for the same seed and step."""
    import tensorflow as tf

    numbers = tf.random.stateless_uniform(tf.shape(pictures), [seed, tf.cast(step, tf.int32)], -1.0, 1.0)
    return numbers * epsilon
