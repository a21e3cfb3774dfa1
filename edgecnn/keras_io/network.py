"""Load a Keras model of any vintage with Keras 3 on any of its backends, to train it or to learn from it."""

import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from edgecnn.errors import MissingExtraError, ModelError
from edgecnn.keras_io.keras2 import write_readable
from edgecnn.keras_io.safety import SourceFile, inspect_source
from edgecnn.quiet import quiet
from edgecnn.signature import Shape, check_signature


def load_network(path: str | Path, *, allow_unsafe: bool = False) -> Any:
    """Load a `.keras` or `.h5` of Keras 2 or 3 as a Keras 3 model with one image input and one output.

    TensorFlow is not needed. The model is not compiled; saved again, it is a plain Keras 3 file.

    Returns:
        A keras.Model (Functional or Sequential): float32 (batch, height, width, channels) to whatever it gives.

    Raises:
        ModelError: no model, not one that Keras 3 can load, or not one of single images.
        UnsafeModelError: it carries code and `allow_unsafe` is False.
        MissingExtraError: Keras is not installed.
    """
    # A SavedModel is told apart before TensorFlow is needed to look into it.
    if (Path(path) / "saved_model.pb").is_file():
        raise ModelError(f"{path} is a SavedModel, which cannot be trained; save the model as .keras")
    file = inspect_source(path, allow_unsafe=allow_unsafe)
    if file.kind == "tflite":
        raise ModelError(f"{path} is a .tflite file, which cannot be trained; a Keras .keras or .h5 was expected")
    try:
        import keras  # noqa: F401
    except ImportError as exc:
        raise MissingExtraError("Keras", "train") from exc
    model = _loaded(file, allow_unsafe)
    image_shape(model, file.path)
    return model


def image_shape(model: Any, path: str | Path) -> Shape:
    """(height, width, channels) of a model's input, -1 where any size will do.

    Raises:
        ModelError: not one image goes in, or not one tensor comes out.
    """
    inputs, outputs = getattr(model, "inputs", None), getattr(model, "outputs", None)
    if not inputs or not outputs:
        raise ModelError(f"{path} has no fixed inputs; give its first layer an input shape and save it again")
    shapes = {str(tensor.name): tuple(-1 if n is None else int(n) for n in tensor.shape) for tensor in inputs}
    try:
        # What comes out may be features instead of scores; only how many tensors is checked.
        return check_signature(shapes, {f"output {i}": (-1, 1) for i in range(len(outputs))})[0]
    except ModelError as exc:
        raise ModelError(f"{path}: {exc}") from exc


def _loaded(file: SourceFile, allow_unsafe: bool) -> Any:
    import keras

    options = {"compile": False, **({"safe_mode": False} if allow_unsafe else {})}
    try:
        with quiet(), tempfile.TemporaryDirectory() as folder:
            for name in file.modules:
                import_module(name)  # registers its layers with Keras
            path = file.path
            if file.kind == "tf_keras":
                # Keras goes by the ending, and knows no other than these two.
                path = Path(folder) / f"model{'.keras' if path.suffix == '.keras' else '.h5'}"
                write_readable(file.path, path)
            return keras.saving.load_model(str(path), **options)
    except Exception as exc:  # Keras raises many types for one fact: this file cannot be rebuilt
        raise ModelError(f"{file.path} cannot be loaded by Keras 3: {_reason(exc)}") from exc


def _reason(exc: Exception) -> str:
    """The telling line of a loader's error, cut to a length that can be read."""
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    telling = next((line for line in lines if line.startswith("Exception encountered: ")), lines[0] if lines else "")
    text = telling.removeprefix("Exception encountered: ") or type(exc).__name__
    return text if len(text) <= 300 else text[:297] + "..."
