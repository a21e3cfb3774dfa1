"""Which pictures do what: no picture decides anything that accuracy is reported on."""

from collections import Counter

import pytest

from edgecnn.convert.options import ConvertConfig
from edgecnn.convert.samples import Pictures, choose_judges, choose_pictures
from edgecnn.data.dataset import Dataset, Sample
from edgecnn.errors import DataError
from tests.measure.colors import NAMES, ColorPictures

CONFIDENT = ConvertConfig(calibrate_confidence=True)


def apart(pictures: Pictures) -> bool:
    groups = [set(pictures.training), set(pictures.measured), set(pictures.unseen)]
    return sum(map(len, groups)) == len(set().union(*groups))


def test_without_confidence_no_picture_is_kept_for_it() -> None:
    for test in (2, 0):
        dataset = ColorPictures(train=3, val=2, test=test).dataset
        chosen = choose_pictures(dataset, NAMES, ConvertConfig())
        assert chosen == Pictures(dataset.split("train"), dataset.split(chosen.split), dataset.measured_split())


def test_the_val_split_tells_how_sure_a_model_may_be() -> None:
    dataset = ColorPictures(train=3, val=2, test=4).dataset
    chosen = choose_pictures(dataset, NAMES, CONFIDENT)
    assert (set(chosen.unseen), chosen.unseen_split) == (set(dataset.split("val")), "val")
    assert (chosen.measured, chosen.split, chosen.notes) == (dataset.split("test"), "test", ())
    assert apart(chosen)


@pytest.mark.parametrize("split", ["val", "test"])
def test_without_a_split_to_spare_the_measured_one_is_shared(split: str) -> None:
    dataset = (ColorPictures(train=3, val=5) if split == "val" else ColorPictures(train=3, test=5)).dataset
    chosen = choose_pictures(dataset, NAMES, CONFIDENT)
    assert (chosen.split, chosen.unseen_split) == (split, f"half of {split}")
    assert apart(chosen)
    assert {*chosen.measured, *chosen.unseen} == set(dataset.split(split))
    assert Counter(sample.label for sample in chosen.measured) == dict.fromkeys(range(len(NAMES)), 3)
    assert Counter(sample.label for sample in chosen.unseen) == dict.fromkeys(range(len(NAMES)), 2)
    [note] = chosen.notes
    assert note.startswith(f"half of the {split} images tell how sure the model may be")
    assert choose_pictures(dataset, NAMES, ConvertConfig(calibrate_confidence=True, seed=1)) != chosen


def test_limits_come_after_the_halves() -> None:
    config = ConvertConfig(calibrate_confidence=True, accuracy_samples=10)
    chosen = choose_pictures(ColorPictures(train=1, val=6).dataset, NAMES, config)
    assert (len(chosen.measured), len(chosen.unseen)) == (10, 30)
    assert Counter(sample.label for sample in chosen.measured) == dict.fromkeys(range(len(NAMES)), 1)
    assert apart(chosen)


def test_one_picture_cannot_be_shared() -> None:
    with pytest.raises(DataError, match=r"^expected 2 images of a class or more to calibrate confidence and measure"):
        choose_pictures(ColorPictures(train=1, val=1).dataset, NAMES, CONFIDENT)


def test_classes_that_the_model_does_not_know_take_no_part() -> None:
    dataset = ColorPictures(train=2, val=4).dataset
    chosen = choose_pictures(dataset, NAMES[:3], CONFIDENT)
    assert {sample.label for sample in (*chosen.training, *chosen.measured, *chosen.unseen)} == {0, 1, 2}
    assert any("classes the model does not know are left out" in note for note in chosen.notes)


def test_pictures_without_labels_are_halved() -> None:
    images = tuple(Sample(f"{i}.png", None) for i in range(9))
    splits: dict[str, tuple[Sample, ...]] = {"train": images, "val": (), "test": ()}
    dataset = Dataset("flat", (), splits, ColorPictures().picture)
    chosen = choose_pictures(dataset, ("a", "b"), ConvertConfig(accuracy_samples=3))
    assert (len(chosen.training), len(chosen.measured), chosen.split) == (5, 3, "unlabelled")
    assert apart(chosen)
    lonely = Dataset("flat", (), splits | {"train": images[:1]}, ColorPictures().picture)
    with pytest.raises(DataError, match=r"flat has 1 image\(s\); half calibrate"):
        choose_pictures(lonely, (), ConvertConfig())


def test_judges_are_val_or_training_pictures_that_do_not_calibrate() -> None:
    dataset = ColorPictures(train=3, val=2, test=2).dataset
    chosen = choose_pictures(dataset, NAMES, ConvertConfig())
    assert set(choose_judges(dataset, NAMES, chosen, chosen.training[:4])) == set(dataset.split("val"))
    dataset = ColorPictures(train=3, val=2).dataset
    chosen = choose_pictures(dataset, NAMES, ConvertConfig())
    assert set(choose_judges(dataset, NAMES, chosen, chosen.training[:4])) == set(chosen.training[4:])
    assert set(choose_judges(dataset, NAMES, chosen, chosen.training)) == set(chosen.training)  # better than none
