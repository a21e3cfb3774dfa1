"""Find a model's normalization and colour order by trying the few that occur in practice on labelled data."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from edgecnn.config import Preprocess
from edgecnn.data.dataset import Dataset, Sample, balanced
from edgecnn.data.preprocess import Preprocessor, lookup_table
from edgecnn.errors import ImageError, PreprocessError
from edgecnn.measure.intervals import wilson_interval
from edgecnn.runtime.classifier import fitting_preprocess
from edgecnn.runtime.head import Head
from edgecnn.runtime.interpreter import Engine
from edgecnn.spec import Spec

_Labelled = tuple[NDArray[np.uint8], int]  # a picture and its label

_FIRST_SAMPLES, _ALL_SAMPLES = 96, 400
_CLEAR = 3.3  # standard deviations above chance: one false alarm in about 2,000, for up to nine candidates
_TIE = 2.0  # standard deviations between two candidates below which they count as equal


@dataclass(frozen=True)
class Choice:
    """The preprocessing found, and the evidence.

    Attributes:
        preprocess: the best candidate.
        samples: training pictures it was tried on.
        candidates: (SPEC, accuracy, samples) of each, best first.
        detail: one sentence that says what was chosen and by what margin.
        tied: a second candidate did as well within chance.
    """

    preprocess: Preprocess
    samples: int
    candidates: tuple[tuple[str, float, int], ...]
    detail: str
    tied: bool


def candidates(spec: Spec, *, width: int, height: int, channels: int) -> list[Preprocess]:
    """Preprocessings worth trying: known normalizations times colour orders, within what the SPEC states."""
    if channels == 1:
        pairs = list(product(("raw", "unit", "symmetric"), ("gray",)))
    else:
        colors = (spec.color,) if spec.color else ("rgb", "bgr")
        pairs = [*product(("raw", "unit", "symmetric", "imagenet"), colors)]
        pairs += [("caffe", "bgr")] if "bgr" in colors else []  # the pictures Caffe trained on were BGR
    return [spec.complete(width, height, color, name) for name, color in pairs]


def detect_preprocess(
    content: bytes, head: str, spec: Spec, dataset: Dataset, samples: Sequence[Sample], *, seed: int = 0
) -> Choice:
    """Try every candidate on labelled training pictures and take the one that gets most of them right.

    All are tried on a few pictures; those within reach of the best are tried on more.

    Args:
        content: `.tflite`, float or quantized.
        head: kind of the model's head, as in `Head`.
        samples: labelled pictures that accuracy is not measured on, labels being output indices.

    Raises:
        PreprocessError: none beats chance clearly, or there are no pictures.
    """
    engines = [Engine(content, size=spec.size) for _ in range(2)]
    engine = engines[0]
    tries = candidates(spec, width=engine.width, height=engine.height, channels=engine.channels)
    fitting_preprocess(tries[0], engine, "the model")  # all have one size and number of channels
    chosen = balanced(samples, _ALL_SAMPLES, seed=seed)
    if not chosen:
        raise PreprocessError(f"auto needs labelled training images, and {dataset.name} has none; state --preprocess")
    pictures = _readable(dataset, chosen[:_FIRST_SAMPLES], tries[0])
    if not pictures:
        tried = min(len(chosen), _FIRST_SAMPLES)
        raise PreprocessError(f"auto could read none of {tried} training images of {dataset.name}")
    first = _Trial(engines, head, tries[0].color, pictures)
    results = {p: first.run(p) for p in tries}
    best_hits = max(int(hits.sum()) for hits, _ in results.values())
    reach = 2 * _TIE * np.sqrt(len(first.labels)) / 2
    survivors = [p for p in tries if results[p][0].sum() >= best_hits - reach]
    decided = len(survivors) == 1 and _clear(results[survivors[0]][0], first.labels)
    labels, pictures = first.labels, [] if decided else _readable(dataset, chosen[_FIRST_SAMPLES:], tries[0])
    if pictures:
        rest = _Trial(engines, head, tries[0].color, pictures)
        for p in survivors:
            (hits, truth), (more_hits, more_truth) = results[p], rest.run(p)
            results[p] = np.concatenate([hits, more_hits]), np.concatenate([truth, more_truth])
        labels = np.concatenate([labels, rest.labels])
    order = sorted(survivors, key=lambda p: (results[p][0].mean(), results[p][1].mean()), reverse=True)
    order += sorted((p for p in tries if p not in survivors), key=lambda p: float(results[p][0].mean()), reverse=True)
    return _conclude(order, {p: hits for p, (hits, _) in results.items()}, labels, dataset.name)


def _readable(dataset: Dataset, samples: Sequence[Sample], preprocess: Preprocess) -> list[_Labelled]:
    """The pictures that can be read, in the model's size; a run that measures counts and lists the others."""
    resize = Preprocessor(preprocess)
    pictures = []
    for sample in samples:
        with suppress(ImageError):
            pictures.append((resize.pixels(dataset.read(sample)), sample.label or 0))
    return pictures


