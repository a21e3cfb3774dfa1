"""Pruned layers have the zeros, clustered layers the few values that were asked for; the same seed, the same model."""

import os
import random
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from edgecnn.compress.tune import TuneConfig
from edgecnn.compress.weights import cluster_weights, prune_weights
from edgecnn.errors import ConversionError
from tests.compress.lessons import RandomLessons, mixed_network

KERNELS = {"first": "kernel", "gate": "kernel", "separable": "pointwise_kernel", "last": "kernel"}


def kernels(model: Any) -> dict[str, Any]:
    return {name: np.asarray(getattr(model.get_layer(name), kernel)) for name, kernel in KERNELS.items()}


@pytest.fixture(scope="module")
def network() -> Any:
    return mixed_network(import_module("tf_keras"))


@pytest.fixture(scope="module")
def pruned(network: Any) -> Any:
    return prune_weights(network, RandomLessons(), TuneConfig(epochs=2), sparsity=0.75)


def test_each_layer_has_the_zeros_and_the_model_is_a_plain_one(network: Any, pruned: Any) -> None:
    for name, kernel in kernels(pruned.model).items():
        share = np.mean(kernel == 0)
        assert 0.75 <= share < 0.8, name
        assert np.count_nonzero(kernels(network)[name] == 0) == 0  # the one that was given is left alone
    assert {name for name, _ in pruned.changed} == set(KERNELS)
    assert pruned.skipped == (("deep", "tensorflow-model-optimization prunes no depthwise convolution"),)
    assert {type(layer).__name__ for layer in pruned.model.layers} <= {type(layer).__name__ for layer in network.layers}
    assert [record.epoch for record in pruned.history] == [1, 2]


def test_the_same_seed_gives_the_same_weights_and_the_process_stays_as_it_was(network: Any, pruned: Any) -> None:
    before = random.getstate(), repr(np.random.get_state())
    again = prune_weights(network, RandomLessons(), TuneConfig(epochs=2), sparsity=0.75)
    for one, other in zip(pruned.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert (random.getstate(), repr(np.random.get_state())) == before
    assert "TF_USE_LEGACY_KERAS" not in os.environ
    assert import_module("tensorflow").keras.__version__.startswith("3.")


@pytest.mark.parametrize("keep", [False, True])
def test_clusters_are_few_and_zeros_stay(pruned: Any, keep: bool) -> None:
    result = cluster_weights(pruned.model, RandomLessons(), TuneConfig(), clusters=6, keep_sparsity=keep)
    for name, kernel in kernels(result.model).items():
        assert 1 < len(np.unique(kernel)) <= 6, name
        if keep:
            assert (kernel[kernels(pruned.model)[name] == 0] == 0).all(), name


def test_layers_with_too_few_weights_are_skipped_with_the_reason(network: Any) -> None:
    result = cluster_weights(network, RandomLessons(batches=1), TuneConfig(epochs=0), clusters=100)
    assert ("gate", "it has only 64 weights") in result.skipped
    assert "first" in dict(result.changed)


@pytest.mark.parametrize("sparsity", [0.0, 1.0, 50.0])
def test_a_wrong_sparsity_is_refused(network: Any, sparsity: float) -> None:
    with pytest.raises(ConversionError, match="between 0 and 1"):
        prune_weights(network, RandomLessons(), TuneConfig(), sparsity=sparsity)


def test_too_few_clusters_are_refused(network: Any) -> None:
    with pytest.raises(ConversionError, match="at least 3 clusters, got 2"):
        cluster_weights(network, RandomLessons(), TuneConfig(), clusters=2, keep_sparsity=True)
