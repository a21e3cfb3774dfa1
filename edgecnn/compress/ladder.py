"""The ladder: int8 first, and more effort only while accuracy is outside the budget.

Rungs, from the cheapest up: plain int8 → better ranges of activations and weights, and pooling as a mean → equalized
channels with corrected biases → the most sensitive layers in float → quantization-aware training. The first rung whose
loss of accuracy is inside the budget, with the confidence interval taken into account, is taken.

Layers are rescued in float, not with 16-bit activations: LiteRT runs 16-bit convolutions with reference kernels
(MLPerf's ResNet-8: 11 ms in int16x8, 0.16 ms in int8, 0.17 ms in int8 with its pooling, dense layer and softmax in
float), and a float layer between int8 ones is also the more exact of the two.
"""

import gzip
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle.layers import scopes_of
from edgecnn.bundle.pooling import with_mean_pooling
from edgecnn.compress.equalize import equalize
from edgecnn.compress.quantize import PLAIN, WEIGHTS, Calibration, Candidate, require_quantizer
from edgecnn.compress.sensitivity import LayerDamage, sensitivity
from edgecnn.errors import ConversionError, EdgecnnError
from edgecnn.measure.benchmark import benchmark, timing_classifier
from edgecnn.measure.intervals import paired_interval, wilson_interval

_COMPARED_SAMPLES: Final = 300  # calibration pictures that compare ranges and weights; rungs are worth the time
_SENSITIVITY_SAMPLES: Final = 200  # calibration pictures on which the order of layers is found


@dataclass(frozen=True)
class Measured:
    """What a model does on the pictures accuracy is judged on; the same ones, in the same order, for every model.

    Attributes:
        predicted: class index a picture (pictures,).
        labels: true class indices (pictures,); None where they are not known.
    """

    predicted: NDArray[np.int64]
    labels: NDArray[np.int64] | None = None

    @property
    def accuracy(self) -> float | None:
        """Top-1 accuracy; None without labels."""
        return None if self.labels is None else float(np.mean(self.predicted == self.labels))


@dataclass(frozen=True)
class Drop:
    """Loss of top-1 accuracy in percentage points, with its 95 % interval; negative where accuracy rose."""

    points: float
    low: float
    high: float


@dataclass(frozen=True)
class Rung:
    """One rung that was tried.

    Attributes:
        name: "int8", "ranges", "equalize", "float-layers" or "qat".
        detail: what was done, in words.
        content: the `.tflite`; empty where there is none.
        accuracy: top-1; None without labels.
        drop: from the float model; without labels the worst that the disagreements allow.
        agreement: share of pictures that get the float model's label.
        inside: whether the interval's upper end is inside the budget.
        size_bytes, gzip_bytes: of the file, and of the file compressed.
        p50_ms: median latency of one inference, one thread, all rungs and the float model timed in turn.
        float_layers: layers that stay float.
        failed: why there is no model; "" where there is one.
    """

    name: str
    detail: str
    content: bytes = b""
    accuracy: float | None = None
    drop: Drop | None = None
    agreement: float = 0.0
    inside: bool = False
    size_bytes: int = 0
    gzip_bytes: int = 0
    p50_ms: float = 0.0
    float_layers: tuple[str, ...] = ()
    failed: str = ""

    def to_dict(self) -> dict[str, Any]:
        """A record for JSON, without the model."""
        record = asdict(self) | {"float_layers": list(self.float_layers)}
        del record["content"]
        return record


@dataclass(frozen=True)
class Climb:
    """The whole climb.

    Attributes:
        rungs: what was tried, in order.
        taken: position of the rung that was taken: the first inside the budget, else the one that lost least.
        inside: whether it is inside the budget.
        max_drop: the budget, in percentage points.
        float_rung: the float model in the same figures.
        skipped: (rung, reason) of rungs that were not tried.
        damages: the layers' sensitivity, where it was needed.
    """

    rungs: tuple[Rung, ...]
    taken: int
    inside: bool
    max_drop: float
    float_rung: Rung
    skipped: tuple[tuple[str, str], ...] = ()
    damages: tuple[LayerDamage, ...] = ()

    @property
    def content(self) -> bytes:
        """The model of the rung that was taken."""
        return self.rungs[self.taken].content

    def to_dict(self) -> dict[str, Any]:
        """A record for JSON, without the models."""
        return {
            "max_drop": self.max_drop,
            "inside": self.inside,
            "taken": self.taken,
            "float": self.float_rung.to_dict(),
            "rungs": [rung.to_dict() for rung in self.rungs],
            "skipped": [{"rung": name, "reason": reason} for name, reason in self.skipped],
            "sensitivity": [damage.to_dict() for damage in self.damages],
        }


