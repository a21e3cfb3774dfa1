"""Each method against what NumPy computes by itself: closed forms, finite differences, sums that must come out."""

from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.config import Preprocess
from edgecnn.data.preprocess import Preprocessor
from edgecnn.errors import BundleError, EdgecnnError, ModelError, PreprocessError
from edgecnn.explain.gradients import COMPLETENESS, METHODS, Explained, explain, load_explained
from edgecnn.keras_io.card import KerasCard, with_card
from edgecnn.spec import Spec, parse_spec
from tests.keras_models import network, save, scores

ABC = ("a", "b", "c")


@pytest.fixture
def keras() -> Any:
    keras = import_module("keras")
    keras.utils.set_random_seed(5)
    return keras


def explained(model: Any, folder: Path, *, spec: str = "unit") -> Explained:
    """A model as it comes back from its file."""
    labels = ABC[: max(2, model.output_shape[-1])]
    return load_explained(save(model, folder / "model.keras"), preprocess=parse_spec(spec), labels=labels)


def frame(height: int = 8, width: int = 6, *, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def small(keras: Any, *, units: int = 3, strides: int = 1, classifier: str = "average") -> Any:
    """One 1x1 convolution with ReLU, the average, one dense layer: all of it can be computed by hand."""
    layers = keras.layers
    pooling = {"average": layers.GlobalAveragePooling2D, "flat": layers.Flatten}[classifier]
    end = layers.Dense(units, activation="sigmoid" if units == 1 else "softmax", bias_initializer="random_normal")
    conv = layers.Conv2D(5, 1, strides, activation="relu", bias_initializer="random_normal", name="conv")
    return keras.Sequential([keras.Input((8, 6, 3)), conv, pooling(), end])


def by_hand(model: Any, picture: NDArray[np.uint8], strides: int = 1) -> tuple[NDArray[Any], NDArray[Any]]:
    """(activations (rows, columns, 5), weights (5, units)) of `small` in float64."""
    kernel, bias, weights, _ = (array.astype(np.float64) for array in model.get_weights())
    rgb = picture[::strides, ::strides, ::-1] / 255
    return np.maximum(rgb @ kernel[0, 0] + bias, 0), weights


@pytest.mark.parametrize("strides", [1, 2])
def test_cam_is_the_weighted_feature_map_and_grad_cam_its_positive_mean(
    keras: Any, tmp_path: Path, strides: int
) -> None:
    model = small(keras, strides=strides)
    subject, picture = explained(model, tmp_path), frame()
    activations, weights = by_hand(model, picture, strides)
    sums = activations @ weights
    assert sums.min() < 0 < sums.max()
    for index in range(3):
        cam = explain(subject, picture, "cam", index=index)
        np.testing.assert_allclose(cam.values, cv2.resize(sums[..., index], (6, 8)), atol=1e-5)
        assert (str(cam.values.dtype), cam.method, cam.index) == ("float32", "cam", index)
        grad_cam = explain(subject, picture, "grad-cam", index=index)
        # a mean passes on to each of its places as many parts of a weight as it has places
        positive = np.maximum(sums[..., index], 0) / sums[..., index].size
        np.testing.assert_allclose(grad_cam.values, cv2.resize(positive, (6, 8)), atol=1e-6)


@pytest.mark.parametrize("index", [0, 1])
def test_for_one_unit_the_first_class_is_the_second_turned_round(keras: Any, tmp_path: Path, index: int) -> None:
    model = small(keras, units=1)
    subject, picture = explained(model, tmp_path), frame()
    activations, weights = by_hand(model, picture)
    found = explain(subject, picture, "cam", index=index)
    np.testing.assert_allclose(found.values, activations @ weights[:, 0] * (2 * index - 1), atol=1e-5)
    probability = scores(model, Preprocessor(subject.preprocess)(picture)[None])[0, 0]
    assert found.score == pytest.approx(probability if index else 1 - probability, abs=1e-6)
    one, other = (explain(subject, picture, "integrated-gradients", index=i).values for i in (0, 1))
    np.testing.assert_allclose(one, -other, atol=1e-6)


def test_grad_cam_plus_plus_is_its_closed_form(keras: Any, tmp_path: Path) -> None:
    """Two 1x1 convolutions: the gradient for the first differs from place to place, and NumPy can follow it."""
    layers = keras.layers
    first = layers.Conv2D(5, 1, activation="relu", bias_initializer="random_normal", name="first")
    second = layers.Conv2D(7, 1, activation="relu", bias_initializer="random_normal", name="second")
    model = keras.Sequential(
        [keras.Input((8, 6, 3)), first, second, layers.GlobalAveragePooling2D(), layers.Dense(3, activation="softmax")]
    )
    subject, picture = explained(model, tmp_path), frame()
    k1, b1, k2, b2, w, b = (array.astype(np.float64) for array in model.get_weights())
    maps = np.maximum(picture[..., ::-1] / 255 @ k1[0, 0] + b1, 0)
    inner = maps @ k2[0, 0] + b2
    score = np.maximum(inner, 0).mean(axis=(0, 1)) @ w + b
    for index in range(3):
        slope = np.where(inner > 0, w[:, index] / 48, 0) @ k2[0, 0].T
        once, twice, thrice = (np.exp(score[index]) * slope**power for power in (1, 2, 3))  # of exp(score)
        weights = np.zeros(5)
        for k in range(5):
            for y in range(8):
                for x in range(6):
                    below = 2 * twice[y, x, k] + maps[..., k].sum() * thrice[y, x, k]
                    if below:
                        weights[k] += twice[y, x, k] / below * max(once[y, x, k], 0)
        expected = np.maximum(maps @ weights, 0)
        assert np.ptp(expected) > 0
        found = explain(subject, picture, "grad-cam++", index=index, layer="first")
        np.testing.assert_allclose(found.values * np.exp(score[index]), expected, rtol=1e-4, atol=1e-6)


def test_saliency_is_the_largest_finite_difference_of_the_channels(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 6, 3)),
            layers.Conv2D(6, 3, activation="tanh", name="conv"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    subject, picture = explained(model, tmp_path), frame()
    tensor, step = Preprocessor(subject.preprocess)(picture), np.float32(1e-2)
    moves = step * np.eye(tensor.size, dtype=np.float32).reshape(-1, *tensor.shape)
    ahead, back = (np.asarray(subject.logits(tensor + sign * moves))[:, 1] for sign in (1, -1))
    expected = np.abs((ahead - back) / (2 * step)).reshape(tensor.shape).max(axis=-1)
    found = explain(subject, picture, "saliency", index=1)
    np.testing.assert_allclose(found.values, expected, rtol=5e-3, atol=5e-4)


@pytest.mark.parametrize("spec", ["unit", "symmetric", "bgr,caffe"])
def test_integrated_gradients_of_a_linear_model_are_weight_times_way_from_black(
    keras: Any, tmp_path: Path, spec: str
) -> None:
    model = keras.Sequential([keras.Input((8, 6, 3)), keras.layers.Flatten(), keras.layers.Dense(3)])
    subject, picture = explained(model, tmp_path, spec=spec), frame()
    order = 1 if "bgr" in spec else -1
    std = {"unit": 255.0, "symmetric": 127.5, "bgr,caffe": 1.0}[spec]
    weights = model.get_weights()[0][:, 2].reshape(8, 6, 3).astype(np.float64)
    expected = (weights * picture[..., ::order] / std).sum(axis=-1)
    found = explain(subject, picture, "integrated-gradients", index=2)
    np.testing.assert_allclose(found.values, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_integrated_gradients_of_a_square_are_the_square(keras: Any, tmp_path: Path) -> None:
    """The gradient of x² grows on the way: its mean from 0 to x is x, and the attribution x²."""
    image = keras.Input((3, 1, 1))
    subject = explained(keras.Model(image, keras.layers.Flatten()(image * image)), tmp_path)
    picture = np.array([[30], [200], [90]], np.uint8)
    found = explain(subject, picture, "integrated-gradients", index=1)
    np.testing.assert_allclose(found.values, np.array([[0.0], [(200 / 255) ** 2], [0.0]]), atol=1e-6)


def test_integrated_gradients_add_up_even_where_the_way_has_one_steep_place(keras: Any, tmp_path: Path) -> None:
    """All of the way's rise lies in a hundredth of it, which 32 steps would miss."""
    layers = keras.layers
    steep, dense = layers.Dense(1, activation="sigmoid"), layers.Dense(2)
    model = keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), steep, dense])
    steep.set_weights([np.full((16, 1), 50.0), np.array([-50 * 16 * 0.3])])
    dense.set_weights([np.array([[10.0, 0]]), np.zeros(2)])
    picture = np.full((4, 4), 255, np.uint8)
    found = explain(explained(model, tmp_path), picture, "integrated-gradients", index=0)
    assert float(found.values.sum()) == pytest.approx(10, abs=10 * COMPLETENESS)
    np.testing.assert_allclose(found.values, np.full((4, 4), found.values.mean()), rtol=1e-5)


