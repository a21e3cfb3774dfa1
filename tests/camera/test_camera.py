"""The camera: right labels of the newest frames, and an end that comes when it is asked for."""

import itertools
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.bundle.card import Confidence
from edgecnn.camera.camera import Camera
from edgecnn.camera.frame import Picture
from edgecnn.camera.observation import UNKNOWN
from edgecnn.camera.source import Source
from edgecnn.errors import CameraError, ModelError, SourceError
from edgecnn.runtime.classifier import Classifier
from tests.camera.plain import LABELS, PLAIN, UNIT, color_classifier, picture, pictures, slow
from tests.camera.scripted import Scripted, connecting
from tests.measure.colors import nearest_color


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Any:
    yield
    assert [thread.name for thread in threading.enumerate() if thread.name == "edgecnn-reader"] == []


@pytest.fixture
def classifier() -> Classifier:
    return color_classifier()


# Labels


def test_every_picture_gets_its_label(classifier: Classifier) -> None:
    text = "rgbbgrrrggb"
    labels, numbers, changed = [], [], []
    with Camera(classifier, lambda: Scripted(pictures(text)), **PLAIN) as camera:
        for seen in camera:
            labels.append(seen.label[0])
            numbers.append(seen.frame.number)
            changed.append(seen.changed)
            assert seen.index is not None
            assert LABELS[seen.index] == seen.label
            expected = classifier.clone().probabilities(seen.frame.pixels)
            np.testing.assert_array_equal(seen.probabilities, expected)
            assert seen.score == expected.max()
    assert "".join(labels) == text
    assert numbers == list(range(len(text)))
    assert changed == [True] + [one != other for one, other in itertools.pairwise(text)]


def test_one_odd_frame_does_not_change_the_label(classifier: Classifier) -> None:
    with Camera(classifier, lambda: Scripted(pictures("rrrrbrrr")), smooth=5) as camera:
        assert {seen.label for seen in camera} == {"red"}
    with Camera(classifier, lambda: Scripted(pictures("rrrrbrrr")), smooth=1) as camera:
        assert [seen.label[0] for seen in camera] == list("rrrrbrrr")


def test_where_nothing_is_probable_enough_it_is_unknown(classifier: Classifier) -> None:
    middle = (picture("red").astype(float) + picture("green") + picture("blue")) / 3
    with Camera(classifier, lambda: Scripted([middle.astype(np.uint8)]), threshold=0.99) as camera:
        [seen] = camera
    assert (seen.label, seen.index) == (UNKNOWN, None)
    assert seen.score == seen.probabilities.max() < 0.99


@pytest.mark.parametrize(
    ("own", "given", "label"),
    [(None, None, "red"), (0.9999, None, UNKNOWN), (0.9999, 0.5, "red"), (0.3, None, "red"), (0.3, 0.9999, UNKNOWN)],
)
def test_the_models_own_threshold_counts_unless_one_is_given(
    own: float | None, given: float | None, label: str
) -> None:
    confidence = Confidence(10.0, own, 0.95, 10, "val", 0.0, 0.0)
    unsure = Classifier(nearest_color(UNIT, classes=LABELS), labels=LABELS, preprocess=UNIT, confidence=confidence)
    with Camera(unsure, lambda: Scripted(pictures("r")), threshold=given) as camera:
        [seen] = camera
    assert seen.label == label
    assert 0.5 < seen.score < 0.9999


@pytest.mark.parametrize(
    ("roi", "label"),
    [(None, None), ((0, 0, 4, 8), "red"), ((4, 2, 4, 3), "green"), ((8, 0, 4, 8), "blue"), ((11, 7, 1, 1), "blue")],
)
def test_the_region_is_what_is_classified(classifier: Classifier, roi: Any, label: str | None) -> None:
    whole = picture(*LABELS)
    with Camera(classifier, lambda: Scripted([whole]), roi=roi, **PLAIN) as camera:
        [seen] = camera
        part = whole if roi is None else picture(label or "")
        np.testing.assert_allclose(seen.probabilities, classifier.probabilities(part), atol=1e-6)
        assert label in (None, seen.label)
        np.testing.assert_array_equal(seen.frame.pixels, whole)  # the frame is the whole picture
        assert camera.roi == roi


