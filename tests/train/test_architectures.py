"""Every network by its name: what it takes and gives, how large it is, and that a seed decides its weights."""

from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any

import numpy as np
import pytest

from edgecnn.config import named_normalization
from edgecnn.errors import ModelError
from edgecnn.train.architectures import ARCHITECTURES, build_network

# Built once, at a size that keras.applications refuses.
LARGE = ("vgg16", "inceptionv3", "resnet50", "densenet121", "efficientnetb0")
ONCE = (28, 24, 3)
SMALL = [name for name, item in ARCHITECTURES.items() if item.size <= 32]
SMALLER = [name for name in ARCHITECTURES if name not in LARGE]


@dataclass(frozen=True)
class Facts:
    """Of a network that was built: the shapes of its ends, the type of its logits and its numbers of weights."""

    input_shape: tuple[int | None, ...]
    output_shape: tuple[int | None, ...]
    dtype: str
    parameters: int
    trainable: int
    features: int
    layers: frozenset[str]

    def parameters_for(self, units: int) -> int:
        """With so many units in the last layer."""
        return self.parameters + (units - (self.output_shape[1] or 0)) * (self.features + 1)

    def trainable_for(self, units: int) -> int:
        """As `parameters_for`, without the moving statistics of batch normalization."""
        return self.parameters_for(units) - (self.parameters - self.trainable)


@cache
def facts(name: str, shape: tuple[int, int, int], units: int) -> Facts:
    """Kept instead of the networks, which together take half a gigabyte."""
    model = build_network(name, shape, units)
    return Facts(
        model.input_shape,
        model.output_shape,
        str(model.outputs[0].dtype),
        model.count_params(),
        sum(prod(variable.shape) for variable in model.trainable_variables),
        model.get_layer("logits").kernel.shape[0],
        frozenset(type(layer).__name__ for layer in model.layers),
    )


@pytest.mark.parametrize(
    ("name", "shape", "units"),
    [(name, ONCE, 1) for name in LARGE]
    + [(name, shape, units) for name in SMALLER for shape, units in (((28, 28, 1), 3), ((96, 64, 3), 1))],
)
def test_every_network_maps_pictures_to_float_logits(name: str, shape: tuple[int, int, int], units: int) -> None:
    network = facts(name, shape, units)
    assert network.input_shape == (None, *shape)
    assert (network.output_shape, network.dtype) == ((None, units), "float32")
    # Pictures are normalized before they come, and a model that does it itself is not converted as one.
    assert not network.layers & {"Rescaling", "Normalization", "Lambda", "Softmax"}


# With 1,000 classes, as keras.io lists them; there EfficientNet-B0 counts seven values of its preprocessing too.
@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("inceptionv3", 23_851_784),
        ("resnet50", 25_636_712),
        ("densenet121", 8_062_504),
        ("mobilenet", 4_253_864),
        ("mobilenetv2", 3_538_984),
        ("efficientnetb0", 5_330_571 - 7),
    ],
)
def test_networks_of_keras_have_the_published_number_of_parameters(name: str, parameters: int) -> None:
    shape = ONCE if name in LARGE else (96, 64, 3)
    assert facts(name, shape, 1).parameters_for(1000) == parameters


def test_efficientnet_lite0_has_the_published_number_of_parameters() -> None:
    assert facts("efficientnet_lite0", (96, 64, 3), 1).trainable_for(1000) == 4_652_008  # published as 4.65 M


@pytest.mark.parametrize(
    ("name", "shape", "parameters"),
    [
        ("lenet300", (28, 28, 1), 266_610),
        ("lenet5", (28, 28, 1), 61_706),
        ("lenet5", (32, 32, 1), 61_706),
        ("lenet5_caffe", (28, 28, 1), 431_080),
        ("cifar10_cnn", (32, 32, 3), 122_570),
        ("resnet8", (32, 32, 3), 78_666),
        ("resnet20", (96, 64, 3), 274_442),
        ("resnet56", (96, 64, 3), 861_770),
    ],
)
def test_small_networks_have_the_published_number_of_parameters(
    name: str, shape: tuple[int, int, int], parameters: int
) -> None:
    assert facts(name, shape, 1).parameters_for(10) == parameters


