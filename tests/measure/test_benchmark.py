"""Latency: that what is timed is what is said, in the order that is said. No test knows how fast the machine is."""

import gc
import json
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.config import NORMALIZATIONS, Preprocess
from edgecnn.data.dataset import Dataset, Sample
from edgecnn.errors import BundleError, DataError, EdgecnnError, MissingExtraError, ModelError, PreprocessError
from edgecnn.measure.benchmark import arithmetic, benchmark, benchmark_record, sample_pictures, timing_classifier
from edgecnn.measure.latency import is_steady
from edgecnn.runtime.classifier import Classifier
from edgecnn.spec import parse_spec
from tests.models import build, linear, quantized, sealed

UNIT = Preprocess(4, 4, "rgb", *NORMALIZATIONS["unit"])
MODEL = linear(np.arange(9).reshape(3, 3))
FRAME = np.full((6, 8, 3), 100, np.uint8)
LABELS = ("ant", "bee", "cat")


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000_000_000_000

    def perf_counter(self) -> float:
        return self.now / 1e9

    def perf_counter_ns(self) -> int:
        return self.now

    def passing(self, milliseconds: float, function: Callable[..., Any] = lambda: None) -> Callable[..., Any]:
        """The function, taking so long."""

        def timed(*arguments: Any, **options: Any) -> Any:
            self.now += round(milliseconds * 1_000_000)
            return function(*arguments, **options)

        return timed


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("edgecnn.measure.benchmark.time", clock)
    monkeypatch.setattr("edgecnn.measure.latency.time", clock)
    return clock


class Watched(Classifier):
    """A classifier whose copies call `on_frame` in front of each preprocessing and `on_invoke` of each invoke."""

    def __init__(
        self, on_invoke: Callable[[], Any] = lambda: None, on_frame: Callable[..., Any] = lambda frame: None
    ) -> None:
        super().__init__(MODEL, labels=LABELS, preprocess=UNIT)
        self._on_invoke, self._on_frame = on_invoke, on_frame

    def clone(self, *, threads: int | None = None, batch: int = 1) -> "Watched":
        twin = super().clone(threads=threads, batch=batch)
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


def test_models_are_timed_in_turn(clock: Clock) -> None:
    log: list[str] = []
    models = [Watched(clock.passing(1, partial(log.append, name))) for name in "ab"]
    timings = benchmark(models, FRAME, runs=12, warmup=20)
    # the first inference, warm-up, and rounds of two inferences each, of which the second is timed
    assert "".join(log) == "ab" + 20 * "ab" + 6 * "aabbbbaa"
    assert [timing.runs for timing in timings] == [12, 12]


def test_several_threads_are_woken_first() -> None:
    log: list[str] = []
    one, two = Watched(partial(log.append, "a")), Watched(partial(log.append, "b"))
    two.threads = 2
    benchmark([one, two], FRAME, runs=1, warmup=0)
    assert "".join(log) == "ab" + "aa" + "bbb"


def test_no_model_always_follows_the_same_one() -> None:
    log: list[str] = []
    benchmark([Watched(partial(log.append, name)) for name in "abcd"], FRAME, runs=4, warmup=0)
    turns = ["".join(log[i : i + 8 : 2]) for i in range(4, len(log), 8)]
    assert sorted(map(sorted, turns)) == [list("abcd")] * 4
    assert len({first + second for turn in turns for first, second in pairwise(turn)}) == 12


@pytest.mark.parametrize("runs", [1, 2, 37])
def test_real_times_go_together(runs: int) -> None:
    (timing,) = benchmark([Watched()], FRAME, runs=runs, warmup=0)
    times = [timing.min_ms, timing.p50_ms, timing.p90_ms, timing.p99_ms]
    assert timing.runs == runs
    assert times == sorted(times)
    assert min(*times, timing.mean_ms, timing.init_ms, timing.first_ms, timing.preprocess_ms) > 0
    assert timing.min_ms <= timing.mean_ms
    assert timing.postprocess_ms > 0
    assert timing.ratio is None


