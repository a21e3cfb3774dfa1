"""Only single-image classifiers are loaded; everything else is refused with one line that says why."""

import re
import shutil
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.errors import EdgecnnError, MissingExtraError, ModelError
from edgecnn.keras_io.load import load_source, wrap_keras_model
from edgecnn.keras_io.safety import SourceFile
from tests.keras_models import network, pictures, save, save_function, scores

LIBRARIES = ("keras", "tf_keras")


def two_inputs(library: Any) -> Any:
    layers = library.layers
    left, right = layers.Input((8, 8, 3), name="left"), layers.Input((8, 8, 3), name="right")
    return library.Model([left, right], layers.Dense(3)(layers.Flatten()(layers.Add()([left, right]))))


def outputs(*shapes: tuple[int, ...]) -> Callable[[Any], Any]:
    """A network of one picture with outputs of these shapes."""

    def make(library: Any) -> Any:
        layers = library.layers
        image = layers.Input((8, 8, 3))
        flat = layers.Flatten()(image)
        heads = [layers.Reshape(shape)(layers.Dense(int(np.prod(shape)))(flat)) for shape in shapes]
        return library.Model(image, heads if len(heads) > 1 else heads[0])

    return make


def of_input(*shape: int | None) -> Callable[[Any], Any]:
    def make(library: Any) -> Any:
        return library.Sequential([library.layers.Input(shape), library.layers.Activation("relu")])

    return make


def backbone(library: Any) -> Any:
    return library.Sequential([library.layers.Input((8, 8, 3)), library.layers.Conv2D(4, 3)])


def unbuilt(library: Any) -> Any:
    return library.Sequential([library.layers.Conv2D(4, 3), library.layers.Flatten(), library.layers.Dense(3)])


REFUSED: list[tuple[str, Callable[[Any], Any], str]] = [
    ("two inputs", two_inputs, r"expected a model with one image input, got 2 inputs \(.*8, 8, 3.*\)"),
    ("two outputs", outputs((3,), (4,)), r"expected a model with one output of scores, got 2 \(.*\)$"),
    ("detector of four", outputs((5, 4), (5,), (5,), (1,)), "got 4 .*this looks like a detector"),
    ("detector of one", outputs((5, 4)), r"expected an output of class scores \(batch, classes\), got \(\?, 5, 4\)"),
    ("backbone", backbone, r"got \(\?, 6, 6, 4\) in .*backbones without a head are no classifiers"),
    ("flat vector", of_input(784), r"got a flat vector \(\?, 784\) in .*; put a Reshape layer in front"),
    ("channels first", of_input(3, 8, 8), r"got \(\?, 3, 8, 8\) in .*; channels must come last"),
    ("two channels", of_input(8, 8, 2), r"1 or 3 channels\), got \(\?, 8, 8, 2\)"),
    ("video", of_input(5, 8, 8, 3), r"got \(\?, 5, 8, 8, 3\)"),
    ("any channels", of_input(8, 8, None), r"got \(\?, 8, 8, \?\)"),
]


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(EdgecnnError) as caught:
        load_source(path, **options)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value).replace(str(path), "FILE")


