"""Attacks against a linear network, for which the best answer is known; whole levels, the ball and the seed."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from edgecnn.config import Preprocess
from edgecnn.errors import EdgecnnError
from edgecnn.robust.attacks import Surrogate, fgsm, pgd_attack
from tests.robust.linear import linear_surrogate

pytest.importorskip("keras")

PIXELS = arrays(np.uint8, (3, 4, 4, 3))
TARGETS = np.array([0, 1, 0])


def generators(count: int, seed: int = 0) -> list[np.random.Generator]:
    return [np.random.default_rng([seed, i]) for i in range(count)]


@settings(max_examples=40)
@given(pixels=PIXELS, levels=st.floats(1, 40), steps=st.integers(1, 5))
def test_every_picture_is_whole_levels_within_epsilon(pixels: NDArray[np.uint8], levels: float, steps: int) -> None:
    surrogate = linear_surrogate()
    for moved in (
        fgsm(surrogate, pixels, TARGETS, epsilon=levels / 255),
        pgd_attack(surrogate, pixels, TARGETS, epsilon=levels / 255, steps=steps, random=generators(3)),
    ):
        assert moved.dtype == np.uint8
        assert moved.shape == pixels.shape
        assert np.abs(moved.astype(int) - pixels).max() <= levels + 1e-3


@pytest.mark.parametrize("levels", [1, 8, 16])
def test_the_best_picture_of_a_linear_network_is_found(levels: int) -> None:
    """The margin is linear in the pixels: away from the true class each moves by epsilon, or as far as it can."""
    surrogate, pixels = linear_surrogate(), np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), np.uint8)
    signs = np.sign(surrogate.loss_gradient(pixels, TARGETS)).astype(int)
    assert signs.any()
    best = np.clip(pixels + levels * signs, 0, 255)
    np.testing.assert_array_equal(fgsm(surrogate, pixels, TARGETS, epsilon=levels / 255), best)
    moved = pgd_attack(surrogate, pixels, TARGETS, epsilon=levels / 255, steps=10, random=generators(3))
    np.testing.assert_array_equal(moved, best)


def test_the_gradient_is_in_levels_whatever_the_normalization() -> None:
    """The same network after other normalizations of the same pixels: weights scaled by std, bias moved by mean."""
    pixels = np.random.default_rng(1).integers(0, 256, (3, 4, 4, 3), np.uint8)
    raw = linear_surrogate()
    other = linear_surrogate(Preprocess(4, 4, "rgb", (120.0, 110.0, 100.0), (60.0, 50.0, 40.0)))
    expected = raw.loss_gradient(pixels, TARGETS)
    np.testing.assert_allclose(other.loss_gradient(pixels, TARGETS), expected, rtol=1e-3, atol=1e-7)


def test_a_batch_that_is_cut_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    surrogate, pixels = linear_surrogate(), np.random.default_rng(3).integers(0, 256, (3, 4, 4, 3), np.uint8)

    def run() -> NDArray[np.uint8]:
        return pgd_attack(surrogate, pixels, TARGETS, epsilon=0.1, steps=2, step=0.01, random=generators(3))

    whole = run()
    monkeypatch.setattr("edgecnn.robust.attacks._MOST", 2)
    np.testing.assert_array_equal(run(), whole)
    other = pgd_attack(surrogate, pixels, TARGETS, epsilon=0.1, steps=2, step=0.01, random=generators(3, seed=1))
    assert (other != whole).any(), "another random start"


@pytest.mark.parametrize("epsilon", [0.0, 0.5 / 255, 1.5, float("nan")])
def test_an_epsilon_that_no_pixel_can_have_is_refused(epsilon: float) -> None:
    pixels = np.zeros((3, 4, 4, 3), np.uint8)
    with pytest.raises(EdgecnnError, match="expected an epsilon from 1/255 to 1"):
        fgsm(linear_surrogate(), pixels, TARGETS, epsilon=epsilon)


def test_large_pictures_come_in_small_batches() -> None:
    surrogate = linear_surrogate()
    assert surrogate.batch == 128
    large: Surrogate = replace(surrogate, preprocess=replace(surrogate.preprocess, width=640, height=640))
    assert large.batch == 2
