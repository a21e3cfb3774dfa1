"""Activation ranges for static quantization: what calibration sees, and how much of it to keep.

A tensor's int8 step is its range divided by 255, so one outlier in one picture coarsens every other value.
Each calibration picture gives a minimum and a maximum per tensor; the range kept is a quantile of these
extremes (1.0 is the plain min-max). Which quantile serves a network best is decided by its output: the
quantized model that diverges least from the float model on the calibration pictures themselves. No labels
are used, and no picture on which accuracy is measured.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle.tflite import first_signature
from edgecnn.quiet import quiet

QUANTILES = (1.0, 0.99, 0.95, 0.9)

QSV = dict[str, Any]  # ai-edge-quantizer's statistics of one tensor: {"min": array, "max": array}


@dataclass(frozen=True)
class ActivationExtremes:
    """Per tensor the extremes of every calibration picture.

    Attributes:
        observed: tensor name to (lows, highs), each (pictures, *shape of the statistic).
        fixed: tensors whose range does not depend on pictures (weights, constants).
    """

    observed: dict[str, tuple[NDArray[Any], NDArray[Any]]]
    fixed: dict[str, QSV]

    def ranges(self, quantile: float, *, known: dict[str, tuple[float, float]]) -> dict[str, QSV]:
        """Statistics for the quantizer: the quantile of the extremes, always with zero inside.

        Args:
            quantile: in (0, 1]; 1.0 keeps everything seen.
            known: tensors whose range is known exactly, such as the input (pixels 0 and 255 after preprocessing).
        """
        result = dict(self.fixed)
        for name, (lows, highs) in self.observed.items():
            low = np.minimum(np.quantile(lows, 1 - quantile, axis=0), 0)
            high = np.maximum(np.quantile(highs, quantile, axis=0), 0)
            if name in known:
                low, high = np.full_like(low, known[name][0]), np.full_like(high, known[name][1])
            result[name] = {"min": low.astype(np.float32), "max": high.astype(np.float32)}
        return result


def collect_extremes(
    content: bytes, recipe: Any, tensors: Iterable[NDArray[np.float32]], *, threads: int = 2
) -> ActivationExtremes:
    """Run the float model on calibration tensors and keep each tensor's extremes per picture.

    Args:
        content: float `.tflite` with one signature.
        recipe: ai-edge-quantizer recipe that says which operations are quantized.
        tensors: float32 (height, width, channels) each.
        threads: threads of the interpreter.
    """
    from ai_edge_quantizer import calibrator, recipe_manager

    manager = recipe_manager.RecipeManager()
    manager.load_quantization_recipe(recipe)
    with quiet():
        calibration = calibrator.Calibrator(content, num_threads=threads, qsv_update_func=_append)
        signature = first_signature(content)
        samples = [{signature.input_name: tensor[None]} for tensor in tensors]
        calibration.calibrate({signature.key: samples}, manager)
        statistics = calibration.get_model_qsvs()
    observed, fixed = {}, {}
    for tensor, qsv in statistics.items():
        if "lows" in qsv:
            observed[tensor] = (np.stack(qsv["lows"]), np.stack(qsv["highs"]))
        else:
            fixed[tensor] = qsv
    return ActivationExtremes(observed, fixed)


def divergence(reference: NDArray[np.float32], candidate: NDArray[np.float32]) -> float:
    """Mean Kullback-Leibler divergence of probabilities (samples, classes) from the reference's, in nats.

    Both are mixed with a little of the uniform distribution (1e-3 a class), because an 8-bit output holds exact
    zeros, where the divergence would be infinite.
    """
    p, q = _mixed(reference), _mixed(candidate)
    return float(np.mean(np.sum(p * np.log(p / q), axis=1)))


def _mixed(probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    lifted = probabilities.astype(np.float64) + 1e-3
    return np.asarray(lifted / lifted.sum(axis=1, keepdims=True), np.float64)


def _append(old: QSV, new: QSV) -> QSV:
    """Update rule for the calibrator: keep every picture's extremes beside the overall ones."""
    return {
        "min": np.minimum(old["min"], new["min"]),
        "max": np.maximum(old["max"], new["max"]),
        "lows": [*old.get("lows", [old["min"]]), new["min"]],
        "highs": [*old.get("highs", [old["max"]]), new["max"]],
    }
