"""Post-training quantization of a float `.tflite` with ai-edge-quantizer. No TensorFlow.

Weights are quantized per output channel. For int8 the activation ranges are chosen by `ranges`; the input's
range is not estimated but known, since pixels run from 0 to 255: so an 8-bit input keeps every pixel value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle.tflite import first_signature
from edgecnn.compress.ranges import QSV, QUANTILES, ActivationExtremes, collect_extremes, divergence
from edgecnn.errors import ConversionError, MissingExtraError
from edgecnn.quantization import TensorType
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
_SELECTION_SAMPLES = 128


@dataclass(frozen=True)
class Quantized:
    """A quantized model and how its ranges were chosen.

    Attributes:
        content: the `.tflite`.
        range_quantile: quantile of the activation extremes that was kept; None without calibration.
        candidates: (quantile, divergence from the float model in nats) of each that was tried.
    """

    content: bytes
    range_quantile: float | None = None
    candidates: tuple[tuple[float, float], ...] = ()


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
    try:
        import ai_edge_quantizer  # noqa: F401
    except ImportError as exc:
        raise MissingExtraError("ai-edge-quantizer", "quantize") from exc
    if kind not in STATIC:
        return Quantized(_apply(content, _recipe(kind, io), {}))
    if not tensors:
        raise ConversionError(f"{kind} needs calibration pictures, and none could be read")
    extremes = collect_extremes(content, _recipe(kind, "int8"), tensors)
    known = {first_signature(content).input_tensor: input_range}
    if kind == "int16x8":  # 65,536 steps leave room for outliers
        return Quantized(_apply(content, _recipe(kind, io), extremes.ranges(1.0, known=known)), 1.0)
    candidates = _try_quantiles(content, head, extremes, known, tensors)
    best = min(candidates, key=lambda item: item[1])[0]
    final = _apply(content, _recipe(kind, io), extremes.ranges(best, known=known))
    return Quantized(final, best, tuple(candidates))


def _try_quantiles(
    content: bytes,
    head: str,
    extremes: ActivationExtremes,
    known: dict[str, tuple[float, float]],
    tensors: Sequence[NDArray[np.float32]],
) -> list[tuple[float, float]]:
    step = max(1, len(tensors) // _SELECTION_SAMPLES)
    chosen = np.stack(tensors[::step][:_SELECTION_SAMPLES])
    reference = _probabilities(content, head, chosen)
    result = []
    for quantile in QUANTILES:
        candidate = _apply(content, _recipe("int8", "int8"), extremes.ranges(quantile, known=known))
        result.append((quantile, divergence(reference, _probabilities(candidate, head, chosen))))
    return result


def _probabilities(content: bytes, head: str, tensors: NDArray[np.float32]) -> NDArray[np.float32]:
    engine = Engine(content, threads=2)
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


def _recipe(kind: str, io: str) -> Any:
    from ai_edge_quantizer import qtyping, recipe, recipe_manager
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    operation = qtyping.TFLOperationName
    if kind == "dynamic":
        return recipe.dynamic_wi8_afp32()
    manager = recipe_manager.RecipeManager()
    everything = ".*"
    if kind == "float16":
        weights = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
        config = qtyping.OpQuantizationConfig(
            weight_tensor_config=weights,
            compute_precision=qtyping.ComputePrecision.FLOAT,
            explicit_dequantize=True,
        )
        manager.add_quantization_config(everything, operation.ALL_SUPPORTED, config, AlgorithmName.FLOAT_CASTING)
        return manager.get_quantization_recipe()
    manager.load_quantization_recipe(recipe.static_wi8_ai8() if kind == "int8" else recipe.static_wi8_ai16())
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


def is_float_model(input_type: TensorType, output_type: TensorType, ops: dict[str, int]) -> bool:
    """Whether a `.tflite` can still be quantized: float in and out, and no quantized operations inside."""
    inside = {"QUANTIZE", "DEQUANTIZE"} & set(ops)
    return not (input_type.is_quantized or output_type.is_quantized or inside)
