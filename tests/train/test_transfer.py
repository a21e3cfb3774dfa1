"""A network on trained features: the features stay, the classifier is new, and the result converts like any model."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.errors import ModelError
from edgecnn.keras_io.classifier import usual_color
from edgecnn.keras_io.export import check_parity, export_float
from edgecnn.keras_io.load import load_source
from edgecnn.train.transfer import IMAGENET, Backbone, freeze, load_backbone, transfer_network
from tests.keras_models import network, pictures, save, scores


@pytest.fixture
def keras() -> Any:
    return import_module("keras")


@pytest.fixture
def path(keras: Any, tmp_path: Path) -> Path:
    """A classifier of three classes for pictures of 8x6 (height x width)."""
    return save(network(keras, form="nested"), tmp_path / "three.keras")


def test_what_a_file_says_about_itself(path: Path) -> None:
    backbone = load_backbone(path)
    assert (backbone.name, backbone.size, backbone.channels) == ("three.keras", (8, 6), 3)
    assert (backbone.preprocess, backbone.outputs, backbone.keeps_head) == (None, 3, False)
    assert backbone.model.output_shape == (None, 6, 4, 4)


def test_a_new_classifier_stands_on_the_old_features(keras: Any, path: Path) -> None:
    backbone = load_backbone(path)
    made = transfer_network(backbone, (20, 30, 3), 5, dropout=0.3)
    assert [layer.name for layer in made.layers[-3:]] == ["pooled", "dropped", "logits"]
    assert (made.input_shape, made.output_shape) == ((None, 20, 30, 3), (None, 5))
    assert made.outputs[0].dtype == "float32"
    old = keras.saving.load_model(path).layers[0].get_weights()
    for one, other in zip(old, made.get_weights()[: len(old)], strict=True):
        np.testing.assert_array_equal(one, other)
    before = [array.copy() for array in backbone.model.get_weights()]
    made.set_weights([array + 1 for array in made.get_weights()])
    for one, other in zip(before, backbone.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_first_the_classifier_trains_then_everything_but_batch_statistics(keras: Any, path: Path) -> None:
    backbone = load_backbone(path)
    made = transfer_network(backbone, (8, 6, 3), 3)
    tensors, labels = pictures(8, 8, 6) / 255, np.eye(3, dtype=np.float32)[np.arange(8) % 3]

    def changed(frozen: bool) -> set[str]:
        freeze(made, backbone, frozen=frozen)
        made.compile(keras.optimizers.SGD(0.1), keras.losses.CategoricalCrossentropy(from_logits=True))
        before = made.get_weights()
        made.fit(tensors, labels, epochs=1, verbose=0)
        pairs = zip(made.weights, before, made.get_weights(), strict=True)
        return {weight.path for weight, old, new in pairs if not np.array_equal(old, new)}

    assert changed(frozen=True) == {"logits/kernel", "logits/bias"}
    names = {name.rpartition("/")[0] for name in changed(frozen=False)}
    assert "logits" in names
    assert any("conv2d" in name for name in names)
    assert not any("batch_normalization" in name for name in names)


def test_a_kept_classifier_goes_on_where_it_stood(keras: Any, path: Path) -> None:
    backbone = load_backbone(path, keep_head=True)
    made = transfer_network(backbone, (8, 6, 3), 3)
    tensors = pictures(4, 8, 6) / np.float32(255)
    got = np.asarray(keras.ops.softmax(made(tensors)))
    np.testing.assert_allclose(got, scores(keras.saving.load_model(path), tensors), rtol=1e-5)
    freeze(made, backbone, frozen=True)
    assert [weight.shape for weight in made.trainable_weights] == [(4, 3), (3,)]
    with pytest.raises(ModelError, match=r"the classifier of three.keras has 3 outputs, 4 are wanted"):
        transfer_network(backbone, (8, 6, 3), 4)


def test_what_does_not_go_together_is_refused(keras: Any, path: Path, tmp_path: Path) -> None:
    layers = keras.layers
    with pytest.raises(ModelError, match=r"^three.keras takes pictures of 3 channels, got 1$"):
        transfer_network(load_backbone(path), (8, 6, 1), 2)
    body = keras.Sequential([keras.Input((8, 6, 3)), layers.Conv2D(4, 3)])
    with pytest.raises(ModelError, match=r"^body.keras has no classifier to keep"):
        load_backbone(save(body, tmp_path / "body.keras"), keep_head=True)
    dense = [layers.Flatten(), layers.Dense(7, "relu"), layers.Dense(3)]
    flat = save(keras.Sequential([keras.Input((8, 6, 3)), *dense]), tmp_path / "flat.keras")
    with pytest.raises(ModelError, match=r"^flat.keras: the model works only for pictures of 6x8x3"):
        transfer_network(load_backbone(flat), (9, 9, 3), 2)
    assert transfer_network(load_backbone(flat), (8, 6, 3), 2).output_shape == (None, 2)


@pytest.mark.parametrize(
    ("name", "inside", "normalization"),
    [
        ("mobilenetv2_0.35_224", "", "symmetric"),
        ("mobilenet_0.25_128", "", "symmetric"),
        ("resnet50v2", "", "symmetric"),
        ("resnet50", "", "caffe"),
        ("densenet121", "", "imagenet"),
        ("efficientnetb0", "rescaling", "raw"),
        ("mobilenetv2_1.00_224", "normalization", "raw"),
        ("my_resnet50_like", "", None),
    ],
)
def test_the_normalization_is_known_by_name_or_by_a_layer(
    keras: Any, name: str, inside: str, normalization: str | None, tmp_path: Path
) -> None:
    image = keras.Input((8, 6, 3))
    inner = keras.Model(image, network(keras, inside=inside, form="functional")(image), name=name)
    model = keras.Sequential([keras.Input((8, 6, 3)), inner])
    assert load_backbone(save(model, tmp_path / "model.keras")).preprocess == normalization


def test_imagenet_weights_that_cannot_be_downloaded_say_where_to_put_them(
    keras: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(**options: Any) -> Any:
        assert options["weights"] == "imagenet"
        raise Exception("URL fetch failure on https://example.org/a/weights_96_no_top.h5: None -- [Errno -2] no name")

    monkeypatch.setattr(keras.applications, "MobileNetV2", offline)
    with pytest.raises(ModelError) as caught:
        load_backbone("imagenet", "mobilenetv2", size=(96, 96))
    assert re.fullmatch(
        r"the ImageNet weights of mobilenetv2 cannot be downloaded; put https://example.org/a/weights_96_no_top.h5 "
        r"into \S+models, or name a Keras file with --weights PATH",
        str(caught.value),
    )
    with pytest.raises(ModelError, match=r"expected an architecture with ImageNet weights .*, got 'lenet5'"):
        load_backbone("imagenet", "lenet5")


def test_imagenet_weights_that_are_there_become_a_backbone(keras: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def downloaded(**options: Any) -> Any:
        asked.update(options)
        return keras.Sequential([keras.Input(options["input_shape"]), keras.layers.Conv2D(4, 3)])

    monkeypatch.setattr(keras.applications, "VGG16", downloaded)
    backbone = load_backbone("imagenet", "vgg16", size=(40, 50))
    assert (backbone.name, backbone.size, backbone.preprocess) == ("vgg16 imagenet", (40, 50), "caffe")
    assert (asked["include_top"], asked["input_shape"]) == (False, (40, 50, 3))
    assert all(hasattr(keras.applications, function) for function, _, _ in IMAGENET.values())


def check_converts(keras: Any, backbone: Backbone, size: int, folder: Path) -> None:
    made = transfer_network(backbone, (size, size, 3), 4, dropout=0.2)
    image = keras.Input((size, size, 3))
    source = load_source(save(keras.Model(image, keras.layers.Softmax()(made(image))), folder / "made.keras"))
    content = export_float(source, width=size, height=size)
    check_parity(source, content, pictures(2, size, size) / 127.5 - 1)


def test_a_network_on_a_backbone_converts(keras: Any, path: Path, tmp_path: Path) -> None:
    check_converts(keras, load_backbone(path), 16, tmp_path)


def test_the_real_backbone_works_at_another_size_and_converts(keras: Any, shared_data: Path, tmp_path: Path) -> None:
    file = shared_data / "models" / "mobilenetv2_a035_224_notop_imagenet.keras"
    backbone = load_backbone(file)
    assert (backbone.size, backbone.preprocess, backbone.outputs) == ((224, 224), "symmetric", 0)
    check_converts(keras, backbone, 96, tmp_path)


def test_caffe_means_bgr() -> None:
    assert [usual_color(3, "caffe"), usual_color(3, "symmetric"), usual_color(3, None)] == ["bgr", "rgb", "rgb"]
    assert usual_color(1, "caffe") == "gray"
