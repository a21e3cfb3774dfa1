"""Channels that are removed leave a correct network: smaller, and equal where they were zero."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.compress.channels.coupling import Coupling, trace
from edgecnn.compress.channels.importance import importance
from edgecnn.compress.channels.selection import Target, macs, parameters, select
from edgecnn.compress.channels.shrink import shrink
from edgecnn.keras_io.graph import flat_copy
from edgecnn.train.architectures import ARCHITECTURES, build_network

BLOCKS = ("conv", "strided", "depthwise", "grouped", "residual", "dense", "excite", "pool", "separable", "gate")
# Networks of every kind that the tracer must understand, with the side of their pictures.
NETWORKS = {"resnet20": 16, "mobilenet_025": 32, "mobilenetv3": 32, "densenet": 16, "inception": 32}
MORE_NETWORKS = {"resnet8": 16, "vgg": 32, "mobilenetv2_035": 32, "efficientnetb0": 32}


def block(kind: str, x: Any, random: np.random.Generator) -> Any:
    """One block of a random network, on a map x (n, side, side, channels)."""
    from keras import layers

    channels, width = x.shape[-1], int(random.integers(3, 9))
    activation = str(random.choice(["relu", "silu", "relu6", "hard_swish"]))
    if kind == "conv":
        x = layers.Conv2D(width, 3, padding="same", use_bias=bool(random.integers(2)))(x)
        return layers.Activation(activation)(layers.BatchNormalization()(x))
    if kind == "strided":
        return layers.Conv2D(width, 3, strides=1 + (x.shape[1] > 4), padding="same", activation="relu")(x)
    if kind == "depthwise":
        return layers.ReLU(6.0)(
            layers.DepthwiseConv2D(3, padding="same", depth_multiplier=int(random.integers(1, 3)))(x)
        )
    if kind == "grouped":
        x = layers.Conv2D(4, 1)(x)
        return layers.Conv2D(6, 3, groups=2, padding="same", activation="relu")(x)
    if kind == "residual":
        branch = layers.Conv2D(width, 1, activation="relu")(x)
        branch = layers.BatchNormalization()(layers.Conv2D(channels, 3, padding="same")(branch))
        return layers.ReLU()(layers.Add()([x, branch]))
    if kind == "dense":
        return layers.Concatenate()([x, layers.Conv2D(width, 3, padding="same", activation="relu")(x)])
    if kind == "excite":
        s = layers.GlobalAveragePooling2D(keepdims=True)(x)
        s = layers.Conv2D(max(1, channels // 2), 1, activation="relu")(s)
        return layers.Multiply()([x, layers.Conv2D(channels, 1, activation="hard_sigmoid")(s)])
    if kind == "pool":
        return layers.AveragePooling2D(2, padding="same")(x) if x.shape[1] > 4 else layers.MaxPooling2D(1)(x)
    if kind == "separable":
        return layers.SeparableConv2D(width, 3, padding="same", activation="relu")(x)
    gate = layers.Dense(1, activation="sigmoid")(x)  # one channel for all
    return x * gate * 2.0


def random_network(kinds: list[str], seed: int, flatten: bool) -> Any:
    """A small network of random blocks to 3 logits, with random batch statistics."""
    import keras

    random = np.random.default_rng(seed)
    keras.utils.set_random_seed(seed)
    image = keras.Input((6, 6, 3))
    x = keras.layers.Conv2D(8, 3, padding="same")(image)
    for kind in kinds:
        x = block(kind, x, random)
    if flatten:
        x = keras.layers.Dense(7, activation="relu")(keras.layers.Flatten()(x))
    else:
        x = keras.layers.GlobalAveragePooling2D()(x)
        x = keras.layers.Reshape((1, 1, -1 if random.integers(2) else x.shape[-1]))(x)
        x = keras.layers.Flatten()(x)
    network = flat_copy(keras.Model(image, keras.layers.Dense(3)(x)))
    shake(network, random)
    return network


def shake(network: Any, random: np.random.Generator) -> None:
    """Weights and batch statistics that are nowhere 0 or 1."""
    for layer in network.layers:
        layer.set_weights(
            [random.uniform(0.5, 1.5, w.shape) if "variance" in v.name else w + 0.1 * random.normal(size=w.shape)
             for v, w in zip(layer.weights, layer.get_weights(), strict=True)]
        )  # fmt: skip


def erase(coupling: Coupling, keep: np.ndarray[Any, Any]) -> None:
    """Set every parameter of the channels that go to zero."""
    for site in coupling.sites:
        weights = []
        for weight, axes in zip(site.layer.get_weights(), site.axes, strict=True):
            for axis, ids in enumerate(axes):
                if ids is not None:
                    weight = weight * keep[ids].reshape([-1 if i == axis else 1 for i in range(weight.ndim)])
            weights.append(weight)
        site.layer.set_weights(weights)


def check(network: Any, keep_share: float, seed: int = 0) -> tuple[Coupling, Any]:
    """Remove channels of a network that are zero: nothing changes but the size."""
    random = np.random.default_rng(seed)
    coupling = trace(network)
    keep = select(coupling, importance(coupling, "magnitude"), Target(sparsity=1 - keep_share), multiple=1)
    erase(coupling, keep)
    small = shrink(network, coupling, keep)
    pictures = random.normal(size=(2, *network.input_shape[1:])).astype(np.float32)
    before, after = (np.asarray(model(pictures, training=False)) for model in (network, small))
    np.testing.assert_allclose(after, before, atol=1e-5 * max(1.0, float(np.abs(before).max())))
    again = trace(flat_copy(small))
    assert macs(again) == macs(coupling, keep)
    assert parameters(again) == parameters(coupling, keep) == small.count_params()
    return coupling, small


@given(
    kinds=st.lists(st.sampled_from(BLOCKS), max_size=6),
    seed=st.integers(0, 1000),
    flatten=st.booleans(),
    keep_share=st.sampled_from([0.3, 0.6, 0.9]),
)
@settings(max_examples=12, deadline=None, derandomize=True)
def test_removing_zero_channels_changes_nothing(kinds: list[str], seed: int, flatten: bool, keep_share: float) -> None:
    network = random_network(kinds, seed, flatten)
    assert macs(trace(network)) > 0
    check(network, keep_share, seed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "side"),
    [
        *NETWORKS.items(),
        *(pytest.param(*network, marks=pytest.mark.exhaustive) for network in MORE_NETWORKS.items()),
    ],
)
def test_known_architectures_are_pruned(name: str, side: int) -> None:
    assert name in ARCHITECTURES
    network = flat_copy(build_network(name, (side, side, 3), 5))
    shake(network, np.random.default_rng(0))
    coupling, small = check(network, 0.5)
    assert macs(trace(flat_copy(small))) < 0.5 * macs(coupling)
    stuck = {group.layers for group in coupling.groups if group.fixed and group.layers}
    assert stuck == {("logits",)}, "all but the classifier's outputs can go"