def test_figures_are_those_of_the_times(clock: Clock) -> None:
    timed = np.random.default_rng(0).permutation(np.arange(1.0, 101.0)).tolist()
    passing = iter([7.0, *[9.0] * 20, *(wait for time in timed for wait in (1000.0, time))])
    models = [Watched(lambda: clock.passing(next(passing))())]
    (timing,) = benchmark(models, FRAME, runs=100, warmup=20, max_seconds=1000)
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


def test_the_ratio_is_that_of_the_medians(clock: Clock) -> None:
    waits = np.random.default_rng(1).uniform(4, 6, 1000)
    passing = iter(waits)
    models = [Watched(lambda: clock.passing(next(passing))()), Watched(clock.passing(2)), Watched(clock.passing(10))]
    first, fast, slow = benchmark(models, FRAME, runs=50, warmup=0)
    assert first.ratio is None
    for timing in (fast, slow):
        assert timing.ratio is not None
        assert timing.ratio.value == pytest.approx(first.p50_ms / timing.p50_ms)
        low, high = timing.ratio.ci95
        assert 4 / timing.p50_ms < low < timing.ratio.value < high < 6 / timing.p50_ms
        assert timing.ratio.rounds == 50


def test_a_slow_machine_ends_early_after_ten_rounds(clock: Clock) -> None:
    models = [Watched(clock.passing(150)), Watched(clock.passing(350))]
    for seconds, runs in ((0.0, 10), (9.9, 10), (10.5, 11), (20.5, 21), (1000.0, 200)):
        timings = benchmark(models, FRAME, runs=200, warmup=0, max_seconds=seconds)
        assert [timing.runs for timing in timings] == [runs, runs]
    assert benchmark(models, FRAME, runs=4, warmup=0, max_seconds=0.0)[0].runs == 4


def test_the_warm_up_goes_on_until_nothing_gets_faster(clock: Clock) -> None:
    def model(waits: list[float]) -> Watched:
        passing = iter([0.0, *waits])
        return Watched(lambda: clock.passing(next(passing, 1.0))())

    falling = [30.0 * 0.95**i for i in range(40)]  # ms; then it is steady
    waits = [*falling, *[4.0] * 100]
    expected = next(n for n in range(20, 140) if is_steady(waits[:n]))
    assert 40 < expected < 60
    for at_least, runs in ((20, expected), (5, expected), (100, 100)):
        slow, quick = model(waits), model([1.0] * 500)
        timings = benchmark([slow, quick], FRAME, runs=1, warmup=at_least)
        assert [(t.warmup.runs, t.warmup.steady) for t in timings] == [(runs, True)] * 2


def test_a_warm_up_gives_up_after_a_quarter_of_the_time(clock: Clock) -> None:
    waits = iter([0.0, *(100 * 0.99**i for i in range(400))])
    models = [Watched(lambda: clock.passing(next(waits))())]
    (timing,) = benchmark(models, FRAME, runs=1, warmup=5, max_seconds=4)
    assert (timing.warmup.runs, timing.warmup.steady) == (11, False)  # 100 + 99 + 98.01 + … reaches 1 s
    (timing,) = benchmark([Watched()], FRAME, runs=1, warmup=0)
    assert (timing.warmup.runs, timing.warmup.steady) == (0, False)


def test_pictures_take_turns() -> None:
    seen: list[int] = []
    frames = [np.full((6 + i, 8, 3), 10 * i, np.uint8) for i in range(3)]
    model = Watched()
    clone = model.clone

    def watched_clone() -> Watched:
        twin = clone()
        invoke = twin.engine.invoke

        def watched() -> None:
            seen.append(round(float(twin.engine.input.max()) * 255))
            invoke()

        vars(twin.engine)["invoke"] = watched
        return twin

    vars(model)["clone"] = watched_clone
    benchmark([model], frames, runs=7, warmup=4, max_seconds=0)
    timed = [i for turn in range(7) for i in (turn % 3, turn % 3)]
    assert seen == [10 * i for i in (0, *(0, 1, 2, 0), *timed)]


def test_the_garbage_collector_waits() -> None:
    running: list[bool] = []
    benchmark([Watched(lambda: running.append(gc.isenabled()))], FRAME, runs=3, warmup=1)
    assert running[0]  # loading is not timed so closely
    assert not any(running[1:])
    assert gc.isenabled()


