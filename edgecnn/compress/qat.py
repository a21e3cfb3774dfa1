"""Quantization-aware training to int8, which keeps zeros and clusters of the weights where asked; and its conversion.

The trained model rounds where TFLite rounds. Batch norms stand still: they use their running statistics, as on the
device, because those of a few batches would only add noise.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np

from edgecnn.bundle.tflite import with_signature
from edgecnn.compress import quantizers
from edgecnn.compress.int8_graph import rounding, separated
from edgecnn.compress.tfmot import Compressed, copy_of, recomposed, seeded, split_head
from edgecnn.compress.tune import Lessons, Teacher, TuneConfig, tune
from edgecnn.errors import ConversionError
from edgecnn.quiet import quiet
from edgecnn.train.loop import Observer

_CALIBRATION: Final = 8  # batches whose ranges the training starts from


def quantize_aware(
    model: Any,
    lessons: Lessons,
    config: TuneConfig,
    *,
    keep_zeros: bool = False,
    keep_clusters: bool = False,
    input_range: tuple[float, float] | None = None,
    teacher: Teacher | None = None,
    observer: Observer | None = None,
    kept: Path | None = None,
) -> Compressed:
    """Train a model with its weights and activations rounded to 8 bits.

    Args:
        model: tf_keras Functional model; left as it is.
        keep_zeros: weights that are zero stay zero (sparsity-preserving).
        keep_clusters: where a layer has few different weights, equal ones stay equal, in the file's integers too; such
            a layer has one scale instead of one a channel (cluster-preserving).
        input_range: what the input lies in; None for what the first batches show.

    Returns:
        `model` computes with rounding; `to_tflite` converts it. Its layers are named quant_NAME.

    Raises:
        ConversionError: there is nothing to learn from.
        MissingExtraError: tensorflow-model-optimization is not installed.
    """
    if not len(lessons):
        raise ConversionError("expected batches of pictures to train on, got none")
    with seeded(config.seed):
        plain = separated(split_head(model))
        lessons.start(0)
        first = [lessons[number][0] for number in range(min(_CALIBRATION, len(lessons)))]
        ranges = _ranges(plain, first)
        low, high = input_range or ranges[plain.input_names[0]]
        changed, skipped = [], []

        def replace(layer: Any) -> list[Any]:
            plan = rounding(layer)
            layer_copy = copy_of(layer)
            if type(layer).__name__ == "BatchNormalization":
                layer_copy.trainable = False
            if plan.note:
                skipped.append((layer.name, plan.note))
            if plan.weights is None and not plan.output:
                return [layer_copy]
            changed.append((layer.name, _said(layer, plan.weights, keep_clusters)))
            return [quantizers.wrapped(layer_copy, plan, keep_zeros=keep_zeros, keep_clusters=keep_clusters)]

        student = recomposed(plain, replace, front=[quantizers.input_layer(low, high)])
        _start_from(student, ranges)
        quantizers.settle(student)
        history = tune(
            student,
            lessons,
            config,
            teacher=teacher,
            observer=observer,
            kept=kept,
            after_epoch=lambda: quantizers.settle(student),
        )
    return Compressed(student, tuple(changed), tuple(skipped), history)


def to_tflite(model: Any, *, io: str = "int8") -> bytes:
    """Convert what `quantize_aware` trained to an int8 `.tflite` for one picture, with a signature.

    Args:
        model: its tf_keras model.
        io: "int8", "uint8" or "float32", the type of input and output.

    Raises:
        ConversionError: the converter failed.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    spec = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32, name="image")
    try:
        with quiet():
            traced = tf.function(lambda image: model(image, training=False), input_signature=[spec])
            frozen = convert_variables_to_constants_v2(traced.get_concrete_function())
            converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.inference_input_type = converter.inference_output_type = tf.as_dtype(io)
            content = converter.convert()
    except Exception as exc:  # the converter raises its own, ValueError, RuntimeError, and XLA errors
        reason = next((line.strip() for line in str(exc).splitlines() if line.strip()), type(exc).__name__)[:300]
        raise ConversionError(f"the trained model {model.name!r} cannot be converted to int8: {reason}") from exc
    return with_signature(bytes(content))


def _said(layer: Any, weights: str | None, keep_clusters: bool) -> str:
    if weights is None:
        return "output in 8 bits"
    clusters = quantizers.clusters_of(np.asarray(getattr(layer, weights))) if keep_clusters else 0
    kept = f", {clusters} different values kept" if clusters and type(layer).__name__ != "DepthwiseConv2D" else ""
    return f"weights in 8 bits{kept}"


def _ranges(model: Any, batches: list[Any]) -> dict[str, tuple[float, float]]:
    """Mean of the lowest and of the highest value that each layer gives in a batch; for inputs the extremes."""
    import tf_keras

    layers = [layer for layer in model.layers if len(layer.inbound_nodes) == 1]
    probe = tf_keras.Model(model.inputs, [layer.output for layer in layers])
    seen = [[(float(np.min(x)), float(np.max(x))) for x in _list(probe(batch, training=False))] for batch in batches]
    ends = np.array(seen)  # (batches, layers, 2)
    means = ends.mean(axis=0)
    result = {layer.name: (float(low), float(high)) for layer, (low, high) in zip(layers, means, strict=True)}
    inputs = [i for i, layer in enumerate(layers) if isinstance(layer, tf_keras.layers.InputLayer)]
    for i in inputs:
        result[layers[i].name] = (float(ends[:, i, 0].min()), float(ends[:, i, 1].max()))
    return result


def _start_from(model: Any, ranges: dict[str, tuple[float, float]]) -> None:
    """Give every rounded output the range that was seen; tfmot starts all at -6 to 6 and moves them by a thousandth."""
    for layer in model.layers:
        variables = getattr(layer, "_output_quantizer_vars", None)
        name = getattr(getattr(layer, "layer", None), "name", "")
        if variables and name in ranges:
            low, high = ranges[name]
            variables["min_var"].assign(min(low, 0.0))
            variables["max_var"].assign(max(high, 0.0, min(low, 0.0) + 1e-6))


def _list(outputs: Any) -> list[Any]:
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]
