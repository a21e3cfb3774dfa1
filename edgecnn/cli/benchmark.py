"""`edgecnn benchmark`: latency and memory on this machine."""

import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli.options import (
    data_option,
    foreign_options,
    json_option,
    label_names,
    model_argument,
    model_content,
    read_spec,
)
from edgecnn.cli.output import Progress, emit_json, note
from edgecnn.cli.timings import show_benchmark
from edgecnn.errors import DataError, EdgecnnError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgecnn.data.dataset import Dataset
    from edgecnn.measure.gate import Rule
    from edgecnn.runtime.classifier import Classifier
    from edgecnn.spec import Spec

_SECONDS = 20.0  # of timing for each number of threads, at most


class ThreadList(click.ParamType[tuple[int, ...]]):
    """Comma separated numbers of threads, as in 1,2,4."""

    name = "N,N,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Parse and check."""
        if isinstance(value, tuple):
            return value
        parts = str(value).split(",")
        if not all(part.strip().isdecimal() and 1 <= int(part) <= 64 for part in parts):
            self.fail(f"expected numbers of threads from 1 to 64 such as 1,2,4, got {value!r}", param, ctx)
        return tuple(int(part) for part in parts)


@click.command("benchmark")
@model_argument(many=True)
@click.option("--threads", type=ThreadList(), default="1", show_default=True, help="Numbers of threads to try.")
@click.option("--runs", type=click.IntRange(1), default=200, show_default=True, help="Timed inferences a model.")
@click.option(
    "--warmup",
    type=click.IntRange(0),
    default=20,
    show_default=True,
    help="Inferences before them at least; more follow until they get no faster. 0: none.",
)
@click.option("--image", type=click.Path(path_type=Path), help="Picture to run on; default 1280x720 of noise.")
@data_option(required=False)
@click.option("--profile", "profiled", is_flag=True, help="Time every operator too, and the share of the core's peak.")
@click.option(
    "--sustained",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Then run each row so long without a pause, and watch temperature and clock.",
)
@click.option(
    "--interval",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Between two lines of --sustained; default a twentieth of it.",
)
@click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="Stored --json results of benchmark or evaluate for --fail-on; repeatable.",
)
@click.option(
    "--fail-on",
    metavar="RULES",
    help="Exit with 3 where a figure changed so much against --baseline: p50>+10% (percent), top1<-1 (points). Also "
    "p90, p99, mean, min, init, first, size, memory; comma separated.",
)
@foreign_options
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    models: tuple[Path, ...],
    threads: tuple[int, ...],
    runs: int,
    warmup: int,
    image: Path | None,
    data: str | None,
    profiled: bool,
    sustained: float | None,
    interval: float | None,
    baseline: tuple[Path, ...],
    fail_on: str | None,
    labels: Path | None,
    preprocess: str | None,
    allow_unsafe: bool,
    as_json: bool,
) -> None:
    """Time models on this machine, several of them in turn (A B B A ...).

    Times are one inference of a warm model; preprocessing and sorting of scores are listed beside it. With --data
    the models see real pictures instead of noise. Exit code 3: done, but --fail-on was missed.

    \b
    Examples:
      edgecnn benchmark model.tflite
      edgecnn benchmark float.tflite int8.tflite --threads 1,2,4
      edgecnn benchmark model.tflite --profile --sustained 300
      edgecnn benchmark model.tflite --data photos/ \\
          --baseline before.json --fail-on "p50>+10%,top1<-1"
    """
    if image and data:
        raise click.UsageError("--image and --data both say what to run on; give one of them")
    rules = _rules(baseline, fail_on, data)
    from edgecnn.data.dataset import open_dataset
    from edgecnn.measure.benchmark import timing_classifier
    from edgecnn.measure.gate import check, doubts, find_baseline
    from edgecnn.report.results import read_results

    spec, names = read_spec(preprocess), label_names(labels)
    stored = read_results(baseline)
    before = [find_baseline(stored, rules, str(model), count) for count in threads for model in models if rules]
    contents = [model_content(model, spec, allow_unsafe=allow_unsafe) for model in models]
    single = [timing_classifier(content, labels=names, spec=spec) for content in contents]
    ready = [classifier.clone(threads=count) for count in threads for classifier in single]
    progress = Progress()
    with open_dataset(data) if data else nullcontext() as dataset:
        scored: list[Classifier] = []
        if dataset and any(rule.key == "top1" for rule in rules):
            progress.step("match labels and preprocessing")
            scored = _scored(models, contents, dataset, names, spec)
        frames, source = _pictures(image, dataset)
        paths = [str(model) for model in models] * len(threads)
        options = {"runs": runs, "warmup": warmup, "max_seconds": _SECONDS * len(threads)}
        records = _time(paths, contents * len(threads), ready, frames, source, progress, **options)
        if profiled:
            _profile(records, contents * len(threads), ready, progress)
        if sustained:
            _sustain(records, ready, frames, sustained, interval or max(1.0, sustained / 20), progress)
        samples = _score(records, scored, dataset, progress) if dataset and scored else {}
    progress.close()
    notes: list[str] = []
    for record, figures in zip(records, before, strict=False):
        record["gate"] = [result.to_dict() for result in check(rules, figures, record)]
        notes += doubts(figures, record, samples.get(record["model"]))
    if as_json:
        emit_json(records)
    else:
        show_benchmark(records)
    for text in dict.fromkeys(notes):
        note(f"note: {text}")
    missed = [f"{r['model']}: {g['rule']}" for r in records for g in r.get("gate", ()) if not g["passed"]]
    if missed:
        note(f"Gate missed: {', '.join(dict.fromkeys(missed))}")
        ctx.exit(3)