def test_progress_counts_rounds() -> None:
    told: list[tuple[int, int]] = []
    benchmark([Watched(), Watched()], FRAME, runs=3, warmup=0, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


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
    assert record["warmup"] == {"runs": 0, "steady": False}


def test_the_record_of_a_row() -> None:
    first, second = benchmark([Watched(), Watched()], FRAME, runs=3, warmup=0)
    record = benchmark_record("a.tflite", MODEL, first, size=(4, 4), source="noise 8x6", to=("a.tflite", 1))
    assert "ratio" not in record
    assert (record["input"], record["macs"]) == ("noise 8x6", 9)  # three pooled channels times three classes
    assert record["gmacs_per_s"] == pytest.approx(9 / (first.p50_ms / 1e3) / 1e9)
    record = benchmark_record("b.tflite", MODEL, second, size=(4, 4), to=("a.tflite", 1))
    assert "input" not in record
    assert second.ratio is not None
    assert record["ratio"] == {"to": "a.tflite", "to_threads": 1} | second.ratio.to_dict()
    assert "ratio" not in benchmark_record("b.tflite", MODEL, second, size=(4, 4))


def test_work_that_nobody_can_count_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    model = linear(np.ones((3, 3)), size=None)
    (timing,) = benchmark([timing_classifier(model, spec=parse_spec("size=9x7"))], FRAME, runs=1, warmup=0)
    record = benchmark_record("any.tflite", model, timing, size=(9, 7))
    assert (record["macs"], record["gmacs_per_s"]) == (None, None)

    def no_schema(content: bytes) -> None:
        raise MissingExtraError("ai-edge-litert, which looks into model files,", "")

    monkeypatch.setattr("edgecnn.measure.benchmark.describe", no_schema)
    assert benchmark_record("a.tflite", MODEL, timing, size=(4, 4))["macs"] is None


def test_what_a_model_multiplies_in() -> None:
    assert arithmetic(MODEL) == "float32"
    pictures = [np.full((4, 4, 3), value, np.float32) for value in (0, 0.5, 1)]
    for io in ("int8", "uint8", "float32"):
        assert arithmetic(quantized(MODEL, pictures, io=io)) == "int8"
    weights = np.ones((3, 48))
    assert arithmetic(build(weights=weights.astype(np.float16))) == "float32"  # widened when the model is loaded
    assert arithmetic(build(weights=weights.astype(np.int8), scales=(0.1,))) is None
    assert arithmetic(build(weights=weights.astype(np.uint8), scales=(0.1,), io="uint8")) == "int8"


def test_pictures_of_a_data_set() -> None:
    def dataset(counts: dict[str, int], broken: tuple[str, ...] = ()) -> Dataset:
        def read(name: str) -> NDArray[np.uint8]:
            if name in broken:
                raise DataError("no picture")
            return np.full((2, 2, 3), int(name.rpartition("/")[2]), np.uint8)

        splits = {
            split: tuple(Sample(f"{split}/{i}", i % 3) for i in range(counts.get(split, 0)))
            for split in ("train", "val", "test")
        }
        return Dataset("some", ("a", "b", "c"), splits, read)

    def classes(pictures: list[NDArray[np.uint8]]) -> list[int]:
        return sorted(int(picture.max()) % 3 for picture in pictures)

    assert classes(sample_pictures(dataset({"test": 30, "val": 9}))) == sorted([0, 1, 2] * 4)
    assert classes(sample_pictures(dataset({"test": 6, "val": 90}))) == sorted([0, 1, 2] * 2)
    assert len(sample_pictures(dataset({"val": 20}), 5)) == 5
    assert len(sample_pictures(dataset({"train": 20}))) == 12
    readable = sample_pictures(dataset({"test": 13}, broken=("test/0", "test/7")))
    assert sorted(int(picture.max()) for picture in readable) == [1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12]
    with pytest.raises(DataError, match=r"no picture of some can be read: test/\d: no picture"):
        sample_pictures(dataset({"test": 2}, broken=("test/0", "test/1")))


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
