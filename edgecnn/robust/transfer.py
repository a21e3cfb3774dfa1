"""Attacks crafted on one float network, and what they do to every model that is shown the same pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgecnn.data.dataset import Dataset, Sample
from edgecnn.errors import DataError, ImageError
from edgecnn.measure.examples import thumbnail
from edgecnn.robust.answers import Crew, Progress, attacked_answers
from edgecnn.robust.result import Attacked, ExtraLoss, Hits, Patched, extra_losses, shares
from edgecnn.robust.samples import Common, lessons
from edgecnn.robust.threat import Picture, Threat


@dataclass(frozen=True)
class Attacks:
    """Accuracy under attacks, and what models lose more than the first by each."""

    attacks: tuple[Attacked, ...] = ()
    patch: Patched | None = None
    extra: tuple[ExtraLoss, ...] = ()


@dataclass(frozen=True)
class _Lessons:
    """A patch (side, side, channels), and what it was trained on."""

    patch: Picture
    samples: int
    split: str


def measure_attacks(
    threat: Threat,
    crews: Sequence[Crew],
    dataset: Dataset,
    common: Common,
    samples: Sequence[Sample],
    clean: Hits,
    split: str,
    seed: int,
    step: Callable[[str], None],
    progress: Progress | None,
) -> Attacks:
    """Craft the attacks of a threat and show them to all models.

    Args:
        crews: the models, once for each thread.
        common: what the models know; the surrogate is the last of them.
        samples: pictures that can be read, of which `clean` (models, samples) says what models get right.
        split: where they are from.

    Raises:
        DataError: no picture to train a patch on can be read.
        EdgecnnError: a bad epsilon or share.
    """
    trained = _trained(threat, dataset, common, split, seed, step, progress) if "patch" in threat.attacks else None
    step("attack")
    patch, targets = trained.patch if trained else None, common.truth(-1, samples)
    answers = attacked_answers(crews, dataset, samples, targets, threat, patch, seed, progress)
    truth = np.stack([common.truth(model, samples) for model in range(len(clean))])
    hits = dict(zip(threat.conditions, answers == truth, strict=True))
    attacks = [_attacked(name, threat, hits[name]) for name in threat.attacks if name != "patch"]
    patched = None
    if trained:
        given = answers[threat.conditions.index("patch")]
        patched = _patched(threat, trained, hits["patch"], hits["noise"], _aimed(threat, common, samples, given))
    extra = [item for name in threat.attacks for item in extra_losses(name, clean, hits[name])]
    return Attacks(tuple(attacks), patched, tuple(extra))


def _trained(
    threat: Threat,
    dataset: Dataset,
    common: Common,
    split: str,
    seed: int,
    step: Callable[[str], None],
    progress: Progress | None,
) -> _Lessons:
    step("train the patch")
    chosen, origin = lessons(dataset, common, split)
    frames, kept = [], []
    for sample in chosen:
        try:
            frames.append(dataset.read(sample))
            kept.append(sample)
        except ImageError:  # counted where accuracy is measured
            continue
    if not kept:
        raise DataError(f"none of the {len(chosen)} images of {dataset.name} to train a patch on could be read")
    pixels = threat.surrogate.pixels(frames)
    return _Lessons(threat.train_patch(pixels, common.truth(-1, kept), seed, progress), len(kept), origin)


def _attacked(name: str, threat: Threat, hits: Hits) -> Attacked:
    top1, ci95 = shares(hits)
    return Attacked(
        name=name,
        epsilon=threat.epsilon,
        steps=threat.steps if name == "pgd" else 1,
        norm="Linf",
        crafted_on=threat.surrogate.name,
        top1=top1,
        top1_ci95=ci95,
        samples=hits.shape[1],
    )


def _patched(threat: Threat, trained: _Lessons, hits: Hits, noise: Hits, aimed: tuple[float, ...] | None) -> Patched:
    top1, ci95 = shares(hits)
    color = {"rgb": cv2.COLOR_RGB2BGR, "gray": cv2.COLOR_GRAY2BGR}.get(threat.surrogate.preprocess.color)
    picture = trained.patch if color is None else np.asarray(cv2.cvtColor(trained.patch, color), np.uint8)
    return Patched(
        share=threat.share,
        side=len(trained.patch),
        aim=threat.aim,
        crafted_on=threat.surrogate.name,
        trained_on=trained.samples,
        trained_split=trained.split,
        top1=top1,
        top1_ci95=ci95,
        noise_top1=shares(noise)[0],
        hits=aimed,
        samples=hits.shape[1],
        picture=thumbnail(picture),
    )


def _aimed(
    threat: Threat, common: Common, samples: Sequence[Sample], answers: NDArray[np.int64]
) -> tuple[float, ...] | None:
    """Share of the pictures of other classes that each model takes for the class that is aimed at."""
    aim = threat.aimed_at
    if aim is None:
        return None
    label = next(label for label, place in common.places[-1].items() if place == aim)
    others = np.array([sample.label != label for sample in samples])
    return tuple(float(np.mean(answers[model, others] == common.places[model][label])) for model in range(len(answers)))
