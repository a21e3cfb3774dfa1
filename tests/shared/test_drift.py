"""The drift watch on real clips: it tells within three seconds that they are dark or blurred, else nothing."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.camera.camera import Camera
from edgecnn.camera.capture import Clip
from edgecnn.camera.frame import Picture
from edgecnn.config import NORMALIZATIONS, Preprocess
from edgecnn.data.dataset import open_dataset
from edgecnn.measure.reference import measure_reference
from edgecnn.measure.score import score
from edgecnn.runtime.classifier import Classifier
from tests.models import sealed

pytestmark = pytest.mark.shared_data

CLIPS = ("one-by-one-person-detection.mp4", "bottle-detection.mp4")
LABELS = ("non_person", "person")
Change = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


def exposed(factor: float) -> Change:
    """A gain, as of exposure or light."""
    return lambda pixels: np.asarray(cv2.convertScaleAbs(pixels, alpha=factor), np.uint8)


def out_of_focus(share: float) -> Change:
    """A Gaussian blur; its standard deviation is this share of the width."""

    def blur(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = pixels.shape[:2]
        small = cv2.resize(pixels, (width // 2, height // 2), interpolation=cv2.INTER_AREA)  # four times as fast
        soft = cv2.GaussianBlur(small, (0, 0), share * width / 2)
        return np.asarray(cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)

    return blur


class Changed(Clip):
    """A clip at about ten frames a second that is changed between two times, and ends after so many seconds."""

    def __init__(self, path: Path, change: Change, begin: float, end: float, seconds: float) -> None:
        super().__init__(str(path))
        assert self.rate is not None
        self._step = round(self.rate / 10)
        self.rate /= self._step
        self._change, self._count = change, 0
        self._first, self._last, self._frames = (int(time * self.rate) for time in (begin, end, seconds))

    def read(self, into: NDArray[np.uint8] | None) -> Picture | None:
        """See `Source.read`."""
        for _ in range(self._step - 1):
            self._capture.grab()
        picture = super().read(into) if self._count < self._frames else None
        self._count += 1
        if picture is None or not self._first < self._count <= self._last:
            return picture
        return picture._replace(pixels=self._change(picture.pixels))


@pytest.fixture(scope="module")
def classifier(shared_data: Path) -> Classifier:
    """MLPerf Tiny's visual wake words, with the statistics of a handful of photos, as convert stores them."""
    content = (shared_data / "models" / "mlperf_tiny_vww_96_float.tflite").read_bytes()
    preprocess = Preprocess(96, 96, "rgb", *NORMALIZATIONS["unit"])
    plain = Classifier(content, labels=LABELS, preprocess=preprocess)
    with open_dataset(shared_data / "photos") as photos:
        reference = measure_reference(score([plain], photos, photos.split("train"), describe=True), "unlabelled")
    return Classifier(sealed(content, labels=LABELS, preprocess=preprocess, reference=reference))


def told(classifier: Classifier, source: Changed) -> list[tuple[float, str, str]]:
    """When what is told of a clip."""
    with Camera(classifier, lambda: source, every_frame=True) as camera:
        drifts = [(seen.frame.number, seen.drift) for seen in camera if seen.drift]
    assert source.rate is not None
    return [(number / source.rate, drift.reason, drift.state) for number, drift in drifts]


@pytest.mark.parametrize("name", CLIPS)
def test_never_on_the_clean_clip(classifier: Classifier, shared_data: Path, name: str) -> None:
    assert told(classifier, Changed(shared_data / "video" / name, exposed(1), 0, 0, 60)) == []


@pytest.mark.parametrize("factor", [0.75, 1.25])
@pytest.mark.parametrize("name", CLIPS)
def test_a_little_less_or_more_light_is_no_drift(
    classifier: Classifier, shared_data: Path, name: str, factor: float
) -> None:
    assert told(classifier, Changed(shared_data / "video" / name, exposed(factor), 5, 9, 13)) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (exposed(0.25), "dark"), (exposed(0.1), "dark"), (exposed(0), "dark"), (exposed(3), "bright"),
        (out_of_focus(0.01), "blurred"), (out_of_focus(0.02), "blurred"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", CLIPS)
def test_a_change_is_told_within_three_seconds_and_so_is_its_end(
    classifier: Classifier, shared_data: Path, name: str, change: Change, reason: str
) -> None:
    (begun, *what), (over, *end) = told(classifier, Changed(shared_data / "video" / name, change, 5, 9, 13))
    assert what == [reason, "begun"]
    assert end == [reason, "over"]
    assert 5 < begun <= 8
    assert 9 < over <= 12


@pytest.mark.parametrize(
    ("change", "reason"), [(exposed(0.25), "dark"), (exposed(0), "dark"), (out_of_focus(0.02), "blurred")]
)
@pytest.mark.parametrize("name", CLIPS)
def test_what_is_bad_from_the_beginning_is_told_within_three_seconds(
    classifier: Classifier, shared_data: Path, name: str, change: Change, reason: str
) -> None:
    [(begun, *what)] = told(classifier, Changed(shared_data / "video" / name, change, 0, 4, 4))
    assert what == [reason, "begun"]
    assert begun <= 3
