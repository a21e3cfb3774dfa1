"""Latency of classifiers, stage by stage. Several models are timed in turn, so that all share the machine's moods."""

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle.bundle import open_bundle
from edgecnn.bundle.flatbuffer import dtype_of, unpack
from edgecnn.bundle.layers import operations
from edgecnn.bundle.tflite import describe
from edgecnn.data.dataset import Dataset, balanced
from edgecnn.errors import DataError, EdgecnnError, ImageError, MissingExtraError
from edgecnn.files import sha256_bytes
from edgecnn.measure.latency import Row, collector_off, orders, warm_up
from edgecnn.measure.machine import fingerprint, versions
from edgecnn.measure.memory import peak_rss_mb
from edgecnn.measure.ratio import Ratio, speed_ratio
from edgecnn.runtime.classifier import Classifier
from edgecnn.runtime.interpreter import Engine
from edgecnn.spec import Spec

_FEWEST = 10  # rounds, however slow they are


@dataclass(frozen=True)
class Warmup:
    """Inferences of a model before the ones that count, and whether the last of them were as fast as it gets."""

    runs: int
    steady: bool


@dataclass(frozen=True)
class Timing:
    """Times of one model in milliseconds.

    Attributes:
        runs: how many inferences were timed.
        init_ms: load the model and allocate its tensors; first_ms: the first inference after it.
        min_ms, p50_ms, p90_ms, p99_ms, mean_ms: one invoke of the interpreter, after warm-up.
        preprocess_ms, postprocess_ms: median time from frame to tensor, and from output to sorted labels.
        histogram: (lower edge in ms, count) of the invoke times, for a picture of their spread.
        ratio: speed against the first model; None for that one itself.
    """

    threads: int
    runs: int
    init_ms: float
    first_ms: float
    min_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    mean_ms: float
    preprocess_ms: float
    postprocess_ms: float
    histogram: tuple[tuple[float, int], ...]
    warmup: Warmup
    ratio: Ratio | None

    def to_dict(self) -> dict[str, Any]:
        """The `benchmark` JSON record without the model's identity, the ratio and the machine."""
        names = ("threads", "runs", "init_ms", "first_ms", "min_ms", "p50_ms", "p90_ms", "p99_ms", "mean_ms")
        stages = {
            "preprocess_ms": self.preprocess_ms,
            "invoke_ms": self.p50_ms,
            "postprocess_ms": self.postprocess_ms,
        }
        return {name: getattr(self, name) for name in names} | {
            "stages": stages,
            "histogram": [list(pair) for pair in self.histogram],
            "warmup": asdict(self.warmup),
        }


def benchmark(
    classifiers: Sequence[Classifier],
    frames: NDArray[np.uint8] | Sequence[NDArray[np.uint8]] | None = None,
    *,
    runs: int = 200,
    warmup: int = 20,
    max_seconds: float = 20.0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Timing]:
    """Time classifiers in turn, A B B A …: every round each one once, in an order that changes from round to round.

    A turn is one inference (two with several threads) that makes the model warm again, and one that is timed, all on
    the same picture; so what is timed is the model's own speed, whichever models it is measured with. The ratio to
    the first model comes with a 95 % interval from a bootstrap over rounds.

    Args:
        classifiers: each with the number of threads it is to be timed with.
        frames: one BGR uint8 picture or several, used in turn; by default 1280x720 of noise, as a camera's size.
        runs: timed inferences a model.
        warmup: inferences before them, at least; more follow until the median of the last 10 is at most 2 % below that
            of the 10 before, for at most a quarter of `max_seconds`. 0 for none at all.
        max_seconds: end earlier, after at least 10 rounds, when all models together took so long.
        progress: called with (rounds done, rounds) between rounds.

    Raises:
        EdgecnnError: runs below 1 or warm-up below 0.
    """
    if runs < 1 or warmup < 0:
        raise EdgecnnError(f"expected at least 1 run and no negative warm-up, got runs={runs}, warmup={warmup}")
    if frames is None:
        frames = noise()
    pictures = [frames] if isinstance(frames, np.ndarray) else list(frames)
    rows = [Row(classifier, pictures) for classifier in classifiers]
    invoke, rank = (np.zeros((len(rows), runs), np.int64) for _ in range(2))
    order = orders(len(rows))
    with collector_off():
        for picture in pictures:
            for row in rows:
                row.preprocess(picture, len(pictures))
        warm_up(rows, warmup, max_seconds / 4)
        deadline = time.perf_counter() + max_seconds
        done = 0
        while done < runs and (done < _FEWEST or time.perf_counter() < deadline):
            for i in order[done % len(order)]:
                invoke[i, done] = rows[i].infer(done)
                rank[i, done] = rows[i].rank()
            done += 1
            if progress:
                progress(done, runs)
    invoke_ms, rank_ms = invoke[:, :done] / 1e6, rank[:, :done] / 1e6
    return [
        _timing(row, invoke_ms[i], rank_ms[i], speed_ratio(invoke_ms[0], invoke_ms[i]) if i else None)
        for i, row in enumerate(rows)
    ]