def climb(
    content: bytes,
    *,
    head: str,
    io: str,
    tensors: Sequence[NDArray[np.float32]],
    input_range: tuple[float, float],
    measure: Callable[[bytes], Measured],
    max_drop: float,
    qat: Callable[[], bytes] | None = None,
    qat_missing: str = "there is no Keras model to train",
    progress: Callable[[str], None] | None = None,
) -> Climb:
    """Climb until accuracy is inside the budget.

    Args:
        content: float `.tflite` with a signature.
        head: "softmax", "sigmoid" or "logits", as in `Head`.
        io: type of the input and output tensor, as for int8.
        tensors: calibration inputs, float32 (height, width, channels) each.
        input_range: smallest and largest real value of the input tensor.
        measure: runs a model on the pictures that decide; never those accuracy is reported on.
        max_drop: allowed loss of top-1 accuracy in percentage points.
        qat: trains and returns a quantized `.tflite`; may raise an EdgecnnError.
        qat_missing: why there is none.
        progress: called with the name of each rung before it is tried.

    Raises:
        ConversionError: no calibration inputs, or no rung gave a model.
        MissingExtraError: ai-edge-quantizer is not installed.
    """
    require_quantizer()
    if not tensors:
        raise ConversionError("int8 needs calibration pictures, and none could be read")
    work = _Climb(content, measure, max_drop, progress)
    calibration = Calibration(content, head, tensors, input_range)
    better = with_mean_pooling(content)
    bases: list[tuple[Calibration, Candidate]] = []
    skipped: list[tuple[str, str]] = []
    damages: list[LayerDamage] = []

    def searched(name: str, calibrated: Calibration, detail: str) -> bool:
        found: list[Candidate] = []

        def build() -> bytes:
            best = calibrated.search(io, weights=WEIGHTS)
            found.extend([best.chosen] if best.chosen else [])
            return best.content

        inside = work.attempt(name, build, lambda: f"{detail}{_words(found[0])}")
        bases.extend((calibrated, chosen) for chosen in found)
        return inside

    def equalized() -> bool:
        result = equalize(better, tensors)
        if not result.pairs:
            skipped.append(("equalize", "no two layers follow each other with only ReLU or pooling between them"))
            return False
        calibrated = Calibration(result.content, head, tensors, input_range, selection=_COMPARED_SAMPLES)
        return searched("equalize", calibrated, f"channels of {len(result.pairs)} pairs of layers equalized, ")

    def in_float() -> bool:
        damages.extend(sensitivity(better, head=head, tensors=tensors[:_SENSITIVITY_SAMPLES], input_range=input_range))
        base, candidate = min(bases, key=lambda pair: pair[1].divergence, default=(calibration, PLAIN))
        order = [damage.layer for damage in damages if not damage.reason]
        for count in _doublings(len(order)):
            kept = tuple(order[:count])
            scopes = scopes_of(better, kept)
            if work.attempt(
                "float-layers",
                lambda scopes=scopes: base.build(candidate, io, keep_float=scopes),  # type: ignore[misc]  # a lambda with a default
                lambda kept=kept: f"in float: {', '.join(kept)}",  # type: ignore[misc]  # a lambda with a default
                kept,
            ):
                return True
        return False

    def trained() -> bool:
        if qat is None:
            skipped.append(("qat", qat_missing))
            return False
        return work.attempt("qat", qat, lambda: "trained with quantization in the loop")

    _ = (
        work.attempt("int8", lambda: calibration.build(PLAIN, io), lambda: "plain min-max ranges")
        or searched("ranges", Calibration(better, head, tensors, input_range, selection=_COMPARED_SAMPLES), "")
        or equalized()
        or in_float()
        or trained()
    )
    return work.finish(tuple(skipped), tuple(damages))


