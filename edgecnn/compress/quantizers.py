"""What tensorflow-model-optimization's wrappers round weights and outputs with, in quantization-aware training.

Its own weight quantizers are not used: they take one scale for a whole depthwise kernel, and those that preserve
clusters give every channel a scale of its own, after which a layer of 16 float values has far more than 16 integers.
"""

from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.compress.int8_graph import Rounding
from edgecnn.compress.tfmot import tfmot

_MOST_CLUSTERS: Final = 256  # 8 bits hold no more values
_SMALLEST: Final = 1e-9  # largest weight of a kernel of zeros


def wrapped(layer: Any, rounding: Rounding, *, keep_zeros: bool, keep_clusters: bool) -> Any:
    """A layer in tfmot's wrapper, which rounds its weights and its output.

    Args:
        layer: built tf_keras layer.
        keep_zeros: weights that are zero stay zero.
        keep_clusters: where a kernel has few different values, equal weights stay equal.
    """
    quantization = tfmot().quantization.keras
    _, config = _classes()
    return quantization.QuantizeWrapperV2(layer, config(layer, rounding, keep_zeros, keep_clusters))


def input_layer(low: float, high: float) -> Any:
    """A layer that rounds the model's input to 8 bits between two values."""
    quantizers = tfmot().quantization.keras.quantizers
    from tensorflow_model_optimization.python.core.quantization.keras.quantize_layer import QuantizeLayer

    low, high = min(low, 0.0), max(high, 0.0)
    return QuantizeLayer(quantizers.FixedQuantizer(8, low, high, False), name="quantize_input")


def weight_variables(wrapper: Any) -> list[tuple[Any, Any, dict[str, Any]]]:
    """(variable, quantizer, the quantizer's variables) of the weights that a wrapper rounds."""
    return list(getattr(wrapper, "_weight_vars", ()))