def noise() -> NDArray[np.uint8]:
    """A BGR picture (720, 1280, 3) of noise, always the same."""
    return np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)


def sample_pictures(dataset: Dataset, count: int = 12) -> list[NDArray[np.uint8]]:
    """A few pictures, BGR uint8, balanced over classes: of the split that accuracy is measured on, else of train.

    Raises:
        DataError: none can be read.
    """
    samples = next((s for s in map(dataset.split, ("test", "val", "train")) if s), ())
    pictures: list[NDArray[np.uint8]] = []
    reason = "it is empty"
    for sample in balanced(samples, len(samples)):
        if len(pictures) == count:
            break
        try:
            pictures.append(dataset.read(sample))
        except ImageError as exc:
            reason = str(exc)
    if not pictures:
        raise DataError(f"no picture of {dataset.name} can be read: {reason}")
    return pictures


def _timing(row: Row, invoke: NDArray[np.float64], rank: NDArray[np.float64], ratio: Ratio | None) -> Timing:
    p50, p90, p99 = np.percentile(invoke, (50, 90, 99))
    counts, edges = np.histogram(invoke, bins=24, range=(float(invoke.min()), float(max(p99, invoke.min() * 1.001))))
    return Timing(
        threads=row.threads,
        runs=len(invoke),
        init_ms=row.init_ms,
        first_ms=row.first_ms,
        min_ms=float(invoke.min()),
        p50_ms=float(p50),
        p90_ms=float(p90),
        p99_ms=float(p99),
        mean_ms=float(invoke.mean()),
        preprocess_ms=float(np.median(row.preprocess_ns)) / 1e6,
        postprocess_ms=float(np.median(rank)),
        histogram=tuple((round(float(edge), 5), int(n)) for edge, n in zip(edges, counts, strict=False)),
        warmup=Warmup(len(row.warmup_ns), row.steady),
        ratio=ratio,
    )


def benchmark_record(
    model: str,
    content: bytes,
    timing: Timing,
    *,
    size: tuple[int, int],
    to: tuple[str, int] | None = None,
    source: str | None = None,
) -> dict[str, Any]:
    """The `benchmark` JSON record: a timing with the model's identity, its work, its peak memory and the machine.

    Args:
        model: what the record calls the model.
        content: the whole `.tflite`.
        size: (width, height) of its input.
        to: what the record calls the first model, and its threads; the ratio is left out without.
        source: the pictures in words.

    Raises:
        ModelError: the model does not run in a fresh process.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.tflite")
        with open(path, "wb") as file:
            file.write(content)
        memory = peak_rss_mb(path, threads=timing.threads, size=size)
    record: dict[str, Any] = {"schema": "edgecnn.benchmark/1", "model": model, "sha256": sha256_bytes(content)}
    record |= {"size_bytes": len(content)} | timing.to_dict()
    if source is not None:
        record["input"] = source
    if timing.ratio is not None and to is not None:
        record["ratio"] = {"to": to[0], "to_threads": to[1]} | timing.ratio.to_dict()
    macs = _macs(content)
    record |= {"macs": macs, "gmacs_per_s": macs / timing.p50_ms / 1e6 if macs and timing.p50_ms else None}
    return record | {"peak_rss_mb": memory, "machine": fingerprint(), "versions": versions()}


def _macs(content: bytes) -> int | None:
    """Multiply-accumulates of a picture; None where the size is open or nothing can look into the file."""
    try:
        info = describe(content)
    except MissingExtraError:  # tflite-runtime runs models but brings no schema to read them with
        return None
    fixed = all(n > 0 for n in info.inputs[0].shape[1:])
    return info.macs if fixed and info.macs else None


def arithmetic(content: bytes) -> str | None:
    """Type in which a model multiplies, "float32" or "int8"; None where layers differ or it is another one.

    Raises:
        ModelError: no TFLite model, or a damaged one.
        MissingExtraError: LiteRT, whose schema this needs, is not installed.
    """
    tensors = unpack(content).subgraphs[0].tensors
    layers = [operation for operation in operations(content) if operation.weighted]
    found = {dtype_of(tensors[index]).replace("uint8", "int8") for layer in layers for index in layer.inputs[:2]}
    return next(iter(found)) if found in ({"float32"}, {"int8"}) else None


def timing_classifier(
    content: bytes, *, labels: Sequence[str] | None = None, spec: Spec | None = None, threads: int = 1
) -> Classifier:
    """A classifier of any `.tflite` for timing only, where neither names nor normalization change the work.

    Raises:
        ModelError: not a single-image classifier.
    """
    spec = spec or Spec()
    bundle = open_bundle(content)
    if bundle.card is not None:
        preprocess = spec.over(bundle.card.preprocess)
        return Classifier(content, labels=labels, preprocess=preprocess, threads=threads)
    engine = Engine(content, size=spec.size)
    numbers = [str(i) for i in range(max(2, engine.classes))]
    preprocess = spec.complete(engine.width, engine.height, "gray" if engine.channels == 1 else "rgb")
    return Classifier(content, labels=labels or bundle.labels or numbers, preprocess=preprocess, threads=threads)
