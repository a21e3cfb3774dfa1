"""A camera that watches for drift: which clock it goes by, which pixels it measures, and when it does not watch."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.bundle.card import STATISTICS, Confidence, Reference
from edgecnn.camera.camera import Camera
from edgecnn.camera.frame import Picture
from edgecnn.config import Preprocess
from edgecnn.data.statistics import picture_statistics
from edgecnn.runtime.classifier import Classifier
from tests.camera.plain import LABELS, UNIT
from tests.camera.scripted import Scripted, connecting
from tests.measure.colors import nearest_color
from tests.models import sealed

SIDE = UNIT.width
GOOD = np.random.default_rng(4).integers(60, 200, (SIDE, SIDE, 3), np.uint8)
DARK = GOOD // 6


def around(*values: float) -> Reference:
    """A reference whose pictures have these brightness, contrast, sharpness and score, give or take a tenth."""
    shares = (0.9, 0.92, 0.96, 1.0, 1.0, 1.0, 1.0)
    rows = {name: tuple(value * share for share in shares) for name, value in zip(STATISTICS, values, strict=True)}
    return Reference(**rows, samples=100, split="val")


def bundle(preprocess: Preprocess = UNIT, **changed: Any) -> bytes:
    """Names red, green and blue, and was made for pictures such as GOOD."""
    content = nearest_color(preprocess, classes=LABELS)
    score = Classifier(content, labels=LABELS, preprocess=preprocess).probabilities(GOOD).max()
    reference = around(*picture_statistics(GOOD, "bgr"), float(score))
    return sealed(content, labels=LABELS, preprocess=preprocess, reference=reference, **changed)


@pytest.fixture
def classifier() -> Classifier:
    return Classifier(bundle())


def clip(*parts: tuple[int, NDArray[np.uint8]]) -> Scripted:
    """A recording at ten frames a second, of so many frames of each picture."""
    return Scripted([pixels for count, pixels in parts for _ in range(count)], rate=10.0)


class Clocked(Scripted):
    """A live source whose frames are a tenth of a second apart by their time stamps, however fast they come."""

    def read(self, into: NDArray[np.uint8] | None) -> Picture | None:
        """See `Source.read`."""
        picture = super().read(into)
        return picture and picture._replace(captured=1000 + self.asked / 10)


def drifts(camera: Camera) -> list[tuple[int, str, str]]:
    return [(seen.frame.number, seen.drift.reason, seen.drift.state) for seen in camera if seen.drift]


def test_a_recording_goes_by_its_own_clock(classifier: Classifier) -> None:
    """Twenty seconds of it pass in a moment."""
    with Camera(classifier, lambda: clip((100, GOOD), (50, DARK), (50, GOOD)), every_frame=True) as camera:
        (begun, *what), (over, *end) = drifts(camera)
    assert (what, end) == (["dark", "begun"], ["dark", "over"])
    assert 100 < begun <= 130
    assert 150 < over <= 180
    drift = camera.summary()["drift"]
    assert (drift["begun"], drift["now"]) == (1, None)
    assert drift["seconds"]["dark"] == pytest.approx((over - begun) / 10)
    assert camera.status()["drift"] is None


def test_a_drift_that_goes_on_is_in_the_status(classifier: Classifier) -> None:
    with Camera(classifier, lambda: clip((100, GOOD), (50, DARK)), every_frame=True) as camera:
        assert len(drifts(camera)) == 1
        status = camera.status()["drift"]
    assert (status["reason"], status["statistic"], status["state"]) == ("dark", "brightness", "begun")
    assert status["value"] == pytest.approx(picture_statistics(DARK, "bgr").brightness, abs=1e-4)
    assert camera.summary()["drift"]["now"] == "dark"


def test_a_clip_as_good_as_the_pictures_at_conversion(classifier: Classifier) -> None:
    with Camera(classifier, lambda: clip((300, GOOD)), every_frame=True) as camera:
        assert drifts(camera) == []
    assert camera.summary()["drift"] == {"begun": 0, "seconds": {}, "now": None}


def test_a_camera_goes_by_the_time_of_capture(classifier: Classifier) -> None:
    source = Clocked([GOOD] * 60 + [DARK] * 60, live=True, gated=True)
    begun = None
    with Camera(classifier, connecting(source)) as camera:
        observations = iter(camera)
        for number in range(100):
            source.give(1)
            seen = next(observations)
            assert seen.frame.number == number
            if seen.drift:
                begun = seen.frame.number
        source.open_gate()
    assert begun is not None
    assert 60 < begun <= 90


def test_after_a_gap_the_window_begins_anew(classifier: Classifier) -> None:
    sources = [Clocked([GOOD], live=True, gated=True) for _ in range(2)]
    pauses: list[int] = []
    with Camera(classifier, connecting(*sources)) as camera:
        assert camera.watch is not None
        vars(camera.watch)["pause"] = lambda: pauses.append(camera.figures.frames)
        observations = iter(camera)
        for source in sources:
            source.let(1)
            next(observations)
            source.open_gate()
    assert pauses == [1]


def test_only_the_region_counts(classifier: Classifier) -> None:
    def beside(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.concatenate([left, right], axis=1)

    parts = (100, beside(GOOD, GOOD)), (50, beside(GOOD, DARK))
    for roi, reasons in (((0, 0, SIDE, SIDE), []), ((SIDE, 0, SIDE, SIDE), ["dark"])):
        with Camera(classifier, lambda: clip(*parts), every_frame=True, roi=roi) as camera:
            assert [reason for _, reason, _ in drifts(camera)] == reasons


def test_the_bars_of_a_letterbox_do_not_count() -> None:
    wide = np.repeat(GOOD[: SIDE // 2], 1, axis=0)
    classifier = Classifier(bundle(replace(UNIT, fit="letterbox")))
    tensor = classifier.preprocessor(wide)
    np.testing.assert_array_equal(classifier.preprocessor.written(tensor), wide[..., ::-1])
    with Camera(classifier, lambda: clip((60, wide)), every_frame=True) as camera:
        assert camera.watch is not None
        list(camera)
        window = camera.watch._windows["brightness"]
    assert window.median() == pytest.approx(wide.mean() / 255, abs=0.03)


def test_scores_are_those_of_single_frames(classifier: Classifier) -> None:
    """Not the average over frames, which is lower where labels change."""
    seen: list[float] = []
    with Camera(classifier, lambda: clip((3, GOOD), (3, DARK)), every_frame=True, smooth=50) as camera:
        assert camera.watch is not None
        vars(camera.watch)["update"] = lambda now, picture, score: seen.append(score)
        list(camera)
    best = [float(classifier.probabilities(pixels).max()) for pixels in (GOOD, DARK)]
    assert seen == [best[0]] * 3 + [best[1]] * 3


@pytest.mark.parametrize("sources", [[GOOD], [GOOD, DARK]])
def test_what_is_not_watched(classifier: Classifier, sources: Sequence[NDArray[np.uint8]]) -> None:
    foreign = Classifier(nearest_color(UNIT, classes=LABELS), labels=LABELS, preprocess=UNIT)
    for drift, used, source in (
        (False, classifier, Scripted([*sources], rate=10.0)),  # not wanted
        (True, foreign, Scripted([*sources], rate=10.0)),  # nothing is known
        (True, classifier, Scripted([*sources])),  # a folder tells no time
    ):
        with Camera(used, connecting(source), every_frame=True, drift=drift) as camera:
            assert camera.watch is None
            assert [seen.drift for seen in camera] == [None] * len(sources)
            assert (camera.summary()["drift"], camera.status()["drift"]) == (None, None)


def test_a_model_that_is_used_in_another_way_than_it_was_sealed_has_no_reference() -> None:
    confidence = Confidence(2.0, None, 1.0, 10, "val", 0.0, 0.0)
    content = bundle(confidence=confidence)
    plain = Classifier(content)
    assert plain.reference is not None
    assert plain.clone().reference == plain.reference
    assert Classifier(content, labels=("a", "b", "c"), head="softmax").reference == plain.reference
    assert Classifier(content, confidence=replace(confidence, temperature=3.0)).reference is None
    assert Classifier(content, preprocess="bgr").reference is None
    assert Classifier(content, head="logits").reference is None