@pytest.mark.parametrize(("make", "reason"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
@pytest.mark.parametrize("library", LIBRARIES)
def test_what_is_no_single_image_classifier_says_why(
    library: str, make: Callable[[Any], Any], reason: str, tmp_path: Path
) -> None:
    model = make(import_module(library))
    message = refusal(save(model, tmp_path / ("model.keras" if library == "keras" else "model.h5")))
    assert re.search("^FILE: .*" + reason, message), message


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_same_holds_for_a_saved_model(library: str, tmp_path: Path) -> None:
    module = import_module(library)
    for name, make, reason in REFUSED[:5]:
        assert re.search(reason, refusal(save(make(module), tmp_path / name.replace(" ", "_")))), name


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_model_that_is_not_built_is_refused(library: str, tmp_path: Path) -> None:
    path = save(unbuilt(import_module(library)), tmp_path / "model.keras")
    assert refusal(path) == "FILE has no fixed inputs; give its first layer an input shape and save it again"


def test_a_model_built_by_its_first_call_is_taken(tmp_path: Path) -> None:
    for library in LIBRARIES:
        model = unbuilt(import_module(library))
        tensors = pictures(2, 8, 8)
        expected = scores(model, tensors)
        source = load_source(save(model, tmp_path / f"{library}.keras"))
        np.testing.assert_allclose(source(tensors), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("shape", "dtype", "reason"),
    [
        ((None, 8, 8, 3), "uint8", "got uint8 for any number in 'image'; export it again"),
        ((4, 8, 8, 3), "float32", "got float32 for 4 in 'image'; export it again"),
        ((None, 8, 8, 3), "float64", "got float64"),
        ((None,), "string", r"expected an image input .*, got \(\?\) in 'image'"),
        (None, "float32", r"expected an image input .*, got \(\) in 'image'"),
    ],
)
def test_a_signature_that_takes_something_else_is_refused(
    shape: tuple[int | None, ...] | None, dtype: str, reason: str, tmp_path: Path
) -> None:
    import tensorflow as tf

    def score(image: Any) -> Any:
        return tf.zeros((1, 3)) + tf.cast(tf.size(image), tf.float32)

    path = save_function(score, tmp_path / "model", shape=shape, dtype=dtype)
    assert re.search(f"^FILE: .*{reason}", refusal(path))


def test_labels_as_output_are_no_scores(tmp_path: Path) -> None:
    import tensorflow as tf

    path = save_function(lambda image: tf.argmax(tf.reduce_mean(image, (1, 2)), axis=1), tmp_path / "model")
    assert "expected an output of class scores" in refusal(path)
    tf.saved_model.save(tf.Module(), str(tmp_path / "bare"))
    assert refusal(tmp_path / "bare") == "FILE has no signature to call; save it with model.export()"


def test_a_saved_model_without_its_variables_is_refused(tmp_path: Path) -> None:
    path = save(network(import_module("keras")), tmp_path / "model")
    shutil.rmtree(path / "variables")
    assert refusal(path).startswith("FILE cannot be loaded as a SavedModel: ")


@pytest.mark.parametrize(("library", "ending"), [("keras", ".keras"), ("keras", ".h5"), ("tf_keras", ".h5")])
def test_a_file_that_is_cut_off_is_refused(library: str, ending: str, tmp_path: Path) -> None:
    whole = save(network(import_module(library)), tmp_path / f"whole{ending}").read_bytes()
    path = tmp_path / f"part{ending}"
    for share in (0.02, 0.3, 0.6, 0.9, 0.99):
        path.write_bytes(whole[: int(share * len(whole))])
        assert refusal(path)


def test_a_tflite_file_is_none(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(100))
    assert refusal(path) == "FILE is a .tflite file; a Keras model was expected"


@pytest.mark.parametrize(
    ("missing", "library", "ending", "what"),
    [
        ("tensorflow", "keras", ".keras", "TensorFlow"),
        ("tensorflow", "keras", "", "TensorFlow"),
        ("h5py", "tf_keras", ".h5", "h5py, which reads .h5 models,"),
        ("tf_keras", "tf_keras", ".h5", "tf_keras, which reads models of Keras 2,"),
    ],
)
def test_what_is_not_installed_is_told_with_the_line_to_type(
    missing: str, library: str, ending: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(network(import_module(library)), tmp_path / f"model{ending}")
    for name in [missing, *(name for name in sys.modules if name.startswith(f"{missing}."))]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError) as caught:
        load_source(path)
    assert str(caught.value) == f"{what} is not installed; type: pip install 'edgecnn[train]'"


def test_another_backend_of_keras_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(network(import_module("keras")), tmp_path / "model.keras")
    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    with pytest.raises(ModelError, match="TensorFlow backend, got 'jax'; set KERAS_BACKEND=tensorflow"):
        load_source(path)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_model_object_is_wrapped_in_inference_mode(library: str) -> None:
    model = network(import_module(library))
    source = wrap_keras_model(model, SourceFile(Path("memory"), library))
    tensors = pictures(3, 8, 6)
    np.testing.assert_array_equal(source(tensors), source(tensors))  # dropout is off
    np.testing.assert_allclose(source(tensors), scores(model, tensors), atol=1e-6)
    assert source(tensors).dtype == np.float32
    assert source(tensors).shape == (3, 3)
