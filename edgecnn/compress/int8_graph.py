"""A tf_keras graph in the form that int8 kernels compute, and where in it tensors are rounded.

TFLite rounds what an operation gives, with its fused activation; a convolution takes a following batch norm into
itself. What a Keras layer computes in several such steps is split here into one layer each, so that training sees every
rounding that the device makes.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from edgecnn.compress.tfmot import activation_name, copy_of, recomposed, split_activation

WEIGHTS: Final = {"Conv2D": "kernel", "DepthwiseConv2D": "depthwise_kernel", "Dense": "kernel"}

_FUSED: Final = ("linear", "relu", "relu6")  # activations that are computed inside of a convolution
_FUSING: Final = (*WEIGHTS, "BatchNormalization", "Add", "Subtract", "Multiply", "Rescaling")
_FIXED: Final = ("softmax", "sigmoid", "tanh")  # activations whose int8 output has a fixed scale
# Layers that move, choose or average values, or do nothing outside of training: int8 kernels give them the scale of
# their input.
_MOVING: Final = (
    "Identity", "Flatten", "Reshape", "Permute", "ZeroPadding2D", "Cropping2D", "MaxPooling2D", "GlobalMaxPooling2D",
    "AveragePooling2D", "UpSampling2D",
    "Dropout", "SpatialDropout2D", "AlphaDropout", "GaussianDropout", "GaussianNoise", "ActivityRegularization",
)  # fmt: skip
_GIVING: Final = ("Concatenate", "Maximum", "Minimum")  # int8 kernels give their inputs the scale of their output
_ROUNDED: Final = (
    *_FUSING, "Conv2DTranspose", "ReLU", "LeakyReLU", "PReLU", "Concatenate", "GlobalAveragePooling2D",
    "Maximum", "Minimum",
)  # fmt: skip
_ROUNDED_ACTIVATIONS: Final = ("relu", "relu6", "swish", "silu", "hard_silu", "hard_sigmoid", "leaky_relu", "gelu")


@dataclass(frozen=True)
class Rounding:
    """What quantization-aware training does with a layer.

    Attributes:
        weights: attribute of its weights, None where it has none or they are left to the converter.
        output: whether its output is rounded to 8 bits.
        note: why something is left out, "" where nothing is.
    """

    weights: str | None
    output: bool
    note: str = ""


def separated(model: Any) -> Any:
    """A copy of a tf_keras model that computes the same, every layer one int8 operation.

    The layer that gives what a split layer gave keeps its name, but activations become layers NAME_ACTIVATION. A batch
    norm that follows no convolution becomes a depthwise convolution of 1x1.
    """
    return recomposed(model, _operations)


def rounding(layer: Any) -> Rounding:
    """What to round in a layer of a separated model."""
    kind, activation = type(layer).__name__, activation_name(layer)
    if kind == "Softmax" or (kind == "Activation" and activation in _FIXED):
        return Rounding(None, False)
    if kind in _MOVING or (kind == "Activation" and activation == "linear"):
        return Rounding(None, False)
    follower = _only_follower(layer)
    if kind in WEIGHTS and type(follower).__name__ == "BatchNormalization" and activation == "linear":
        return Rounding(WEIGHTS[kind], False)
    output = not (type(follower).__name__ in _GIVING or (kind in _FUSING and _is_fused(follower)))
    if kind == "BatchNormalization" and not _joins_before(layer):
        return Rounding(None, output, "a batch norm that follows no convolution or dense layer runs in float")
    if kind == "Conv2DTranspose":
        return Rounding(None, output, "its weights are quantized by the converter only, training does not see it")
    if kind == "PReLU":
        return Rounding(None, output, "its slopes are quantized by the converter only, training does not see it")
    if kind in _ROUNDED and not (kind == "Add" and len(layer.input) > 2):
        return Rounding(WEIGHTS.get(kind), output)
    if kind == "Activation" and activation in _ROUNDED_ACTIVATIONS:
        return Rounding(None, output)
    what = f"Activation of {activation}" if kind == "Activation" else kind
    return Rounding(None, output, f"{what} may run in float: only its output is rounded")


def _operations(layer: Any) -> list[Any]:
    """The layers of one int8 operation each that compute what a layer computes."""
    import tf_keras

    layers, kind, activation = tf_keras.layers, type(layer).__name__, activation_name(layer)
    if activation not in ("", *_FUSED) and kind != "Activation":
        *first, last = split_activation(layer)
        return [*(step for copy in first for step in _parts(copy, layer)), last]
    if kind == "BatchNormalization" and not _joins_before(layer) and len(layer.input_shape) == 4:
        return [_as_depthwise(layer)]
    if kind == "Rescaling":
        return _affine(layer.name, layer.scale, layer.offset)
    if kind == "Normalization" and layer.axis == (len(layer.input_shape) - 1,):
        deviation = np.maximum(np.sqrt(np.asarray(layer.variance)), tf_keras.backend.epsilon())
        mean = np.asarray(layer.mean)
        if layer.invert:
            return _affine(layer.name, deviation, mean)
        return _affine(layer.name, 1 / deviation, -mean / deviation)
    if kind == "ReLU" and not layer.negative_slope and not layer.threshold and layer.max_value in (None, 6.0):
        # one form for what converters fuse
        return [layers.Activation("relu6" if layer.max_value else "relu", name=layer.name)]
    return _parts(copy_of(layer), layer)


def _parts(copy: Any, layer: Any) -> list[Any]:
    """A separable convolution as its two halves; other layers as they are."""
    import tf_keras

    if type(copy).__name__ != "SeparableConv2D":
        return [copy]
    given = copy.get_config()
    depthwise_kernel, pointwise_kernel, *bias = copy.get_weights()
    depthwise = tf_keras.layers.DepthwiseConv2D(
        given["kernel_size"],
        strides=given["strides"],
        padding=given["padding"],
        dilation_rate=given["dilation_rate"],
        depth_multiplier=given["depth_multiplier"],
        use_bias=False,
        name=f"{copy.name}_depthwise",
    )
    depthwise.build(layer.get_input_shape_at(0))
    depthwise.set_weights([depthwise_kernel])
    pointwise = tf_keras.layers.Conv2D(
        given["filters"], 1, use_bias=given["use_bias"], activation=copy.activation, name=copy.name
    )
    pointwise.build((None, None, None, pointwise_kernel.shape[2]))
    pointwise.set_weights([pointwise_kernel, *bias])
    return [depthwise, pointwise]


def _affine(name: str, scale: Any, offset: Any) -> list[Any]:
    """x * scale + offset as one or two layers, without what changes nothing."""
    import tf_keras

    scale, offset = np.squeeze(np.asarray(scale, np.float64)), np.squeeze(np.asarray(offset, np.float64))
    both = bool(np.any(scale != 1) and np.any(offset != 0))
    ones, none = np.ones_like(scale).tolist(), np.zeros_like(scale).tolist()
    if not both:
        return [tf_keras.layers.Rescaling(scale.tolist(), offset.tolist(), name=name)]
    return [
        tf_keras.layers.Rescaling(scale.tolist(), none, name=f"{name}_scale"),
        tf_keras.layers.Rescaling(ones, offset.tolist(), name=name),
    ]


def _as_depthwise(norm: Any) -> Any:
    """A batch norm in inference as a depthwise convolution: one weight and one bias a channel."""
    import tf_keras

    scale = 1 / np.sqrt(np.asarray(norm.moving_variance) + norm.epsilon)
    scale = scale * np.asarray(norm.gamma) if norm.scale else scale
    offset = -np.asarray(norm.moving_mean) * scale
    offset = offset + np.asarray(norm.beta) if norm.center else offset
    layer = tf_keras.layers.DepthwiseConv2D(1, name=norm.name)
    layer.build(norm.get_input_shape_at(0))
    layer.set_weights([scale[None, None, :, None], offset])
    return layer


def _joins_before(norm: Any) -> bool:
    """Whether a batch norm becomes part of the convolution or dense layer in front of it."""
    before = norm.inbound_nodes[0].inbound_layers
    one = not isinstance(before, list) and len(norm.inbound_nodes) == 1
    return (
        one
        and type(before).__name__ in WEIGHTS
        and activation_name(before) == "linear"
        and _only_follower(before) is norm
    )


def _only_follower(layer: Any) -> Any:
    """The layer that alone takes what a layer gives; None where several or none do."""
    followers = [node.outbound_layer for node in layer.outbound_nodes]
    return followers[0] if len(followers) == 1 and len(layer.inbound_nodes) == 1 else None


def _is_fused(layer: Any) -> bool:
    return type(layer).__name__ == "Activation" and activation_name(layer) in ("relu", "relu6")
