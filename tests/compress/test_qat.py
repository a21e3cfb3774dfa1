"""The converted file computes what was trained: all in int8, zeros and clusters kept, and a difference has a name."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from edgecnn.bundle.flatbuffer import operator_names, unpack
from edgecnn.bundle.tflite import describe
from edgecnn.compress.int8_graph import separated
from edgecnn.compress.qat import quantize_aware, to_tflite
from edgecnn.compress.trained import LIMIT, compare_with_trained
from edgecnn.compress.tune import TuneConfig
from edgecnn.compress.weights import cluster_weights, prune_weights
from edgecnn.keras_io.rebuild import as_tf_keras
from tests.compress.lessons import RandomLessons, mixed_network

DENSE = ("CONV_2D", "FULLY_CONNECTED")


def integers(content: bytes) -> list[Any]:
    """The int8 kernels of convolutions and dense layers in a `.tflite`."""
    model = unpack(content)
    graph, names = model.subgraphs[0], operator_names(model)
    kernels = [graph.tensors[op.inputs[1]] for op in graph.operators if names[op.opcodeIndex] in DENSE]
    return [np.asarray(model.buffers[tensor.buffer].data).view(np.int8) for tensor in kernels]


@pytest.fixture(scope="module")
def lessons() -> RandomLessons:
    return RandomLessons()


@pytest.fixture(scope="module")
def network() -> Any:
    return mixed_network(import_module("tf_keras"))


@pytest.fixture(scope="module")
def trained(network: Any, lessons: RandomLessons) -> Any:
    return quantize_aware(network, lessons, TuneConfig(epochs=2, rate=1e-3))


def test_a_separated_model_computes_the_same(network: Any, lessons: RandomLessons) -> None:
    apart = separated(network)
    np.testing.assert_allclose(
        np.asarray(apart(lessons.pictures[0])), np.asarray(network(lessons.pictures[0])), atol=1e-6
    )
    names = {layer.name: type(layer).__name__ for layer in apart.layers}
    assert names["separable_depthwise"] == "DepthwiseConv2D"
    assert names["separable"] == "Conv2D"
    assert names["alone"] == "DepthwiseConv2D"
    assert names["norm"] == "BatchNormalization"
    assert names["deep_swish"] == "Activation"


@pytest.mark.parametrize("io", ["int8", "uint8", "float32"])
def test_the_file_is_all_int8_and_computes_what_was_trained(trained: Any, lessons: RandomLessons, io: str) -> None:
    content = to_tflite(trained.model, io=io)
    info = describe(content)
    assert (info.inputs[0].dtype, info.outputs[0].dtype, info.has_signature) == (io, io, True)
    assert info.ops.get("DEQUANTIZE", 0) == (io == "float32")
    assert trained.skipped == ()
    compared = compare_with_trained(trained.model, content, np.concatenate(lessons.pictures))
    assert compared.max_abs_difference < 2 / 256
    assert compared.first == ""
    assert {"rescaled", "relu", "gated", "joined", "last"} <= {layer.layer for layer in compared.layers}
    assert max(layer.relative for layer in compared.layers) < LIMIT / 2


def test_the_input_range_that_is_known_is_used(network: Any, lessons: RandomLessons) -> None:
    result = quantize_aware(network, lessons, TuneConfig(epochs=0), input_range=(0.0, 510.0))
    (tensor,) = describe(to_tflite(result.model, io="uint8")).inputs
    assert (tensor.scale, tensor.zero_point) == (2.0, 0)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_file(network: Any, lessons: RandomLessons, trained: Any) -> None:
    again = quantize_aware(network, lessons, TuneConfig(epochs=2, rate=1e-3))
    assert to_tflite(again.model) == to_tflite(trained.model)


@pytest.mark.slow
def test_zeros_and_clusters_are_kept_in_the_integers(network: Any, lessons: RandomLessons) -> None:
    config = TuneConfig(rate=1e-3)
    sparse = prune_weights(network, lessons, config, sparsity=0.75).model
    few = cluster_weights(sparse, lessons, config, clusters=6, keep_sparsity=True).model
    zeros_kept = integers(to_tflite(quantize_aware(sparse, lessons, config, keep_zeros=True).model))
    both_kept = integers(to_tflite(quantize_aware(few, lessons, config, keep_zeros=True, keep_clusters=True).model))
    none_kept = integers(to_tflite(quantize_aware(few, lessons, config).model))
    assert all(np.mean(kernel == 0) >= 0.75 for kernel in (*zeros_kept, *both_kept))
    assert all(len(np.unique(kernel)) <= 6 for kernel in both_kept)
    assert any(len(np.unique(kernel)) > 6 for kernel in none_kept)
    assert any(np.mean(kernel == 0) < 0.75 for kernel in none_kept)


def test_the_layer_where_the_file_differs_is_named(trained: Any, lessons: RandomLessons) -> None:
    content = to_tflite(trained.model)
    weights = trained.model.get_weights()
    bias = trained.model.get_layer("quant_separable").layer.bias
    bias.assign(np.asarray(bias) + 3.0)
    compared = compare_with_trained(trained.model, content, lessons.pictures[0])
    trained.model.set_weights(weights)
    assert compared.first in ("separable", "joined")
    assert compared.agreement <= 1.0


def test_layers_whose_scale_goes_through_are_converted(lessons: RandomLessons) -> None:
    library = import_module("tf_keras")
    library.utils.set_random_seed(2)
    layers = library.layers
    image = layers.Input((12, 12, 3))
    x = layers.Conv2D(4, 3, padding="same", name="left")(image)
    x = layers.Maximum(name="larger")([x, layers.Conv2D(4, 3, padding="same", name="right")(image)])
    x = layers.Activation("relu", name="positive")(layers.AveragePooling2D(name="mean")(x))
    x = layers.UpSampling2D(name="up", interpolation="bilinear")(x)
    x = layers.Conv2D(4, 3, name="after")(layers.MaxPooling2D(name="most")(layers.ZeroPadding2D()(x)))
    model = library.Model(image, layers.Dense(5, name="last")(layers.Flatten()(x)))
    result = quantize_aware(model, lessons, TuneConfig(epochs=0))
    content = to_tflite(result.model)
    assert "DEQUANTIZE" not in describe(content).ops
    compared = compare_with_trained(result.model, content, lessons.pictures[0])
    assert (compared.first, result.skipped) == ("", ())


def test_what_has_no_int8_form_is_listed(lessons: RandomLessons) -> None:
    library = import_module("tf_keras")
    layers = library.layers
    model = library.Sequential(
        [
            layers.Input((12, 12, 3)),
            layers.Conv2D(4, 3, activation="elu", name="odd"),
            layers.GlobalAveragePooling2D(),
            layers.BatchNormalization(name="late"),
            layers.Dense(5),
        ]
    )
    result = quantize_aware(model, lessons, TuneConfig(epochs=0))
    assert [name for name, _ in result.skipped] == ["odd_elu", "late"]
    compared = compare_with_trained(result.model, to_tflite(result.model), lessons.pictures[0])
    assert compared.first == ""


@pytest.fixture
def eager() -> Iterator[Any]:
    """One step takes less time without a graph."""
    config = import_module("tensorflow").config
    config.run_functions_eagerly(True)
    yield config
    config.run_functions_eagerly(False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "MobileNetV3Small",
        *(
            pytest.param(name, marks=pytest.mark.exhaustive)
            for name in ("MobileNetV2", "ResNet50", "EfficientNetB0", "DenseNet121")
        ),
    ],
)
def test_the_networks_of_keras_applications_go_all_the_way(name: str, eager: Any) -> None:
    keras = import_module("keras")
    keras.utils.set_random_seed(1)
    model = as_tf_keras(getattr(keras.applications, name)(weights=None, input_shape=(32, 32, 3), classes=10))
    lessons, config = RandomLessons(size=32, classes=10, batches=1, batch=2), TuneConfig()
    sparse = prune_weights(model, lessons, config, sparsity=0.5)
    few = cluster_weights(sparse.model, lessons, config, clusters=16, keep_sparsity=True)
    result = quantize_aware(few.model, lessons, config, keep_zeros=True, keep_clusters=True)
    eager.run_functions_eagerly(False)
    content = to_tflite(result.model)
    assert "DEQUANTIZE" not in describe(content).ops  # nothing runs in float
    assert all(len(np.unique(kernel)) <= 16 for kernel in integers(content))
    compared = compare_with_trained(result.model, content, lessons.pictures[0])
    assert compared.first == ""
    assert compared.max_abs_difference < 2 / 256
