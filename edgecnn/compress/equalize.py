"""Cross-layer equalization: the channels between two layers are scaled so that they share one range well.

An int8 tensor has one step for all channels, so a channel of small values next to one of large values is left with a
few steps. Where a layer A feeds a layer B through nothing but positively homogeneous operations (ReLU, pooling,
zero padding: f(s x) = s f(x) for s > 0), A's channel i may be divided by s_i and B's weights for it multiplied
by s_i: the network computes the same.

Source: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019. There s_i
evens out the weights of A and B, both of one step a tensor. Here weights have one step an output channel, so the
scale of A's rows costs nothing and what is evened out is what does: the channel's activations, measured on calibration
pictures, and B's weights, each relative to the largest of its row. That is s_i = sqrt(activation_i / weight_i), as in
Xiao et al., "SmoothQuant", ICML 2023. A depthwise B has a step for each channel: there the activations alone count.
Because they are measured, a high bias needs no absorption (the source's second step): its effect is in the range.

ReLU6 is homogeneous only up to its bound, and what stays below it on calibration pictures may not elsewhere: layers
in front of one are left alone and listed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle.layers import Operation, operations
from edgecnn.bundle.weights import WeightedLayer, biases_of, weighted_layers, with_layers
from edgecnn.runtime.interpreter import Engine

_HOMOGENEOUS: Final = ("RELU", "MAX_POOL_2D", "AVERAGE_POOL_2D", "MEAN", "PAD")
_PASSES: Final = 8  # scaling changes which weight is a row's largest; it settles in a few
_SAMPLES: Final = 64  # pictures that tell how large activations are
_CHECKED: Final = 8  # pictures on which the result must compute the same
_TOLERANCE: Final = 1e-3  # of the largest output, as for a conversion


@dataclass(frozen=True)
class Equalized:
    """A model with equalized channels.

    Attributes:
        content: float `.tflite` that computes the same.
        pairs: names of the layers between which channels were scaled.
        skipped: (layer, reason) of layers whose outputs were left alone.
    """

    content: bytes
    pairs: tuple[tuple[str, str], ...]
    skipped: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ChannelPair:
    """Two layers, the first feeding the second and nothing else.

    Attributes:
        first, second: their positions in `weighted_layers`.
        channels: between them.
        names: of the layers.
    """

    first: int
    second: int
    channels: int
    names: tuple[str, str]


def equalize(content: bytes, tensors: Sequence[NDArray[np.float32]]) -> Equalized:
    """Scale the channels between layers for int8.

    Args:
        content: float `.tflite`.
        tensors: calibration inputs, float32 (height, width, channels) each.

    Raises:
        ModelError: no TFLite model, or a damaged one.
    """
    layers = weighted_layers(content)
    pairs, skipped = channel_pairs(content)
    if not pairs:
        return Equalized(content, (), skipped)
    largest = _largest(content, [layers[pair.first].output for pair in pairs], tensors[:_SAMPLES])
    scales = [
        _scale(largest[layers[pair.first].output], second.weights.astype(np.float64), second.kind)
        for pair in pairs
        for second in [layers[pair.second]]
    ]
    result = rescale(content, pairs, scales)
    if not _same(content, result, tensors[:_CHECKED]):
        return Equalized(content, (), (*skipped, *((pair.names[0], "scaling it changes the output") for pair in pairs)))
    return Equalized(result, tuple(pair.names for pair in pairs), skipped)


def rescale(content: bytes, pairs: Sequence[ChannelPair], scales: Sequence[NDArray[np.float64]]) -> bytes:
    """Divide the channels between layers by numbers, and multiply the weights that read them: the same function.

    Args:
        content: float `.tflite`.
        pairs: of `channel_pairs(content)`.
        scales: positive, (channels,) for each pair.
    """
    layers = weighted_layers(content)
    weights = [layer.weights.astype(np.float64) for layer in layers]
    biases = [bias.astype(np.float64) for bias in biases_of(content)]
    for pair, scale in zip(pairs, scales, strict=True):
        first, second = layers[pair.first], layers[pair.second]
        along = scale if first.kind == "DEPTHWISE_CONV_2D" else scale.reshape(-1, *[1] * (first.weights.ndim - 1))
        weights[pair.first] /= along
        biases[pair.first] /= scale
        weights[pair.second] *= _repeated(scale, weights[pair.second], second.kind)
    changed = [
        (weight.astype(np.float32), bias.astype(np.float32)) for weight, bias in zip(weights, biases, strict=True)
    ]
    return with_layers(content, changed)


def channel_pairs(content: bytes) -> tuple[list[ChannelPair], tuple[tuple[str, str], ...]]:
    """Pairs of layers whose channels in between can be scaled; and (layer, reason) of layers that have no second."""
    layers = weighted_layers(content)
    pairs, skipped = _pairs(operations(content), layers)
    return pairs, tuple(skipped)


def _pairs(
    steps: Sequence[Operation], layers: Sequence[WeightedLayer]
) -> tuple[list[ChannelPair], list[tuple[str, str]]]:
    positions = {layer.output: i for i, layer in enumerate(layers)}
    pairs, skipped = [], []
    for step in steps:
        if step.outputs[0] not in positions:
            continue
        first = positions[step.outputs[0]]
        found = _follow(step, steps)
        if isinstance(found, str):
            skipped.append((step.layer, found))
        elif found.outputs[0] not in positions or not _fits(layers[first], layers[positions[found.outputs[0]]]):
            skipped.append((step.layer, f"{found.layer} has no constant weights for its channels"))
        else:
            channels = _channels(layers[first])
            pairs.append(ChannelPair(first, positions[found.outputs[0]], channels, (step.layer, found.layer)))
    return pairs, skipped


def _follow(step: Operation, steps: Sequence[Operation]) -> Operation | str:
    """The layer that a layer feeds alone, or why its channels cannot be scaled."""
    while True:
        if step.activation not in ("NONE", "RELU"):
            return f"{step.activation} is not homogeneous"
        users = [other for other in steps if step.outputs[0] in other.inputs]
        if not users:
            return "it makes the output"
        if len(users) > 1:
            return f"{len(users)} operations use its output"
        user = users[0]
        if user.weighted:
            return user if user.inputs[0] == step.outputs[0] else f"it makes weights of {user.layer}"
        dense_next = [other.kind for other in steps if user.outputs[0] in other.inputs] == ["FULLY_CONNECTED"]
        if user.kind not in _HOMOGENEOUS and not (user.kind == "RESHAPE" and dense_next):
            return f"{user.kind} ({user.layer}) lies behind it"
        step = user


def _fits(first: WeightedLayer, second: WeightedLayer) -> bool:
    channels = _channels(first)
    seen = int(second.weights.shape[-1])
    # a dense layer behind a flatten sees every channel once a position
    return seen % channels == 0 if second.kind == "FULLY_CONNECTED" else seen == channels


def _channels(layer: WeightedLayer) -> int:
    return int(layer.weights.shape[-1 if layer.kind == "DEPTHWISE_CONV_2D" else 0])


def _scale(activation: NDArray[np.float64], weights: NDArray[np.float64], kind: str) -> NDArray[np.float64]:
    """What each channel (channels,) is to be divided by."""
    scale = np.ones_like(activation)
    for _ in range(_PASSES):
        scaled = weights * _repeated(scale, weights, kind)
        if kind == "DEPTHWISE_CONV_2D":
            relative = np.ones_like(activation)
        else:
            rows = np.abs(scaled).reshape(len(scaled), -1)
            rows = rows / np.maximum(rows.max(axis=1, keepdims=True), 1e-30)
            relative = rows.reshape(-1, len(activation)).max(axis=0)
        used = (activation > 0) & (relative > 0)
        if not used.any():
            break
        left = activation / scale
        factor = np.ones_like(scale)
        factor[used] = left[used] if kind == "DEPTHWISE_CONV_2D" else np.sqrt(left[used] / relative[used])
        factor[used] *= (left[used] / factor[used]).max() / left[used].max()  # the tensor keeps its range
        # weights of channels that were never seen at work must not outgrow the others in their rows
        silent = (activation == 0) & (relative > 0)
        factor[silent] = np.median(relative[used] * factor[used]) / relative[silent]
        scale = scale * factor
    return scale


def _repeated(scale: NDArray[np.float64], weights: NDArray[np.float64], kind: str) -> NDArray[np.float64]:
    """The scale along the last axis of a layer's weights, which is that of its input channels."""
    return np.tile(scale, weights.shape[-1] // len(scale)) if kind == "FULLY_CONNECTED" else scale


def _largest(
    content: bytes, outputs: Sequence[int], tensors: Sequence[NDArray[np.float32]]
) -> dict[int, NDArray[np.float64]]:
    """Largest absolute value of each channel (channels,) of tensors, over pictures."""
    height, width, _ = tensors[0].shape
    engine = Engine(content, threads=2, size=(width, height), keep_tensors=True)
    largest: dict[int, NDArray[np.float64]] = {}
    for tensor in tensors:
        engine.run(tensor)
        for index in outputs:
            values = engine.tensor(index)
            peaks = np.abs(values.reshape(-1, values.shape[-1])).max(axis=0).astype(np.float64)
            largest[index] = np.maximum(largest.get(index, 0.0), peaks)
    return largest


def _same(before: bytes, after: bytes, tensors: Sequence[NDArray[np.float32]]) -> bool:
    height, width, _ = tensors[0].shape
    engines = [Engine(content, size=(width, height)) for content in (before, after)]
    outputs = [np.stack([engine.run(tensor) for tensor in tensors]) for engine in engines]
    allowed = _TOLERANCE * max(1.0, float(np.abs(outputs[0]).max()))
    return float(np.abs(outputs[0] - outputs[1]).max()) <= allowed
