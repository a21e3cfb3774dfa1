"""Importance against sums written out, and the choice of channels against its target."""

from typing import Any

import numpy as np
import pytest

from edgecnn.bundle.tflite import describe
from edgecnn.compress.channels.coupling import Coupling, trace
from edgecnn.compress.channels.importance import importance
from edgecnn.compress.channels.selection import Target, macs, parameters, select
from edgecnn.errors import EdgecnnError
from edgecnn.keras_io.graph import flat_copy


@pytest.fixture(scope="module")
def network() -> Any:
    """Two convolutions with batch normalization around a sum, and a dense layer."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(3)
    image = keras.Input((8, 8, 3))
    x = layers.ReLU()(layers.BatchNormalization(name="bn_a")(layers.Conv2D(32, 3, padding="same", name="a")(image)))
    y = layers.BatchNormalization(name="bn_b")(layers.Conv2D(32, 3, padding="same", name="b")(x))
    x = layers.Add()([x, y])
    x = layers.Conv2D(40, 1, strides=2, name="c")(x)
    x = layers.Dense(4, name="logits")(layers.GlobalAveragePooling2D()(x))
    model = flat_copy(keras.Model(image, x))
    random = np.random.default_rng(0)
    for layer in model.layers:
        layer.set_weights([random.uniform(0.1, 1, weight.shape) for weight in layer.get_weights()])
    return model


@pytest.fixture(scope="module")
def coupling(network: Any) -> Coupling:
    return trace(network)


def test_the_sum_couples_its_channels(coupling: Coupling) -> None:
    assert [(group.layers, len(group.ids), group.fixed) for group in coupling.groups if group.layers] == [
        (("a", "bn_a", "b", "bn_b"), 32, ""),
        (("c",), 40, ""),
        (("logits",), 4, "its channels are the output of the model"),
    ]


def test_magnitude_is_the_norm_of_all_parameters_of_a_channel(network: Any, coupling: Coupling) -> None:
    weights = {layer.name: layer.get_weights() for layer in network.layers}
    squares = sum(
        (kernel**2).sum(axis=(0, 1, 2)) + bias**2 + sum(w**2 for w in weights[f"bn_{name}"])
        for name in "ab"
        for kernel, bias in [weights[name]]
    )
    squares = squares + (weights["b"][0] ** 2).sum(axis=(0, 1, 3)) + (weights["c"][0] ** 2).sum(axis=(0, 1, 3))
    expected = np.sqrt(squares)
    group = next(group for group in coupling.groups if "a" in group.layers)
    np.testing.assert_allclose(importance(coupling, "magnitude")[group.ids], expected / expected.mean(), rtol=1e-5)


def test_batchnorm_is_the_mean_scale(network: Any, coupling: Coupling) -> None:
    scales = [np.abs(network.get_layer(name).get_weights()[0]) for name in ("bn_a", "bn_b")]
    group = next(group for group in coupling.groups if "a" in group.layers)
    expected = np.mean(scales, axis=0)
    np.testing.assert_allclose(importance(coupling, "batchnorm")[group.ids], expected / expected.mean(), rtol=1e-6)


def test_taylor_is_the_change_of_the_loss_to_first_order(network: Any, coupling: Coupling) -> None:
    import tensorflow as tf

    from edgecnn.compress.channels.gradients import gradients_of

    random = np.random.default_rng(1)
    pictures = random.normal(size=(6, 8, 8, 3)).astype(np.float32)
    labels, factors = np.eye(4, dtype=np.float32)[random.integers(0, 4, 6)], np.ones(6, np.float32)
    group = next(group for group in coupling.groups if group.layers == ("c",))
    values = importance(coupling, "taylor", gradients_of(network, coupling), [(pictures, labels, factors)])

    def loss() -> float:
        logits = network(pictures, training=False)
        return float(tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels, logits)))

    c, dense = network.get_layer("c"), network.get_layer("logits")
    whole, step, changes = [c.get_weights(), dense.get_weights()], 1e-2, []
    for channel in range(40):  # a little less of everything that goes with the channel
        losses = []
        for factor in (1 + step, 1 - step):
            (kernel, bias), (rows, offset) = ([array.copy() for array in arrays] for arrays in whole)
            kernel[..., channel] *= factor
            bias[channel] *= factor
            rows[channel] *= factor
            c.set_weights([kernel, bias])
            dense.set_weights([rows, offset])
            losses.append(loss())
        changes.append(abs(losses[0] - losses[1]) / (2 * step))
    c.set_weights(whole[0])
    dense.set_weights(whole[1])
    np.testing.assert_allclose(values[group.ids], np.array(changes) / np.mean(changes), rtol=0.05, atol=0.02)


def test_a_target_in_macs_is_reached_and_not_far_exceeded(coupling: Coupling) -> None:
    values = importance(coupling, "magnitude")
    for share in (0.9, 0.6, 0.3):
        keep = select(coupling, values, Target(macs=share), multiple=1)
        assert 0.9 * share < macs(coupling, keep) / macs(coupling) <= share
        assert parameters(coupling, keep) < parameters(coupling)


def test_the_least_important_channels_go_in_numbers_that_suit_kernels(coupling: Coupling) -> None:
    values = importance(coupling, "magnitude")
    keep = select(coupling, values, Target(macs=0.5), multiple=8)
    for group in coupling.groups:
        kept = keep[group.ids]
        if group.fixed:
            assert kept.all()
        else:
            assert kept.sum() % 8 == 0
            assert values[group.ids][kept].min() >= values[group.ids][~kept].max(initial=0)


def test_everywhere_takes_the_same_share_of_each_group(coupling: Coupling) -> None:
    values = importance(coupling, "magnitude")
    values[next(group.ids for group in coupling.groups if group.layers == ("c",))] *= 1000
    keep = select(coupling, values, Target(sparsity=0.5), everywhere=True, multiple=1)
    shares = [keep[group.ids].mean() for group in coupling.groups if not group.fixed]
    assert shares == pytest.approx([0.5, 0.5], abs=0.05)
    anywhere = select(coupling, values, Target(sparsity=0.25), multiple=1)
    assert anywhere[next(group.ids for group in coupling.groups if group.layers == ("c",))].all()


def test_macs_are_those_of_the_converted_model(network: Any, coupling: Coupling) -> None:
    from tests.compress.channels.conftest import as_tflite

    info = describe(as_tflite(network))
    assert info.macs == macs(coupling) == 64 * (27 * 32 + 9 * 32 * 32) + 16 * 32 * 40 + 40 * 4


def test_impossible_targets_say_so(coupling: Coupling) -> None:
    values = importance(coupling, "magnitude")
    with pytest.raises(EdgecnnError, match=r"cannot be reached: at least \d+% of the multiply-accumulates remain"):
        select(coupling, values, Target(macs=0.001))
    for arguments, message in (
        ({}, "either a sparsity or a share"),
        ({"sparsity": 0.5, "macs": 0.5}, "either a sparsity or a share"),
        ({"sparsity": 1.0}, r"expected sparsity in \[0, 1\), got 1"),
        ({"macs": 0.0}, r"in \(0, 1\], got 0"),
    ):
        with pytest.raises(EdgecnnError, match=message):
            Target(**arguments)
    with pytest.raises(EdgecnnError, match="expected importance to be one of"):
        importance(coupling, "luck")


def test_exact_multiples_leave_small_groups_whole(network: Any, coupling: Coupling) -> None:
    """Of 32 and 40 channels: quarters of 16 by default; exactly 16 leaves 16, 32 and 40 to choose from."""
    values = np.random.default_rng(1).random(coupling.count)
    loose = select(coupling, values, Target(macs=0.45), multiple=16)
    exact = select(coupling, values, Target(macs=0.45), multiple=16, exact=True)
    assert [int(loose[group.ids].sum()) % 8 for group in coupling.groups if not group.fixed] == [0, 0]
    assert {int(exact[group.ids].sum()) for group in coupling.groups if not group.fixed} <= {16, 32, 40}
    assert macs(coupling, exact) <= 0.45 * macs(coupling)
    whole = select(coupling, values, Target(macs=1.0), multiple=64, exact=True)
    assert whole.all()
