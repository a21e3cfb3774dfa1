"""Keras files of any vintage load with Keras 3, compute the same, and are plain Keras 3 files when saved again."""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.errors import EdgecnnError, ModelError, UnsafeModelError
from edgecnn.keras_io.network import load_network
from edgecnn.quiet import quiet
from tests.keras_models import network, pictures, save, scores


def stack(*names: str, **options: Any) -> Callable[[Any], Any]:
    """A classifier made of these layers, the first of them with the options."""

    def make(library: Any) -> Any:
        layers = library.layers
        first, *others = [getattr(layers, name) for name in names]
        body = [first(**options), *(layer(4, 3) if "Conv" in layer.__name__ else layer() for layer in others)]
        return library.Sequential([layers.Input((8, 8, 3)), *body, layers.GlobalMaxPooling2D(), layers.Dense(3)])

    return make


def functions(library: Any) -> Any:
    """TensorFlow's own functions in the graph, as preprocess_input() and `x + y` leave them there."""
    import tensorflow as tf

    layers = library.layers
    image = layers.Input((8, 8, 3))
    x = library.applications.mobilenet_v2.preprocess_input(image)
    x = x - [0.1, 0.2, 0.3]
    y = layers.Conv2D(3, 3, padding="same", name="a/b")(x)
    z = tf.nn.relu(x + y) * y - x
    z = tf.nn.relu6(z * 3.0 + 3.0) / 6.0
    return library.Model(image, tf.nn.softmax(tf.reduce_mean(z, axis=[1, 2])))


def nested(library: Any) -> Any:
    """A Sequential of Sequentials, the first with a Functional inside, and two layers of one name."""
    layers = library.layers
    image = layers.Input((8, 8, 3))
    inner = library.Model([image], [layers.ReLU(6.0)(layers.DepthwiseConv2D(3, name="same")(image))])
    body = library.Sequential([layers.Input((8, 8, 3)), inner, layers.GlobalAveragePooling2D()])
    head = library.Sequential([layers.Input((3,)), layers.Dense(5, name="same"), layers.Dense(3, "softmax")])
    return library.Sequential([layers.Input((8, 8, 3)), body, head])


def half(library: Any) -> Any:
    library.mixed_precision.set_global_policy("mixed_float16")
    try:
        return network(library)
    finally:
        library.mixed_precision.set_global_policy("float32")


KERAS2: dict[str, Callable[[Any], Any]] = {
    "sequential": network,
    "nested": nested,
    "branch": lambda library: network(library, form="functional"),
    "normalization": lambda library: network(library, inside="normalization"),
    "functions": functions,
    "separable": stack("SeparableConv2D", filters=4, kernel_size=3),
    "transposed": stack("Conv2DTranspose", filters=4, kernel_size=3),
    "activations": stack("LeakyReLU", "PReLU", "ELU", "Conv2D", alpha=0.2),
    "augmenting": stack("RandomFlip", "Conv2D", mode="horizontal"),
    "dropout": stack("SpatialDropout2D", "Conv2D", rate=0.2),
}


