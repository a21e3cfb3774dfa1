"""Latency of classifiers, stage by stage. Several models are timed in turn, so that all share the machine's moods."""

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle.bundle import open_bundle
from edgecnn.errors import EdgecnnError
from edgecnn.files import sha256_bytes
from edgecnn.measure.machine import fingerprint, versions
from edgecnn.measure.memory import peak_rss_mb
from edgecnn.runtime.classifier import Classifier
from edgecnn.runtime.interpreter import Engine
from edgecnn.spec import Spec


@dataclass(frozen=True)
class Timing:
    """Times of one model in milliseconds.

    Attributes:
        runs: how many inferences were timed.
        init_ms: load the model and allocate its tensors; first_ms: the first inference after it.
        min_ms, p50_ms, p90_ms, p99_ms, mean_ms: one invoke of the interpreter, after warm-up.
        preprocess_ms, postprocess_ms: median time from frame to tensor, and from output to sorted labels.
        histogram: (lower edge in ms, count) of the invoke times, for a picture of their spread.
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

    def to_dict(self) -> dict[str, Any]:
        """The `benchmark` JSON record without the model's identity and the machine."""
        names = ("threads", "runs", "init_ms", "first_ms", "min_ms", "p50_ms", "p90_ms", "p99_ms", "mean_ms")
        stages = {
            "preprocess_ms": self.preprocess_ms,
            "invoke_ms": self.p50_ms,
            "postprocess_ms": self.postprocess_ms,
        }
        return {name: getattr(self, name) for name in names} | {
            "stages": stages,
            "histogram": [list(pair) for pair in self.histogram],
        }


def benchmark(
    classifiers: Sequence[Classifier],
    frame: NDArray[np.uint8] | None = None,
    *,
    runs: int = 200,
    warmup: int = 20,
    max_seconds: float = 20.0,
) -> list[Timing]:
    """Time classifiers in turn: A B A B …

    Args:
        classifiers: each with the number of threads it is to be timed with.
        frame: BGR uint8 picture; by default 1280x720 of noise, as a camera's size.
        runs: timed inferences a model.
        warmup: inferences before them.
        max_seconds: end earlier, after at least 10 rounds, when all models together took so long.

    Raises:
        EdgecnnError: runs below 1 or warm-up below 0.
    """
    if runs < 1 or warmup < 0:
        raise EdgecnnError(f"expected at least 1 run and no negative warm-up, got runs={runs}, warmup={warmup}")
    if frame is None:
        frame = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)
    starts = [_start(classifier, frame) for classifier in classifiers]
    fresh = [classifier for classifier, _, _ in starts]
    for _ in range(warmup):
        for classifier in fresh:
            classifier.classify(frame)
    times: list[list[tuple[float, float, float]]] = [[] for _ in fresh]
    deadline = time.perf_counter() + max_seconds
    for done in range(runs):
        if done >= 10 and time.perf_counter() > deadline:
            break
        for classifier, rows in zip(fresh, times, strict=True):
            rows.append(_stages(classifier, frame))
    return [
        _timing(classifier, rows, init_ms, first_ms)
        for (classifier, init_ms, first_ms), rows in zip(starts, times, strict=True)
    ]


def _start(classifier: Classifier, frame: NDArray[np.uint8]) -> tuple[Classifier, float, float]:
    """A newly loaded copy, with the milliseconds that loading and the first inference took."""
    started = time.perf_counter()
    fresh = classifier.clone()
    loaded = time.perf_counter()
    fresh.preprocessor.write(frame, fresh.engine.input)
    fresh.engine.invoke()
    return fresh, 1e3 * (loaded - started), 1e3 * (time.perf_counter() - loaded)


def _stages(classifier: Classifier, frame: NDArray[np.uint8]) -> tuple[float, float, float]:
    """(preprocess, invoke, postprocess) of one frame in milliseconds."""
    engine = classifier.engine
    begin = time.perf_counter()
    classifier.preprocessor.write(frame, engine.input)
    ready = time.perf_counter()
    engine.invoke()
    invoked = time.perf_counter()
    classifier.rank(classifier.head.probabilities(engine.output()))
    return 1e3 * (ready - begin), 1e3 * (invoked - ready), 1e3 * (time.perf_counter() - invoked)


def _timing(classifier: Classifier, rows: list[tuple[float, float, float]], init_ms: float, first_ms: float) -> Timing:
    preprocess, invoke, postprocess = np.array(rows).T
    p50, p90, p99 = np.percentile(invoke, (50, 90, 99))
    counts, edges = np.histogram(invoke, bins=24, range=(float(invoke.min()), float(max(p99, invoke.min() * 1.001))))
    return Timing(
        threads=classifier.threads,
        runs=len(rows),
        init_ms=init_ms,
        first_ms=first_ms,
        min_ms=float(invoke.min()),
        p50_ms=float(p50),
        p90_ms=float(p90),
        p99_ms=float(p99),
        mean_ms=float(invoke.mean()),
        preprocess_ms=float(np.median(preprocess)),
        postprocess_ms=float(np.median(postprocess)),
        histogram=tuple((round(float(edge), 5), int(n)) for edge, n in zip(edges, counts, strict=False)),
    )


def benchmark_record(model: str, content: bytes, timing: Timing, *, size: tuple[int, int]) -> dict[str, Any]:
    """The `benchmark` JSON record: a timing with the model's identity, its peak memory and the machine.

    Args:
        model: what the record calls the model.
        content: the whole `.tflite`.
        size: (width, height) of its input.

    Raises:
        ModelError: the model does not run in a fresh process.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.tflite")
        with open(path, "wb") as file:
            file.write(content)
        memory = peak_rss_mb(path, threads=timing.threads, size=size)
    identity = {"schema": "edgecnn.benchmark/1", "model": model, "sha256": sha256_bytes(content)}
    machine = {"peak_rss_mb": memory, "machine": fingerprint(), "versions": versions()}
    return identity | {"size_bytes": len(content)} | timing.to_dict() | machine


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
