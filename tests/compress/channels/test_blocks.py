"""Residual blocks: which there are, that a network without them computes what it should, and which go first."""

from typing import Any

import numpy as np
import pytest

from edgecnn.compress.channels.blocks import drop_blocks, residual_blocks
from edgecnn.compress.channels.coupling import trace
from edgecnn.compress.channels.selection import macs
from edgecnn.errors import EdgecnnError
from edgecnn.keras_io.graph import flat_copy
from edgecnn.train.architectures import build_network


def branch(x: Any, name: str, filters: int = 4) -> Any:
    from keras import layers

    y = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"{name}_1")(x)
    return layers.BatchNormalization(name=f"{name}_bn")(layers.Conv2D(4, 3, padding="same", name=f"{name}_2")(y))


@pytest.fixture(scope="module")
def network() -> Any:
    """Two blocks with shortcuts, the second of them with the shortcut behind the branch, and one with a projection."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(5)
    image = keras.Input((9, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", name="stem")(image)
    x = layers.ReLU()(layers.Add(name="sum_a")([x, branch(x, "a")]))
    x = branch(x, "b", 6) + x
    x = layers.Add(name="projected")([layers.Conv2D(4, 1, name="short")(x), branch(x, "c")])
    return flat_copy(keras.Model(image, layers.Dense(3, name="logits")(layers.GlobalAveragePooling2D()(x))))


def test_blocks_are_branches_around_which_the_shortcut_is_the_identity(network: Any) -> None:
    blocks = residual_blocks(network)
    assert [(block.layers, block.shortcut) for block in blocks] == [
        (("a_1", "a_2", "a_bn"), 0),
        (("b_1", "b_2", "b_bn"), 1),
    ]


@pytest.mark.parametrize(("name", "count"), [("resnet20", 7), ("resnet8", 1), ("mobilenetv2_035", 10), ("vgg16", 0)])
def test_known_networks(name: str, count: int) -> None:
    """ResNet-20: nine blocks but for the two that change the shape. MobileNetV2: ten (Sandler et al. 2018, table 2)."""
    assert len(residual_blocks(flat_copy(build_network(name, (32, 32, 3), 10)))) == count


def test_a_network_without_a_silent_block_gives_the_same(network: Any) -> None:
    silent = flat_copy(network)
    for weight in ("gamma", "beta", "moving_mean"):
        variable = getattr(silent.get_layer("a_bn"), weight)
        variable.assign(np.zeros(variable.shape))
    shorter = flat_copy(silent, bypass={"sum_a": 0})
    pictures = np.random.default_rng(0).normal(size=(3, 9, 8, 3)).astype(np.float32)
    np.testing.assert_allclose(shorter(pictures), silent(pictures), atol=1e-6)
    assert not {"a_1", "a_2", "a_bn", "sum_a"} & {layer.name for layer in shorter.layers}


def test_the_block_goes_that_costs_least_for_what_it_saves(network: Any) -> None:
    """The second block saves half as much again; told the same loss for each, the choice falls on it."""
    names = [layer.name for layer in network.layers]
    result = drop_blocks(network, 0.8, lambda model: float(len(names) - len(model.layers) > 0))
    assert [block.layers[0] for block in result.dropped] == ["b_1"]
    assert result.dropped[0].macs == 2 * 9 * 8 * 9 * 4 * 6
    assert result.macs == (macs(trace(network)), macs(trace(result.model)))
    assert result.macs[0] - result.macs[1] == result.dropped[0].macs
    dear = drop_blocks(network, 0.8, lambda model: 0.0 if "b_1" in {layer.name for layer in model.layers} else 9.0)
    assert [block.layers[0] for block in dear.dropped] == ["a_1"]
    assert [layer.name for layer in network.layers] == names, "the original stays as it is"


def test_a_target_out_of_reach_is_told_with_what_can_be_had(network: Any) -> None:
    with pytest.raises(EdgecnnError, match=r"keep 10% .* \d\d% remain without all blocks .* prune channels after that"):
        drop_blocks(network, 0.1, lambda model: 0.0)