@pytest.mark.parametrize(
    ("name", "ending"),
    [*((name, ".h5") for name in KERAS2), *((name, ".keras") for name in ("sequential", "nested", "functions"))],
)
def test_a_file_of_keras_2_computes_the_same_and_is_saved_as_one_of_keras_3(
    name: str, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keras = import_module("keras")
    old = KERAS2[name](import_module("tf_keras"))
    path = save(old, tmp_path / f"old{ending}")
    tensors = pictures(3, *old.input_shape[1:3])
    expected = np.asarray(old(tensors, training=False))
    monkeypatch.setitem(sys.modules, "tf_keras", None)  # an import of it fails now
    model = load_network(path)
    again = keras.saving.load_model(save(model, tmp_path / "new.keras"))  # without custom objects
    for loaded in (model, again):
        np.testing.assert_allclose(np.asarray(loaded(tensors, training=False)), expected, rtol=1e-5, atol=1e-6)


def test_half_precision_of_keras_2_becomes_whole(tmp_path: Path) -> None:
    old = half(import_module("tf_keras"))
    model = load_network(save(old, tmp_path / "old.h5"))
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    tensors = pictures(3, 8, 6)
    np.testing.assert_allclose(scores(model, tensors), scores(old, tensors), atol=0.01)


@pytest.mark.parametrize("ending", [".h5", ".keras"])
def test_a_file_of_keras_3_is_taken_as_it_is(ending: str, tmp_path: Path) -> None:
    new = network(import_module("keras"), form="named")
    model = load_network(save(new, tmp_path / f"new{ending}"))
    tensors = pictures(3, 8, 6)
    np.testing.assert_array_equal(scores(model, tensors), scores(new, tensors))


def refusal(path: Path, kind: type[EdgecnnError] = ModelError) -> str:
    with pytest.raises(kind) as caught:
        load_network(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value).replace(str(path), "FILE")


def test_what_cannot_be_trained_is_refused_in_one_line(tmp_path: Path) -> None:
    import tensorflow as tf

    keras, old = import_module("keras"), import_module("tf_keras")
    folder = save(network(keras), tmp_path / "folder")
    assert refusal(folder) == "FILE is a SavedModel, which cannot be trained; save the model as .keras"
    lite = tmp_path / "model.tflite"
    lite.write_bytes(b"\x1c\0\0\0TFL3" + bytes(100))
    assert refusal(lite).startswith("FILE is a .tflite file, which cannot be trained")
    assert refusal(tmp_path / "none.keras") == "no such model: FILE"
    layers = old.layers
    image = layers.Input((8, 8, 3))
    odd = save(old.Model(image, tf.math.reduce_max(image, axis=[1, 2])), tmp_path / "odd.h5")
    assert "it calls TensorFlow's 'math.reduce_max', which has no Keras layer" in refusal(odd)
    gone = save(stack("ThresholdedReLU", "Conv2D")(old), tmp_path / "gone.h5")
    assert "Unknown layer: 'ThresholdedReLU'" in refusal(gone)
    code = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Lambda(lambda x: x)])
    assert "carries Python code" in refusal(save(code, tmp_path / "code.keras"), UnsafeModelError)


def test_an_argument_that_keras_3_dropped_and_that_says_something_is_refused(tmp_path: Path) -> None:
    layers = import_module("tf_keras").layers
    model = import_module("tf_keras").Sequential(
        [layers.Input((8, 8, 3)), layers.BatchNormalization(virtual_batch_size=2), layers.Flatten(), layers.Dense(2)]
    )
    assert "virtual_batch_size" in refusal(save(model, tmp_path / "old.h5"))


def test_a_model_of_two_pictures_is_refused(tmp_path: Path) -> None:
    keras = import_module("keras")
    images = [keras.Input((8, 8, 3)), keras.Input((8, 8, 3))]
    path = save(keras.Model(images, keras.layers.Add()(images)), tmp_path / "two.keras")
    assert "expected a model with one image input, got 2 inputs" in refusal(path)


def test_the_backbone_of_keras_2_and_its_twin_of_keras_3_agree(shared_data: Path) -> None:
    folder = shared_data / "models"
    tensors = pictures(2, 224, 224) / 127.5 - 1
    new, old = (
        np.asarray(load_network(folder / f"mobilenetv2_a035_224_notop_imagenet{end}")(tensors))
        for end in (".keras", "_tfkeras.h5")
    )
    assert new.shape == (2, 7, 7, 1280)
    assert float(np.abs(new - old).max()) <= 5e-5 * float(np.abs(new).max())


def test_a_teachable_machine_export_computes_what_tf_keras_computes(shared_data: Path) -> None:
    path = shared_data / "models" / "teachable_machine_waste.h5"
    with quiet():
        old = import_module("tf_keras").models.load_model(path, compile=False)
    tensors = pictures(2, 224, 224) / 127.5 - 1
    np.testing.assert_allclose(scores(load_network(path), tensors), scores(old, tensors), atol=5e-5)
