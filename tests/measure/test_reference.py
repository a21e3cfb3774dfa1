"""What is stored of pictures and scores, against the same measured one by one."""

import numpy as np
import pytest

from edgecnn.bundle.card import QUANTILES, STATISTICS
from edgecnn.config import NORMALIZATIONS, Preprocess
from edgecnn.data.preprocess import Preprocessor
from edgecnn.data.statistics import picture_statistics
from edgecnn.measure.reference import measure_reference
from edgecnn.measure.score import score
from edgecnn.runtime.classifier import Classifier
from tests.measure.colors import NAMES, ColorPictures, nearest_color

UNIT = Preprocess(4, 4, "rgb", *NORMALIZATIONS["unit"])
BROKEN = ("test/black/001", "test/red/007")


@pytest.mark.parametrize("workers", [1, 3])
def test_the_quantiles_of_every_picture_that_could_be_read(workers: int) -> None:
    pictures = ColorPictures(test=12, broken=BROKEN)
    samples = pictures.dataset.split("test")
    first, last = (
        Classifier(nearest_color(UNIT), labels=NAMES, preprocess=UNIT, head=head) for head in ("logits", "softmax")
    )
    scores = score([first, last], pictures.dataset, samples, workers=workers, describe=True)
    found = measure_reference(scores, "test")
    assert (found.samples, found.split) == (118, "test")
    prepare = Preprocessor(UNIT)
    frames = [pictures.picture(sample.name) for sample in samples if sample.name not in BROKEN]
    rows = [(*picture_statistics(prepare.pixels(f), "rgb"), last.probabilities(f).max()) for f in frames]
    for name, values in zip(STATISTICS, np.array(rows).T, strict=True):
        # the definition of a quantile between two values of a sorted list, without NumPy's own
        place = np.array(QUANTILES) * (len(values) - 1)
        expected = np.interp(place, np.arange(len(values)), np.sort(values))
        np.testing.assert_allclose(getattr(found, name), expected, atol=5.1e-5)


def test_a_pass_describes_its_pictures_only_when_asked() -> None:
    pictures = ColorPictures(test=2)
    classifier = Classifier(nearest_color(UNIT), labels=NAMES, preprocess=UNIT)
    assert score([classifier], pictures.dataset, pictures.dataset.split("test")).pictures is None


def test_one_picture_is_enough() -> None:
    pictures = ColorPictures(test=1)
    classifier = Classifier(nearest_color(UNIT), labels=NAMES, preprocess=UNIT)
    scores = score([classifier], pictures.dataset, pictures.dataset.split("test")[:1], describe=True)
    found = measure_reference(scores, "test")
    assert found.samples == 1
    assert all(len(set(getattr(found, name))) == 1 for name in STATISTICS)
