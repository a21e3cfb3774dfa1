"""Latency: that what is timed is what is said, in the order that is said. No test knows how fast the machine is."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from edgecnn.config import NORMALIZATIONS, Preprocess
from edgecnn.errors import BundleError, EdgecnnError, ModelError, PreprocessError
from edgecnn.measure.benchmark import benchmark, timing_classifier
from edgecnn.runtime.classifier import Classifier
from edgecnn.spec import parse_spec
from tests.models import linear, sealed

UNIT = Preprocess(4, 4, "rgb", *NORMALIZATIONS["unit"])
MODEL = linear(np.arange(9).reshape(3, 3))
FRAME = np.full((6, 8, 3), 100, np.uint8)
LABELS = ("ant", "bee", "cat")


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def perf_counter(self) -> float:
        return self.now

    def passing(self, milliseconds: float, function: Callable[..., Any] = lambda: None) -> Callable[..., Any]:
        """The function, taking so long."""

        def timed(*arguments: Any, **options: Any) -> Any:
            self.now += milliseconds / 1000
            return function(*arguments, **options)

        return timed


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("edgecnn.measure.benchmark.time", clock)
    return clock


class Watched(Classifier):
    """A classifier whose copies call `on_frame` in front of each preprocessing and `on_invoke` of each invoke."""

    def __init__(
        self, on_invoke: Callable[[], Any] = lambda: None, on_frame: Callable[..., Any] = lambda frame: None
    ) -> None:
        super().__init__(MODEL, labels=LABELS, preprocess=UNIT)
        self._on_invoke, self._on_frame = on_invoke, on_frame

    def clone(self, *, threads: int | None = None) -> "Watched":
        twin = super().clone(threads=threads)
        assert isinstance(twin, Watched)
        invoke, write = twin.engine.invoke, twin.preprocessor.write

        def watched() -> None:
            self._on_invoke()
            invoke()

        def watched_write(frame: Any, *rest: Any) -> None:
            self._on_frame(frame)
            write(frame, *rest)

        vars(twin.engine)["invoke"] = watched
        vars(twin.preprocessor)["write"] = watched_write
        return twin


def test_models_are_timed_in_turn() -> None:
    log: list[str] = []
    models = [Watched(partial(log.append, name)) for name in "abc"]
    timings = benchmark(models, FRAME, runs=12, warmup=3)
    assert "".join(log) == "abc" + 3 * "abc" + 12 * "abc"  # the first inference, warm-up, and the timed ones
    assert [timing.runs for timing in timings] == [12, 12, 12]


@pytest.mark.parametrize("runs", [1, 2, 37])
def test_real_times_go_together(runs: int) -> None:
    (timing,) = benchmark([Watched()], FRAME, runs=runs, warmup=0)
    times = [timing.min_ms, timing.p50_ms, timing.p90_ms, timing.p99_ms]
    assert timing.runs == runs
    assert times == sorted(times)
    assert min(*times, timing.mean_ms, timing.init_ms, timing.first_ms, timing.preprocess_ms) > 0
    assert timing.min_ms <= timing.mean_ms
    assert timing.postprocess_ms > 0


def test_figures_are_those_of_the_times(clock: Clock) -> None:
    waits = [7.0, 9.0, 9.0, *np.random.default_rng(0).permutation(np.arange(1.0, 101.0)).tolist()]
    passing = iter(waits)
    (timing,) = benchmark([Watched(lambda: clock.passing(next(passing))())], FRAME, runs=100, warmup=2)
    assert (timing.first_ms, timing.min_ms, timing.mean_ms) == pytest.approx((7, 1, 50.5))
    assert (timing.p50_ms, timing.p90_ms, timing.p99_ms) == pytest.approx((50.5, 90.1, 99.01))
    assert (timing.init_ms, timing.preprocess_ms, timing.postprocess_ms) == (0, 0, 0)
    edges, counts = zip(*timing.histogram, strict=True)
    np.testing.assert_allclose(edges, np.linspace(1, 99.01, 25)[:-1], atol=1e-4)
    assert sum(counts) == 99  # the slowest hundredth lies beyond
    assert set(counts) <= {3, 4, 5}


def test_each_stage_is_timed_by_itself(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    quick, slow = Watched(), Watched(clock.passing(4), clock.passing(24, lambda frame: None))
    monkeypatch.setattr(slow, "rank", clock.passing(12, slow.rank))
    monkeypatch.setattr(slow, "clone", clock.passing(100, slow.clone))
    timings = benchmark([quick, slow], FRAME, runs=5, warmup=1)
    stages = [(t.init_ms, t.first_ms, t.preprocess_ms, t.p50_ms, t.postprocess_ms) for t in timings]
    assert stages == [(0, 0, 0, 0, 0), pytest.approx((100, 28, 24, 4, 12))]


def test_a_slow_machine_ends_early_after_ten_rounds(clock: Clock) -> None:
    models = [Watched(clock.passing(300)), Watched(clock.passing(700))]
    for seconds, runs in ((0.0, 10), (9.9, 10), (10.5, 11), (20.5, 21), (1000.0, 200)):
        timings = benchmark(models, FRAME, runs=200, warmup=0, max_seconds=seconds)
        assert [timing.runs for timing in timings] == [runs, runs]
    assert benchmark(models, FRAME, runs=4, warmup=0, max_seconds=0.0)[0].runs == 4


def test_the_classifier_itself_is_left_alone() -> None:
    classifier = Watched()
    engine = classifier.engine
    before = engine.run(np.full((4, 4, 3), 0.25, np.float32))
    benchmark([classifier], FRAME, runs=2, warmup=1)
    assert classifier.engine is engine
    np.testing.assert_array_equal(engine.output(), before)


def test_without_a_frame_it_is_a_cameras() -> None:
    shapes = set()

    def look(frame: Any) -> None:
        shapes.add((frame.shape, str(frame.dtype), int(frame.min()), int(frame.max())))

    benchmark([Watched(on_frame=look)], runs=1, warmup=0)
    assert shapes == {((720, 1280, 3), "uint8", 0, 255)}


def test_the_record_has_the_promised_keys() -> None:
    classifier = Classifier(MODEL, labels=LABELS, preprocess=UNIT, threads=2)
    (timing,) = benchmark([classifier], FRAME, runs=3, warmup=0)
    record = timing.to_dict()
    assert json.loads(json.dumps(record)) == record
    promised = "threads runs init_ms first_ms min_ms p50_ms p90_ms p99_ms mean_ms stages"
    assert set(promised.split()) <= record.keys()
    assert (record["threads"], record["runs"]) == (2, 3)
    assert record["stages"] == {
        "preprocess_ms": timing.preprocess_ms,
        "invoke_ms": timing.p50_ms,
        "postprocess_ms": timing.postprocess_ms,
    }


@pytest.mark.parametrize(("runs", "warmup"), [(0, 0), (-1, 5), (5, -1)])
def test_impossible_counts_are_refused(runs: int, warmup: int) -> None:
    with pytest.raises(EdgecnnError, match=f"at least 1 run and no negative warm-up, got runs={runs}, warmup={warmup}"):
        benchmark([Watched()], FRAME, runs=runs, warmup=warmup)


def test_any_model_can_be_timed() -> None:
    classifier = timing_classifier(MODEL, threads=2)
    assert (classifier.labels, classifier.threads) == (("0", "1", "2"), 2)
    assert classifier.preprocess.spec == "raw,size=4x4,rgb,stretch"
    assert benchmark([classifier], FRAME, runs=3, warmup=0)[0].runs == 3
    gray = timing_classifier(linear(np.ones((1, 16)), channels=1, head="sigmoid"), spec=parse_spec("letterbox"))
    assert (gray.labels, gray.preprocess.spec) == (("0", "1"), "raw,size=4x4,gray,letterbox")
    assert timing_classifier(MODEL, labels=LABELS).labels == LABELS


def test_a_dynamic_size_is_stated() -> None:
    model = linear(np.ones((3, 3)), size=None)
    with pytest.raises(ModelError, match="takes pictures of any size; say which with --preprocess size="):
        timing_classifier(model)
    classifier = timing_classifier(model, spec=parse_spec("size=9x7"))
    assert (classifier.engine.width, classifier.engine.height) == (9, 7)


def test_a_bundle_is_timed_as_it_is_used() -> None:
    card = Preprocess(5, 6, "bgr", (1.0,), (2.0,), "center-crop")
    bundle = sealed(linear(np.ones((3, 3)), size=None), labels=LABELS, preprocess=card)
    classifier = timing_classifier(bundle)
    assert (classifier.labels, classifier.preprocess) == (LABELS, card)
    changed = timing_classifier(bundle, spec=parse_spec("auto,size=8,stretch"), labels=("x", "y", "z"))
    assert (changed.labels, changed.preprocess) == (("x", "y", "z"), Preprocess(8, 8, "bgr", (1.0,), (2.0,)))


def test_what_cannot_be_timed_is_refused() -> None:
    with pytest.raises(ModelError, match="expected a TFLite model"):
        timing_classifier(b"no model")
    with pytest.raises(BundleError, match="expected 3 labels"):
        timing_classifier(MODEL, labels=("a", "b"))
    with pytest.raises(PreprocessError, match="takes pictures of 4x4"):
        timing_classifier(MODEL, spec=parse_spec("size=8"))
