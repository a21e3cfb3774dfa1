"""Two models over the same pictures, each with its own preprocessing and its own order of labels."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.data.dataset import Dataset, Sample, balanced, match_labels
from edgecnn.errors import DataError
from edgecnn.measure.comparison import Comparison, Drift
from edgecnn.measure.evaluate import labelled_task
from edgecnn.measure.examples import spread, thumbnail
from edgecnn.measure.score import Progress, score
from edgecnn.runtime.classifier import Classifier

_WIDTHS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05)  # of the drift histogram's bins, at most 61 of them


def compare(
    first: Classifier,
    second: Classifier,
    dataset: Dataset,
    *,
    names: tuple[str, str] = ("float", "quantized"),
    split: str | None = None,
    limit: int | None = None,
    thumbnails: int = 24,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Run two models over the same pictures, each with its own preprocessing, and compare their answers.

    Labels are matched by name. Where only one of the models knows a label, an answer with it is a difference, and
    pictures of that class are left out. Pictures without class folders tell the agreement only.

    Args:
        names: what sentences call the models.
        split: "train", "val" or "test"; by default test, or val where there is no test split, and all pictures
            where there are no classes.
        limit: at most so many pictures, balanced over classes.
        thumbnails: how many of the flips get a picture, spread over all of them.
        workers: threads; the number of cores by default.
        progress: called with (done, total).

    Raises:
        DataError: no label or no class in common, or no picture to compare on.
    """
    labels, places, notes = _joined(first.labels, second.labels, names)
    if dataset.labelled:
        split = split or dataset.measured_split()
        shared = sorted(set(places.tolist()).intersection(range(len(first.labels))))
        task = labelled_task(dataset, [labels[i] for i in shared], split, limit=limit)
        samples = tuple(Sample(s.name, shared[s.label]) for s in task.samples if s.label is not None)
        notes += task.notes
    else:
        samples, split = dataset.split(split or "train"), "unlabelled"
        samples = balanced(samples, limit) if limit is not None and limit < len(samples) else samples
    scored = score([first, second], dataset, samples, workers=workers, progress=progress)
    predicted = scored.predicted(0), places[scored.predicted(1)]
    every = np.arange(len(scored.samples))
    own = np.append(scored.probabilities[1], np.zeros((len(every), 1), np.float32), axis=1)  # 0 for unknown labels
    columns = np.full(len(labels), -1, np.int64)
    columns[places] = np.arange(len(places))
    before, after = (p[every, scored.predicted(i)] for i, p in enumerate(scored.probabilities))
    shown = spread(np.flatnonzero(predicted[0] != predicted[1]), thumbnails)
    return Comparison(
        names=names,
        labels=labels,
        split=split,
        samples=scored.samples,
        predicted=predicted,
        scores=(before, after),
        drift=_drift(own[every, columns[predicted[0]]] - before),
        skipped=scored.skipped,
        thumbnails={int(i): thumbnail(dataset.read(scored.samples[i])) for i in shown},
        notes=notes,
    )


def _joined(
    first: Sequence[str], second: Sequence[str], names: tuple[str, str]
) -> tuple[tuple[str, ...], NDArray[np.int64], tuple[str, ...]]:
    """Labels of both models, the place of each of the second's among them, and in words what is to be known of it."""
    if tuple(first) == tuple(second):
        return tuple(first), np.arange(len(first)), ()
    try:
        matched = match_labels(first, second)
    except DataError as exc:
        raise DataError(
            f"{names[0]} and {names[1]} have no label in common ({_few(first)} against {_few(second)}); "
            "compare models of the same classes, or give their names with --labels FILE"
        ) from exc
    new = [i for i in range(len(second)) if i not in matched]
    places = matched | {i: len(first) + k for k, i in enumerate(new)}
    labels = (*first, *(second[i] for i in new))
    strange = [label for i, label in enumerate(first) if i not in matched.values()]
    note = f"the labels of {names[0]} and {names[1]} stand in different orders; they are matched by name"
    if new or strange:
        sides = [(names[0], strange), (names[1], labels[len(first) :])]
        words = "; ".join(f"only {name} knows {_few(some)}" for name, some in sides if some)
        note = f"the models have different labels: {words}; an answer with one of these counts as a difference"
    return labels, np.array([places[i] for i in range(len(second))], np.int64), (note,)


def _drift(values: NDArray[np.float32]) -> Drift:
    sizes = np.abs(values)
    width = next((width for width in _WIDTHS if sizes.max() <= 30 * width), _WIDTHS[-1])
    bins = np.floor(values / width + 0.5).astype(np.int64)
    lowest = int(bins.min())
    return Drift(
        mean_abs=float(sizes.mean()),
        p99_abs=float(np.percentile(sizes, 99)),
        max_abs=float(sizes.max()),
        mean=float(values.mean()),
        width=width,
        histogram=tuple(
            (round((lowest + i - 0.5) * width, 6), int(count)) for i, count in enumerate(np.bincount(bins - lowest))
        ),
    )


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f", … ({len(names)} in all)" if len(names) > 4 else "")
