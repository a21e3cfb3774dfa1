"""What robustness comes to: accuracy under each condition, the mean corruption error, and what int8 loses besides."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.measure.intervals import Z95, wilson_interval

Interval = tuple[float, float]
Hits = NDArray[np.bool_]


@dataclass(frozen=True)
class Corrupted:
    """Accuracy under one corruption.

    Attributes:
        name, kind: as in `edgecnn.robust.corruptions`.
        severities: 1 to 5, those measured.
        top1: a row a model, one share a severity.
        top1_ci95: of each of them.
    """

    name: str
    kind: str
    severities: tuple[int, ...]
    top1: tuple[tuple[float, ...], ...]
    top1_ci95: tuple[tuple[Interval, ...], ...]


@dataclass(frozen=True)
class Attacked:
    """Accuracy under one attack.

    Attributes:
        name: "fgsm" or "pgd".
        epsilon: largest change of a pixel, as a share of its 255 levels.
        steps: of the gradient.
        norm: in which epsilon is meant.
        crafted_on: the network that was attacked; the others were shown the same pictures.
        top1, top1_ci95: one a model.
        samples: how many pictures.
    """

    name: str
    epsilon: float
    steps: int
    norm: str
    crafted_on: str
    top1: tuple[float, ...]
    top1_ci95: tuple[Interval, ...]
    samples: int


@dataclass(frozen=True)
class Patched:
    """Accuracy with an adversarial patch in every picture.

    Attributes:
        share: of the picture's area that the patch covers where it is not scaled.
        side: of the patch, in pixels of the network's input.
        aim: the class that pictures are to be taken for; None where it only leads away from the true one.
        crafted_on: the network that it was trained to fool.
        trained_on: pictures that it was trained on; trained_split: where they came from.
        top1, top1_ci95: one a model.
        noise_top1: with a square of random pixels at the same places instead, which hides as much.
        hits: pictures of other classes that each model takes for `aim`, as a share of them; None without an aim.
        samples: how many pictures.
        picture: the patch as a data URI.
    """

    share: float
    side: int
    aim: str | None
    crafted_on: str
    trained_on: int
    trained_split: str
    top1: tuple[float, ...]
    top1_ci95: tuple[Interval, ...]
    noise_top1: tuple[float, ...]
    hits: tuple[float, ...] | None
    samples: int
    picture: str


@dataclass(frozen=True)
class ExtraLoss:
    """How much more accuracy a model loses than the first one, from clean pictures to spoilt ones.

    Attributes:
        model: its place, from 1 on.
        condition: "corruptions" (the mean of all), "fgsm", "pgd" or "patch".
        points: percentage points; negative where it loses less.
        ci95: 95 % interval of `points`.
    """

    model: int
    condition: str
    points: float
    ci95: Interval


@dataclass(frozen=True)
class Robustness:
    """How models bear corruptions and attacks; shares are in [0, 1], models in the order given.

    Attributes:
        names: what sentences call the models.
        samples: pictures that were measured; skipped: (name, reason) of those that could not be read.
        clean, clean_ci95: top-1 on the pictures as they are.
        size: (width, height) in which pictures are corrupted: the largest input of the models.
        mce: mean corruption error, relative to the first model's; None where that one makes no mistake.
        relative_mce: the same of what is lost from clean pictures on.
        extra: of every model but the first.
        notes: what a reader must know besides, one human line each.
    """

    names: tuple[str, ...]
    data: str
    split: str
    samples: int
    skipped: tuple[tuple[str, str], ...]
    clean: tuple[float, ...]
    clean_ci95: tuple[Interval, ...]
    size: tuple[int, int]
    corruptions: tuple[Corrupted, ...]
    mce: tuple[float | None, ...]
    relative_mce: tuple[float | None, ...]
    attacks: tuple[Attacked, ...]
    patch: Patched | None
    extra: tuple[ExtraLoss, ...]
    seed: int
    notes: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """One sentence: whether another model loses more than the first, and what harms most."""
        parts = list(_compared(self.names, self.extra))
        if self.corruptions:
            worst = min(self.corruptions, key=lambda item: float(np.mean(item.top1[0])))
            pairs = list(zip(self.names, worst.top1, strict=True))[:2]
            kept = " and ".join(f"{name} {np.mean(row):.1%}" for name, row in pairs)
            parts.append(f"the worst corruption is {worst.name.replace('_', ' ')}, which leaves {kept}")
        if self.attacks and len(self.names) == 1:
            hardest = min(self.attacks, key=lambda item: item.top1[0])
            parts.append(f"{hardest.name.upper()} leaves {hardest.top1[0]:.1%}")
        sentence = "; ".join(parts) or f"{self.names[0]} is right on {self.clean[0]:.1%} of clean images"
        return f"{sentence[0].upper()}{sentence[1:]}."

    def to_dict(self) -> dict[str, Any]:
        """The `robustness` JSON record without the models' identity."""
        record = asdict(self)
        skipped = record.pop("skipped")
        record["skipped"] = len(skipped)
        record["skipped_images"] = [{"image": name, "reason": reason} for name, reason in skipped]
        record["verdict"] = self.verdict
        return dict(_plain(record))


