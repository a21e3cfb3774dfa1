"""What ai-edge-quantizer is told: its recipes, and one call that applies them."""

from collections.abc import Sequence
from typing import Any, Final

from edgecnn.bundle.layers import scope_pattern
from edgecnn.compress.ranges import QSV
from edgecnn.errors import ConversionError, MissingExtraError
from edgecnn.quiet import quiet

EVERYTHING: Final = ".*"


def require_quantizer() -> None:
    """Check that models can be quantized here.

    Raises:
        MissingExtraError: ai-edge-quantizer is not installed.
    """
    try:
        import ai_edge_quantizer  # noqa: F401
    except ImportError as exc:
        raise MissingExtraError("ai-edge-quantizer", "quantize") from exc


def recipe_for(
    kind: str, io: str, weights: str = "min-max", *, keep_float: Sequence[str] = (), wide: Sequence[str] = ()
) -> Any:
    """A recipe for the whole model.

    Args:
        kind: "float16", "dynamic", "int8" or "int16x8".
        io: type of the input and output tensor.
        weights: how the range of weights is found: "min-max", "octav" or "mse".
        keep_float: scopes of operations that stay float, as `edgecnn.bundle.layers` gives them.
        wide: scopes of operations whose activations are 16-bit integers.
    """
    from ai_edge_quantizer import qtyping, recipe, recipe_manager
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    operation = qtyping.TFLOperationName
    manager = recipe_manager.RecipeManager()
    if kind == "float16":
        half = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
        config = qtyping.OpQuantizationConfig(
            weight_tensor_config=half,
            compute_precision=qtyping.ComputePrecision.FLOAT,
            explicit_dequantize=True,
        )
        manager.add_quantization_config(EVERYTHING, operation.ALL_SUPPORTED, config, AlgorithmName.FLOAT_CASTING)
    else:
        base = {"dynamic": recipe.dynamic_wi8_afp32, "int8": recipe.static_wi8_ai8, "int16x8": recipe.static_wi8_ai16}
        manager.load_quantization_recipe(base[kind]())
    if weights != "min-max":  # for what has weights; other constants may be asymmetric, which these cannot do
        algorithm = {"octav": AlgorithmName.OCTAV, "mse": AlgorithmName.MSE}[weights]
        for layer in (operation.CONV_2D, operation.DEPTHWISE_CONV_2D, operation.FULLY_CONNECTED):
            manager.add_static_config(EVERYTHING, layer, 8, 8, algorithm_key=algorithm)
    if wide:
        manager.add_static_config(scope_pattern(wide), operation.ALL_SUPPORTED, 16, 8)
    if keep_float:
        manager.add_quantization_config(
            scope_pattern(keep_float), operation.ALL_SUPPORTED, algorithm_key=AlgorithmName.NO_QUANTIZE
        )
    for border in (operation.INPUT, operation.OUTPUT) if kind in ("int8", "int16x8") else ():
        if io == "float32":
            manager.add_quantization_config(EVERYTHING, border, algorithm_key=AlgorithmName.NO_QUANTIZE)
        elif io == "uint8":
            manager.add_quantization_config(EVERYTHING, border, _uint8_border())
    return manager.get_quantization_recipe()


def recipe_for_only(scopes: Sequence[str]) -> Any:
    """A recipe that quantizes these operations to int8 and nothing else, with float input and output."""
    from ai_edge_quantizer import qtyping, recipe_manager

    manager = recipe_manager.RecipeManager()
    manager.add_static_config(scope_pattern(scopes), qtyping.TFLOperationName.ALL_SUPPORTED, 8, 8)
    return manager.get_quantization_recipe()


def apply(content: bytes, recipe: Any, ranges: dict[str, QSV]) -> bytes:
    """The model, quantized by a recipe.

    Args:
        content: float `.tflite` with a signature.
        ranges: statistics of its tensors; needed where activations are quantized.

    Raises:
        ConversionError: the quantizer failed.
    """
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
