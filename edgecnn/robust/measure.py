"""Models on spoilt pictures: every model sees the very same pixels, corrupted or made to fool one of them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import numpy as np

from edgecnn.config import Preprocess
from edgecnn.data.dataset import Dataset
from edgecnn.errors import DataError, EdgecnnError
from edgecnn.robust.answers import Condition, Progress, corrupted_answers, crews_of
from edgecnn.robust.corruptions import CORRUPTIONS
from edgecnn.robust.result import Corrupted, Hits, Robustness, corruption_errors, extra_losses, shares
from edgecnn.robust.samples import common_samples
from edgecnn.robust.severity import SEVERITIES
from edgecnn.robust.threat import Threat
from edgecnn.robust.transfer import Attacks, measure_attacks
from edgecnn.runtime.classifier import Classifier

_LEAST: Final = 8  # pixels a side of what can be corrupted


def measure_robustness(
    classifiers: Sequence[Classifier],
    dataset: Dataset,
    *,
    names: Sequence[str],
    split: str | None = None,
    limit: int | None = None,
    corruptions: Iterable[str] = tuple(CORRUPTIONS),
    severities: Iterable[int] = SEVERITIES,
    threat: Threat | None = None,
    seed: int = 0,
    workers: int | None = None,
    step: Callable[[str], None] = lambda name: None,
    progress: Progress | None = None,
) -> Robustness:
    """Show models clean, corrupted and adversarial pictures, and count what they get right.

    Pictures are corrupted in the size of the largest model's input, as the benchmarks do it: of a large photograph that
    is shrunk afterwards, the same noise would mostly be gone. Labels are matched by name; pictures of classes that a
    model does not know are left out.

    Args:
        classifiers: the first is what the others are compared with.
        names: what sentences call them.
        split: "train", "val" or "test"; by default test, or val where there is no test split.
        limit: at most so many pictures, balanced over classes.
        corruptions: names of `CORRUPTIONS`; none to leave them out.
        severities: 1 to 5.
        threat: None for no attacks.
        seed: of all random choices; with the same one, the same pictures are made however many workers there are.
        workers: threads; the number of cores by default.
        step: told what begins.
        progress: called with (done, total) of a step.

    Raises:
        DataError: no labels, no pictures, no class in common, or nothing to train a patch on.
        EdgecnnError: an unknown corruption or severity, inputs of less than 8x8, or a bad epsilon or share.
    """
    if not dataset.labelled:
        raise DataError(f"{dataset.name} has no class folders; accuracy needs labelled images")
    preprocess = max((classifier.preprocess for classifier in classifiers), key=lambda p: p.width * p.height)
    conditions = _conditions(dict.fromkeys(corruptions), sorted(set(severities)), preprocess)
    split = split or dataset.measured_split()
    known = [*(classifier.labels for classifier in classifiers), *([threat.surrogate.labels] if threat else [])]
    common = common_samples(dataset, known, split, limit)
    crews = crews_of(classifiers, len(common.samples), workers)
    step("corrupt" if conditions else "measure")
    answers, reasons = corrupted_answers(crews, dataset, common.samples, preprocess, conditions, seed, progress)
    kept = [i for i in range(len(common.samples)) if i not in reasons]
    if not kept:
        raise DataError(f"none of the {len(reasons)} images of {dataset.name} could be read: {reasons[0]}")
    samples = tuple(common.samples[i] for i in kept)
    truth = np.stack([common.truth(i, samples) for i in range(len(classifiers))])
    hits = answers[:, :, kept] == truth
    tables = tuple(_tables(conditions, hits[1:]))
    extra = extra_losses("corruptions", hits[0], hits[1:].mean(axis=0)) if conditions else ()
    attacks = Attacks()
    if threat:
        attacks = measure_attacks(threat, crews, dataset, common, samples, hits[0], split, seed, step, progress)
    top1, ci95 = shares(hits[0])
    mce: tuple[float | None, ...] = (None,) * len(names)
    relative = mce
    if tables:
        mce, relative = corruption_errors(np.array(top1), np.array([table.top1 for table in tables]))
    return Robustness(
        names=tuple(names),
        data=dataset.name,
        split=split,
        samples=len(samples),
        skipped=tuple((common.samples[i].name, reasons[i]) for i in sorted(reasons)),
        clean=top1,
        clean_ci95=ci95,
        size=preprocess.size,
        corruptions=tables,
        mce=mce,
        relative_mce=relative,
        attacks=attacks.attacks,
        patch=attacks.patch,
        extra=(*extra, *attacks.extra),
        seed=seed,
        notes=(*common.notes, *_notes(classifiers, preprocess, threat)),
    )


def _conditions(names: Iterable[str], severities: Sequence[int], preprocess: Preprocess) -> list[Condition]:
    conditions = [(name, severity) for name in names for severity in severities]
    for name, severity in conditions:
        if name not in CORRUPTIONS:
            raise EdgecnnError(f"expected a corruption among {', '.join(CORRUPTIONS)}, got {name!r}")
        if severity not in SEVERITIES:
            raise EdgecnnError(f"expected a severity from 1 to 5, got {severity}")
    if conditions and min(preprocess.size) < _LEAST:
        raise EdgecnnError(
            f"corruptions need pictures of at least {_LEAST}x{_LEAST}, the models take at most "
            f"{preprocess.width}x{preprocess.height}; leave them out"
        )
    return conditions


def _tables(conditions: Sequence[Condition], hits: Hits) -> Iterator[Corrupted]:
    """One a corruption of hits (conditions, models, samples)."""
    for name in dict.fromkeys(name for name, _ in conditions):
        rows = [i for i, (other, _) in enumerate(conditions) if other == name]
        found = [shares(hits[rows, model]) for model in range(hits.shape[1])]
        yield Corrupted(
            name=name,
            kind=CORRUPTIONS[name].kind,
            severities=tuple(conditions[i][1] for i in rows),
            top1=tuple(top1 for top1, _ in found),
            top1_ci95=tuple(ci95 for _, ci95 in found),
        )


def _notes(classifiers: Sequence[Classifier], preprocess: Preprocess, threat: Threat | None) -> Iterator[str]:
    if any(_geometry(classifier.preprocess) != _geometry(preprocess) for classifier in classifiers):
        cut = f"{preprocess.width}x{preprocess.height}, {preprocess.fit}"
        yield f"the models cut pictures to different sizes or shapes: all of them are given pictures of {cut}"
    if threat and _geometry(threat.surrogate.preprocess) != _geometry(preprocess):
        width, height = threat.surrogate.preprocess.size
        yield f"attacks are crafted at {width}x{height}, the size of {threat.surrogate.name}"


def _geometry(preprocess: Preprocess) -> tuple[int, int, str, str]:
    return preprocess.width, preprocess.height, preprocess.fit, preprocess.interpolation
