"""What two models on the same pictures differ in: who is right there, and whether it may be chance."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.data.dataset import Sample
from edgecnn.measure.intervals import mcnemar_exact, paired_interval, wilson_interval

_CHANCE: Final = 0.05  # p-value from which on a difference may be chance
_KEPT: Final = 1.0  # points; a model "keeps" the other's accuracy when a larger loss is ruled out


@dataclass(frozen=True)
class Outcomes:
    """Labelled pictures by who is right, and the p-value of McNemar's exact test for a difference of accuracy."""

    both_right: int
    only_first: int
    only_second: int
    both_wrong: int
    p_value: float


@dataclass(frozen=True)
class ClassChange:
    """One class in both models; recall and F1 in [0, 1], 0.0 where a class has no pictures.

    Attributes:
        support: pictures of the class.
        flips: pictures of the class to which the models give different labels.
    """

    label: str
    index: int
    support: int
    recalls: tuple[float, float]
    f1s: tuple[float, float]
    flips: int


@dataclass(frozen=True)
class Drift:
    """Second minus first model's probability of the class that the first one names.

    Attributes:
        mean: signed.
        mean_abs, p99_abs, max_abs: of the absolute values: mean, 99 % point, largest.
        width: of the histogram's bins; one of them is centred on 0.
        histogram: (low edge, pictures) of each bin, from the lowest that is not empty to the highest.
    """

    mean_abs: float
    p99_abs: float
    max_abs: float
    mean: float
    width: float
    histogram: tuple[tuple[float, int], ...]