def test_a_sigmoid_for_each_class_gives_each_its_own_probability(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    model = keras.Sequential([keras.Input((8, 6, 3)), layers.Flatten(), layers.Dense(3, activation="sigmoid")])
    subject, picture = explained(model, tmp_path), frame()
    expected = scores(model, Preprocessor(subject.preprocess)(picture)[None])[0]
    found = [explain(subject, picture, "saliency", index=i).score for i in range(3)]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_layers_may_have_the_names_that_keras_would_give_next(keras: Any, tmp_path: Path) -> None:
    model = small(keras)
    names = [f"{kind}{end}" for kind in ("activation", "softmax", "reshape", "dense") for end in ("", "_1", "_2", "_3")]
    image = keras.Input((8, 6, 3))
    x = image
    for name in names:
        x = keras.layers.ReLU(name=name)(x)
    path = save(keras.Model(image, model(x)), tmp_path / "model.keras")
    keras.utils.clear_session()  # the next names are the first
    subject = load_explained(path, preprocess=parse_spec("unit"), labels=ABC)
    assert {explain(subject, frame(), method).index for method in METHODS} == {explain(subject, frame(), "cam").index}


@pytest.mark.parametrize("form", ["sequential", "functional", "nested"])
@pytest.mark.parametrize("head", ["softmax", "activation", "sigmoid", "logits"])
def test_probabilities_are_those_of_the_model_and_attributions_add_up(
    keras: Any, tmp_path: Path, form: str, head: str
) -> None:
    model = network(keras, form=form, head=head)
    path = save(model, tmp_path / "model.keras")
    subject = load_explained(path, preprocess=parse_spec("unit"), labels=ABC[: 2 if head == "sigmoid" else 3])
    picture = frame(30, 40)
    tensor = Preprocessor(subject.preprocess)(picture)
    expected = scores(model, tensor[None])[0].astype(np.float64)
    if head == "logits":
        expected = np.exp(expected) / np.exp(expected).sum()
    if head == "sigmoid":
        expected = np.array([1 - expected[0], expected[0]])
    found = explain(subject, picture, "integrated-gradients")
    assert (found.index, found.values.shape) == (int(expected.argmax()), (8, 6))
    assert found.score == pytest.approx(expected.max(), abs=1e-5)
    ends = np.asarray(subject.logits(np.stack([np.zeros_like(tensor), tensor])))
    gain = float(np.diff(ends[:, found.index if head != "sigmoid" else 0])[0])
    gain *= -1 if head == "sigmoid" and found.index == 0 else 1
    assert float(found.values.sum()) == pytest.approx(gain, abs=COMPLETENESS * max(1, abs(gain)))


def test_the_default_layer_is_the_last_with_a_feature_map(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 6, 3)),
            layers.Conv2D(4, 3, activation="relu", name="early"),
            layers.Conv2D(4, 3, activation="relu", name="late"),
            layers.GlobalAveragePooling2D(keepdims=True, name="pool"),
            layers.Conv2D(3, 1, name="scores"),
            layers.Reshape((3,)),
            layers.Softmax(),
        ]
    )
    subject, picture = explained(model, tmp_path), frame()
    by_default, late, early = (explain(subject, picture, "grad-cam", layer=name) for name in (None, "late", "early"))
    np.testing.assert_array_equal(by_default.values, late.values)
    assert not np.allclose(by_default.values, early.values)
    for name, fault in (("earyl", "is not there"), ("pool", "gives no feature map"), ("xyz", "is not there")):
        with pytest.raises(ModelError, match=rf"^the layer '{name}' {fault}; layers with one are .*early"):
            explain(subject, picture, "grad-cam", layer=name)


