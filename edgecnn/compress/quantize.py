"""Post-training quantization of a float `.tflite` with ai-edge-quantizer. No TensorFlow.

Weights are quantized per output channel. For int8 the activation ranges are chosen by `ranges`; the input's
range is not estimated but known, since pixels run from 0 to 255: so an 8-bit input keeps every pixel value. Global
average pooling becomes a mean first, see `edgecnn.bundle.pooling`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle.layers import scopes_of
from edgecnn.bundle.pooling import with_mean_pooling
from edgecnn.bundle.tflite import first_signature
from edgecnn.compress.bias import correct_biases, input_means
from edgecnn.compress.ranges import QSV, QUANTILES, ActivationExtremes, collect_extremes, divergence
from edgecnn.compress.recipe import apply, recipe_for
from edgecnn.compress.recipe import require_quantizer as require_quantizer
from edgecnn.compress.rounding import round_weights
from edgecnn.errors import ConversionError, ModelError
from edgecnn.runtime.head import Head
from edgecnn.runtime.interpreter import Engine

# What each kind of quantization can have as input and output type; the first is its default.
IO_TYPES: Final[dict[str, tuple[str, ...]]] = {
    "float32": ("float32",),
    "float16": ("float32",),
    "dynamic": ("float32",),
    "int8": ("int8", "uint8", "float32"),
    "int16x8": ("float32",),
}
STATIC: Final = ("int8", "int16x8")
_SELECTION_SAMPLES = 128  # pictures on which candidates are compared
_MEAN_SAMPLES = 64  # pictures whose mean activations correct biases; means settle early
_ROUNDING_SAMPLES = 64  # pictures whose activations decide how weights are rounded

WEIGHTS: Final = ("min-max", "octav", "mse", "gptq")  # how weights can be quantized, see `Candidate`


@dataclass(frozen=True)
class Candidate:
    """One way to quantize that was tried.

    Attributes:
        range_quantile: quantile of the activation extremes that is kept.
        weights: "min-max"; "octav" or "mse", which clip weights for a small squared error; or "gptq", min-max with
            weights rounded so that the errors of one make up for those of others.
        bias_correction: whether biases make up for the rounding of weights.
        divergence: from the float model on calibration pictures, in nats; smaller is better.
    """

    range_quantile: float
    weights: str
    bias_correction: bool
    divergence: float = 0.0


PLAIN: Final = Candidate(1.0, "min-max", bias_correction=False)  # what everybody has


@dataclass(frozen=True)
class Quantized:
    """A quantized model and how it was chosen.

    Attributes:
        content: the `.tflite`.
        chosen: the candidate it is; None where there was no choice.
        candidates: all that were tried.
    """

    content: bytes
    chosen: Candidate | None = None
    candidates: tuple[Candidate, ...] = ()


def quantize(
    content: bytes,
    *,
    kind: str,
    io: str,
    head: str,
    tensors: Sequence[NDArray[np.float32]] = (),
    input_range: tuple[float, float] = (0.0, 1.0),
    weights: Sequence[str] = ("min-max", "octav"),
    keep_float: Sequence[str] = (),
    wide: Sequence[str] = (),
) -> Quantized:
    """Quantize a float model.

    Args:
        content: float `.tflite` with a signature.
        kind: "float32" (returned as it is), "float16", "dynamic", "int8" or "int16x8".
        io: type of the input and output tensor, one of IO_TYPES[kind].
        head: "softmax", "sigmoid" or "logits", as in `Head`.
        tensors: calibration inputs, float32 (height, width, channels) each; needed by int8 and int16x8.
        input_range: smallest and largest real value of the input tensor.
        weights: of WEIGHTS, what int8 tries; the first with every range of activations.
        keep_float: layers that stay float, by their names in Keras (see `edgecnn.bundle.layers`). Between a quantized
            and a float layer the runtime converts, which costs little.
        wide: layers whose activations are 16-bit integers in an int8 model, likewise. LiteRT runs such convolutions
            with its reference kernels, 10 to 100 times slower than int8 or float: prefer `keep_float` but for dense
            layers and devices without float.

    Raises:
        ConversionError: no calibration inputs, or the quantizer failed.
        ModelError: `keep_float` or `wide` names a layer that is not there.
        MissingExtraError: ai-edge-quantizer is not installed.
    """
    if kind == "float32":
        return Quantized(content)
    require_quantizer()
    if wide and kind != "int8":
        raise ConversionError(f"expected 16-bit layers in an int8 model only, got {kind}; leave `wide` empty")
    kept, widened = scopes_of(content, keep_float), scopes_of(content, wide)
    if kind not in STATIC:
        return Quantized(apply(content, recipe_for(kind, io, keep_float=kept), {}))
    if not tensors:
        raise ConversionError(f"{kind} needs calibration pictures, and none could be read")
    calibration = Calibration(with_mean_pooling(content), head, tensors, input_range)
    if kind == "int16x8":  # 65,536 steps leave room for outliers
        return Quantized(apply(calibration.content, recipe_for(kind, io, keep_float=kept), calibration.ranges(1.0)))
    return calibration.search(io, weights=weights, keep_float=kept, wide=widened)


class Calibration:
    """A float model and what its calibration pictures tell, each found out once and when it is first needed.

    Args:
        content, head, tensors, input_range: as for `quantize`.
        selection: so many of the pictures compare candidates; more tell close ones apart.
    """

    def __init__(
        self,
        content: bytes,
        head: str,
        tensors: Sequence[NDArray[np.float32]],
        input_range: tuple[float, float],
        *,
        selection: int = _SELECTION_SAMPLES,
    ) -> None:
        self.content, self.head, self.tensors = content, head, tensors
        self._compared = selection
        self._known = {first_signature(content).input_tensor: input_range}

    def search(
        self,
        io: str,
        *,
        weights: Sequence[str] = ("min-max", "octav"),
        keep_float: Sequence[str] = (),
        wide: Sequence[str] = (),
    ) -> Quantized:
        """The int8 model that diverges least from the float model, of those that are tried.

        Args:
            weights: of WEIGHTS; the first with every range of activations, the others with the best range.
            keep_float, wide: scopes of operations.

        Raises:
            ConversionError: the quantizer failed, or the runtime can run none of the models.
        """
        tried: list[Candidate] = []
        reasons: list[str] = []

        def attempt(quantile: float, algorithm: str, *, bias_correction: bool) -> None:
            candidate = Candidate(quantile, algorithm, bias_correction)
            built = self.build(candidate, "int8", keep_float=keep_float, wide=wide)
            try:
                tried.append(replace(candidate, divergence=self.divergence(built)))
            except ModelError as exc:  # the runtime has no kernel for steps that differ too much
                reasons.append(str(exc))

        def best() -> Candidate:
            return min(tried, key=lambda candidate: candidate.divergence)

        for quantile in QUANTILES:
            attempt(quantile, weights[0], bias_correction=True)
        if not tried:
            raise ConversionError(f"no int8 form of this model runs ({reasons[-1]}); keep layers in float")
        for algorithm in weights[1:]:
            attempt(best().range_quantile, algorithm, bias_correction=True)
        attempt(best().range_quantile, best().weights, bias_correction=False)
        return Quantized(self.build(best(), io, keep_float=keep_float, wide=wide), best(), tuple(tried))

    def build(
        self, candidate: Candidate, io: str, *, keep_float: Sequence[str] = (), wide: Sequence[str] = ()
    ) -> bytes:
        """The int8 model of one candidate; `keep_float` and `wide` are scopes of operations."""
        ranges = self.ranges(candidate.range_quantile)
        rounded = candidate.weights == "gptq"
        base = self._rounded if rounded else self.content
        recipe = recipe_for("int8", io, "min-max" if rounded else candidate.weights, keep_float=keep_float, wide=wide)
        content = apply(base, recipe, ranges)
        if not candidate.bias_correction:
            return content
        corrected = correct_biases(self.content, content, self._means, base=base)
        return content if corrected is None else apply(corrected, recipe, ranges)

    def ranges(self, quantile: float) -> dict[str, QSV]:
        """Range of every tensor, from a quantile of the extremes; the input's is known."""
        return self._extremes.ranges(quantile, known=self._known)

    def divergence(self, content: bytes) -> float:
        """Of a quantized model from the float model, in nats, on some of the calibration pictures."""
        return divergence(self._reference, probabilities(content, self.head, self._selection))

    @cached_property
    def _extremes(self) -> ActivationExtremes:
        return collect_extremes(self.content, recipe_for("int8", "int8"), self.tensors)

    @cached_property
    def _selection(self) -> NDArray[np.float32]:
        return np.stack(self.tensors[: self._compared])

    @cached_property
    def _reference(self) -> NDArray[np.float32]:
        return probabilities(self.content, self.head, self._selection)

    @cached_property
    def _means(self) -> list[NDArray[np.float64]]:
        return input_means(self.content, self.tensors[:_MEAN_SAMPLES])

    @cached_property
    def _rounded(self) -> bytes:
        return round_weights(self.content, self.tensors[:_ROUNDING_SAMPLES])


def probabilities(content: bytes, head: str, tensors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of a model for inputs (samples, height, width, channels): (samples, classes)."""
    engine = Engine(content, threads=2, size=(tensors.shape[2], tensors.shape[1]))
    stored = engine.input_type.quantize(tensors)
    raw = np.stack([engine.run(tensor) for tensor in stored])
    return Head(head, engine.output_type).probabilities(raw)
