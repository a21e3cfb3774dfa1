"""A float `.tflite` of a Keras model in memory."""

from pathlib import Path
from typing import Any

from edgecnn.keras_io.export import export_float
from edgecnn.keras_io.load import wrap_keras_model
from edgecnn.keras_io.safety import SourceFile


def as_tflite(network: Any) -> bytes:
    source = wrap_keras_model(network, SourceFile(Path("network.keras"), "keras"))
    return export_float(source, width=source.width, height=source.height)
