"""What a model file is, found out without loading it; and files that would run code or are damaged are refused."""

import contextlib
import io
import json
import re
import sys
import zipfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from edgecnn.errors import EdgecnnError, ModelError, UnsafeModelError
from edgecnn.keras_io.load import load_source
from edgecnn.keras_io.safety import inspect_source
from edgecnn.quiet import quiet
from tests.keras_models import network, save, save_function

JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffdb0043") + bytes(200)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One good file of each kind, by the kind's name."""
    folder = tmp_path_factory.mktemp("good")
    modern, old = network(import_module("keras")), network(import_module("tf_keras"), form="functional")
    return {
        "keras": save(modern, folder / "modern.keras"),
        "keras h5": save(modern, folder / "modern.h5"),
        "tf_keras": save(old, folder / "old.keras"),
        "tf_keras h5": save(old, folder / "old.h5"),
        "saved_model": save(modern, folder / "folder"),
    }


def refusal(path: Path, *, kind: type[EdgecnnError] = ModelError) -> str:
    """The message with which a file is refused: one line that names the file."""
    with pytest.raises(kind) as caught:
        inspect_source(path)
    message = str(caught.value)
    assert message.startswith((str(path), f"no such model: {path}", f"the model description in {path}"))
    assert "\n" not in message
    return message.replace(str(path), "FILE")