class _Trial:
    """Pictures in the model's size and one order of colours, and what a candidate makes of them."""

    def __init__(self, engines: list[Engine], head: str, color: str, pictures: list[_Labelled]) -> None:
        self._engines, self._head = engines, Head(head, engines[0].output_type)
        self._color, self._pixels = color, [pixels for pixels, _ in pictures]
        self.labels = np.array([label for _, label in pictures])

    def run(self, preprocess: Preprocess) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """(hits, probability of the true class), one entry a picture."""
        turn = 1 if preprocess.color == self._color else -1
        table = lookup_table(preprocess, self._engines[0].input_type)[0]
        rows = np.arange(table.shape[1])

        def part(worker: int) -> list[NDArray[np.float32]]:
            engine = self._engines[worker]
            return [
                engine.run(table[pixels[..., ::turn], rows]) for pixels in self._pixels[worker :: len(self._engines)]
            ]

        raw: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(self._pixels)
        with ThreadPoolExecutor(len(self._engines)) as pool:
            for worker, outputs in enumerate(pool.map(part, range(len(self._engines)))):
                raw[worker :: len(self._engines)] = outputs
        probabilities = self._head.probabilities(np.stack(raw))
        truth = probabilities[np.arange(len(self.labels)), self.labels]
        return np.argmax(probabilities, axis=1) == self.labels, truth


def _clear(hits: NDArray[np.bool_], labels: NDArray[np.int64]) -> bool:
    """Whether the hits are above what the most frequent class alone would give, beyond doubt."""
    return wilson_interval(int(hits.sum()), len(hits), z=_CLEAR)[0] > _chance(labels)


def _chance(labels: NDArray[np.int64]) -> float:
    return float(np.bincount(labels).max() / len(labels))


def _conclude(
    order: list[Preprocess], hits: dict[Preprocess, NDArray[np.bool_]], labels: NDArray[np.int64], name: str
) -> Choice:
    best = order[0]
    listed = tuple((p.spec, float(hits[p].mean()), len(hits[p])) for p in order)
    share, samples, chance = listed[0][1], len(hits[best]), _chance(labels[: len(hits[best])])
    if not _clear(hits[best], labels[:samples]):
        raise PreprocessError(
            f"auto found no preprocessing that beats chance on {name}: the best, {best.normalization} {best.color}, "
            f"gets {share:.1%} of {samples} training images right, chance is {chance:.1%}; "
            "check labels and their order, or state --preprocess"
        )
    detail = f"{best.normalization} {best.color} gets {share:.1%} of {samples} training images right"
    tied = False
    if len(order) > 1:
        second = order[1]
        common = min(samples, len(hits[second]))
        ours, theirs = hits[best][:common], hits[second][:common]
        lead, discordant = int(ours.sum()) - int(theirs.sum()), int((ours != theirs).sum())
        tied = lead <= _TIE * np.sqrt(discordant)
        detail += f"; next is {second.normalization} {second.color} with {theirs.mean():.1%} of {common}"
        detail += ", which is no clear difference" if tied else ""
    return Choice(best, samples, listed, f"{detail}; chance is {chance:.1%}", tied)
