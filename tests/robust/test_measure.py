"""Models that name the nearest colour, on colours that are spoilt: what is counted, and that nothing moves it."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.config import NORMALIZATIONS, Preprocess
from edgecnn.data.dataset import Dataset
from edgecnn.errors import DataError, EdgecnnError
from edgecnn.robust.answers import random_for
from edgecnn.robust.attacks import Surrogate
from edgecnn.robust.corruptions import corrupt
from edgecnn.robust.measure import measure_robustness
from edgecnn.robust.result import Robustness
from edgecnn.robust.threat import Threat
from edgecnn.runtime.classifier import Classifier
from tests.measure.colors import COLORS, NAMES, ColorPictures, nearest_color
from tests.models import quantized

UNIT = Preprocess(12, 12, "rgb", *NORMALIZATIONS["unit"])
CONDITIONS = {"corruptions": ("gaussian_noise", "low_light", "fog"), "severities": (1, 5)}
BROKEN = ("test/black/001", "test/red/002")


def pictures(**options: Any) -> ColorPictures:
    return ColorPictures(test=6, train=3, size=(14, 13), **options)


@pytest.fixture(scope="module")
def classifiers() -> list[Classifier]:
    model = nearest_color(UNIT)
    small = quantized(model, np.random.default_rng(2).random((16, 12, 12, 3)).astype(np.float32))
    return [Classifier(content, labels=NAMES, preprocess=UNIT) for content in (model, small)]


def nearest_surrogate(labels: tuple[str, ...] = NAMES) -> Surrogate:
    """The float model's own gradient: its logits fall with the distance of each pixel to each colour."""
    centers = np.array([COLORS[name] for name in labels]) / 255
    gain = 10 / np.mean(np.var(centers, axis=0)) / 144

    def gradient(tensors: Any, targets: NDArray[np.int32]) -> NDArray[np.float32]:
        values = np.asarray(tensors, np.float64)
        logits = gain * (2 * values.sum(axis=(1, 2)) @ centers.T - values[0, ..., 0].size * (centers**2).sum(axis=1))
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        error = shares - np.eye(len(labels))[targets]
        slope = (error @ (2 * gain * centers))[:, None, None, :]
        return np.broadcast_to(slope, values.shape).astype(np.float32)

    return Surrogate(gradient, UNIT, labels, "nearest.keras")


def measure(classifiers: list[Classifier], dataset: Dataset, **options: Any) -> Robustness:
    names = ("float", "int8")[: len(classifiers)]
    return measure_robustness(classifiers, dataset, **({"names": names} | CONDITIONS | options))


def test_it_counts_what_one_by_one_counts(classifiers: list[Classifier]) -> None:
    data = pictures()
    found = measure(classifiers, data.dataset)
    samples = data.dataset.split("test")
    assert (found.samples, found.split, found.size) == (len(samples), "test", (12, 12))
    assert [item.name for item in found.corruptions] == list(CONDITIONS["corruptions"])
    for item in found.corruptions:
        for model, classifier in enumerate(classifiers):
            for severity, share in zip(item.severities, item.top1[model], strict=True):
                right = 0
                for sample in samples:
                    frame = data.picture(sample.name)[:12, :12]  # of one colour: a cut is what a resize gives
                    spoilt = corrupt(frame, item.name, severity, random_for(0, sample.name, item.name))
                    right += int(np.argmax(classifier.probabilities(spoilt))) == sample.label
                assert share == pytest.approx(right / len(samples))
    assert found.clean[0] == 1.0
    assert any(share < 0.9 for item in found.corruptions for share in item.top1[0]), "something was spoilt"


def test_each_picture_is_read_once(classifiers: list[Classifier]) -> None:
    data = pictures()
    measure(classifiers, data.dataset)
    assert sorted(data.names_read) == sorted(sample.name for sample in data.dataset.split("test"))


def test_workers_and_other_corruptions_change_nothing(classifiers: list[Classifier]) -> None:
    threat = Threat(nearest_surrogate(), ("pgd", "patch"), epsilon=24 / 255, steps=2)
    alone, several = (
        measure(classifiers, pictures(broken=BROKEN).dataset, threat=threat, workers=workers) for workers in (1, 2)
    )
    assert alone == several
    fewer = measure(classifiers, pictures(broken=BROKEN).dataset, corruptions=("fog",), severities=(5,))
    assert fewer.corruptions[0].top1[0][0] == alone.corruptions[2].top1[0][1]
    other = measure(classifiers, pictures(broken=BROKEN).dataset, seed=1)
    assert other.corruptions != alone.corruptions


def test_what_cannot_be_read_is_counted_and_named(classifiers: list[Classifier]) -> None:
    found = measure(classifiers, pictures(broken=BROKEN).dataset)
    assert [name for name, _ in found.skipped] == list(BROKEN)
    assert found.samples == 58
    every = [f"test/{name}/{i:03d}" for name in NAMES for i in range(6)]
    with pytest.raises(DataError, match="none of the 60 images of colours could be read"):
        measure(classifiers, pictures(broken=every).dataset)