@pytest.mark.parametrize("roi", [(0, 0, 13, 8), (0, 0, 12, 9), (12, 0, 1, 1), (5, 5, 4, 4)])
def test_a_region_outside_the_picture(classifier: Classifier, roi: tuple[int, int, int, int]) -> None:
    with Camera(classifier, lambda: Scripted(pictures("r")), roi=roi) as camera:
        with pytest.raises(CameraError, match=r"^expected a region inside the picture of 12x8, got ") as caught:
            list(camera)
        assert str(caught.value).endswith(",".join(map(str, roi)))


@pytest.mark.parametrize("roi", [(-1, 0, 4, 4), (0, -1, 4, 4), (0, 0, 0, 4), (0, 0, 4, -4)])
def test_a_region_that_can_never_be(classifier: Classifier, roi: tuple[int, int, int, int]) -> None:
    def connect() -> Source:
        raise AssertionError("opened")

    with pytest.raises(CameraError, match="expected a region x,y,width,height"):
        Camera(classifier, connect, roi=roi)


# Which frames


def test_the_newest_frame_is_classified_and_none_twice(classifier: Classifier) -> None:
    source = Scripted(pictures("rgb" * 300), live=True, gated=True)
    with Camera(classifier, connecting(source), **PLAIN) as camera:
        numbers = []
        observations = iter(camera)
        for more in (1, 7, 1, 20):
            source.give(more)
            seen = next(observations)
            numbers.append(seen.frame.number)
            assert seen.label == LABELS[seen.frame.number % 3]
        source.open_gate()
    assert numbers == [0, 7, 8, 28]
    summary = camera.summary()
    assert summary["frames"] == 4


def test_every_frame_of_a_clip_or_those_that_are_new(classifier: Classifier) -> None:
    def numbers(**options: Any) -> list[int]:
        source = Scripted(pictures("rgb" * 10), rate=200.0)
        with Camera(slow(classifier.clone(), 0.02), lambda: source, **options) as camera:
            found = [seen.frame.number for seen in camera]
            assert len(found) + camera.summary()["dropped"] == 30
            return found

    assert numbers(every_frame=True) == list(range(30))
    newest = numbers()
    assert len(newest) < 20
    assert newest == sorted(set(newest))


@pytest.mark.parametrize("as_path", [str, Path])
def test_a_file_is_named_by_its_path(classifier: Classifier, tmp_path: Path, as_path: Callable[[Path], Any]) -> None:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30.0, (64, 48))
    for color in ("red", "blue", "blue", "green"):
        writer.write(picture(color, size=(64, 48)))
    writer.release()
    with Camera(classifier, as_path(path), every_frame=True, **PLAIN) as camera:
        assert [seen.label for seen in camera] == ["red", "blue", "blue", "green"]


@pytest.mark.parametrize("source", ["0", "picamera", "rtsp://admin:SECRET@127.0.0.1:1/live"])
def test_no_live_source_gives_every_frame(classifier: Classifier, source: str) -> None:
    with pytest.raises(CameraError, match="expected a file or folder to classify every frame of") as caught:
        Camera(classifier, source, every_frame=True)
    assert "SECRET" not in str(caught.value)


def test_reading_and_inference_overlap(classifier: Classifier) -> None:
    class Slow(Scripted):
        def read(self, into: NDArray[np.uint8] | None) -> Picture | None:
            time.sleep(0.03)
            return super().read(into)

    begin = time.monotonic()
    with Camera(slow(classifier, 0.03), lambda: Slow(pictures("r" * 20))) as camera:
        assert len(list(camera)) == 20
    assert time.monotonic() - begin < 0.95  # one after the other would take 1.2 s


# Lost and found


