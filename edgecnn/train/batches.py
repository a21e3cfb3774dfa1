"""Batches from the cache: shuffled, augmented and normalized, the same for the same (seed, epoch) on any backend."""

import math
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.data.preprocess import Preprocessor
from edgecnn.train.augment import Augment, augment_batch
from edgecnn.train.cache import PictureCache
from edgecnn.train.mix import mix

Batch = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


class Batches:
    """Some of a cache's pictures in batches. Several threads may ask for batches.

    In training, every epoch has an order of its own and only full batches, so that shapes never change; the few
    pictures left over are others in every epoch. Random choices depend on (seed, epoch, batch, host) alone.

    Args:
        indices: of the cache's samples.
        classes: number of classes.
        normalize: turns uint8 batches into float32 tensors.
        size: pictures a batch, of all hosts together.
        options: augmentation, None outside of training.
        class_weights: (classes,) factors of the loss; None for 1.
        rows: of every batch, those that this host computes.
    """

    def __init__(
        self,
        cache: PictureCache,
        indices: NDArray[np.int64],
        classes: int,
        normalize: Preprocessor,
        size: int,
        *,
        options: Augment | None = None,
        class_weights: NDArray[np.float32] | None = None,
        seed: int = 0,
        rows: slice = slice(None),
    ) -> None:
        self._cache, self._indices, self._normalize = cache, indices, normalize
        self._identity = np.eye(classes, dtype=np.float32)
        self._weights = class_weights if class_weights is not None else np.ones(classes, np.float32)
        self._training, self._augment = options is not None, options or Augment()
        self._seed, self._rows, self._epoch = seed, rows, 0
        self.size = min(size, len(indices)) if self._training else size
        self._order = indices

    def start(self, epoch: int) -> None:
        """Take the order and the random choices of an epoch."""
        self._epoch = epoch
        if self._training:
            self._order = np.random.default_rng([self._seed, epoch]).permutation(self._indices)

    def __len__(self) -> int:
        return len(self._indices) // self.size if self._training else math.ceil(len(self._indices) / self.size)

    def __getitem__(self, number: int) -> Batch:
        """Batch `number` of the epoch.

        Returns:
            Normalized pictures float32 (n, height, width, channels), labels float32 (n, classes) that sum to 1,
            and factors of the loss float32 (n,).
        """
        indices = self._order[number * self.size : (number + 1) * self.size][self._rows]
        pixels, labels = self._cache.gather(indices), self._identity[self._cache.labels[indices]]
        random = np.random.default_rng([self._seed, self._epoch, number, self._rows.start or 0])
        # Mixed before they are normalized: four times fewer bytes, equal to half a level.
        pixels, labels = mix(augment_batch(pixels, self._augment, random), labels, self._augment, random)
        return self._normalize.normalize(pixels), labels, labels @ self._weights


def keras_dataset(batches: Batches, *, workers: int | None = None) -> Any:
    """The batches as Keras takes them, made by threads while the network computes."""
    import keras

    class KerasBatches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
        def __len__(self) -> int:
            return len(batches)

        def __getitem__(self, number: int) -> Batch:
            return batches[number]

    return KerasBatches(workers=workers or min(4, os.cpu_count() or 1), use_multiprocessing=False, max_queue_size=8)


def balanced_weights(labels: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """Factor of each class, (classes,), inverse to its share; their mean over the pictures is 1.

    The rule of scikit-learn's `compute_class_weight("balanced")`; a class without pictures gets 0.
    """
    counts = np.bincount(labels, minlength=classes)
    weights = np.divide(len(labels), np.count_nonzero(counts) * counts, out=np.zeros(classes), where=counts > 0)
    return np.asarray(weights, np.float32)