def test_small_densenet_and_inception_have_the_published_number_of_parameters() -> None:
    assert facts("densenet", (96, 64, 3), 1).trainable_for(10) == 176_122
    # Published without batch normalization, which scales and shifts each of 1,712 channels.
    assert facts("inception", (96, 64, 3), 1).trainable_for(10) - 2 * 1712 == 1_649_402


def test_widths_make_networks_smaller() -> None:
    for narrow, wide in (("mobilenet_025", "mobilenet"), ("mobilenetv2_035", "mobilenetv2")):
        assert facts(narrow, (96, 64, 3), 1).parameters < facts(wide, (96, 64, 3), 1).parameters / 4


def test_mobilenetv3_is_the_one_made_for_8_bits() -> None:
    assert facts("mobilenetv3", (96, 64, 3), 1).layers.isdisjoint({"Multiply", "HardSigmoid"})


@pytest.mark.parametrize("name", [name for name in SMALL if name != "resnet56"])
@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 9, 1)])
def test_networks_of_small_pictures_do_not_shrink_them_to_nothing(name: str, shape: tuple[int, int, int]) -> None:
    assert facts(name, shape, 2).output_shape == (None, 2)


@pytest.mark.parametrize("name", ["mnist_cnn", "resnet8"])
def test_a_seed_decides_the_weights(name: str) -> None:
    import keras

    def weights(seed: int) -> list[Any]:
        keras.utils.set_random_seed(seed)
        return list(build_network(name, (28, 28, 1), 3).get_weights())

    first, again, other = weights(1), weights(1), weights(2)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def rates(name: str, dropout: float | None) -> list[float]:
    network = build_network(name, (28, 28, 1), 3, dropout=dropout)
    return [layer.rate for layer in network.layers if type(layer).__name__ == "Dropout"]


def test_dropout_is_its_own_unless_stated() -> None:
    assert rates("mnist_cnn", None) == [0.25, 0.5]
    assert rates("mnist_cnn", 0.2) == [0.1, 0.2]
    assert rates("mnist_cnn", 0.0) == []
    assert rates("lenet5", None) == []
    assert rates("lenet5", 0.3) == [0.3]


@pytest.mark.parametrize("name", ["resnet8", "mobilenet_025"])
def test_batch_statistics_follow_a_short_training(name: str) -> None:
    network = build_network(name, (32, 32, 3), 3)
    momenta = {layer.momentum for layer in network.layers if type(layer).__name__ == "BatchNormalization"}
    assert momenta == {0.9}


def test_logits_stay_float_where_the_rest_is_not() -> None:
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = build_network("lenet5", (28, 28, 1), 3)
    finally:
        keras.config.set_dtype_policy(before)
    assert network.layers[-2].compute_dtype == "bfloat16"
    assert network.outputs[0].dtype == "float32"


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"^expected a network of lenet300, lenet5, .*; got 'resnet9'$"):
        build_network("resnet9", (32, 32, 3), 10)


@pytest.mark.parametrize(("shape", "units"), [((0, 8, 3), 2), ((8, 0, 3), 2), ((8, 8, 4), 2), ((8, 8, 3), 0)])
def test_what_no_network_takes_is_refused(shape: tuple[int, int, int], units: int) -> None:
    with pytest.raises(ModelError, match=f"got {shape[1]}x{shape[0]} with {shape[2]} channels and {units} units"):
        build_network("lenet5", shape, units)


def test_the_table_is_right() -> None:
    for name, item in ARCHITECTURES.items():
        assert (item.name, item.size >= 28, 0 <= item.dropout < 1) == (name, True, True)
        assert named_normalization(item.normalization, "rgb")
        assert named_normalization(item.normalization, "gray")
    assert len({item.title for item in ARCHITECTURES.values()}) == len(ARCHITECTURES)
