"""Post-training quantization of a float `.tflite` with ai-edge-quantizer. No TensorFlow.

Weights are quantized per output channel. For int8 the activation ranges are chosen by `ranges`; the input's
range is not estimated but known, since pixels run from 0 to 255: so an 8-bit input keeps every pixel value.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle.tflite import first_signature
from edgecnn.compress.bias import correct_biases, input_means
from edgecnn.compress.ranges import QSV, QUANTILES, ActivationExtremes, collect_extremes, divergence
from edgecnn.errors import ConversionError, MissingExtraError
from edgecnn.quiet import quiet
from edgecnn.runtime.classifier import Head
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


@dataclass(frozen=True)
class Candidate:
    """One way to quantize that was tried.

    Attributes:
        range_quantile: quantile of the activation extremes that is kept.
        weights: how weight ranges are found: "min-max", or "octav" (clipping of least mean squared error).
        bias_correction: whether biases make up for the rounding of weights.
        divergence: from the float model on calibration pictures, in nats; smaller is better.
    """

    range_quantile: float
    weights: str
    bias_correction: bool
    divergence: float


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
) -> Quantized:
    """Quantize a float model.

    Args:
        content: float `.tflite` with a signature.
        kind: "float32" (returned as it is), "float16", "dynamic", "int8" or "int16x8".
        io: type of the input and output tensor, one of IO_TYPES[kind].
        head: "softmax", "sigmoid" or "logits", as in `Head`.
        tensors: calibration inputs, float32 (height, width, channels) each; needed by int8 and int16x8.
        input_range: smallest and largest real value of the input tensor.

    Raises:
        ConversionError: no calibration inputs, or the quantizer failed.
        MissingExtraError: ai-edge-quantizer is not installed.
    """
    if kind == "float32":
        return Quantized(content)
    require_quantizer()
    if kind not in STATIC:
        return Quantized(_apply(content, _recipe(kind, io), {}))
    if not tensors:
        raise ConversionError(f"{kind} needs calibration pictures, and none could be read")
    extremes = collect_extremes(content, _recipe(kind, "int8"), tensors)
    known = {first_signature(content).input_tensor: input_range}
    if kind == "int16x8":  # 65,536 steps leave room for outliers
        return Quantized(_apply(content, _recipe(kind, io), extremes.ranges(1.0, known=known)))
    search = _Search(content, head, extremes, known, tensors)
    for quantile in QUANTILES:
        search.attempt(quantile, "min-max", bias_correction=True)
    search.attempt(search.best.range_quantile, "octav", bias_correction=True)
    search.attempt(search.best.range_quantile, search.best.weights, bias_correction=False)
    return Quantized(search.build(search.best, io), search.best, tuple(search.candidates))


def require_quantizer() -> None:
    """Check that models can be quantized here.

    Raises:
        MissingExtraError: ai-edge-quantizer is not installed.
    """
    try:
        import ai_edge_quantizer  # noqa: F401
    except ImportError as exc:
        raise MissingExtraError("ai-edge-quantizer", "quantize") from exc


class _Search:
    """Tries ways to quantize one model to int8 and keeps their divergence from the float model."""

    def __init__(
        self,
        content: bytes,
        head: str,
        extremes: ActivationExtremes,
        known: dict[str, tuple[float, float]],
        tensors: Sequence[NDArray[np.float32]],
    ) -> None:
        self._content, self._head, self._extremes, self._known = content, head, extremes, known
        self._tensors = tensors
        self._selection = np.stack(tensors[:_SELECTION_SAMPLES])
        self._reference = _probabilities(content, head, self._selection)
        self._means: list[NDArray[np.float64]] | None = None
        self.candidates: list[Candidate] = []

    @property
    def best(self) -> Candidate:
        return min(self.candidates, key=lambda candidate: candidate.divergence)

    def attempt(self, quantile: float, weights: str, *, bias_correction: bool) -> None:
        candidate = Candidate(quantile, weights, bias_correction, 0.0)
        probabilities = _probabilities(self.build(candidate, "int8"), self._head, self._selection)
        self.candidates.append(replace(candidate, divergence=divergence(self._reference, probabilities)))

    def build(self, candidate: Candidate, io: str) -> bytes:
        ranges = self._extremes.ranges(candidate.range_quantile, known=self._known)
        recipe = _recipe("int8", io, candidate.weights)
        content = _apply(self._content, recipe, ranges)
        if not candidate.bias_correction:
            return content
        if self._means is None:
            self._means = input_means(self._content, self._tensors[:_MEAN_SAMPLES])
        corrected = correct_biases(self._content, content, self._means)
        return content if corrected is None else _apply(corrected, recipe, ranges)


def _probabilities(content: bytes, head: str, tensors: NDArray[np.float32]) -> NDArray[np.float32]:
    engine = Engine(content, threads=2, size=(tensors.shape[2], tensors.shape[1]))
    stored = engine.input_type.quantize(tensors)
    raw = np.stack([engine.run(tensor) for tensor in stored])
    return Head(head, engine.output_type).probabilities(raw)


def _apply(content: bytes, recipe: Any, ranges: dict[str, QSV]) -> bytes:
    from ai_edge_quantizer import quantizer

    try:
        with quiet():
            work = quantizer.Quantizer(bytearray(content), recipe)
            result = work.quantize(ranges) if work.need_calibration else work.quantize()
    except Exception as exc:  # the quantizer raises ValueError, RuntimeError and KeyError alike
        reason = (str(exc).strip().splitlines() or [type(exc).__name__])[0]
        raise ConversionError(f"ai-edge-quantizer cannot quantize this model: {reason[:300]}") from exc
    if result.quantized_model is None:
        raise ConversionError("ai-edge-quantizer returned no model; is this a float model?")
    return bytes(result.quantized_model)


def _recipe(kind: str, io: str, weights: str = "min-max") -> Any:
    from ai_edge_quantizer import qtyping, recipe, recipe_manager
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    operation = qtyping.TFLOperationName
    if kind == "dynamic":
        return recipe.dynamic_wi8_afp32()
    manager = recipe_manager.RecipeManager()
    everything = ".*"
    if kind == "float16":
        half = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
        config = qtyping.OpQuantizationConfig(
            weight_tensor_config=half,
            compute_precision=qtyping.ComputePrecision.FLOAT,
            explicit_dequantize=True,
        )
        manager.add_quantization_config(everything, operation.ALL_SUPPORTED, config, AlgorithmName.FLOAT_CASTING)
        return manager.get_quantization_recipe()
    manager.load_quantization_recipe(recipe.static_wi8_ai8() if kind == "int8" else recipe.static_wi8_ai16())
    if weights == "octav":  # for what has weights; other constants may be asymmetric, which it cannot do
        for layer in (operation.CONV_2D, operation.DEPTHWISE_CONV_2D, operation.FULLY_CONNECTED):
            manager.add_static_config(everything, layer, 8, 8, algorithm_key=AlgorithmName.OCTAV)
    for border in (operation.INPUT, operation.OUTPUT):
        if io == "float32":
            manager.add_quantization_config(everything, border, algorithm_key=AlgorithmName.NO_QUANTIZE)
        elif io == "uint8":
            manager.add_quantization_config(everything, border, _uint8_border())
    return manager.get_quantization_recipe()


def _uint8_border() -> Any:
    from ai_edge_quantizer import qtyping

    activation = qtyping.TensorQuantizationConfig(num_bits=8, symmetric=False, dtype=qtyping.TensorDataType.UINT)
    weight = qtyping.TensorQuantizationConfig(
        num_bits=8, symmetric=True, granularity=qtyping.QuantGranularity.CHANNELWISE
    )
    return qtyping.OpQuantizationConfig(
        activation_tensor_config=activation,
        weight_tensor_config=weight,
        compute_precision=qtyping.ComputePrecision.INTEGER,
    )


def default_io(kind: str) -> str:
    """The input and output type a kind of quantization has when none is asked for."""
    return IO_TYPES[kind][0]
