"""Models of every form and file kind: the float `.tflite` must compute what Keras computes, or say that it does not."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.bundle.tflite import describe, first_signature
from edgecnn.errors import ConversionError, ParityError
from edgecnn.keras_io.export import check_parity, export_float
from edgecnn.keras_io.load import KerasSource, load_source
from edgecnn.runtime.interpreter import Engine
from tests.keras_models import network, pictures, save, save_function, scores

LIBRARIES = ("keras", "tf_keras")
FILES = [(library, ending, "nested") for library in LIBRARIES for ending in (".keras", ".h5", ".hdf5", "SavedModel")]
FORMS = [
    ("keras", ".keras", "sequential"),
    ("keras", ".keras", "functional"),
    ("keras", ".keras", "named"),
    ("keras", "SavedModel", "named"),
    ("tf_keras", ".h5", "sequential"),
    ("tf_keras", ".h5", "functional"),
    ("tf_keras", ".h5", "named"),
    ("tf_keras", "SavedModel", "functional"),
]
KINDS: list[dict[str, Any]] = [
    {"head": "activation"},
    {"head": "logits"},
    {"head": "sigmoid"},
    {"inside": "rescaling"},
    {"inside": "rescaling", "form": "nested"},
    {"inside": "normalization"},
    {"inside": "normalization", "form": "functional", "channels": 1},
    {"channels": 1},
    {"size": (None, None)},
    {"size": (None, None), "form": "nested", "channels": 1},
    {"size": (8, None)},
    {"batch": 1},
    {"batch": 4},
]


def converted(path: Path, *, height: int = 8, width: int = 6) -> tuple[KerasSource, bytes]:
    source = load_source(path)
    return source, export_float(source, width=width, height=height)


def run(content: bytes, tensors: Any) -> Any:
    engine = Engine(content)
    return np.stack([engine.run(tensor) for tensor in tensors])


@pytest.mark.parametrize(("library", "ending", "form"), FILES + FORMS)
def test_every_file_kind_and_form_computes_the_same(library: str, ending: str, form: str, tmp_path: Path) -> None:
    model = network(import_module(library), form=form)
    tensors = pictures(6, 8, 6)
    expected = scores(model, tensors)
    source, content = converted(save(model, tmp_path / (f"model{ending}" if ending.startswith(".") else ending)))
    np.testing.assert_allclose(run(content, tensors), expected, atol=1e-5)
    np.testing.assert_allclose(source(tensors), expected, atol=1e-5)
    assert np.ptp(expected, axis=0).max() > 0.01  # a model that always says the same would prove nothing
    assert (source.height, source.width, source.channels, source.classes) == (8, 6, 3, 3)
    assert source.file.kind == ("saved_model" if ending == "SavedModel" else library)


@pytest.mark.parametrize("options", KINDS, ids=lambda options: "-".join(map(str, options.values())))
@pytest.mark.parametrize(("library", "ending"), [("keras", ".keras"), ("tf_keras", ".h5")])
def test_every_kind_of_network_computes_the_same(
    library: str, ending: str, options: dict[str, Any], tmp_path: Path
) -> None:
    model = network(import_module(library), **options)
    tensors = pictures(4, 8, 6, options.get("channels", 3))
    expected = scores(model, np.repeat(tensors, options.get("batch") or 1, axis=0)[:: options.get("batch") or 1])
    source, content = converted(save(model, tmp_path / f"model{ending}"))
    np.testing.assert_allclose(run(content, tensors), expected, atol=1e-4 * max(1, np.abs(expected).max()))
    parity = check_parity(source, content, tensors)
    assert (parity.samples, parity.max_abs_difference <= parity.tolerance) == (4, True)
    height, width = options.get("size", (8, 6))
    assert (source.height, source.width) == (height or -1, width or -1)
    assert source.classes == (1 if options.get("head") == "sigmoid" else 3)


@pytest.mark.parametrize(
    ("head", "kind"),
    [("softmax", "softmax"), ("activation", "softmax"), ("logits", "logits"), ("sigmoid", "sigmoid")],
)
def test_the_head_is_recognised(head: str, kind: str, tmp_path: Path) -> None:
    model = network(import_module("keras"), head=head)
    assert describe(converted(save(model, tmp_path / "model.keras"))[1]).head == kind


@pytest.mark.parametrize("shape", [(1, 8, 6, 3), (None, 8, 6, 3), (None, None, None, 3)])
def test_a_plain_tensorflow_module_with_one_signature(shape: tuple[int | None, ...], tmp_path: Path) -> None:
    import tensorflow as tf

    weights = tf.Variable(tf.random.stateless_normal((3, 4), seed=(1, 2)) / 100)

    def score(image: Any) -> Any:
        return {"scores": tf.nn.softmax(tf.reduce_mean(image, (1, 2)) @ weights)}

    source, content = converted(save_function(score, tmp_path / "plain", shape=shape, variable=weights))
    tensors = pictures(4, 8, 6)
    expected = np.asarray(score(tensors)["scores"])
    np.testing.assert_allclose(run(content, tensors), expected, atol=1e-5)
    assert (source.classes, check_parity(source, content, tensors).samples) == (4, 4)


def test_the_result_has_a_signature_fixed_shapes_and_equal_bytes(tmp_path: Path) -> None:
    source, content = converted(save(network(import_module("keras"), size=(None, None)), tmp_path / "model.keras"))
    assert describe(content).inputs[0].shape == (1, 8, 6, 3)
    assert first_signature(content).input_tensor
    assert export_float(source, width=6, height=8) == content


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> tuple[KerasSource, bytes]:
    return converted(save(network(import_module("keras")), tmp_path_factory.mktemp("good") / "model.keras"))


def changed(path: Path, change: Any) -> bytes:
    """The conversion of the same network with its weights changed."""
    model = network(import_module("keras"))
    model.set_weights([change(array) for array in model.get_weights()])
    return converted(save(model, path / "changed.keras"))[1]


def test_lost_weights_are_a_parity_error(good: tuple[KerasSource, bytes], tmp_path: Path) -> None:
    with pytest.raises(ParityError, match=r"computes something else than .*model\.keras"):
        check_parity(good[0], changed(tmp_path, np.zeros_like), pictures(4, 8, 6))


def test_the_error_names_the_worst_output_and_both_values(good: tuple[KerasSource, bytes], tmp_path: Path) -> None:
    def lift_the_last_bias(array: Any) -> Any:
        return array + np.array([0, 0.01, 0.5], np.float32) if array.shape == (3,) else array

    tensors = pictures(5, 8, 6)
    broken = changed(tmp_path, lift_the_last_bias)
    difference = np.abs(run(broken, tensors) - good[0](tensors))
    sample, output = np.unravel_index(np.argmax(difference), difference.shape)
    with pytest.raises(ParityError) as caught:
        check_parity(good[0], broken, tensors)
    found = re.search(r"output (\d+) of sample (\d+) is ([\d.]+), Keras gives ([\d.]+)", str(caught.value))
    assert found
    assert (int(found[2]), int(found[1])) == (int(sample), int(output))
    assert float(found[3]) == pytest.approx(run(broken, tensors)[sample, output], rel=1e-4)
    assert float(found[4]) == pytest.approx(good[0](tensors)[sample, output], rel=1e-4)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_a_parity_error(value: float, good: tuple[KerasSource, bytes], tmp_path: Path) -> None:
    broken = changed(tmp_path, lambda array: np.full_like(array, value))
    with pytest.raises(ParityError, match=r"output 0 of sample 0 is (nan|inf)"):
        check_parity(good[0], broken, pictures(3, 8, 6))


def test_a_difference_of_rounding_is_none(good: tuple[KerasSource, bytes], tmp_path: Path) -> None:
    parity = check_parity(good[0], changed(tmp_path, lambda array: array * (1 + 1e-6)), pictures(4, 8, 6))
    assert 0 < parity.max_abs_difference < parity.tolerance


def test_an_operation_without_a_counterpart_is_named(tmp_path: Path) -> None:
    import tensorflow as tf

    path = save_function(lambda image: tf.math.digamma(tf.reduce_mean(image, (1, 2))), tmp_path / "strange")
    with pytest.raises(ConversionError) as caught:
        converted(path, height=8, width=8)
    assert str(caught.value) == (
        f"{path} cannot be converted to TFLite: the device's runtime has no operation for Digamma; replace these layers"
    )


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_model_that_computes_in_float16_is_told_so(library: str, tmp_path: Path) -> None:
    module = import_module(library)
    before = module.mixed_precision.global_policy() if library == "tf_keras" else module.config.dtype_policy()
    module.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = network(module)
    finally:
        module.mixed_precision.set_global_policy(before)
    with pytest.raises(ConversionError, match="computes in float16"):
        converted(save(model, tmp_path / "half.keras"))
