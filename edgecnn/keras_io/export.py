"""Keras to float `.tflite`, and the proof that both compute the same.

The model is traced once for a batch of one picture and its variables are frozen into constants before
conversion. That avoids writing and reading back a SavedModel, which takes most of the time of
`TFLiteConverter.from_keras_model`, and gives a graph with fixed shapes.
"""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle.tflite import with_signature
from edgecnn.errors import ConversionError, ParityError
from edgecnn.keras_io.load import KerasSource
from edgecnn.quiet import quiet
from edgecnn.runtime.interpreter import Engine

# Largest allowed difference, relative to the largest score (at least 1). Kernels that sum in another order
# differ by about 1e-5; a lost weight or a wrong layer by orders of magnitude more.
PARITY_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Parity:
    """How far the float `.tflite` is from its source: samples compared, largest difference, what was allowed."""

    samples: int
    max_abs_difference: float
    tolerance: float


def export_float(source: KerasSource, *, width: int, height: int) -> bytes:
    """Convert to a float32 `.tflite` of built-in operations, one picture at a time, with a signature.

    Raises:
        ConversionError: an operation has no TFLite counterpart, or the converter failed.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    spec = tf.TensorSpec((1, height, width, source.channels), tf.float32, name="image")
    try:
        with quiet():
            traced = tf.function(source.function, input_signature=[spec]).get_concrete_function()
            frozen = convert_variables_to_constants_v2(traced)
            content = tf.lite.TFLiteConverter.from_concrete_functions([frozen]).convert()
    except Exception as exc:  # the converter raises its own, ValueError, RuntimeError, and XLA errors
        raise ConversionError(f"{source.file.path} cannot be converted to TFLite: {_converter_reason(exc)}") from exc
    return with_signature(bytes(content))


def check_parity(source: KerasSource, content: bytes, tensors: NDArray[np.float32]) -> Parity:
    """Compare Keras and its float `.tflite` on real inputs.

    Args:
        tensors: float32 (samples, height, width, channels), as the model takes them.

    Raises:
        ParityError: names the output that differs most.
    """
    engine = Engine(content, size=(tensors.shape[2], tensors.shape[1]))
    expected = source(tensors)
    got = np.stack([engine.run(tensor) for tensor in tensors]).astype(np.float32)
    difference = np.abs(expected - got)
    tolerance = PARITY_TOLERANCE * max(1.0, float(np.nanmax(np.abs(expected), initial=0.0)))
    worst = int(np.argmax(np.where(np.isfinite(difference), difference, np.inf)))
    sample, output = divmod(worst, expected.shape[1])
    if not difference.flat[worst] <= tolerance:  # written so that NaN fails
        raise ParityError(
            f"the converted model computes something else than {source.file.path}: output {output} of sample {sample} "
            f"is {got.flat[worst]:.6g}, Keras gives {expected.flat[worst]:.6g} (allowed difference {tolerance:.2g})"
        )
    return Parity(len(tensors), float(difference.max()), tolerance)


def _converter_reason(exc: Exception) -> str:
    text = str(exc)
    if "xf16>" in text:
        return "it computes in float16; copy its weights into a model of the float32 policy and save that"
    operations = re.findall(r"^(?:TF Select|Custom) ops: (.+)$", text, re.MULTILINE)
    if operations:
        return f"the device's runtime has no operation for {', '.join(operations)}; replace these layers"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = -1 if text.startswith("in user code:") else 0  # what follows there is the model's stack
    return (lines[telling] if lines else type(exc).__name__)[:300]