def paired_drop(before: Measured, after: Measured) -> Drop:
    """Loss of accuracy between two models on the same pictures, with the interval of matched pairs.

    Without labels every disagreement counts as a loss, and the upper end is that of Wilson's interval of their share.
    """
    samples = len(before.predicted)
    if before.labels is None:
        changed = int(np.sum(before.predicted != after.predicted))
        return Drop(100 * changed / samples, 0.0, 100 * wilson_interval(changed, samples)[1])
    right, still = before.predicted == before.labels, after.predicted == before.labels
    lost, won = int(np.sum(right & ~still)), int(np.sum(~right & still))
    low, high = paired_interval(lost, won, samples)
    return Drop(100 * (lost - won) / samples, 100 * low, 100 * high)


class _Climb:
    """Builds, measures and keeps the rungs."""

    def __init__(
        self, content: bytes, measure: Callable[[bytes], Measured], max_drop: float, progress: Any | None
    ) -> None:
        self._measure, self._max_drop, self._progress = measure, max_drop, progress
        self._content, self._float = content, measure(content)
        self._rungs: list[Rung] = []

    def attempt(
        self, name: str, build: Callable[[], bytes], detail: Callable[[], str], float_layers: tuple[str, ...] = ()
    ) -> bool:
        """Try one rung; whether it is inside the budget."""
        if self._progress:
            self._progress(name)
        try:
            content = build()
            rung = self._judged(Rung(name, detail(), content, float_layers=float_layers), self._measure(content))
        except EdgecnnError as exc:  # a model that cannot be built or run is no rung to stand on; the next may be
            rung = Rung(name, "no model", float_layers=float_layers, failed=str(exc))
        self._rungs.append(rung)
        return rung.inside

    def finish(self, skipped: tuple[tuple[str, str], ...], damages: tuple[LayerDamage, ...]) -> Climb:
        standing = [i for i, rung in enumerate(self._rungs) if not rung.failed]
        if not standing:
            raise ConversionError(f"no rung of the ladder gave a model that runs: {self._rungs[-1].failed}")
        whole = replace(self._judged(Rung("float", "the float model", self._content), self._float), inside=True)
        classifiers = [timing_classifier(rung.content) for rung in (whole, *(self._rungs[i] for i in standing))]
        timings = benchmark(classifiers, runs=100, warmup=10, max_seconds=10.0)
        whole = replace(whole, p50_ms=timings[0].p50_ms)
        for i, timing in zip(standing, timings[1:], strict=True):
            self._rungs[i] = replace(self._rungs[i], p50_ms=timing.p50_ms)
        fitting = [i for i in standing if self._rungs[i].inside]
        taken = fitting[0] if fitting else min(standing, key=self._loss)
        return Climb(tuple(self._rungs), taken, bool(fitting), self._max_drop, whole, skipped, damages)

    def _loss(self, i: int) -> float:
        drop = self._rungs[i].drop
        return np.inf if drop is None else drop.high

    def _judged(self, rung: Rung, measured: Measured) -> Rung:
        drop = paired_drop(self._float, measured)
        return replace(
            rung,
            accuracy=measured.accuracy,
            drop=drop,
            agreement=float(np.mean(self._float.predicted == measured.predicted)),
            inside=drop.high <= self._max_drop,
            size_bytes=len(rung.content),
            gzip_bytes=len(gzip.compress(rung.content, 9, mtime=0)),
        )


def _doublings(count: int) -> list[int]:
    """1, 2, 4, … below `count`."""
    return [2**i for i in range(count.bit_length()) if 2**i < count]


def _words(candidate: Candidate) -> str:
    correction = "biases corrected" if candidate.bias_correction else "biases as they are"
    return f"{candidate.range_quantile:.0%} quantile of the extremes, {candidate.weights} weights, {correction}"
