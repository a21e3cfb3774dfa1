"""The patch: where it lies, that it changes nothing else, and that training makes it fool a network."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecnn.config import Preprocess
from edgecnn.errors import EdgecnnError
from edgecnn.robust.patch import noise_patch, paste, place, side_of, train_patch
from tests.robust.linear import linear_surrogate

SIZE = Preprocess(16, 16, "rgb")


def generators(count: int) -> list[np.random.Generator]:
    return [np.random.default_rng(i) for i in range(count)]


@given(height=st.integers(1, 40), width=st.integers(1, 40), share=st.floats(0.01, 0.5), seed=st.integers(0, 2**32 - 1))
def test_it_lies_inside_and_covers_its_share(height: int, width: int, share: float, seed: int) -> None:
    side = side_of(height, width, share)
    where = place(height, width, side, np.random.default_rng(seed))
    assert where.shape == (height, width)
    assert where.min() >= -1
    assert where.max() < side * side
    area = (where >= 0).sum()
    most = (1.2 * side) ** 2 + 4 * 1.2 * side + 4  # a line of pixels more all around
    assert area <= most
    if side * 1.2 * 1.31 <= min(height, width) and side >= 4:  # fits whatever its rotation and scale
        assert area >= (0.8 * side - 1.5) ** 2
        assert len(np.unique(where[where >= 0])) >= 0.3 * side * side, "most of the patch is seen"


def test_unturned_and_unscaled_it_is_the_patch_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecnn.robust.patch._ROTATION", 0.0)
    monkeypatch.setattr("edgecnn.robust.patch._SCALES", (1.0, 1.0))
    where = place(6, 8, 3, np.random.default_rng(0))
    rows, columns = np.nonzero(where >= 0)
    assert len(rows) == 9
    window = where[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    np.testing.assert_array_equal(window, np.arange(9).reshape(3, 3))


def test_places_differ_and_cover_the_picture() -> None:
    covered = np.zeros((20, 20), int)
    for generator in generators(300):
        covered += place(20, 20, 5, generator) >= 0
    assert (covered[2:-2, 2:-2] > 0).all()
    assert covered.max() < 100, "not always the same place"


def test_pixels_beside_the_patch_stay() -> None:
    pixels = np.random.default_rng(1).integers(0, 100, (5, 16, 16, 3), np.uint8)
    patch = np.full((4, 4, 3), 200, np.uint8)
    spoilt = paste(pixels, patch, generators(5))
    inside = np.stack([place(16, 16, 4, generator) >= 0 for generator in generators(5)])
    np.testing.assert_array_equal(spoilt[~inside], pixels[~inside])
    assert (spoilt[inside] == 200).all()
    assert inside.any(axis=(1, 2)).all()
    assert spoilt.dtype == np.uint8


def errors(pixels: NDArray[np.uint8], targets: NDArray[np.int64], patch: NDArray[np.uint8]) -> float:
    """Mean distance of the probability from the true class, with the patch at places of its own choice."""
    surrogate = linear_surrogate(SIZE)
    spoilt = paste(pixels, patch, generators(len(pixels)))
    slope = surrogate.loss_gradient(spoilt, targets)
    weights = surrogate.loss_gradient(spoilt, 1 - targets) - slope  # the gradients differ by the weights themselves
    return float((np.abs(slope).sum(axis=(1, 2, 3)) / np.abs(weights).sum(axis=(1, 2, 3))).mean())


def test_training_fools_more_than_noise_and_an_aim_is_reached() -> None:
    surrogate = linear_surrogate(SIZE)
    pixels = np.random.default_rng(2).integers(90, 166, (48, 16, 16, 3), np.uint8)
    zeros = np.zeros(48, np.int64)
    noise = errors(pixels, zeros, noise_patch(side_of(16, 16, 0.3), 3))
    away = train_patch(surrogate, pixels, zeros, share=0.3, steps=60)
    assert away.shape == (9, 9, 3)
    assert away.dtype == np.uint8
    assert errors(pixels, zeros, away) > noise + 0.02
    ones = 1 - zeros
    towards = train_patch(surrogate, pixels, ones, share=0.3, aim=0, steps=60)
    assert errors(pixels, ones, towards) > errors(pixels, ones, noise_patch(9, 3)) + 0.02


def test_the_same_seed_gives_the_same_patch_and_tells_its_progress() -> None:
    surrogate, told = linear_surrogate(SIZE), []
    pixels = np.random.default_rng(3).integers(0, 256, (8, 16, 16, 3), np.uint8)
    targets = np.arange(8) % 2

    def train(seed: int) -> NDArray[np.uint8]:
        return train_patch(surrogate, pixels, targets, steps=5, seed=seed, progress=lambda *pair: told.append(pair))

    first = train(0)
    np.testing.assert_array_equal(train(0), first)
    assert (train(1) != first).any()
    assert told[:5] == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(EdgecnnError, match="more than 0 and less than 1"):
        side_of(8, 8, share)


def test_there_must_be_pictures_of_another_class() -> None:
    pixels = np.zeros((2, 16, 16, 3), np.uint8)
    with pytest.raises(EdgecnnError, match="every picture shows the class"):
        train_patch(linear_surrogate(SIZE), pixels, np.array([1, 1]), aim=1)