def test_what_a_method_cannot_do_is_one_clear_line(keras: Any, tmp_path: Path) -> None:
    subject, picture = explained(small(keras, classifier="flat"), tmp_path), frame()
    with pytest.raises(ModelError, match=r"^cam needs global average pooling followed by one dense layer.*grad-cam$"):
        explain(subject, picture, "cam")
    with pytest.raises(EdgecnnError, match=r"^saliency takes no layer; leave it out, or take grad-cam$"):
        explain(subject, picture, "saliency", layer="conv")
    with pytest.raises(EdgecnnError, match=r"^expected a class from 0 to 2, got 3$"):
        explain(subject, picture, "grad-cam", index=3)
    with pytest.raises(EdgecnnError, match=r"^expected a method of grad-cam, .*, got 'gradcam'$"):
        explain(subject, picture, "gradcam")
    dense = keras.Sequential([keras.Input((8, 6, 3)), keras.layers.Flatten(), keras.layers.Dense(3)])
    with pytest.raises(ModelError, match=r"has no layer with a feature map; take saliency or integrated-gradients$"):
        explain(explained(dense, tmp_path), picture, "grad-cam")


def test_another_engine_than_tensorflow_is_one_clear_line(
    keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject, picture = explained(small(keras), tmp_path), frame()
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    for method in set(METHODS) - {"cam"}:
        with pytest.raises(EdgecnnError, match=r"^gradients need Keras' TensorFlow backend; set KERAS_BACKEND="):
            explain(subject, picture, method)


def test_a_card_says_all_and_a_user_may_say_otherwise(keras: Any, tmp_path: Path) -> None:
    path = save(small(keras), tmp_path / "model.keras")
    known = Preprocess(6, 8, "rgb", (0.0,), (255.0,), "letterbox")
    path.write_bytes(with_card(path.read_bytes(), KerasCard(ABC, known, {})))
    assert (load_explained(path).labels, load_explained(path).preprocess) == (ABC, known)
    other = load_explained(path, preprocess=parse_spec("symmetric,stretch"), labels=["x", "y", "z"])
    assert (other.labels, other.preprocess.spec) == (("x", "y", "z"), "symmetric,size=6x8,rgb,stretch")
    with pytest.raises(BundleError, match=r"expected 3 labels for the 3 classes of .*, got 2$"):
        load_explained(path, labels=["x", "y"])


@pytest.mark.parametrize(
    ("spec", "size", "message"),
    [
        ("", (8, 6), r"does not say how its input is prepared; give --preprocess with one of raw, unit"),
        ("auto", (8, 6), r"^auto needs labelled data; say how .* wants its input: raw, unit"),
        ("unit", (None, None), r"takes pictures of any size; say which with --preprocess size=WIDTHxHEIGHT$"),
        ("unit,size=9", (8, 6), r"takes pictures of 6x8x3 .*, but the preprocessing gives 9x9x3$"),
        ("unit,gray", (8, 6), r"takes pictures of 6x8x3 .*, but the preprocessing gives 6x8x1$"),
    ],
)
def test_preprocessing_that_is_missing_or_does_not_fit(
    keras: Any, tmp_path: Path, spec: str, size: tuple[int | None, int | None], message: str
) -> None:
    path = save(network(keras, size=size), tmp_path / "model.keras")
    with pytest.raises(PreprocessError, match=message):
        load_explained(path, preprocess=parse_spec(spec), labels=ABC)
    with pytest.raises(BundleError, match=r"carries no labels; give its 3 class names with --labels FILE$"):
        load_explained(path, preprocess=parse_spec("unit,size=6x8"))


def test_a_model_of_any_size_is_explained_at_the_size_that_is_stated(keras: Any, tmp_path: Path) -> None:
    path = save(network(keras, size=(None, None), inside="rescaling"), tmp_path / "model.keras")
    subject = load_explained(path, preprocess=Spec(width=20, height=10), labels=ABC)
    assert subject.preprocess == Preprocess(20, 10, "rgb")  # it scales by itself
    for method in METHODS:
        assert explain(subject, frame(64, 48), method).values.shape == (10, 20)
