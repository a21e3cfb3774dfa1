"""What a model file is and whether it carries code, found out without running any of it."""

import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecnn.errors import MissingExtraError, ModelError, UnsafeModelError

_OWN_MODULES = ("keras", "tf_keras", "tensorflow", "builtins")
_PREPROCESSING_LAYERS = ("Rescaling", "Normalization")
# Operations that run Python or touch files; a classifier's graph has no use for them.
_UNSAFE_OPS = re.compile(
    r"(?!ShardedFile|InitializeTable)\w*(PyFunc|File|Reader|Record|Sql|LMDB|Summary|Snapshot|Debug|ImmutableConst"
    r"|SaveDataset|LoadDataset|DistributedSave)\w*"
)
# Keras 2 writes calls of TensorFlow functions into a model by name, and makes them again while it loads.
_CALLS = {"TFOpLambda": "function", "SlicingOpLambda": "function", "ClassMethod": "cls_symbol"}
_SAFE_FUNCTIONS = re.compile(
    r"(compat\.v1\.)?((math|nn|image|linalg|signal|bitwise|random|quantization|__operators__|keras\.(activations|backend))"
    r"\.)?(?!\w*(func|file|reader|load|import|print))\w+",
    re.IGNORECASE,
)
# What zipfile raises on damage, encryption and unknown compression.
_DAMAGED_ZIP = (KeyError, zipfile.BadZipFile, OSError, EOFError, RuntimeError, ValueError, zlib.error)


@dataclass(frozen=True)
class SourceFile:
    """A model file, looked at but not loaded.

    Attributes:
        path: the file or SavedModel folder.
        kind: "keras" (Keras 3), "tf_keras" (Keras 2), "saved_model" or "tflite".
        has_preprocessing: a Rescaling or Normalization layer stands in the model.
        modules: Python modules besides Keras' own whose code the model wants; empty unless that was allowed.
    """

    path: Path
    kind: str
    has_preprocessing: bool = False
    modules: tuple[str, ...] = ()


def inspect_source(path: str | Path, *, allow_unsafe: bool = False) -> SourceFile:
    """Find out what a model file is by its content, and refuse one that carries code.

    Raises:
        ModelError: missing, or no model of a kind that edgecnn reads.
        UnsafeModelError: a Lambda layer, code from elsewhere, or operations that touch files.
    """
    path = Path(path)
    if not path.exists():
        raise ModelError(f"no such model: {path}")
    if path.is_dir():
        return _saved_model(path, allow_unsafe)
    head = _head(path)
    if head[4:8] == b"TFL3":
        return SourceFile(path, "tflite")
    # Keras goes by the ending too, and a file can be both kinds at once: what is looked at here must be what it loads.
    keras_ending = str(path).endswith(".keras")
    if head[:8] == b"\x89HDF\r\n\x1a\n" and not (keras_ending and zipfile.is_zipfile(path)):
        version, config = _hdf5_config(path)
    elif head[:4] == b"PK\x03\x04" and keras_ending:
        version, config = _keras_zip_config(path)
    elif head[:4] == b"PK\x03\x04":
        raise ModelError(f"{path} is a zip file; if it is a Keras model, rename it so that it ends in .keras")
    else:
        raise ModelError(
            f"{path} is no model: expected a Keras .keras or .h5 file, a SavedModel folder or a .tflite file"
        )
    if not allow_unsafe:
        _refuse_code(path, config)
    kind = "keras" if version.startswith("3") else "tf_keras"
    has_preprocessing = any(node.get("class_name") in _PREPROCESSING_LAYERS for node in _nodes(config))
    modules = {node["module"] for node in _nodes(config) if _is_foreign(node)}
    return SourceFile(path, kind, has_preprocessing, tuple(sorted(modules)))


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(8)
    except OSError as exc:
        raise ModelError(f"cannot read the model {path}: {exc.strerror or exc}") from exc


