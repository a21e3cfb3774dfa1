"""Bias correction: rounding weights shifts a layer's mean output; its bias takes the shift back.

With a rounding error E of the weights W, a layer gives (W + E) x + b. The mean of E x over real inputs is a
constant per output channel, known from the mean of x, so b is lowered by it before quantization.

Source: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019,
with means measured on calibration pictures instead of derived from batch normalization.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle.weights import WeightedLayer, weighted_layers, with_biases
from edgecnn.runtime.interpreter import Engine


def input_means(content: bytes, tensors: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float64]]:
    """Mean input of each weighted layer of a float model, per channel (channels,), over pictures and positions.

    Args:
        tensors: inputs of the model, float32 (height, width, channels) each.
    """
    layers = weighted_layers(content)
    sums: dict[int, NDArray[np.float64]] = {}
    height, width, _ = tensors[0].shape
    engine = Engine(content, threads=2, size=(width, height), keep_tensors=True)
    for tensor in tensors:
        engine.run(tensor)
        for index in {layer.input for layer in layers}:
            values = engine.tensor(index)
            sums[index] = sums.get(index, 0.0) + values.reshape(-1, values.shape[-1]).mean(axis=0, dtype=np.float64)
    return [sums[layer.input] / len(tensors) for layer in layers]


def correct_biases(
    content: bytes, quantized: bytes, means: Sequence[NDArray[np.float64]], *, base: bytes | None = None
) -> bytes | None:
    """The float model with biases that make up for the rounding of weights in `quantized`.

    Args:
        content: float model.
        quantized: the same model with quantized weights.
        means: of `input_means(content, …)`.
        base: the float model that was quantized, where that is `content` with weights rounded already; its weights
            are kept.

    Returns:
        None when the two models' layers do not correspond.
    """
    before, after = weighted_layers(content), weighted_layers(quantized)
    if [(layer.kind, layer.weights.shape) for layer in before] != [
        (layer.kind, layer.weights.shape) for layer in after
    ]:
        return None
    shifts = [
        -_mean_shift(old, new.weights - old.weights, mean) for old, new, mean in zip(before, after, means, strict=True)
    ]
    return with_biases(content if base is None else base, shifts)


def _mean_shift(layer: WeightedLayer, error: NDArray[np.float32], mean: NDArray[np.float64]) -> NDArray[np.float32]:
    """Mean of (error of the weights) times (input), per output channel."""
    shift: NDArray[np.floating[Any]]
    if layer.kind == "DEPTHWISE_CONV_2D":  # each input channel feeds a run of `multiplier` output channels
        shift = error.sum(axis=(0, 1, 2)) * np.repeat(mean, error.shape[-1] // len(mean))
    elif layer.kind == "CONV_2D":  # grouped convolutions see the channels of their group only
        groups = len(mean) // error.shape[-1]
        per_group = np.repeat(mean.reshape(groups, -1), len(error) // groups, axis=0)
        shift = (error.sum(axis=(1, 2)) * per_group).sum(axis=1)
    else:  # a dense layer after a flatten repeats the channels at every position
        shift = error @ np.tile(mean, error.shape[-1] // len(mean))
    return np.asarray(shift, np.float32)
