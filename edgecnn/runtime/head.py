"""From a model's output vector to probabilities, with the temperature that its confidence was calibrated to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.quantization import TensorType

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Head:
    """How a model's output vector becomes probabilities.

    Attributes:
        kind: "softmax" (the model ends in one), "sigmoid" (likewise), or "logits" (neither; a softmax follows,
            or a sigmoid where there is one unit).
        output: element type of the output tensor.
        temperature: of the probabilities, see `scaled`; 1 leaves them as the model gives them.
    """

    def __init__(self, kind: str, output: TensorType, temperature: float = 1.0) -> None:
        self.kind, self.output, self.temperature = kind, output, temperature
        # 256 outputs have 256 probabilities, and with a temperature 256 terms of a softmax, or 256 pairs of one unit
        self._table: NDArray[np.float32] | None = None
        self._terms: NDArray[np.float32] | None = None
        self._pairs: NDArray[np.float32] | None = None
        if output.dtype not in ("int8", "uint8"):
            return
        every = np.arange(256, dtype=np.uint8).view(output.dtype)
        if kind != "logits":
            self._table = np.clip(output.dequantize(every), 0.0, 1.0)
        if temperature != 1:
            self._pairs = self.scaled(self._plain(every[:, None]), temperature)
            if kind == "softmax":
                logarithms = self.evidence(self._plain(every)) / temperature
                self._terms = np.exp(logarithms - logarithms.max()).astype(np.float32)

    def probabilities(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        """Raw outputs (…, units) to new probabilities (…, classes); one unit is a two-class model: [1 - p, p]."""
        if self.temperature == 1:
            return self._plain(raw)
        if self._pairs is not None and raw.shape[-1] == 1:
            return np.asarray(self._pairs.take(raw[..., 0].view(np.uint8), axis=0))
        if self._terms is not None:
            terms = self._terms.take(raw.view(np.uint8))
            return np.asarray(terms / terms.sum(axis=-1, keepdims=True), np.float32)
        return self.scaled(self._plain(raw), self.temperature)

    def scaled(self, probabilities: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
        """New probabilities (…, classes) with a temperature: above 1 less sure, below 1 surer than those given.

        softmax(ln p / T); for "sigmoid" each class by itself, sigmoid(ln(p / (1 - p)) / T). The class that was the most
        probable stays it, and none overtakes another; those that float32 cannot tell apart any more become equal.
        Source: C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.

        Args:
            probabilities: (…, classes) with temperature 1.
            temperature: T, above 0.
        """
        best = probabilities == probabilities.max(axis=-1, keepdims=True)
        result = self.activated(self.evidence(probabilities) / temperature).astype(np.float32)
        top = result.max(axis=-1, keepdims=True)
        # the best of two that float32 rounds to one number stays the best
        return np.asarray(np.where(best, top, np.minimum(result, np.nextafter(top, np.float32(0)))), np.float32)

    def evidence(self, probabilities: NDArray[Any]) -> NDArray[np.float64]:
        """What `activated` makes probabilities (…, classes) of: ln p, for "sigmoid" ln(p / (1 - p)).

        p is at least half a step of an integer output tensor, which says 0 of all that is less. Without steps it is at
        least 2^-25, half of what float32 can be below 1, where there are two classes or sigmoids, else 2^-126.
        """
        if self.kind != "logits" and self.output.is_quantized:
            least = min(self.output.scale / 2, 0.25)
        else:
            least = 2.0**-25 if self.kind == "sigmoid" or probabilities.shape[-1] == 2 else 2.0**-126
        if self.kind == "sigmoid":
            real = np.clip(probabilities.astype(np.float64), least, 1 - least)
            return np.asarray(np.log(real / (1 - real)))
        return np.asarray(np.log(np.maximum(probabilities.astype(np.float64), least)))

    def activated(self, evidence: NDArray[np.float64]) -> NDArray[np.float64]:
        """The probabilities (…, classes) of such evidence."""
        return _sigmoid(evidence) if self.kind == "sigmoid" else _softmax(evidence)

    def _plain(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        """Probabilities with temperature 1."""
        if self._table is not None:
            real = self._table.take(raw.view(np.uint8))
        else:
            real = self.output.dequantize(raw)
            if self.kind == "logits":
                real = _sigmoid(real) if real.shape[-1] == 1 else _softmax(real)
            real = np.clip(real, 0.0, 1.0)
        return np.concatenate([1 - real, real], axis=-1) if real.shape[-1] == 1 else real


def _softmax(logits: NDArray[Any]) -> NDArray[Any]:
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def _sigmoid(logits: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -80, 80))))
