"""Load a Keras model of any vintage as one thing: a function from pictures to scores, with known shapes."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.errors import MissingExtraError, ModelError
from edgecnn.keras_io.safety import SourceFile, inspect_source
from edgecnn.quiet import quiet
from edgecnn.signature import Shape, check_signature


@dataclass(frozen=True)
class KerasSource:
    """A loaded Keras model or SavedModel.

    Attributes:
        file: where it came from.
        height, width: of the input in pixels, -1 where the model takes any.
        channels: 1 or 3.
        classes: elements of the output.
        function: TensorFlow function of one float32 tensor (batch, height, width, channels) to scores, in
            inference mode.
        owner: the object that holds the weights; kept so that they live as long as `function`.
    """

    file: SourceFile
    height: int
    width: int
    channels: int
    classes: int
    function: Callable[[Any], Any]
    owner: Any

    def __call__(self, tensors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores (batch, classes) of float32 tensors (batch, height, width, channels), one at a time.

        One at a time, because a model may have been saved with a fixed batch size of 1.
        """
        import tensorflow as tf

        rows = [np.asarray(self.function(tf.constant(tensor[None]))).reshape(-1) for tensor in tensors]
        return np.stack(rows).astype(np.float32)


def load_source(path: str | Path, *, allow_unsafe: bool = False) -> KerasSource:
    """Load a `.keras`, `.h5` or SavedModel with the Keras that can read it.

    Raises:
        ModelError: no model, no single-image classifier, or a layer that is not known.
        UnsafeModelError: it carries code and `allow_unsafe` is False.
        MissingExtraError: TensorFlow is not installed.
    """
    file = inspect_source(path, allow_unsafe=allow_unsafe)
    if file.kind == "tflite":
        raise ModelError(f"{path} is a .tflite file; a Keras model was expected")
    _require_tensorflow()
    if file.kind == "saved_model":
        return _from_saved_model(file)
    return _from_keras(file, allow_unsafe)


def wrap_keras_model(model: Any, file: SourceFile) -> KerasSource:
    """A Keras model object (Keras 3 with the TensorFlow backend, or tf_keras) as a source.

    Raises:
        ModelError: it is not built, or no single-image classifier.
    """
    import tensorflow as tf

    inputs, outputs = getattr(model, "inputs", None), getattr(model, "outputs", None)
    if not inputs or not outputs:
        raise ModelError(f"{file.path} has no fixed inputs; give its first layer an input shape and save it again")
    image, classes = _checked(file, _named_shapes(inputs), _named_shapes(outputs))
    structure = getattr(model, "input", None)  # Keras 3 has none for a Sequential

    def function(tensor: Any) -> Any:
        named = dict.fromkeys(structure, tensor) if isinstance(structure, dict) else tensor
        return tf.nest.flatten(model(named, training=False))[0]

    return _source(file, image, classes, function, model)


def _from_keras(file: SourceFile, allow_unsafe: bool) -> KerasSource:
    module: Any = _keras_module(file.kind)
    options = {"compile": False, **({"safe_mode": False} if allow_unsafe else {})}
    try:
        with quiet():  # old files load with deprecation notes that their user can do nothing about
            for name in file.modules:
                import_module(name)  # registers its layers with Keras
            model = module.load_model(str(file.path), **options)
    except Exception as exc:  # Keras raises many types for one fact: this file cannot be rebuilt
        raise ModelError(f"{file.path} cannot be loaded by {file.kind}: {_reason(exc)}") from exc
    return wrap_keras_model(model, file)


def _from_saved_model(file: SourceFile) -> KerasSource:
    import tensorflow as tf

    try:
        with quiet():
            loaded = tf.saved_model.load(str(file.path))
    except Exception as exc:  # TensorFlow raises OSError, ValueError, its own errors for damaged folders
        raise ModelError(f"{file.path} cannot be loaded as a SavedModel: {_reason(exc)}") from exc
    signatures = dict(loaded.signatures)
    if not signatures:
        raise ModelError(f"{file.path} has no signature to call; save it with model.export()")
    signature = signatures.get("serving_default") or next(iter(signatures.values()))
    inputs = signature.structured_input_signature[1]
    outputs = signature.structured_outputs
    image, classes = _checked(
        file,
        {name: _shape(spec.shape) for name, spec in inputs.items()},
        {name: _shape(spec.shape) for name, spec in outputs.items()},
    )
    input_name, output_name = next(iter(inputs)), next(iter(outputs))
    spec = inputs[input_name]
    if spec.dtype != tf.float32 or spec.shape[0] not in (None, 1):
        raise ModelError(
            f"{file.path}: expected an input of float32 for one picture or any number of them, got {spec.dtype.name} "
            f"for {spec.shape[0] or 'any number'} in {input_name!r}; export it again"
        )

    def function(tensor: Any) -> Any:
        return signature(**{input_name: tensor})[output_name]

    return _source(file, image, classes, function, loaded)


def _checked(file: SourceFile, inputs: dict[str, Shape], outputs: dict[str, Shape]) -> tuple[Shape, int]:
    try:
        return check_signature(inputs, outputs)
    except ModelError as exc:
        raise ModelError(f"{file.path}: {exc}") from exc


def _source(file: SourceFile, image: Shape, classes: int, function: Callable[[Any], Any], owner: Any) -> KerasSource:
    height, width, channels = image
    return KerasSource(file, height, width, channels, classes, function, owner)


def _keras_module(kind: str) -> Any:
    if kind == "keras":
        import keras

        if keras.backend.backend() != "tensorflow":
            raise ModelError(
                f"conversion needs Keras' TensorFlow backend, got {keras.backend.backend()!r}; "
                "set KERAS_BACKEND=tensorflow"
            )
        return keras.saving
    try:
        import tf_keras
    except ImportError as exc:
        raise MissingExtraError("tf_keras, which reads models of Keras 2,", "train") from exc
    return tf_keras.models


def _require_tensorflow() -> None:
    try:
        import tensorflow  # noqa: F401
    except ImportError as exc:
        raise MissingExtraError("TensorFlow", "train") from exc


def _named_shapes(tensors: list[Any]) -> dict[str, Shape]:
    return {f"{getattr(tensor, 'name', '')}" or str(i): _shape(tensor.shape) for i, tensor in enumerate(tensors)}


def _shape(shape: Any) -> Shape:
    """A TensorFlow or Keras shape with -1 for what is open; () where even the rank is."""
    if getattr(shape, "rank", 0) is None:
        return ()
    return tuple(-1 if n is None else int(n) for n in shape)


def _reason(exc: Exception) -> str:
    """The telling line of a loader's error: its first, cut to a length that can be read."""
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    text = lines[0] if lines else type(exc).__name__
    return text if len(text) <= 300 else text[:297] + "..."