def _rules(baseline: tuple[Path, ...], text: str | None, data: str | None) -> tuple["Rule", ...]:
    """The rules of --fail-on, as a usage error when they cannot be read or lack something."""
    from edgecnn.measure.gate import parse_rules

    if bool(baseline) != (text is not None):
        raise click.UsageError("--baseline and --fail-on go together: what is compared, and when it fails")
    if text is None:
        return ()
    try:
        rules = parse_rules(text)
    except EdgecnnError as exc:
        raise click.BadParameter(str(exc), param_hint="--fail-on") from exc
    if not data and any(rule.key == "top1" for rule in rules):
        raise click.UsageError("a rule about top1 needs labelled images; give them with --data DATA")
    return rules


def _pictures(image: Path | None, dataset: "Dataset | None") -> tuple[list["NDArray[np.uint8]"], str]:
    """Pictures to run on, and what they are in words."""
    from edgecnn.data.images import read_image
    from edgecnn.measure.benchmark import noise, sample_pictures

    if dataset:
        frames = sample_pictures(dataset)
        return frames, f"{len(frames)} {'image' if len(frames) == 1 else 'images'} of {dataset.name}"
    if image:
        return [read_image(image)], f"image {image.name}"
    frame = noise()
    return [frame], f"noise {frame.shape[1]}x{frame.shape[0]}"


def _scored(
    models: tuple[Path, ...],
    contents: list[bytes],
    dataset: "Dataset",
    names: tuple[str, ...] | None,
    spec: "Spec",
) -> list["Classifier"]:
    """Each model as its accuracy is measured; what does not fit the data is told here, before minutes of work."""
    from edgecnn.measure.evaluate import labelled_task
    from edgecnn.measure.match import classifier_for

    if not dataset.labelled:
        raise DataError(f"{dataset.name} has no class folders; accuracy needs labelled images")
    classifiers = []
    for model, content in zip(models, contents, strict=True):
        classifier, _ = classifier_for(content, dataset, labels=names, spec=spec, name=str(model))
        labelled_task(dataset, classifier.labels, dataset.measured_split())
        classifiers.append(classifier)
    return classifiers


def _time(
    paths: list[str],
    contents: list[bytes],
    ready: list["Classifier"],
    frames: list["NDArray[np.uint8]"],
    source: str,
    progress: Progress,
    **options: Any,
) -> list[dict[str, Any]]:
    """One record a row."""
    from edgecnn.measure.benchmark import benchmark, benchmark_record

    progress.step("time the model" if len(ready) == 1 else f"time {len(ready)} rows in turn")
    timings = benchmark(ready, frames, **options, progress=progress.progress)
    progress.step("peak memory")
    to = paths[0], timings[0].threads
    return [
        benchmark_record(path, content, timing, size=classifier.preprocess.size, to=to, source=source)
        for path, content, classifier, timing in zip(paths, contents, ready, timings, strict=True)
    ]


def _profile(
    records: list[dict[str, Any]], contents: list[bytes], ready: list["Classifier"], progress: Progress
) -> None:
    """Add "profile", and "peak" where the model multiplies in one type."""
    from edgecnn.measure.benchmark import arithmetic
    from edgecnn.measure.peak import peak_rate
    from edgecnn.measure.profile import profile

    peaks: dict[str, float] = {}
    for record, content, classifier in zip(records, contents, ready, strict=True):
        progress.step(f"time the operators of {Path(record['model']).name}")
        try:
            found = profile(content, threads=record["threads"], size=classifier.preprocess.size)
            record["profile"] = found.to_dict()
            dtype = arithmetic(content)
        except EdgecnnError as exc:  # the times are there already
            note(f"note: no profile of {record['model']}: {exc}")
            continue
        if dtype and record["gmacs_per_s"]:
            if dtype not in peaks:
                peaks[dtype] = peak_rate(dtype)
            cores = min(record["threads"], os.cpu_count() or 1)
            share = record["gmacs_per_s"] / (cores * peaks[dtype])
            record["peak"] = {"gmacs_per_s": peaks[dtype], "share": share, "dtype": dtype}


def _sustain(
    records: list[dict[str, Any]],
    ready: list["Classifier"],
    frames: list["NDArray[np.uint8]"],
    seconds: float,
    interval: float,
    progress: Progress,
) -> None:
    """Add "sustained", one row after the other."""
    from edgecnn.measure.sustained import Moment, sustain

    def told(moment: Moment) -> None:
        progress.progress(min(round(moment.seconds), round(seconds)), round(seconds))

    for record, classifier in zip(records, ready, strict=True):
        progress.step(f"run {Path(record['model']).name} with {record['threads']} thread(s) for {seconds:g} s")
        moments = sustain(classifier, frames, seconds=seconds, interval=interval, on_moment=told)
        record["sustained"] = [moment.to_dict() for moment in moments]


def _score(
    records: list[dict[str, Any]], scored: list["Classifier"], dataset: "Dataset", progress: Progress
) -> dict[str, int]:
    """Add "top1", which does not depend on the number of threads; return how many images each model's is of."""
    from edgecnn.measure.evaluate import evaluate

    found = {}
    for record, classifier in zip(records, scored, strict=False):  # the first rows are all models, once each
        progress.step(f"top-1 of {Path(record['model']).name}")
        found[record["model"]] = evaluate(classifier, dataset, progress=progress.progress)
    for record in records:
        record["top1"] = found[record["model"]].top1
    return {model: evaluation.samples for model, evaluation in found.items()}
