"""Weights rounded to their int8 grid one input at a time, each rounding error made up for by what is left.

Rounding every weight to its nearest step is best for the weights, not for the layer's output. Here the inputs of a
layer are rounded in turn, those that carry most first, and the error that a rounding makes in the output is taken
over, as far as inputs move together, by the weights that are still to be rounded. How inputs move together is
measured on calibration pictures: the second moments H of all inputs of one output.

Source: Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers",
ICLR 2023, with the order of inputs by their size in H. ai-edge-quantizer's GPTQ does dense layers only.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle.weights import WeightedLayer, weighted_layers, with_layers
from edgecnn.runtime.interpreter import Engine

_MOST_INPUTS: Final = 4096  # of one output; H has its square, larger layers are rounded to the nearest as usual
_POSITIONS: Final = 256  # of a picture whose inputs are looked at, evenly spread
_DAMPING: Final = 0.01  # of H's mean diagonal, as in the source
_LEVELS: Final = 127


def round_weights(content: bytes, tensors: Sequence[NDArray[np.float32]]) -> bytes:
    """The float model with weights on the grid that per-channel min-max quantization gives them.

    Args:
        content: float `.tflite`.
        tensors: inputs of the model, float32 (height, width, channels) each.

    Raises:
        ModelError: no TFLite model, or a damaged one.
    """
    layers = weighted_layers(content)
    moments = _moments(content, layers, tensors)
    rounded = [
        None if moment is None else _rounded(layer, moment) for layer, moment in zip(layers, moments, strict=True)
    ]
    return with_layers(content, [(weights, None) for weights in rounded])


def round_rows(weights: NDArray[np.float32], moment: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weights (out, inputs) rounded to each row's grid, whose step is the row's largest weight / 127.

    Args:
        moment: (inputs, inputs) second moments of the inputs.
    """
    left = weights.astype(np.float64)
    h = moment.astype(np.float64)
    h += np.eye(len(h)) * (_DAMPING * np.trace(h) / len(h) + 1e-12)
    order = np.argsort(-np.diag(h), kind="stable")
    left, h = left[:, order], h[np.ix_(order, order)]
    # row k of `spread`: how an error of input k is best spread over the inputs behind it
    spread = np.linalg.cholesky(np.linalg.inv(h)).T
    largest = np.abs(left).argmax(axis=1)
    peaks = left[np.arange(len(left)), largest]
    step = np.where(peaks == 0, 1.0, np.abs(peaks) / _LEVELS)
    result = np.zeros_like(left)
    for k in range(left.shape[1]):
        steps = np.clip(np.round(left[:, k] / step), -_LEVELS, _LEVELS)
        # the largest weight stays at the end of the grid, so that the quantizer finds the same grid
        result[:, k] = np.where(largest == k, peaks, steps * step)
        error = (left[:, k] - result[:, k]) / spread[k, k]
        left[:, k + 1 :] -= np.outer(error, spread[k, k + 1 :])
    return np.asarray(result[:, np.argsort(order)], np.float32)


def _rounded(layer: WeightedLayer, moment: NDArray[np.float32]) -> NDArray[np.float32]:
    if layer.kind == "DEPTHWISE_CONV_2D":  # every channel has inputs of its own
        flat = layer.weights.reshape(-1, layer.weights.shape[-1]).T
        rows = [round_rows(row[None], own)[0] for row, own in zip(flat, moment, strict=True)]
        return np.stack(rows, axis=1).reshape(layer.weights.shape)
    flat = layer.weights.reshape(len(layer.weights), -1)
    return round_rows(flat, moment).reshape(layer.weights.shape)


def _moments(
    content: bytes, layers: Sequence[WeightedLayer], tensors: Sequence[NDArray[np.float32]]
) -> list[NDArray[np.float32] | None]:
    """Second moments of each layer's inputs: (inputs, inputs), for a depthwise layer (out, inputs, inputs)."""
    height, width, _ = tensors[0].shape
    engine = Engine(content, threads=2, size=(width, height), keep_tensors=True)
    sums: list[NDArray[np.float32] | None] = [None] * len(layers)
    for tensor in tensors:
        engine.run(tensor)
        for i, layer in enumerate(layers):
            if np.prod(layer.weights.shape[1:]) > _MOST_INPUTS and layer.kind != "DEPTHWISE_CONV_2D":
                continue
            inputs = _inputs(layer, engine.tensor(layer.input))
            if inputs is None:
                continue
            found = np.matmul(inputs.swapaxes(-1, -2), inputs)
            before = sums[i]
            sums[i] = found if before is None else before + found
    return sums


def _inputs(layer: WeightedLayer, values: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """What the weights of one output multiply with: (positions, inputs), of a depthwise layer (out, positions, inputs).

    None for grouped and dilated convolutions.
    """
    if layer.kind == "FULLY_CONNECTED":
        return values.reshape(-1, layer.weights.shape[-1])
    _, rows, columns, seen = layer.weights.shape
    channels = values.shape[-1]
    depthwise = layer.kind == "DEPTHWISE_CONV_2D"
    if layer.dilation != (1, 1) or (not depthwise and seen != channels):
        return None
    if layer.padding == "SAME":
        margins = [_margin(values.shape[i + 1], (rows, columns)[i], layer.stride[i]) for i in (0, 1)]
        values = np.pad(values, ((0, 0), *margins, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(values[0], (rows, columns), axis=(0, 1))
    windows = windows[:: layer.stride[0], :: layer.stride[1]]
    positions = windows.shape[0] * windows.shape[1]
    down, across = np.divmod(np.arange(0, positions, -(-positions // _POSITIONS)), windows.shape[1])
    windows = windows[down, across].reshape(len(down), channels, rows * columns)
    if depthwise:
        return np.repeat(windows.transpose(1, 0, 2), layer.weights.shape[-1] // channels, axis=0)
    return windows.transpose(0, 2, 1).reshape(len(windows), -1)


def _margin(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and behind that "SAME" padding adds."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
