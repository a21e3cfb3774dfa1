"""Classification metrics from probabilities, as scikit-learn defines them. Functions return plain numbers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ClassMetrics:
    """Precision, recall, F1 of one class, and how many samples are of it (support) and were said to be (predicted).

    Attributes:
        roc_auc, average_precision: of this class against the rest by its probability; None where they are not known,
            or there are no samples of the class or no others.
    """

    precision: float
    recall: float
    f1: float
    support: int
    predicted: int
    roc_auc: float | None = None
    average_precision: float | None = None


def top_k_accuracy(probabilities: NDArray[np.floating], labels: NDArray[np.int64], k: int) -> float:
    """Share of samples whose label is among the k most probable classes; ties go to the lower class index.

    Args:
        probabilities: (samples, classes), without NaN.
        labels: (samples,) class indices.
    """
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)
    before = (probabilities == own) & (np.arange(probabilities.shape[1]) < labels[:, None])
    before |= probabilities > own
    return float(np.mean(np.count_nonzero(before, axis=1) < k))


def confusion_matrix(predicted: NDArray[np.int64], labels: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Counts (classes, classes): row is the true class, column the predicted one."""
    flat = np.bincount(labels * classes + predicted, minlength=classes * classes)
    return flat.reshape(classes, classes)


def class_metrics(confusion: NDArray[np.int64]) -> list[ClassMetrics]:
    """Per-class metrics; 0.0 where a class was never predicted or never true, as with zero_division=0."""
    hits, true, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    return [
        ClassMetrics(
            precision=_ratio(hits[i], predicted[i]),
            recall=_ratio(hits[i], true[i]),
            f1=_ratio(2 * hits[i], true[i] + predicted[i]),
            support=int(true[i]),
            predicted=int(predicted[i]),
        )
        for i in range(len(confusion))
    ]


def macro_average(per_class: list[ClassMetrics]) -> tuple[float, float, float]:
    """(precision, recall, F1), the unweighted mean over the classes that occur as label or prediction."""
    used = [m for m in per_class if m.support or m.predicted] or per_class
    return (
        float(np.mean([m.precision for m in used])),
        float(np.mean([m.recall for m in used])),
        float(np.mean([m.f1 for m in used])),
    )


def weighted_average(per_class: list[ClassMetrics]) -> tuple[float, float, float]:
    """(precision, recall, F1), the mean over the classes weighted by their support; 0.0 without samples."""
    support = np.array([m.support for m in per_class])
    rows = np.array([(m.precision, m.recall, m.f1) for m in per_class])
    precision, recall, f1 = support @ rows / max(1, support.sum())
    return float(precision), float(recall), float(f1)


def _ratio(part: np.int64, whole: np.int64) -> float:
    return float(part / whole) if whole else 0.0
