"""Activation ranges: what is collected, what is kept, and how models are compared."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy.stats import entropy

from edgecnn.compress.ranges import ActivationExtremes, collect_extremes, divergence
from edgecnn.compress.recipe import recipe_for
from edgecnn.runtime.interpreter import Engine

scores = hnp.arrays(np.float32, (5, 4), elements=st.floats(0, 1, width=32)).map(
    lambda values: ((values + 1e-6) / (values + 1e-6).sum(axis=1, keepdims=True)).astype(np.float32)
)


@pytest.fixture(scope="module")
def extremes(network: bytes, pictures: list[NDArray[np.float32]]) -> ActivationExtremes:
    return collect_extremes(network, recipe_for("int8", "int8"), pictures)


def test_extremes_are_those_of_every_picture(
    extremes: ActivationExtremes, network: bytes, pictures: list[NDArray[np.float32]]
) -> None:
    lows, highs = extremes.observed["serving_default_image:0"]
    assert np.allclose(lows.ravel(), [picture.min() for picture in pictures])
    assert np.allclose(highs.ravel(), [picture.max() for picture in pictures])
    engine = Engine(network, keep_tensors=True)
    peaks = []
    for picture in pictures:
        engine.run(picture)
        peaks.append(engine.tensor(1).max())  # tensor 1 holds the first convolution's output, see conftest
    names = [name for name, (_, high) in extremes.observed.items() if np.allclose(high.ravel(), peaks, rtol=1e-4)]
    assert names == ["first"]


def test_the_whole_range_holds_everything_and_smaller_quantiles_less(extremes: ActivationExtremes) -> None:
    whole, less = extremes.ranges(1.0, known={}), extremes.ranges(0.9, known={})
    for name, (lows, highs) in extremes.observed.items():
        assert whole[name]["min"].item() == min(0, lows.min())
        assert whole[name]["max"].item() == max(0, highs.max())
        assert whole[name]["min"] <= less[name]["min"] <= 0 <= less[name]["max"] <= whole[name]["max"]
    assert any(less[name]["max"] < whole[name]["max"] for name in extremes.observed)


def test_a_known_range_replaces_what_was_seen(extremes: ActivationExtremes) -> None:
    ranges = extremes.ranges(0.9, known={"first": (-1.0, 2.0)})
    assert (ranges["first"]["min"].item(), ranges["first"]["max"].item()) == (-1.0, 2.0)


@given(scores, scores)
def test_divergence_is_zero_for_equals_only(one: NDArray[np.float32], other: NDArray[np.float32]) -> None:
    assert divergence(one, one) == 0
    assert divergence(one, other) >= -1e-12


@given(scores, scores)
def test_divergence_is_relative_entropy(one: NDArray[np.float32], other: NDArray[np.float32]) -> None:
    expected = entropy(one.astype(np.float64) + 1e-3, other.astype(np.float64) + 1e-3, axis=1).mean()
    assert divergence(one, other) == pytest.approx(expected, abs=1e-12)


def test_exact_zeros_of_eight_bit_outputs_are_finite() -> None:
    sure, unsure = np.array([[1, 0]], np.float32), np.array([[0, 1]], np.float32)
    assert 1 < divergence(sure, unsure) < 20
