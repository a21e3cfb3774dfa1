"""The pictures that several models can be compared on, each model with its own order of labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.data.dataset import Dataset, Sample, balanced, match_labels
from edgecnn.errors import DataError

_LESSONS: Final = 512  # pictures that a patch is trained on


@dataclass(frozen=True)
class Common:
    """What all models know of a data set.

    Attributes:
        samples: pictures of the split, `label` being the data set's class.
        places: of every model, the output that stands for each class.
        notes: classes left out, in words.
    """

    samples: tuple[Sample, ...]
    places: tuple[dict[int, int], ...]
    notes: tuple[str, ...]

    def truth(self, model: int, samples: Sequence[Sample]) -> NDArray[np.int64]:
        """The outputs (samples,) that would be right for a model."""
        return np.array([self.places[model][s.label] for s in samples if s.label is not None], np.int64)


def common_samples(dataset: Dataset, labels: Sequence[Sequence[str]], split: str, limit: int | None) -> Common:
    """The pictures of a split whose classes all models know.

    Args:
        labels: class names of every model, in output order.
        limit: at most so many, balanced over classes.

    Raises:
        DataError: the data has no labels, or no picture of a class that all know.
    """
    places = tuple(match_labels(names, dataset.classes) for names in labels)
    shared = set.intersection(*map(set, places))
    samples = [sample for sample in dataset.split(split) if sample.label in shared]
    if not samples:
        raise DataError(f"the {split} split of {dataset.name} has no image of a class that every model knows")
    strange = [name for i, name in enumerate(dataset.classes) if i not in shared]
    notes = (f"classes that not every model knows are left out: {', '.join(strange)}",) if strange else ()
    chosen = tuple(samples) if limit is None or limit >= len(samples) else balanced(samples, limit)
    return Common(chosen, places, notes)


def lessons(dataset: Dataset, common: Common, split: str) -> tuple[tuple[Sample, ...], str]:
    """At most 512 pictures to train a patch on, and the split they are of: train, or the measured one without it."""
    known = [sample for sample in dataset.split("train") if sample.label in common.places[-1]]
    return balanced(known or common.samples, _LESSONS), "train" if known else split
