"""Batches: every picture once, the same for the same seed and epoch, whatever thread asks."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_class_weight

from edgecnn.config import Preprocess
from edgecnn.data.dataset import Dataset, Sample
from edgecnn.data.preprocess import Preprocessor
from edgecnn.train.augment import Augment
from edgecnn.train.batches import Batches, balanced_weights
from edgecnn.train.cache import PictureCache

WANTED = Preprocess(4, 4, mean=(127.5,), std=(127.5,))
PICTURES = np.random.default_rng(1).integers(0, 256, (10, 4, 4, 3), np.uint8)
CLASSES = 3


@pytest.fixture
def cache(tmp_path: Path) -> PictureCache:
    """Ten pictures of three classes: 0 0 0 0 0 1 1 1 2 2."""
    samples = tuple(Sample(str(i), label) for i, label in enumerate([0] * 5 + [1] * 3 + [2] * 2))
    dataset = Dataset(
        "ten", "abc", {"train": samples, "val": (), "test": ()}, lambda name: np.ascontiguousarray(PICTURES[int(name)])
    )
    return PictureCache(dataset, samples, WANTED, memory=1 << 20, folder=tmp_path)


def batches(cache: PictureCache, size: int = 4, **options: object) -> Batches:
    return Batches(cache, np.arange(10), CLASSES, Preprocessor(WANTED), size, **options)  # type: ignore[arg-type]  # passed on


def whole(made: Batches) -> list[NDArray[np.float32]]:
    return [np.concatenate(part) for part in zip(*(made[i] for i in range(len(made))), strict=True)]


def test_measuring_takes_every_picture_in_order(cache: PictureCache) -> None:
    made = batches(cache)
    assert [len(made[i][0]) for i in range(len(made))] == [4, 4, 2]
    pictures, labels, weights = whole(made)
    expected = np.stack([Preprocessor(WANTED)(picture) for picture in PICTURES])
    assert np.array_equal(pictures, expected)
    assert np.array_equal(labels, np.eye(3, dtype=np.float32)[cache.labels])
    assert np.array_equal(weights, np.ones(10))
    assert pictures.dtype == labels.dtype == weights.dtype == np.float32


def test_training_takes_full_batches_in_another_order_every_epoch(cache: PictureCache) -> None:
    made = batches(cache, options=Augment())
    assert len(made) == 2
    seen = []
    for epoch in range(30):
        made.start(epoch)
        pictures = whole(made)[0]
        assert len(np.unique(pictures, axis=0)) == 8
        seen.append(pictures.tobytes())
    assert len(set(seen)) == 30


def test_a_small_set_is_one_batch(cache: PictureCache) -> None:
    made = batches(cache, 64, options=Augment())
    assert (len(made), len(made[0][0])) == (1, 10)


def test_the_same_seed_and_epoch_give_the_same_batches_in_any_order(cache: PictureCache) -> None:
    options = Augment(flip=True, rotate=30, mixup=0.3)
    first, second = (batches(cache, options=options, seed=3) for _ in range(2))
    first.start(5)
    second.start(2)
    second[1]
    second.start(5)
    for number in (1, 0):
        for a, b in zip(first[number], second[number], strict=True):
            assert np.array_equal(a, b)
    other = batches(cache, options=options, seed=4)
    other.start(5)
    assert not np.array_equal(first[0][0], other[0][0])


def test_classes_weigh_what_they_are_given(cache: PictureCache) -> None:
    weights = balanced_weights(cache.labels, CLASSES)
    made = batches(cache, class_weights=weights)
    assert np.array_equal(whole(made)[2], weights[cache.labels])


def test_hosts_share_every_batch(cache: PictureCache) -> None:
    parts = [batches(cache, options=Augment(), rows=slice(2 * i, 2 * i + 2)) for i in range(2)]
    alone = batches(cache, options=Augment())
    for made in (*parts, alone):
        made.start(1)
    for number in range(2):
        joined = np.concatenate([part[number][0] for part in parts])
        assert np.array_equal(joined, alone[number][0])


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    labels = np.repeat(np.arange(4), [5, 1, 30, 9])
    expected = compute_class_weight("balanced", classes=np.arange(4), y=labels)
    assert balanced_weights(labels, 4) == pytest.approx(expected, abs=1e-6)
    assert balanced_weights(np.array([0, 0, 2]), 3)[1] == 0
