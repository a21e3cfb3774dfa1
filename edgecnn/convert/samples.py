"""Which pictures do what in a conversion. Those that accuracy is reported on decide nothing."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from edgecnn.convert.options import ConvertConfig
from edgecnn.data.dataset import Dataset, Sample, balanced
from edgecnn.errors import DataError
from edgecnn.measure.evaluate import labelled_task

_JUDGES = 5000  # at most so many pictures decide about a rung, or about confidence


@dataclass(frozen=True)
class Pictures:
    """Who does what.

    Attributes:
        training: some of them calibrate; stages learn from all.
        measured: accuracy is reported on these, or agreement where they have no labels.
        split: where the measured ones are from.
        unseen: they tell how sure the model may be; empty where nobody asks.
        unseen_split: where these are from.
        notes: what was decided, in words.
    """

    training: tuple[Sample, ...]
    measured: tuple[Sample, ...]
    split: str
    unseen: tuple[Sample, ...] = ()
    unseen_split: str = ""
    notes: tuple[str, ...] = ()


def choose_pictures(dataset: Dataset, labels: Sequence[str], config: ConvertConfig) -> Pictures:
    """Pictures to calibrate with, to measure on, and to find the confidence with; none is in two of these.

    Confidence needs pictures that the model has not learned by heart: the val split where accuracy is measured on test,
    else one half of the measured split, and accuracy is measured on the other half.

    Args:
        labels: class names in the model's order.

    Raises:
        DataError: there are too few pictures, or none of a class that the model knows.
    """
    if not dataset.labelled:
        return _unlabelled(dataset, config)
    split = dataset.measured_split()
    task = labelled_task(dataset, labels, split)
    training = labelled_task(dataset, labels, "train").samples
    measured, notes = task.samples, task.notes
    unseen: tuple[Sample, ...] = ()
    unseen_split = ""
    if config.calibrate_confidence and split == "test" and dataset.split("val"):
        unseen, unseen_split = labelled_task(dataset, labels, "val", limit=_JUDGES).samples, "val"
    elif config.calibrate_confidence:
        measured, unseen = _halves(measured, config.seed)
        unseen_split = f"half of {split}"
        notes += (f"half of the {split} images tell how sure the model may be, accuracy is measured on the other half",)
    if len(measured) > config.accuracy_samples:
        measured = balanced(measured, config.accuracy_samples)
    return Pictures(training, measured, split, unseen[:_JUDGES], unseen_split, notes)


def choose_judges(
    dataset: Dataset, labels: Sequence[str], pictures: Pictures, calibrating: Sequence[Sample]
) -> tuple[Sample, ...]:
    """Pictures that may decide between quantized models: the val split, else training ones that do not calibrate."""
    if pictures.split == "test" and dataset.split("val"):
        return labelled_task(dataset, labels, "val", limit=_JUDGES).samples
    used = set(calibrating)
    others = [sample for sample in pictures.training if sample not in used]
    return balanced(others or pictures.training, _JUDGES)


def _unlabelled(dataset: Dataset, config: ConvertConfig) -> Pictures:
    images = dataset.split("train")
    if len(images) < 2:
        raise DataError(f"{dataset.name} has {len(images)} image(s); half calibrate, the rest measure agreement")
    mixed, half = balanced(images, len(images), seed=config.seed), (len(images) + 1) // 2
    note = "the images have no labels: half of them calibrate, agreement is measured on the other half"
    return Pictures(mixed[:half], mixed[half:][: config.accuracy_samples], "unlabelled", notes=(note,))


def _halves(samples: Sequence[Sample], seed: int) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Two halves with the same share of every class."""
    halves: tuple[list[Sample], list[Sample]] = ([], [])
    turns: Counter[int | None] = Counter()
    for sample in balanced(samples, len(samples), seed=seed):
        halves[turns[sample.label] % 2].append(sample)
        turns[sample.label] += 1
    if not halves[1]:
        raise DataError(f"expected 2 images of a class or more to calibrate confidence and measure, got {len(samples)}")
    return tuple(halves[0]), tuple(halves[1])
