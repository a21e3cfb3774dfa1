"""Gradients of the loss for the importance "taylor", by whichever engine Keras runs on."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.compress.channels.coupling import Coupling
from edgecnn.compress.channels.importance import Gradients
from edgecnn.errors import EdgecnnError


def gradients_of(network: Any, coupling: Coupling) -> Gradients:
    """A function from a training batch to the gradients of the cross-entropy for the weights of every site.

    Args:
        network: keras.Model to logits (n, classes), or (n, 1) of a sigmoid, that `coupling` was traced from.

    Raises:
        EdgecnnError: Keras runs on another engine than TensorFlow.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        raise EdgecnnError("importance taylor needs Keras' TensorFlow backend; take magnitude or batchnorm")
    import tensorflow as tf

    variables = [variable for site in coupling.sites for variable in site.layer.weights]

    @tf.function  # type: ignore[untyped-decorator]  # no types
    def compute(pictures: Any, labels: Any, factors: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            watched = [variable.value for variable in variables]
            tape.watch(watched)
            logits = network(pictures, training=False)
            if logits.shape[-1] == 1:
                logits = tf.concat([tf.zeros_like(logits), logits], axis=-1)
            losses = tf.nn.softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(losses * factors)
        return tape.gradient(loss, watched, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    def gradients(batch: Any) -> Sequence[Sequence[NDArray[np.float32]]]:
        values = iter([np.asarray(gradient) for gradient in compute(*batch)])
        return [[next(values) for _ in site.layer.weights] for site in coupling.sites]

    return gradients