def corruption_errors(
    clean: NDArray[np.float64], top1: NDArray[np.float64]
) -> tuple[tuple[float | None, ...], tuple[float | None, ...]]:
    """Mean corruption error and relative mean corruption error of each model, with the first as the reference.

    The error of a corruption is the sum over severities of the errors, divided by the reference's; the relative one
    takes the errors beyond those on clean pictures. Both are then averaged over corruptions. Source: D. Hendrycks and
    T. Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations", ICLR 2019, whose
    reference is AlexNet. A corruption by which the reference loses nothing has no quotient and is left out.

    Args:
        clean: (models,) top-1.
        top1: (corruptions, models, severities) top-1.

    Returns:
        Both, one a model, 1 being the reference's own; None where no corruption has a quotient.
    """
    errors = (1 - top1).sum(axis=2)
    beyond = (clean[None, :, None] - top1).sum(axis=2)
    return _quotients(errors), _quotients(beyond)


def extra_losses(condition: str, clean: NDArray[Any], spoilt: NDArray[Any]) -> tuple[ExtraLoss, ...]:
    """How much more each model but the first loses, with an interval from what both lose on each picture.

    The interval is that of `edgecnn.measure.intervals.paired_interval` for losses that need not be whole: a picture
    counts once, however often it was spoilt, for what happens to it under one corruption tells of the next.

    Args:
        clean, spoilt: (models, samples) from 0 to 1: how often a model is right on a picture.
    """
    lost = clean.astype(np.float64) - spoilt
    return tuple(ExtraLoss(model, condition, *_mean(lost[model] - lost[0])) for model in range(1, len(lost)))


def shares(hits: Hits) -> tuple[tuple[float, ...], tuple[Interval, ...]]:
    """Shares of hits (rows, samples) with their 95 % intervals, one a row."""
    counts, samples = hits.sum(axis=1), hits.shape[1]
    return tuple(float(n) / samples for n in counts), tuple(wilson_interval(int(n), samples) for n in counts)


def _compared(names: Sequence[str], extra: Sequence[ExtraLoss]) -> Iterator[str]:
    """Of every condition, the model that loses the most more than the first; those that lose as much in one go."""
    alike: dict[int, list[str]] = {}
    for condition in dict.fromkeys(item.condition for item in extra):
        item = max((item for item in extra if item.condition == condition), key=lambda item: item.points)
        under = {"corruptions": "corruption", "patch": "the patch"}.get(condition, condition.upper())
        low, high = item.ci95
        if low <= 0 <= high:
            alike.setdefault(item.model, []).append(under)
            continue
        more, bounds = ("more", (low, high)) if item.points > 0 else ("less", (-high, -low))
        yield (
            f"under {under} {names[item.model]} loses {abs(item.points):.1f} points {more} than {names[0]} "
            f"(95 %: {bounds[0]:.1f} to {bounds[1]:.1f})"
        )
    for model, conditions in alike.items():
        listed = " and ".join([", ".join(conditions[:-1]), conditions[-1]] if conditions[1:] else conditions)
        yield f"under {listed} {names[model]} loses as much as {names[0]}, as far as chance lets tell"


def _mean(differences: NDArray[np.float64]) -> tuple[float, Interval]:
    """The mean in percentage points, with its interval."""
    total = len(differences) + 2  # half a sample in each of four cells, as Agresti and Min have it
    center = float(differences.sum()) / total
    spread = Z95 * float(np.sqrt((differences**2).sum() + 1 - total * center**2)) / total
    return 100 * float(differences.mean()), (100 * max(-2.0, center - spread), 100 * min(2.0, center + spread))


def _quotients(sums: NDArray[np.float64]) -> tuple[float | None, ...]:
    known = sums[sums[:, 0] > 1e-9]
    return tuple(map(float, np.mean(known / known[:, :1], axis=0))) if len(known) else (None,) * sums.shape[1]


def _plain(value: Any) -> Any:
    """With lists for tuples, as JSON has them."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
