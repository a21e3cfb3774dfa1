"""MixUp and CutMix: the labels follow the pixels, exactly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecnn.train.augment import Augment
from edgecnn.train.mix import mix

MIXES = [Augment(mixup=0.4), Augment(cutmix=1.0), Augment(mixup=0.2, cutmix=1.0)]


def one_hot(count: int, classes: int) -> NDArray[np.float32]:
    return np.eye(classes, dtype=np.float32)[np.arange(count) % classes]


def numbered(count: int, height: int, width: int, dtype: type[np.generic]) -> NDArray[np.generic]:
    """Pictures of one level each, 3 times their number: what is mixed can be read off."""
    return np.broadcast_to(3 * np.arange(count)[:, None, None, None], (count, height, width, 3)).astype(dtype)


@given(
    chosen=st.sampled_from(MIXES),
    seed=st.integers(0, 10_000),
    shape=st.tuples(st.integers(0, 9), st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3])),
    dtype=st.sampled_from([np.uint8, np.float32]),
)
def test_labels_keep_their_sum_and_pixels_their_kind(
    chosen: Augment, seed: int, shape: tuple[int, int, int, int], dtype: type[np.generic]
) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, shape).astype(dtype)
    labels = one_hot(shape[0], 4) * np.float32(0.9) + np.float32(0.025)  # smoothed
    before = pixels.copy(), labels.copy()
    mixed, weights = mix(pixels, labels, chosen, np.random.default_rng(seed))
    assert np.array_equal(pixels, before[0])
    assert np.array_equal(labels, before[1])
    assert mixed.shape == shape
    assert mixed.dtype == dtype
    assert weights.shape == labels.shape
    assert weights.dtype == np.float32
    assert weights.sum(1) == pytest.approx(1, abs=1e-6)
    assert (weights >= 0).all()
    again, again_weights = mix(pixels, labels, chosen, np.random.default_rng(seed))
    assert np.array_equal(mixed, again)
    assert np.array_equal(weights, again_weights)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_mixup_weighs_pixels_as_labels(dtype: type[np.generic]) -> None:
    pixels = numbered(8, 4, 5, dtype)
    moved = 0
    for seed in range(30):
        mixed, weights = mix(pixels, one_hot(8, 8), Augment(mixup=1.0), np.random.default_rng(seed))
        expected = weights @ (3.0 * np.arange(8))
        assert np.abs(mixed - expected[:, None, None, None]).max() <= (0.5 if dtype is np.uint8 else 0) + 1e-5
        assert np.count_nonzero(weights, axis=1).max() <= 2
        assert len({*weights[weights > 0].round(4)} - {1}) <= 2  # one share for the batch, and its rest
        moved += int((mixed != pixels).any((1, 2, 3)).sum())
    assert moved > 100


def test_cutmix_labels_are_the_area_that_came() -> None:
    pixels = numbered(8, 6, 7, np.uint8)
    clipped = 0
    for seed in range(200):
        mixed, weights = mix(pixels, one_hot(8, 8), Augment(cutmix=1.0), np.random.default_rng(seed))
        for index, picture in enumerate(mixed[..., 0]):
            counts = np.bincount(picture.ravel() // 3, minlength=8) / picture.size
            assert weights[index] == pytest.approx(counts, abs=1e-6)
        rows, columns = np.nonzero(mixed[0, ..., 0] != pixels[0, ..., 0])
        if len(rows):  # the pixels that changed fill a box
            height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
            assert height * width == len(rows)
            clipped += bool(abs(height / 6 - width / 7) > 0.3)  # of the picture's aspect but for what stuck out
    assert clipped > 10


def test_cutmix_pastes_from_the_same_place() -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (6, 8, 8, 1), np.uint8)
    for seed in range(20):
        mixed, weights = mix(pixels, one_hot(6, 6), Augment(cutmix=1.0), np.random.default_rng(seed))
        for index, partner in enumerate((weights - 2 * np.eye(6)).argmax(1)):
            foreign = mixed[index] != pixels[index]
            assert np.array_equal(mixed[index][foreign], pixels[partner][foreign])


def test_of_both_each_takes_half_of_the_batches() -> None:
    pixels = numbered(8, 6, 6, np.float32)
    uniform = 0
    for seed in range(200):
        mixed, _ = mix(pixels, one_hot(8, 8), Augment(mixup=5.0, cutmix=5.0), np.random.default_rng(seed))
        uniform += bool(np.ptp(mixed, axis=(1, 2, 3)).max() == 0)  # MixUp leaves each picture one level
    assert 70 < uniform < 130


def test_the_share_follows_the_beta_distribution() -> None:
    pixels, labels = numbered(2, 1, 1, np.float32), one_hot(2, 2)
    shares = [
        float(mix(pixels, labels, Augment(mixup=0.2), np.random.default_rng(seed))[1].max()) for seed in range(400)
    ]
    mixed = np.array(shares)[np.array(shares) < 1]  # in half of the batches the two pictures are their own partners
    assert 150 < len(mixed) < 250
    # Of Beta(0.2, 0.2) 33 % lies within 0.1 to 0.9.
    assert 0.23 < (mixed < 0.9).mean() < 0.43


def test_without_mixing_the_inputs_come_back() -> None:
    pixels, labels = numbered(4, 3, 3, np.uint8), one_hot(4, 4)
    mixed, weights = mix(pixels, labels, Augment(flip=True, rand_augment=2), np.random.default_rng(1))
    assert mixed is pixels
    assert weights is labels