def test_an_attack_fools_the_float_model_and_what_was_made_from_it(classifiers: list[Classifier]) -> None:
    pytest.importorskip("keras")
    threat = Threat(nearest_surrogate(), ("fgsm", "pgd"), epsilon=90 / 255)
    found = measure(classifiers, pictures().dataset, threat=threat, corruptions=())
    assert [(a.name, a.steps, a.norm, a.crafted_on) for a in found.attacks] == [
        ("fgsm", 1, "Linf", "nearest.keras"),
        ("pgd", 10, "Linf", "nearest.keras"),
    ]
    for attack in found.attacks:
        assert attack.top1[0] < 0.6
        assert abs(attack.top1[0] - attack.top1[1]) < 0.2
        assert attack.samples == 60
    assert found.mce == (None, None)
    assert [item.condition for item in found.extra] == ["fgsm", "pgd"]


def test_a_patch_is_trained_on_other_pictures_and_reaches_its_aim(classifiers: list[Classifier]) -> None:
    data = pictures()
    threat = Threat(nearest_surrogate(), ("patch",), share=0.45, aim="white")
    patch = measure(classifiers, data.dataset, threat=threat, corruptions=()).patch
    assert patch is not None
    assert (patch.trained_on, patch.trained_split, patch.side) == (30, "train", 8)
    assert patch.hits is not None
    assert patch.hits[0] > 0.1
    assert patch.top1[0] < patch.noise_top1[0] + 0.05
    assert patch.picture.startswith("data:image/jpeg;base64,")
    tested = ColorPictures(test=6, size=(14, 13)).dataset
    patch = measure(classifiers[:1], tested, threat=threat, corruptions=()).patch
    assert patch is not None
    assert patch.trained_split == "test", "where there is no train split"


def test_labels_in_another_order_are_matched_by_name(classifiers: list[Classifier]) -> None:
    """Two models, the surrogate and the data, each with an order of its own."""
    other = nearest_color(UNIT, classes=NAMES[::-1])
    data = ColorPictures(NAMES[3:] + NAMES[:3], test=3, train=2, size=(14, 13)).dataset
    threat = Threat(nearest_surrogate(NAMES[5:] + NAMES[:5]), ("patch",), aim="red")
    found = measure([classifiers[0], Classifier(other, labels=NAMES[::-1], preprocess=UNIT)], data, threat=threat)
    assert found.clean == (1.0, 1.0)
    assert found.extra[0].points == pytest.approx(0, abs=5)
    assert found.patch is not None
    assert found.patch.hits is not None
    assert found.patch.hits[0] == pytest.approx(found.patch.hits[1], abs=0.1)


def test_classes_that_a_model_does_not_know_are_left_out(classifiers: list[Classifier]) -> None:
    few = Classifier(nearest_color(UNIT, classes=NAMES[:4]), labels=NAMES[:4], preprocess=UNIT)
    found = measure([classifiers[0], few], pictures().dataset, corruptions=())
    assert found.samples == 24
    assert found.notes[0].startswith("classes that not every model knows are left out: green, orange")
    strange = [f"class {name}" for name in NAMES]
    with pytest.raises(DataError, match="none of the classes"):
        measure([Classifier(nearest_color(UNIT), labels=strange, preprocess=UNIT)], pictures().dataset)


def test_models_of_different_sizes_are_told(classifiers: list[Classifier]) -> None:
    small = Preprocess(9, 9, "rgb", *NORMALIZATIONS["unit"])
    other = Classifier(nearest_color(small), labels=NAMES, preprocess=small)
    found = measure([other, classifiers[0]], pictures().dataset, corruptions=())
    assert found.size == (12, 12)
    assert "all of them are given pictures of 12x12, stretch" in found.notes[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"corruptions": ("rain",)}, "expected a corruption among gaussian_noise"),
        ({"severities": (0,)}, "expected a severity from 1 to 5, got 0"),
        ({"split": "val"}, "the val split of colours has no image"),
    ],
)
def test_what_there_is_not_is_refused(classifiers: list[Classifier], options: Any, message: str) -> None:
    with pytest.raises(EdgecnnError, match=message):
        measure(classifiers, pictures().dataset, **options)


def test_an_aim_must_be_a_label() -> None:
    with pytest.raises(
        DataError, match=r"expected a label of nearest.keras \(black, .* yellow\) to aim at, got 'toaster'"
    ):
        Threat(nearest_surrogate(), ("patch",), aim="toaster")


def test_inputs_too_small_for_corruptions_and_unlabelled_pictures() -> None:
    tiny = Preprocess(4, 4, "rgb", *NORMALIZATIONS["unit"])
    classifier = Classifier(nearest_color(tiny), labels=NAMES, preprocess=tiny)
    with pytest.raises(EdgecnnError, match="at least 8x8, the models take at most 4x4; leave them out"):
        measure([classifier], pictures().dataset)
    assert measure([classifier], pictures().dataset, corruptions=()).clean == (1.0,)
    unlabelled = Dataset("flat", (), {"train": (), "val": (), "test": ()}, lambda name: np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(DataError, match="flat has no class folders; accuracy needs labelled images"):
        measure([classifier], unlabelled)