def test_states_are_told_when_they_change(classifier: Classifier) -> None:
    first, second = (Scripted(pictures("rr"), live=True, gated=True) for _ in range(2))
    states: list[str] = []

    def tell(state: str) -> None:
        states.append(state)
        assert threading.current_thread() is threading.main_thread()
        if states.count("reconnecting") == 1:
            second.let(1)
        if states.count("reconnecting") == 2:
            camera.stop()

    with Camera(classifier, connecting(first, SourceError("unplugged"), second), on_state=tell) as camera:
        first.let(1)
        for seen in camera:
            if seen.frame.number == 0:
                assert camera.status()["state"] == "running"
                first.open_gate()
            if camera.reader.reconnects:
                second.open_gate()
    assert states == ["running", "reconnecting", "running", "reconnecting"]
    assert camera.status()["trouble"] in ("lost", "nobody there")
    assert camera.summary()["reconnects"] == 1


def test_the_end_of_a_recording_is_told(classifier: Classifier) -> None:
    states: list[str] = []
    with Camera(classifier, lambda: Scripted(pictures("rg")), on_state=states.append) as camera:
        list(camera)
        assert states[-1] == "ended"
        assert camera.status()["state"] == "ended"
        assert list(camera) == []


def test_what_was_before_a_gap_says_nothing_about_now(classifier: Classifier) -> None:
    before, after = (Scripted(pictures(text), live=True, gated=True) for text in ("rrrr", "bb"))
    with Camera(classifier, connecting(before, after), smooth=50) as camera:
        observations = iter(camera)
        for _ in range(4):
            before.let(1)
            assert next(observations).label == "red"
        before.open_gate()
        after.let(1)
        seen = next(observations)
        assert (seen.label, seen.changed, seen.frame.number) == ("blue", True, 4)
        np.testing.assert_array_equal(seen.probabilities, classifier.probabilities(picture("blue")))
        after.open_gate()


def test_a_source_that_cannot_be_opened(classifier: Classifier, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"^no source "):
        Camera(classifier, tmp_path / "clip.avi")


def test_an_error_while_reading_is_raised_by_the_loop(classifier: Classifier) -> None:
    with Camera(classifier, lambda: Scripted([picture("red"), ZeroDivisionError("bug")])) as camera:
        observations = iter(camera)
        assert next(observations).label == "red"
        with pytest.raises(ZeroDivisionError):
            next(observations)


def test_an_error_of_the_runtime_is_raised_by_the_loop(classifier: Classifier) -> None:
    def fail() -> None:
        raise ModelError("the TFLite runtime failed")

    vars(classifier.engine)["invoke"] = fail
    source = Scripted(pictures("rgb"))
    with pytest.raises(ModelError), Camera(classifier, lambda: source) as camera:
        list(camera)
    assert source.closed >= 1


# The end


def seconds_to_stop(camera: Camera, act: Callable[[], None]) -> float:
    """How long the loop goes on after `act` in another thread."""
    acted: list[float] = []

    def later() -> None:
        time.sleep(0.05)
        acted.append(time.monotonic())
        act()

    thread = threading.Thread(target=later)
    thread.start()
    for _ in camera:
        pass
    ended = time.monotonic()
    thread.join()
    return ended - acted[0]


@pytest.mark.parametrize("rate", [0.01, 500.0])
def test_another_thread_can_stop_it(classifier: Classifier, rate: float) -> None:
    with Camera(classifier, lambda: Scripted(pictures("r" * 10_000), rate=rate)) as camera:
        assert seconds_to_stop(camera, camera.stop) < 1.0


def test_it_stops_while_a_lost_source_is_awaited(classifier: Classifier) -> None:
    with Camera(classifier, connecting(Scripted([], live=True))) as camera:
        assert seconds_to_stop(camera, camera.stop) < 1.0


def test_after_stop_no_frame_follows(classifier: Classifier) -> None:
    with Camera(classifier, lambda: Scripted(pictures("rgb"))) as camera:
        for seen in camera:
            assert seen.frame.number == 0
            camera.stop()
    assert camera.figures.frames == 1


def test_leaving_gives_the_source_back_and_twice_does_no_harm(classifier: Classifier) -> None:
    source = Scripted(pictures("r" * 100))

    def interrupted() -> None:
        raise KeyboardInterrupt

    camera = Camera(classifier, lambda: source, on_state=lambda state: interrupted())
    with pytest.raises(KeyboardInterrupt), camera:
        next(iter(camera))
    assert source.closed >= 1
    camera.close()