def _hdf5_config(path: Path) -> tuple[str, Any]:
    try:
        import h5py
    except ImportError as exc:
        raise MissingExtraError("h5py, which reads .h5 models,", "train") from exc
    try:
        with h5py.File(path, "r") as file:
            config, version = file.attrs.get("model_config"), file.attrs.get("keras_version", "2")
    except (OSError, KeyError, RuntimeError, TypeError, ValueError) as exc:  # h5py has no error of its own for damage
        raise ModelError(f"{path} is a damaged HDF5 file: {exc}") from exc
    if config is None:
        raise ModelError(f"{path} holds weights without a model; save it with model.save(), not save_weights()")
    return _text(version), _json(path, _text(config))


def _keras_zip_config(path: Path) -> tuple[str, Any]:
    try:
        with zipfile.ZipFile(path) as file:
            config, metadata = file.read("config.json"), file.read("metadata.json")
    except _DAMAGED_ZIP as exc:
        raise ModelError(f"{path} is a zip file but no Keras model: {exc}") from exc
    return str(_json(path, _text(metadata)).get("keras_version", "3")), _json(path, _text(config))


def _json(path: Path, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ModelError(f"the model description in {path} is damaged: {exc}") from exc
    if not isinstance(value, dict):
        raise ModelError(f"the model description in {path} is damaged: expected a JSON object, got {text[:40]!r}")
    return value


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _nodes(config: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object inside a model's configuration."""
    stack = [config]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            yield item
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def _refuse_code(path: Path, config: Any) -> None:
    for node in _nodes(config):
        name, inner = node.get("class_name"), node.get("config")
        inner = inner if isinstance(inner, dict) else {}
        if name in ("Lambda", "__lambda__") or node.get("function_type") == "lambda":
            layer = (node.get("name") or inner.get("name", "")) if name == "Lambda" else ""
            raise UnsafeModelError(
                f"{path} carries Python code in a Lambda layer{f' ({layer})' if layer else ''}, "
                "which loading would run; if you trust the file, add --allow-unsafe"
            )
        function = inner.get(_CALLS[name]) if isinstance(name, str) and name in _CALLS else None
        if function is not None and not _SAFE_FUNCTIONS.fullmatch(str(function)):
            raise UnsafeModelError(
                f"{path} calls {function!r} of TensorFlow, which may run code or touch files; if you trust the file, "
                "add --allow-unsafe"
            )
        if _is_foreign(node):
            raise UnsafeModelError(
                f"{path} wants code from the Python module {node['module']!r} for {name!r}; if you trust it and it is "
                "importable, add --allow-unsafe"
            )


def _is_foreign(node: dict[str, Any]) -> bool:
    module = node.get("module")
    return isinstance(module, str) and module.partition(".")[0] not in _OWN_MODULES


def _saved_model(path: Path, allow_unsafe: bool) -> SourceFile:
    if not (path / "saved_model.pb").is_file():
        raise ModelError(f"{path} is no SavedModel: it has no saved_model.pb")
    try:
        from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
    except ImportError as exc:
        raise MissingExtraError("TensorFlow", "train") from exc
    try:
        saved = SavedModel.FromString((path / "saved_model.pb").read_bytes())
    except Exception as exc:  # protobuf's DecodeError has no common base between its versions
        raise ModelError(f"{path}/saved_model.pb is damaged: {exc}") from exc
    for graph in saved.meta_graphs:
        functions = graph.graph_def.library.function
        nodes = [*graph.graph_def.node, *(node for function in functions for node in function.node_def)]
        unsafe = sorted({node.op for node in nodes if _UNSAFE_OPS.fullmatch(node.op)})
        if unsafe and not allow_unsafe:
            raise UnsafeModelError(
                f"{path} runs Python or touches files ({', '.join(unsafe)}); if you trust it, add --allow-unsafe"
            )
    return SourceFile(path, "saved_model")
