"""Accuracy of a model on labelled pictures."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.data.dataset import Dataset, Sample, balanced, match_labels
from edgecnn.errors import DataError
from edgecnn.measure import metrics
from edgecnn.measure.score import Progress, Scores, score
from edgecnn.runtime.classifier import Classifier


@dataclass(frozen=True)
class Evaluation:
    """What a model gets right on labelled pictures. Shares are in [0, 1]; averages are macro averages.

    Attributes:
        confusion: counts, row is the true class, column the predicted one.
        skipped: (name, reason) of pictures that could not be read.
        per_class: metrics in output order.
        images_per_second: over all cores, decoding included; None where several models shared the pass.
    """

    labels: tuple[str, ...]
    samples: int
    skipped: tuple[tuple[str, str], ...]
    top1: float
    top1_ci95: tuple[float, float]
    top5: float
    precision: float
    recall: float
    f1: float
    per_class: tuple[metrics.ClassMetrics, ...]
    confusion: tuple[tuple[int, ...], ...]
    images_per_second: float | None

    def to_dict(self) -> dict[str, Any]:
        """The `evaluate` JSON record without the model's identity."""
        return {
            "samples": self.samples,
            "skipped": len(self.skipped),
            "skipped_images": [{"image": name, "reason": reason} for name, reason in self.skipped],
            "top1": self.top1,
            "top1_ci95": list(self.top1_ci95),
            "top5": self.top5,
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
            "per_class": [
                {"label": label, "index": i} | asdict(values)
                for i, (label, values) in enumerate(zip(self.labels, self.per_class, strict=True))
            ],
            "confusion": [list(row) for row in self.confusion],
            "labels": list(self.labels),
            "images_per_second": self.images_per_second,
        }


@dataclass(frozen=True)
class Task:
    """Labelled samples in a model's own class order.

    Attributes:
        samples: the pictures, `label` being the model's output index.
        notes: classes left out, in words.
    """

    samples: tuple[Sample, ...]
    notes: tuple[str, ...] = ()


def labelled_task(dataset: Dataset, labels: Sequence[str], split: str, *, limit: int | None = None) -> Task:
    """The samples of a split whose classes the model knows, with the model's class indices.

    Args:
        limit: at most so many samples, balanced over classes.

    Raises:
        DataError: the data has no labels, or no class of it is the model's.
    """
    if not dataset.labelled:
        raise DataError(f"{dataset.name} has no class folders; accuracy needs labelled images")
    index = match_labels(labels, dataset.classes)
    known = [Sample(s.name, index[s.label]) for s in dataset.split(split) if s.label is not None and s.label in index]
    strange = [name for i, name in enumerate(dataset.classes) if i not in index]
    notes = (f"classes the model does not know are left out: {', '.join(strange)}",) if strange else ()
    if not known:
        raise DataError(f"the {split} split of {dataset.name} has no image of a class that the model knows")
    return Task(tuple(known) if limit is None or limit >= len(known) else balanced(known, limit), notes)


def evaluate(
    classifier: Classifier,
    dataset: Dataset,
    *,
    split: str | None = None,
    limit: int | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure a classifier on labelled pictures.

    Args:
        split: "train", "val" or "test"; by default test, or val where there is no test split.
        limit: at most so many pictures, balanced over classes.
        workers: threads; the number of cores by default.
        progress: called with (done, total).

    Raises:
        DataError: no labels, no images, or no class in common.
    """
    task = labelled_task(dataset, classifier.labels, split or dataset.measured_split(), limit=limit)
    scores = score([classifier], dataset, task.samples, workers=workers, progress=progress)
    return summarize(scores, classifier.labels, images_per_second=len(task.samples) / scores.seconds)


def summarize(
    scores: Scores, labels: Sequence[str], *, model: int = 0, images_per_second: float | None = None
) -> Evaluation:
    """All metrics of one model of a scored pass."""
    truth: NDArray[np.int64] = np.array([sample.label for sample in scores.samples], np.int64)
    probabilities = scores.probabilities[model]
    confusion = metrics.confusion_matrix(scores.predicted(model), truth, len(labels))
    hits = int(np.trace(confusion))
    per_class = metrics.class_metrics(confusion)
    precision, recall, f1 = metrics.macro_average(per_class)
    return Evaluation(
        labels=tuple(labels),
        samples=len(truth),
        skipped=scores.skipped,
        top1=hits / len(truth),
        top1_ci95=metrics.wilson_interval(hits, len(truth)),
        top5=metrics.top_k_accuracy(probabilities, truth, 5),
        precision=precision,
        recall=recall,
        f1=f1,
        per_class=tuple(per_class),
        confusion=tuple(tuple(int(n) for n in row) for row in confusion),
        images_per_second=images_per_second,
    )
