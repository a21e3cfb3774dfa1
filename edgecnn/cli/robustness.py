"""`edgecnn robustness`: models under corruptions and attacks."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from edgecnn.cli.options import (
    data_option,
    foreign_options,
    json_option,
    label_names,
    model_argument,
    model_content,
    read_share,
    read_spec,
)
from edgecnn.cli.output import Progress, check_report, duration, emit_json, note, paragraph, table, write_report

if TYPE_CHECKING:
    from edgecnn.data.dataset import Dataset
    from edgecnn.robust.threat import Threat
    from edgecnn.runtime.classifier import Classifier
    from edgecnn.spec import Spec

_PATH: Final = click.Path(path_type=Path)
_KERAS: Final = (".keras", ".h5", ".hdf5")
_SURE: Final = 10.0  # seconds after which it is known how long a step will take
_LONG: Final = 30.0  # seconds that are worth a word


class _Patience(Progress):
    """Progress that says once how long a long step will take, to those who see no bar."""

    def step(self, name: str) -> None:
        super().step(name)
        self._told = self._bar

    def progress(self, done: int, total: int) -> None:
        super().progress(done, total)
        passed = time.monotonic() - self._started
        if not self._told and passed > _SURE:
            self._told = True
            left = passed * (total - done) / done
            if left > _LONG:
                advice = "; fewer images with --limit" if self._step == "corrupt" else ""
                note(f"  {self._step}: about {duration(left)} to go{advice}")


@click.command("robustness")
@model_argument(many=True)
@data_option()
@click.option("--split", type=click.Choice(["train", "val", "test"]), help="Default: test, or val where there is none.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=500,
    show_default=True,
    help="At most so many images, balanced over classes.",
)
@click.option("--corruptions", default="all", show_default=True, metavar="NAME,...", help="Or all, or none.")
@click.option("--severities", default="1-5", show_default=True, metavar="N,...", help="1 is the weakest.")
@click.option(
    "--attacks", metavar="NAME,...", help="Of fgsm, pgd and patch, or none. Default: all, where a Keras model is given."
)
@click.option(
    "--epsilon", default="8/255", show_default=True, metavar="SHARE", help="Largest change of a pixel by fgsm and pgd."
)
@click.option("--steps", type=click.IntRange(1, 1000), default=10, show_default=True, help="Of pgd.")
@click.option("--patch-target", metavar="LABEL", help="Train the patch to look like this class.")
@click.option(
    "--craft-on",
    type=_PATH,
    metavar="FILE",
    help="Keras model to craft attacks on; by default the first MODEL that is one.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all random choices.")
@click.option("--report", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Write a report here.")
@foreign_options
@json_option
def command(
    models: tuple[Path, ...],
    data: str,
    split: str | None,
    limit: int,
    corruptions: str,
    severities: str,
    attacks: str | None,
    epsilon: str,
    steps: int,
    patch_target: str | None,
    craft_on: Path | None,
    seed: int,
    report: Path | None,
    labels: Path | None,
    preprocess: str | None,
    allow_unsafe: bool,
    as_json: bool,
) -> None:
    """Measure what models still get right when images are spoilt, or made to fool them.

    Every model sees the very same pixels. Corruptions are those of Hendrycks & Dietterich (2019) in five severities,
    and those of a small camera. Attacks are crafted on a Keras model and shown to all: give the float .keras first,
    then the int8 .tflite that was made from it. The mean corruption error (mCE) is relative to the first model.
    Corruptions need no TensorFlow and run on the device.

    \b
    Examples:
      edgecnn robustness model.keras model.tflite --data photos/
      edgecnn robustness float.tflite int8.tflite --data photos/ --report report/
      edgecnn robustness model.tflite --data photos/ --corruptions fog,low_light
      edgecnn robustness model.keras int8.tflite --data cifar10.tar.gz \\
                         --corruptions none --attacks pgd --epsilon 4/255
    """
    if report:
        check_report(report)
    chosen, strengths, wanted = _corruptions(corruptions), _severities(severities), _attacks(attacks)
    share = read_share(epsilon, "--epsilon")
    surrogate = craft_on or next((model for model in models if model.suffix.lower() in _KERAS), None)
    if wanted and attacks and surrogate is None:
        raise click.UsageError("attacks are crafted on a Keras model: add one, or name it with --craft-on")
    from edgecnn.data.dataset import open_dataset
    from edgecnn.files import sha256_path
    from edgecnn.robust.measure import measure_robustness

    spec, names, progress = read_spec(preprocess), label_names(labels), _Patience()
    progress.step("open data")
    with open_dataset(data) as dataset:
        progress.step("load models")
        found = [_load(model, dataset, spec, names, allow_unsafe) for model in models]
        threat, notes = None, []
        if wanted and surrogate is None:
            notes.append("attacks are left out: they are crafted on a Keras model; add it, or --craft-on model.keras")
        elif wanted and surrogate is not None:
            place = models.index(surrogate) if surrogate in models else None
            crafted = found[place] if place is not None else _load(surrogate, dataset, spec, names, allow_unsafe)
            threat = _threat(surrogate, crafted[0], wanted, share, steps, patch_target, allow_unsafe)
        measured = measure_robustness(
            [classifier for classifier, _, _ in found],
            dataset,
            names=_names(models, [kind for _, _, kind in found]),
            split=split,
            limit=limit,
            corruptions=chosen,
            severities=strengths,
            threat=threat,
            seed=seed,
            step=progress.step,
            progress=progress.progress,
        )
        progress.close()
    record = {"schema": "edgecnn.robustness/1"} | measured.to_dict()
    record["models"] = [
        {"model": str(model), "sha256": sha256_path(model), "kind": kind, "preprocess": choice}
        for model, (_, choice, kind) in zip(models, found, strict=True)
    ]
    record["notes"] += notes
    if report:
        write_report(record, report, "robustness")
    if as_json:
        emit_json(record)
    else:
        _show(record)


def _load(
    model: Path, dataset: "Dataset", spec: "Spec", names: tuple[str, ...] | None, allow_unsafe: bool
) -> tuple["Classifier", dict[str, Any], str]:
    """A classifier, where its preprocessing came from, and what it computes with."""
    from edgecnn.bundle.bundle import open_bundle
    from edgecnn.bundle.weights import is_float
    from edgecnn.measure.match import classifier_for

    content = model_content(model, spec, allow_unsafe=allow_unsafe)
    classifier, choice = classifier_for(content, dataset, labels=names, spec=spec, name=str(model))
    card = open_bundle(content).card
    kind = "float" if is_float(content) else str(card.recipe.get("quantize", "quantized")) if card else "quantized"
    return classifier, choice, kind


def _threat(
    model: Path,
    classifier: "Classifier",
    attacks: tuple[str, ...],
    epsilon: float,
    steps: int,
    target: str | None,
    allow_unsafe: bool,
) -> "Threat":
    from edgecnn.robust.attacks import load_surrogate
    from edgecnn.robust.threat import Threat

    surrogate = load_surrogate(model, classifier.preprocess, classifier.labels, allow_unsafe=allow_unsafe)
    return Threat(surrogate, attacks, epsilon, steps, aim=target)


def _corruptions(text: str) -> tuple[str, ...]:
    from edgecnn.robust.corruptions import CORRUPTIONS

    return _chosen(text, tuple(CORRUPTIONS), "--corruptions")


def _attacks(text: str | None) -> tuple[str, ...]:
    return _chosen(text or "all", ("fgsm", "pgd", "patch"), "--attacks")


def _chosen(text: str, known: tuple[str, ...], option: str) -> tuple[str, ...]:
    if text in ("all", "none"):
        return known if text == "all" else ()
    names = [name.strip().lower().replace("-", "_") for name in text.split(",")]
    if strange := [name for name in names if name not in known]:
        raise click.BadParameter(
            f"expected all, none or some of {', '.join(known)}, got {strange[0]!r}", param_hint=option
        )
    return tuple(name for name in known if name in names)


def _severities(text: str) -> tuple[int, ...]:
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        try:
            found.update(range(int(first), int(last if dash else first) + 1))
        except ValueError:
            found.add(0)
    if not found or not found <= {1, 2, 3, 4, 5}:
        raise click.BadParameter(
            f"expected numbers from 1 to 5 such as 1-5 or 1,3,5, got {text!r}", param_hint="--severities"
        )
    return tuple(sorted(found))


def _names(models: Sequence[Path], kinds: Sequence[str]) -> tuple[str, ...]:
    """What tells the models apart: float and int8, else words of their file names, else their whole paths."""
    from edgecnn.report.numbers import tell_apart

    words = tell_apart([str(model) for model in models])
    choices = (kinds if len(kinds) > 1 else words, words, [str(model) for model in models])
    return tuple(next((names for names in choices if len(set(names)) == len(names)), choices[-1]))


def _show(record: dict[str, Any]) -> None:
    paragraph(f"{record['samples']:,} images of {record['data']} ({record['split']}), spoilt alike for every model")
    paragraph(f"  {record['verdict']}")
    names = record["names"]
    room = (80 - 24 - 2 * len(names) - (9 if len(names) == 2 else 0)) // len(names)
    header = ("top-1", *(name if len(name) <= room else f"…{name[1 - room :]}" for name in names))
    table(list(_rows(record)), header=(*header, "change") if len(names) == 2 else header, indent="  ")
    for text in record["notes"]:
        note(f"  note: {text}")
    for skipped in record["skipped_images"]:
        note(f"  skipped {skipped['image']}: {skipped['reason']}")


def _rows(record: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Accuracy under each condition; of a corruption the mean over its severities."""
    yield _row("clean", record["clean"])
    means = [[sum(row) / len(row) for row in item["top1"]] for item in record["corruptions"]]
    kind = ""
    for item, values in zip(record["corruptions"], means, strict=True):
        if item["kind"] != kind:
            kind = item["kind"]
            yield _row(kind, None, len(values))
        yield _row("  " + item["name"].replace("_", " "), values)
    if means:
        yield _row("all corruptions", [sum(column) / len(column) for column in zip(*means, strict=True)])
        for label, key in (("mCE", "mce"), ("relative mCE", "relative_mce")):
            texts = ["—" if value is None else f"{100 * value:.1f}" for value in record[key]]
            yield (label, *texts, *([""] if len(texts) == 2 else []))
    for item in record["attacks"]:
        steps = f" {item['steps']} steps" if item["name"] == "pgd" else ""
        yield _row(f"{item['name']}{steps}, {levels(item['epsilon'])}", item["top1"])
    if patch := record["patch"]:
        yield _row(f"patch, {patch['share']:.0%} of the area", patch["top1"])
        yield _row("  random pixels instead", patch["noise_top1"])
        if patch["hits"]:
            yield _row(f"  taken for {patch['aim']}", patch["hits"])


def _row(label: str, values: Sequence[float] | None, models: int = 0) -> tuple[str, ...]:
    if values is None:
        return (label, *[""] * (models + (models == 2)))
    change = [f"{round(100 * (values[1] - values[0]), 1) + 0.0:+.1f} pp"] if len(values) == 2 else []
    return (label, *(f"{value:.1%}" for value in values), *change)


def levels(epsilon: float) -> str:
    """8/255 where it is a whole number of levels, else the share."""
    whole = round(255 * epsilon)
    return f"{whole}/255" if abs(255 * epsilon - whole) < 1e-6 else f"{epsilon:.4g}"
