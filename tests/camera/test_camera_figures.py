"""What the camera tells about itself: figures that are true, memory that does not grow, frames that are fresh."""

import json
import os
import threading
import time
import tracemalloc
from typing import Any

import cv2
import numpy as np
import pytest

from edgecnn.camera.camera import Camera
from edgecnn.runtime.classifier import Classifier
from tests.camera.plain import PLAIN, color_classifier, picture, pictures, slow
from tests.camera.scripted import PATIENCE, Scripted, connecting
from tests.camera.stream import Stream, number_of

# Keys that scripts read.
CONTRACT = {"frames", "dropped", "fps", "p50_ms", "p90_ms", "age_p50_ms", "age_p90_ms", "reconnects"}
STATUS = {
    "drift",
    *("state", "fps", "frames", "dropped", "reconnects", "trouble", "p50_ms", "age_p50_ms"),
    *("temperature_c", "throttled"),
}


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Any:
    yield
    assert [thread.name for thread in threading.enumerate() if thread.name == "edgecnn-reader"] == []


@pytest.fixture
def classifier() -> Classifier:
    return color_classifier()


def test_the_summary_has_the_keys_that_scripts_read(classifier: Classifier) -> None:
    source = Scripted(pictures("rrg"), skipped=2)
    with Camera(slow(classifier, 0.01), lambda: source, **PLAIN) as camera:
        list(camera)
    summary = camera.summary()
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert summary.keys() >= CONTRACT
    assert summary["schema"] == "edgecnn.camera/1"
    assert [summary[key] for key in ("frames", "dropped", "skipped", "reconnects", "threads")] == [3, 0, 2, 0, 1]
    assert summary["labels"] == {"red": 2, "green": 1}
    assert summary["stages"].keys() == {"read_ms", "preprocess_ms", "invoke_ms", "postprocess_ms"}
    assert 9.9 <= summary["stages"]["invoke_ms"] <= summary["p50_ms"] * 1.01 <= summary["age_p50_ms"] * 1.03
    assert summary["p50_ms"] <= summary["p90_ms"]
    assert summary["fps"] == pytest.approx(2 / summary["seconds"], rel=0.05)


def test_a_summary_before_the_first_frame(classifier: Classifier) -> None:
    with Camera(classifier, lambda: Scripted([])) as camera:
        summary = camera.summary()
    assert summary.keys() >= CONTRACT
    assert (summary["frames"], summary["fps"], summary["p50_ms"]) == (0, None, None)
    json.dumps(summary, allow_nan=False)


def test_age_counts_from_capture_and_latency_from_taking(classifier: Classifier) -> None:
    with Camera(slow(classifier, 0.02), lambda: Scripted(pictures("rgb" * 4), rate=100.0)) as camera:
        for seen in camera:
            assert seen.age_ms >= seen.latency_ms >= 20
            assert seen.age_ms == pytest.approx(1e3 * (time.monotonic() - seen.frame.captured), abs=50)
            assert seen.frame.captured_at == pytest.approx(time.time() - seen.age_ms / 1e3, abs=0.1)


def test_waiting_for_inference_counts_as_age(classifier: Classifier) -> None:
    source = Scripted(pictures("r"), live=True, gated=True)
    with Camera(classifier, connecting(source)) as camera:
        source.give(1)
        time.sleep(0.1)
        seen = next(iter(camera))
        assert seen.age_ms - seen.latency_ms >= 95
        source.open_gate()


def test_status_may_be_asked_from_other_threads(classifier: Classifier) -> None:
    told: list[dict[str, Any]] = []
    errors: list[BaseException] = []

    def ask() -> None:
        try:
            while not told or told[-1]["state"] != "ended":
                told.append(camera.status())
                time.sleep(0.001)
        except BaseException as exc:
            errors.append(exc)

    with Camera(classifier, lambda: Scripted(pictures("rgb" * 200)), **PLAIN) as camera:
        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        for _ in camera:
            pass
        for thread in threads:
            thread.join(PATIENCE)
        told.append(camera.status())  # "ended" is true as soon as nothing is read any more, before the last label
    assert errors == []
    assert all(status.keys() == STATUS for status in told)
    assert told[-1]["frames"] == 600
    assert json.dumps(told[-1], allow_nan=False)


def test_temperature_and_throttling_are_looked_at_now_and_then(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    heat = iter([50.0, 71.5, 60.0])
    monkeypatch.setattr("edgecnn.camera.camera.temperature_c", lambda: next(heat))
    monkeypatch.setattr("edgecnn.camera.camera.throttled", lambda: ["throttled now"])
    with Camera(classifier, lambda: Scripted(pictures("r" * 50))) as camera:
        list(camera)  # 50 frames, one look
        assert camera.status()["temperature_c"] == 50.0
        assert camera.summary()["temperature_c"] == 71.5  # the summary looks again
        known = camera.summary()
    assert (known["temperature_c"], known["hottest_c"], known["throttled"]) == (60.0, 71.5, ["throttled now"])


def test_memory_threads_and_descriptors_do_not_grow(classifier: Classifier) -> None:
    def classify(count: int) -> None:
        source = Scripted([picture("red", size=(320, 180))] * count)
        with Camera(classifier, lambda: source) as camera:
            for number, _ in enumerate(camera):
                if number == count // 5:
                    marks.append(tracemalloc.get_traced_memory()[0])
            marks.append(tracemalloc.get_traced_memory()[0])

    marks: list[int] = []
    classify(10)
    threads, descriptors = threading.active_count(), os.listdir("/proc/self/fd")
    marks.clear()
    tracemalloc.start()
    try:
        classify(2000)
    finally:
        tracemalloc.stop()
    assert marks[1] - marks[0] < 20_000  # bytes; a frame has 172,800
    for _ in range(20):
        classify(2)
    assert threading.active_count() == threads
    assert len(os.listdir("/proc/self/fd")) == len(descriptors)


# Against a loop that reads one picture after the other


@pytest.mark.slow
def test_frames_are_much_fresher_than_with_a_queue(classifier: Classifier) -> None:
    stream, inference_s, seconds = Stream(rate=30), 0.2, 5.0
    queued_ages: list[float] = []
    end = time.monotonic() + seconds

    def age(pixels: Any) -> float:
        return time.monotonic() - stream.sent_at(number_of(pixels))

    def queue() -> None:
        reader = cv2.VideoCapture(stream.address, cv2.CAP_FFMPEG)
        while time.monotonic() < end:
            good, pixels = reader.read()
            assert good
            time.sleep(inference_s)
            queued_ages.append(age(pixels))
        reader.release()

    thread = threading.Thread(target=queue)
    thread.start()
    ages, told, numbers = [], [], []
    with Camera(slow(classifier, inference_s), stream.address) as camera:
        for seen in camera:
            ages.append(age(seen.frame.pixels))
            told.append(seen.age_ms / 1e3)
            numbers.append(seen.frame.number)
            if time.monotonic() > end:
                break
    thread.join()
    stream.kill()
    assert len(ages) >= 15
    assert len(queued_ages) >= 15
    assert np.median(ages) <= 0.35 * np.median(queued_ages)
    assert numbers == sorted(set(numbers))
    assert abs(np.median(np.subtract(ages, told))) < 0.05  # the age that is told is the true one
    assert camera.summary()["dropped"] > 3 * len(numbers)