def clusters_of(kernel: NDArray[np.float32]) -> int:
    """Different values of a kernel if these are few for its size, else 0."""
    different = len(np.unique(kernel))
    return different if 1 < different <= min(_MOST_CLUSTERS, kernel.size // 2) else 0


def settle(model: Any) -> None:
    """Write the weights as they are rounded at last: after training, before the model is used or converted."""
    for layer in model.layers:
        for variable, quantizer, variables in weight_variables(layer):
            quantizer.settle(variable, variables)


@cache
def _classes() -> tuple[Any, Any]:
    """(quantizer of weights, configuration of a layer) as classes of tfmot's kind."""
    import tensorflow as tf
    import tf_keras

    tfmot()
    from tensorflow_model_optimization import quantization

    class WeightQuantizer(quantization.keras.quantizers.Quantizer):  # type: ignore[misc]  # tfmot has no types
        """Symmetric 8 bits: a scale a channel, but one for the layer where it is dense or keeps clusters."""

        def __init__(self, kernel: NDArray[np.float32], kind: str, keep_zeros: bool, keep_clusters: bool) -> None:
            self.depthwise = kind == "DepthwiseConv2D"
            self.mask = (kernel != 0).astype(np.float32) if keep_zeros and not kernel.all() else None
            self.clusters = None
            if keep_clusters and not self.depthwise and clusters_of(kernel):
                self.clusters, self.indices = np.unique(kernel, return_inverse=True)
                self.indices = self.indices.reshape(kernel.shape)
            self.per_channel = kind != "Dense"

        def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
            variables = {}
            if self.clusters is not None:
                start = tf_keras.initializers.Constant(self.clusters)
                variables["clusters"] = layer.add_weight(f"{name}_clusters", self.clusters.shape, initializer=start)
            if not self.depthwise:
                shape = (tensor_shape[-1],) if self.per_channel else ()
                for bound in ("low", "high"):
                    variables[bound] = layer.add_weight(f"{name}_{bound}", shape, trainable=False)
            return variables

        @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator,unused-ignore]
        def __call__(self, inputs: Any, training: bool, weights: dict[str, Any], **kwargs: Any) -> Any:
            values = self.values(inputs, weights)
            if training:
                return self.rounded(values, *self.bounds(values))
            # A depthwise kernel is rounded when the weights settle. The converter finds the same scales again, one a
            # channel, which a rounding operation in its graph could not tell it: those know the last axis only.
            return values if self.depthwise else self.rounded(values, weights["low"], weights["high"])

        def values(self, inputs: Any, weights: dict[str, Any]) -> Any:
            """The weights before rounding, with clusters and zeros kept."""
            values = inputs if self.clusters is None else tf.gather(weights["clusters"], self.indices)
            return values if self.mask is None else values * self.mask

        def bounds(self, values: Any) -> tuple[Any, Any]:
            axes = None
            if self.depthwise:
                axes = [0, 1]
            elif self.per_channel and self.clusters is None:
                axes = list(range(len(values.shape) - 1))
            high = tf.maximum(tf.reduce_max(tf.abs(tf.stop_gradient(values)), axes), _SMALLEST)
            if self.per_channel and self.clusters is not None:
                # Written out for each channel: the converter cannot join one scale with the batch norm's many.
                high = tf.fill([values.shape[-1]], high)
            return -high, high

        def rounded(self, values: Any, low: Any, high: Any) -> Any:
            if self.depthwise:
                shape = tf.shape(values)
                flat = tf.reshape(values, (shape[0], shape[1], -1))
                low, high = tf.reshape(low, [-1]), tf.reshape(high, [-1])
                fake = tf.quantization.fake_quant_with_min_max_vars_per_channel
                return tf.reshape(fake(flat, low, high, narrow_range=True), shape)
            if self.per_channel:
                return tf.quantization.fake_quant_with_min_max_vars_per_channel(values, low, high, narrow_range=True)
            return tf.quantization.fake_quant_with_min_max_vars(values, low, high, narrow_range=True)

        def settle(self, variable: Any, weights: dict[str, Any]) -> None:
            values = self.values(tf.convert_to_tensor(variable), weights)
            low, high = self.bounds(values)
            variable.assign(self.rounded(values, low, high) if self.depthwise else values)
            if not self.depthwise:
                weights["low"].assign(low)
                weights["high"].assign(high)

        def get_config(self) -> dict[str, Any]:
            raise NotImplementedError("these models are converted, not saved")

    class LayerConfig(quantization.keras.QuantizeConfig):  # type: ignore[misc]  # tfmot has no types
        """Rounds a kernel, and what the layer gives with its activation."""

        def __init__(self, layer: Any, rounding: Rounding, keep_zeros: bool, keep_clusters: bool) -> None:
            self.rounding = rounding
            if rounding.weights:
                kernel = np.asarray(getattr(layer, rounding.weights))
                self.quantizer = WeightQuantizer(kernel, type(layer).__name__, keep_zeros, keep_clusters)

        def get_weights_and_quantizers(self, layer: Any) -> list[Any]:
            name = self.rounding.weights
            return [(getattr(layer, name), self.quantizer)] if name else []

        def get_activations_and_quantizers(self, layer: Any) -> list[Any]:
            return []

        def set_quantize_weights(self, layer: Any, quantize_weights: list[Any]) -> None:
            for values in quantize_weights:
                setattr(layer, str(self.rounding.weights), values)

        def set_quantize_activations(self, layer: Any, quantize_activations: list[Any]) -> None:
            pass

        def get_output_quantizers(self, layer: Any) -> list[Any]:
            moving = quantization.keras.quantizers.MovingAverageQuantizer
            return [moving(num_bits=8, per_axis=False, symmetric=False, narrow_range=False)][: self.rounding.output]

        def get_config(self) -> dict[str, Any]:
            raise NotImplementedError("these models are converted, not saved")

    return WeightQuantizer, LayerConfig
