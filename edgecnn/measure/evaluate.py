"""Accuracy of a model on labelled pictures."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.data.dataset import Dataset, Sample, balanced, match_labels
from edgecnn.errors import DataError
from edgecnn.measure import metrics
from edgecnn.measure.bootstrap import Intervals, bootstrap
from edgecnn.measure.calibration import Calibration, calibration, confidence_of
from edgecnn.measure.curves import Curves, areas, curves
from edgecnn.measure.intervals import wilson_interval
from edgecnn.measure.score import Progress, Scores, score
from edgecnn.runtime.classifier import Classifier


@dataclass(frozen=True)
class Evaluation:
    """What a model gets right on labelled pictures. Shares are in [0, 1].

    Attributes:
        precision, recall, f1: macro averages.
        weighted: precision, recall and F1, averaged over classes by their support.
        roc_auc, average_precision: of two classes, the second against the first; of more, the mean of each class
            against the rest. None where no class has both samples and others.
        curves: of two classes only.
        calibration: what the scores are worth as probabilities.
        intervals: 95 % by bootstrap; `top1_ci95` is Wilson's.
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
    weighted: tuple[float, float, float]
    roc_auc: float | None
    average_precision: float | None
    curves: Curves | None
    calibration: Calibration
    intervals: Intervals
    per_class: tuple[metrics.ClassMetrics, ...]
    confusion: tuple[tuple[int, ...], ...]
    images_per_second: float | None

    def to_dict(self) -> dict[str, Any]:
        """The `evaluate` JSON record without the model's identity."""
        averages = {"macro": (self.precision, self.recall, self.f1), "weighted": self.weighted}
        record = {
            "samples": self.samples,
            "skipped": len(self.skipped),
            "skipped_images": [{"image": name, "reason": reason} for name, reason in self.skipped],
            "top1": self.top1,
            "top1_ci95": list(self.top1_ci95),
            "top5": self.top5,
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
            "averages": {
                name: dict(zip(("precision", "recall", "f1"), values, strict=True)) for name, values in averages.items()
            },
            "roc_auc": self.roc_auc,
            "average_precision": self.average_precision,
            "curves": None if self.curves is None else self.curves.to_dict(),
            "calibration": self.calibration.to_dict(),
            "per_class": [
                {"label": label, "index": i} | asdict(values)
                for i, (label, values) in enumerate(zip(self.labels, self.per_class, strict=True))
            ],
            "confusion": [list(row) for row in self.confusion],
            "labels": list(self.labels),
            "images_per_second": self.images_per_second,
        }
        return record | self.intervals.to_dict()


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
    """All metrics of one model of a scored pass; a probability that is not a number (NaN) counts as 0."""
    truth: NDArray[np.int64] = np.array([sample.label for sample in scores.samples], np.int64)
    predicted = scores.predicted(model)
    probabilities = scores.probabilities[model]
    if np.isnan(probabilities).any():
        probabilities = np.nan_to_num(probabilities, nan=0.0)
    confusion = metrics.confusion_matrix(predicted, truth, len(labels))
    hits = int(np.trace(confusion))
    per_class = _with_areas(metrics.class_metrics(confusion), probabilities, truth)
    precision, recall, f1 = metrics.macro_average(per_class)
    counted = per_class[1:] if len(labels) == 2 else per_class
    return Evaluation(
        labels=tuple(labels),
        samples=len(truth),
        skipped=scores.skipped,
        top1=hits / len(truth),
        top1_ci95=wilson_interval(hits, len(truth)),
        top5=metrics.top_k_accuracy(probabilities, truth, 5),
        precision=precision,
        recall=recall,
        f1=f1,
        weighted=metrics.weighted_average(per_class),
        roc_auc=_mean([m.roc_auc for m in counted]),
        average_precision=_mean([m.average_precision for m in counted]),
        curves=curves(probabilities[:, 1], truth == 1, labels[1]) if len(labels) == 2 else None,
        calibration=calibration(probabilities, truth, predicted),
        intervals=bootstrap(confusion, confidence_of(probabilities, predicted), truth == predicted),
        per_class=tuple(per_class),
        confusion=tuple(tuple(int(n) for n in row) for row in confusion),
        images_per_second=images_per_second,
    )


def _with_areas(
    per_class: Sequence[metrics.ClassMetrics], probabilities: NDArray[np.float32], truth: NDArray[np.int64]
) -> list[metrics.ClassMetrics]:
    """The metrics with the areas under the curves of each class against the rest."""
    both = (areas(column, truth == i) for i, column in enumerate(np.ascontiguousarray(probabilities.T)))
    return [
        replace(m, roc_auc=roc_auc, average_precision=precision)
        for m, (roc_auc, precision) in zip(per_class, both, strict=True)
    ]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