@dataclass(frozen=True)
class Comparison:
    """Two models on the same pictures, the first being what the second is measured against.

    Attributes:
        names: what sentences call the models.
        labels: those of the first model, then those that only the second knows.
        split: that the pictures are from; "unlabelled" where they have no classes.
        samples: pictures in the order of the data; `label` is an index into `labels`, None without classes.
        predicted: each model's answers (samples,), indices into `labels`.
        scores: each model's probability of its answer (samples,).
        drift: what became of the first model's probabilities.
        skipped: (name, reason) of pictures that could not be read.
        thumbnails: position of a sample to its picture as a data URI, for some of the flips.
        notes: how labels were matched and what was left out, in words.
    """

    names: tuple[str, str]
    labels: tuple[str, ...]
    split: str
    samples: tuple[Sample, ...]
    predicted: tuple[NDArray[np.int64], NDArray[np.int64]]
    scores: tuple[NDArray[np.float32], NDArray[np.float32]]
    drift: Drift
    skipped: tuple[tuple[str, str], ...]
    thumbnails: Mapping[int, str]
    notes: tuple[str, ...]

    @cached_property
    def truth(self) -> NDArray[np.int64] | None:
        """True classes (samples,), or None."""
        found = [sample.label for sample in self.samples if sample.label is not None]
        return np.array(found, np.int64) if found else None

    @cached_property
    def flips(self) -> NDArray[np.int64]:
        """Positions of the samples to which the models give different labels."""
        return np.flatnonzero(self.predicted[0] != self.predicted[1])

    @property
    def agreement(self) -> float:
        """Share of samples to which both models give the same label."""
        return (len(self.samples) - len(self.flips)) / len(self.samples)

    @cached_property
    def outcomes(self) -> Outcomes | None:
        """Who is right how often; None without labels."""
        if self.truth is None:
            return None
        first, second = (predicted == self.truth for predicted in self.predicted)
        lost, won = int(np.sum(first & ~second)), int(np.sum(second & ~first))
        right = int(np.sum(first & second))
        return Outcomes(right, lost, won, len(first) - right - lost - won, mcnemar_exact(lost, won))

    @property
    def drop_pp(self) -> float | None:
        """Top-1 of the first minus top-1 of the second, in percentage points; None without labels."""
        counts = self.outcomes
        return None if counts is None else 100 * (counts.only_first - counts.only_second) / len(self.samples)

    @property
    def drop_ci95(self) -> tuple[float, float] | None:
        """95 % interval of `drop_pp`; see `paired_interval`."""
        counts = self.outcomes
        if counts is None:
            return None
        low, high = paired_interval(counts.only_first, counts.only_second, len(self.samples))
        return 100 * low, 100 * high

    def per_class(self) -> tuple[ClassChange, ...]:
        """Each class in both models, in the order of `labels`; empty without labels."""
        if self.truth is None:
            return ()

        def count(indices: NDArray[np.int64]) -> NDArray[np.int64]:
            return np.bincount(indices, minlength=len(self.labels))

        support, flips = count(self.truth), count(self.truth[self.flips])
        hits = [count(self.truth[predicted == self.truth]) for predicted in self.predicted]
        recalls = [_ratios(hit, support) for hit in hits]
        f1s = [_ratios(2 * hit, support + count(said)) for hit, said in zip(hits, self.predicted, strict=True)]
        return tuple(
            ClassChange(
                label=label,
                index=i,
                support=int(support[i]),
                recalls=(float(recalls[0][i]), float(recalls[1][i])),
                f1s=(float(f1s[0][i]), float(f1s[1][i])),
                flips=int(flips[i]),
            )
            for i, label in enumerate(self.labels)
        )

    def rows(self) -> Iterator[tuple[str, str | None, str, float, str, float]]:
        """(image, label, first label, first score, second label, second score) of every picture."""
        for i in range(len(self.samples)):
            yield self._row(i)

    @property
    def verdict(self) -> str:
        """What came out, in one sentence."""
        first, second = self.names
        images, flips = _noun(len(self.samples), "image"), len(self.flips)
        counts, drop, bounds = self.outcomes, self.drop_pp, self.drop_ci95
        if not flips:
            right = f"; {_share(counts.both_right / len(self.samples))} of them are right" if counts else ""
            return f"{second} gives {first}'s label to all of {images}{right}."
        differ = f"{_noun(flips, 'label')} ({100 * flips / len(self.samples):.1f} %) differ{'s' if flips == 1 else ''}"
        if counts is None or drop is None or bounds is None:
            unknown = "which of the two is right there is not known without class folders"
            return f"{second} gives {first}'s label to {_share(self.agreement)} of {images}; {differ}, and {unknown}."
        before, after = ((counts.both_right + n) / len(self.samples) for n in (counts.only_first, counts.only_second))
        shares = f"{_share(after)} against {_share(before)} on {images}"
        p = "p < 0.001" if counts.p_value < 0.001 else f"p = {counts.p_value:.2g}"
        sides = f"{differ}, {counts.only_first:,} to the bad and {counts.only_second:,} to the good"
        if counts.p_value < _CHANCE:
            head = f"loses {drop:.2f} points of {first}'s accuracy" if drop > 0 else f"is right more often than {first}"
            return f"{second} {head}: {shares}; {sides} (McNemar {p})."
        chance = f"{sides}, which may be chance (McNemar {p})."
        if bounds[1] <= _KEPT:
            return f"{second} keeps {first}'s accuracy: {shares}; {chance}"
        span = f"a loss of {bounds[0]:.1f} to {bounds[1]:.1f} points (95 %)"
        return f"The accuracies of {second} and {first} cannot be told apart: {shares}, {span}; {chance}"

    def to_dict(self) -> dict[str, Any]:
        """The `compare` JSON record without the models' identities."""
        samples, counts, bounds = len(self.samples), self.outcomes, self.drop_ci95
        test: dict[str, Any] | None = None
        tops: list[float | None] = [None, None]
        intervals: list[list[float] | None] = [None, None]
        if counts is not None:
            hits = [counts.both_right + n for n in (counts.only_first, counts.only_second)]
            tops = [n / samples for n in hits]
            intervals = [list(wilson_interval(n, samples)) for n in hits]
            test = {
                "both_right": counts.both_right,
                "only_float": counts.only_first,
                "only_quantized": counts.only_second,
                "both_wrong": counts.both_wrong,
                "p_value": counts.p_value,
                "method": "exact",
            }
        return {
            "split": self.split,
            "samples": samples,
            "skipped": len(self.skipped),
            "skipped_images": [{"image": name, "reason": reason} for name, reason in self.skipped],
            "labels": list(self.labels),
            "agreement": self.agreement,
            "float_top1": tops[0],
            "float_ci95": intervals[0],
            "quantized_top1": tops[1],
            "quantized_ci95": intervals[1],
            "drop_pp": None if self.drop_pp is None else round(self.drop_pp, 6),
            "drop_ci95": None if bounds is None else list(bounds),
            "mcnemar": test,
            "flips": [self._flip(int(i)) for i in self.flips],
            "per_class": [_class_record(change) for change in self.per_class()],
            "drift": asdict(self.drift) | {"histogram": [list(item) for item in self.drift.histogram]},
            "verdict": self.verdict,
            "notes": list(self.notes),
        }

    def _row(self, i: int) -> tuple[str, str | None, str, float, str, float]:
        sample, (first, second) = self.samples[i], (self.labels[predicted[i]] for predicted in self.predicted)
        label = None if sample.label is None else self.labels[sample.label]
        before, after = (round(float(scores[i]), 6) for scores in self.scores)
        return sample.name, label, first, before, second, after

    def _flip(self, i: int) -> dict[str, Any]:
        image, label, first, before, second, after = self._row(i)
        kind = None
        if self.truth is not None:
            right = [bool(predicted[i] == self.truth[i]) for predicted in self.predicted]
            kind = "broken" if right[0] else "fixed" if right[1] else "both wrong"
        return {
            "image": image,
            "label": label,
            "float": {"label": first, "score": before},
            "quantized": {"label": second, "score": after},
            "kind": kind,
            "thumbnail": self.thumbnails.get(i),
        }


def _class_record(change: ClassChange) -> dict[str, Any]:
    return {
        "label": change.label,
        "index": change.index,
        "support": change.support,
        "float_recall": change.recalls[0],
        "quantized_recall": change.recalls[1],
        "recall_change_pp": round(100 * (change.recalls[1] - change.recalls[0]), 6),
        "float_f1": change.f1s[0],
        "quantized_f1": change.f1s[1],
        "flips": change.flips,
    }


def _ratios(parts: NDArray[np.int64], wholes: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.divide(parts, wholes, out=np.zeros(len(parts)), where=wholes > 0)


def _share(share: float) -> str:
    return f"{100 * share:.2f} %"


def _noun(count: int, one: str) -> str:
    return f"{count:,} {one}{'' if count == 1 else 's'}"