def with_config(source: Path, path: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """A copy of an .h5 model with its description changed in place, or replaced by what `change` returns."""
    path.write_bytes(source.read_bytes())
    with h5py.File(path, "a") as file:
        config = json.loads(file.attrs["model_config"])
        file.attrs["model_config"] = json.dumps(change(config) or config)
    return path


def zipped(path: Path, config: str, metadata: str = '{"keras_version": "3.5.0"}') -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", config)
        file.writestr("metadata.json", metadata)
    return path


def call_of(function: str, *, layer: str = "TFOpLambda", key: str = "function") -> Callable[[dict[str, Any]], None]:
    """Adds a layer to a Keras 2 description that calls a function with text while the model is loaded."""

    def change(config: dict[str, Any]) -> None:
        settings = {"name": "extra", "trainable": True, "dtype": "float32", key: function}
        node = ["_CONSTANT_VALUE", -1, "text", {"contents": "text"}]
        config["config"]["layers"].append(
            {"class_name": layer, "name": "extra", "config": settings, "inbound_nodes": [node]}
        )

    return change


def test_the_kind_is_what_the_file_holds(files: dict[str, Path], tmp_path: Path) -> None:
    for name, path in files.items():
        assert inspect_source(path).kind == name.removesuffix(" h5")
    (tmp_path / "model.h5").write_bytes(b"\x1c\0\0\0TFL3" + bytes(8))
    assert inspect_source(tmp_path / "model.h5").kind == "tflite"
    older = tmp_path / "older.keras"  # Keras 2 wrote HDF5 under this name too
    older.write_bytes(files["tf_keras h5"].read_bytes())
    assert load_source(older).classes == 3


@pytest.mark.parametrize("library", ["keras", "tf_keras"])
@pytest.mark.parametrize("form", ["sequential", "nested"])
def test_a_normalization_inside_is_seen(library: str, form: str, tmp_path: Path) -> None:
    for inside in ("rescaling", "normalization", ""):
        path = save(network(import_module(library), inside=inside, form=form), tmp_path / f"{inside}.keras")
        assert inspect_source(path).has_preprocessing == bool(inside)


@pytest.mark.parametrize(("library", "ending"), [("keras", ".keras"), ("tf_keras", ".keras"), ("tf_keras", ".h5")])
@pytest.mark.parametrize("nested", [False, True])
def test_a_lambda_layer_is_refused_and_let_through_on_request(
    library: str, ending: str, nested: bool, tmp_path: Path
) -> None:
    module = import_module(library)
    layers = module.layers
    doubled: Any = layers.Lambda(lambda x: x * 2, output_shape=(8, 8, 3), name="twice")
    if nested:
        doubled = module.Sequential([layers.Input((8, 8, 3)), doubled])
    model = module.Sequential([layers.Input((8, 8, 3)), doubled, layers.Flatten(), layers.Dense(2)])
    path = save(model, tmp_path / f"model{ending}")
    message = refusal(path, kind=UnsafeModelError)
    assert message == (
        "FILE carries Python code in a Lambda layer (twice), which loading would run; "
        "if you trust the file, add --allow-unsafe"
    )
    tensor = np.ones((1, 8, 8, 3), np.float32)
    expected = np.asarray(model(tensor))
    np.testing.assert_allclose(load_source(path, allow_unsafe=True)(tensor), expected, atol=1e-5)


@pytest.mark.parametrize("config", ['"x"', "null", "[]", "{}"])
@pytest.mark.parametrize("name", ["Lambda", "__lambda__"])
def test_a_lambda_with_a_strange_description_is_refused_too(name: str, config: str, tmp_path: Path) -> None:
    path = zipped(tmp_path / "model.keras", f'{{"layers": [{{"class_name": "{name}", "config": {config}}}]}}')
    assert "carries Python code" in refusal(path, kind=UnsafeModelError)


def test_a_class_of_another_module_is_refused_and_imported_on_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "their_layers.py").write_text(
        "import keras\n\n"
        "@keras.saving.register_keras_serializable(package='theirs')\n"
        "class Half(keras.layers.Layer):\n"
        "    def call(self, inputs):\n"
        "        return inputs / 2\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    keras, theirs = import_module("keras"), import_module("their_layers")
    layers = keras.layers
    model = keras.Sequential([layers.Input((4, 4, 1)), theirs.Half(), layers.Flatten(), layers.Dense(2)])
    path = save(model, tmp_path / "model.keras")
    message = refusal(path, kind=UnsafeModelError)
    assert "wants code from the Python module 'their_layers' for 'Half'" in message
    assert inspect_source(path, allow_unsafe=True).modules == ("their_layers",)
    tensor = np.ones((1, 4, 4, 1), np.float32)
    keras.saving.get_custom_objects().clear()
    monkeypatch.delitem(sys.modules, "their_layers")  # as in a process that has never seen it
    np.testing.assert_allclose(load_source(path, allow_unsafe=True)(tensor), np.asarray(model(tensor)), atol=1e-6)


def test_a_module_that_is_not_there_is_named(files: dict[str, Path], tmp_path: Path) -> None:
    description = json.dumps({"class_name": "Sequential", "module": "no_such_module.here", "config": {}})
    with pytest.raises(ModelError, match="cannot be loaded by keras: No module named 'no_such_module'"):
        load_source(zipped(tmp_path / "model.keras", description), allow_unsafe=True)


@pytest.mark.parametrize(
    "function",
    [
        "io.write_file", "io.read_file", "io.gfile.remove", "io.gfile.copy", "compat.v1.gfile.Remove",
        "raw_ops.WriteFile",
        "print", "compat.v1.Print", "keras.backend.print_tensor", "keras.utils.get_file", "keras.models.load_model",
        "py_function", "numpy_function", "compat.v1.py_func", "load_op_library", "load_library", "compat.v1.write_file",
        "saved_model.load", "data.TextLineDataset", "math.x.y", "", "math.multiply\n",
    ],
)  # fmt: skip
def test_calls_that_reach_files_or_code_are_refused(files: dict[str, Path], function: str, tmp_path: Path) -> None:
    path = with_config(files["tf_keras h5"], tmp_path / "model.h5", call_of(function))
    assert f"FILE calls {function!r} of TensorFlow" in refusal(path, kind=UnsafeModelError)
    path = with_config(
        files["tf_keras h5"], tmp_path / "other.h5", call_of(function, layer="ClassMethod", key="cls_symbol")
    )
    refusal(path, kind=UnsafeModelError)


def test_a_refused_call_is_not_made(files: dict[str, Path], tmp_path: Path) -> None:
    target = tmp_path / "written"

    def write(config: dict[str, Any]) -> None:
        call_of("io.write_file")(config)
        config["config"]["layers"][-1]["inbound_nodes"] = [["_CONSTANT_VALUE", -1, str(target), {"contents": "text"}]]

    path = with_config(files["tf_keras h5"], tmp_path / "model.h5", write)
    with pytest.raises(UnsafeModelError):
        load_source(path)
    assert not target.exists()
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_source(path, allow_unsafe=True)
    assert target.exists()  # so the file above was dangerous indeed


def test_the_calls_that_real_models_make_are_allowed(tmp_path: Path) -> None:
    import tensorflow as tf

    library = import_module("tf_keras")
    image = library.layers.Input((8, 8, 3))
    last = tf.image.resize(image[:, 1:7, 1:7] / 127.5 - 1, (4, 4))
    last = tf.nn.relu(tf.concat([last, tf.math.abs(last)], axis=3) + tf.cast(image[:, :4, :4, :1], tf.float32))
    last = library.activations.swish(library.backend.clip(tf.reshape(last, (-1, 4 * 4 * 6)), -1, 1))
    model = library.Model(image, tf.nn.softmax(library.layers.Dense(3)(last)))
    path = save(model, tmp_path / "model.h5")
    calls = re.findall(r'"function": "([\w.]+)"', h5py.File(path).attrs["model_config"])
    assert len(set(calls)) > 6
    tensor = np.full((1, 8, 8, 3), 9, np.float32)
    np.testing.assert_allclose(load_source(path)(tensor), np.asarray(model(tensor)), atol=1e-6)


@pytest.mark.parametrize("name", ["both.h5", "both.keras", "both.hdf5", "both.zip", "both"])
def test_a_file_of_two_kinds_is_not_looked_at_as_one_and_loaded_as_the_other(
    files: dict[str, Path], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where the harmful call would write
    harmless, harmful = io.BytesIO(), with_config(files["tf_keras h5"], tmp_path / "harmful", call_of("io.write_file"))
    with zipfile.ZipFile(harmless, "w") as file:
        file.writestr("config.json", '{"class_name": "Sequential", "config": {}}')
        file.writestr("metadata.json", '{"keras_version": "2.21.0"}')
    path = tmp_path / name
    # HDF5 may begin at byte 512, behind what looks like a zip file, whose directory stands at the end.
    path.write_bytes(harmless.getvalue().ljust(512, b"\0") + harmful.read_bytes() + harmless.getvalue())
    assert h5py.is_hdf5(path)
    assert zipfile.is_zipfile(path)
    with pytest.raises(ModelError):
        load_source(path)
    assert not Path("text").exists()
    path.write_bytes(
        files["tf_keras h5"].read_bytes() + zipped(tmp_path / "lambda", '{"class_name": "x"}').read_bytes()
    )
    if name.endswith(".keras"):
        assert "is no model" in refusal(path)


@pytest.mark.parametrize("operation", ["py_function", "numpy_function", "read_file", "write_file", "matching_files"])
def test_a_saved_model_that_runs_python_or_touches_files_is_refused(operation: str, tmp_path: Path) -> None:
    import tensorflow as tf

    def touch(scores: Any) -> Any:
        if operation in ("py_function", "numpy_function"):
            scores = getattr(tf, operation)(lambda x: x, [scores], tf.float32)
        else:
            values = ("x", "x") if operation == "write_file" else ("x",)
            with tf.control_dependencies([getattr(tf.io, operation)(*values)]):
                scores = tf.identity(scores)
        return tf.ensure_shape(scores, (None, 3))

    def score(image: Any) -> Any:
        return tf.function(touch)(tf.reduce_mean(image, (1, 2)))  # a function inside a function

    path = save_function(score, tmp_path / "model")
    name = {"py_function": "EagerPyFunc", "numpy_function": "PyFunc"}.get(operation, operation.title().replace("_", ""))
    assert f"FILE runs Python or touches files ({name})" in refusal(path, kind=UnsafeModelError)
    assert inspect_source(path, allow_unsafe=True).kind == "saved_model"


@pytest.mark.parametrize("ending", [".keras", ".h5", ".hdf5", ".tflite", ""])
@pytest.mark.parametrize(
    "content", [b"", b"PK", b"hello, I am a text\n" * 20, JPEG, b"\0" * 4096, b"TFL3 at the start"]
)
def test_what_is_no_model_is_refused_whatever_its_name(content: bytes, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"model{ending}"
    path.write_bytes(content)
    message = refusal(path)
    assert message == "FILE is no model: expected a Keras .keras or .h5 file, a SavedModel folder or a .tflite file"


def test_a_missing_path_and_a_plain_folder_are_told_apart(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.keras") == "no such model: FILE"
    assert refusal(tmp_path) == "FILE is no SavedModel: it has no saved_model.pb"
    (tmp_path / "saved_model.pb").write_bytes(JPEG)
    with pytest.raises(ModelError, match=r"saved_model\.pb is damaged"):
        inspect_source(tmp_path)


def test_a_zip_file_that_keras_would_not_open_says_what_to_do(files: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    path.write_bytes(files["keras"].read_bytes())
    assert refusal(path) == "FILE is a zip file; if it is a Keras model, rename it so that it ends in .keras"
    with zipfile.ZipFile(tmp_path / "pictures.keras", "w") as file:
        file.writestr("cat.jpg", JPEG)
    assert refusal(tmp_path / "pictures.keras").startswith("FILE is a zip file but no Keras model: ")


def test_weights_alone_are_refused(tmp_path: Path) -> None:
    for library in ("keras", "tf_keras"):
        path = tmp_path / f"{library}.weights.h5"
        with quiet():
            network(import_module(library)).save_weights(path)
        assert refusal(path) == "FILE holds weights without a model; save it with model.save(), not save_weights()"


@pytest.mark.parametrize(
    ("config", "metadata"),
    [
        ("[" * 100_000, "{}"),
        ("{", "{}"),
        ("[]", "{}"),
        ("3", "{}"),
        ("\x00", "{}"),
        ("{}", "[]"),
        ("{}", "null"),
        ("", ""),
    ],
)
def test_a_damaged_description_is_refused(config: str, metadata: str, tmp_path: Path) -> None:
    message = refusal(zipped(tmp_path / "model.keras", config, metadata))
    assert message.startswith("the model description in FILE is damaged: ")
    assert len(message) < 300


@pytest.mark.parametrize("kind", ["keras", "tf_keras", "keras h5", "tf_keras h5"])
def test_no_damage_does_anything_but_a_clear_error(files: dict[str, Path], kind: str, tmp_path: Path) -> None:
    content, random = files[kind].read_bytes(), np.random.default_rng(5)
    path = tmp_path / f"model{files[kind].suffix}"
    refused = 0
    for attempt in range(120):
        damaged = bytearray(content)
        for place in random.integers(0, len(content), 12):
            damaged[place] = random.integers(256)
        path.write_bytes(damaged[: random.integers(1, len(content))] if attempt % 2 else damaged)
        with contextlib.suppress(ModelError):
            inspect_source(path)
            continue
        refused += 1
    assert refused >= 60  # at least what was cut off
