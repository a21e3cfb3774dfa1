"""RISE against its formula, and on classifiers that look at one known place."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.explain.crew import Crew
from edgecnn.explain.maps import correlation, mass, pointing
from edgecnn.explain.rise import Masked, random_masks, rise
from tests.explain.black_box import BOX, INSIDE, SIDE, classifier, picture, random_weights


def drawn(masks: int, seed: int, size: tuple[int, int] = (SIDE, SIDE)) -> NDArray[np.float64]:
    """The masks (masks, height, width) one by one: the grid enlarged bilinearly, and the part that the shift leaves."""
    found = random_masks(size, masks, seed)
    whole = [cv2.resize(grid.astype(np.float64), (8 * found.cell[1], 8 * found.cell[0])) for grid in found.grids]
    return np.stack([mask[y : y + size[0], x : x + size[1]] for mask, (y, x) in zip(whole, found.shifts, strict=True)])


def test_it_is_the_formula() -> None:
    frame, model = picture(), classifier()
    masks = drawn(60, seed=4)
    fill = np.rint(frame.mean(axis=(0, 1)))
    scores = []
    for mask in masks:
        blended = frame * mask[..., None] + fill * (1 - mask[..., None])
        scores.append(float(model.probabilities(np.rint(blended).astype(np.uint8))[1]))
    published = np.tensordot(scores, masks, 1) / (60 * 0.5)
    expected = published - np.mean(scores) * masks.sum(axis=0) / (60 * 0.5)
    found = rise(Crew(model, workers=2), frame, masks=60, seed=4)
    np.testing.assert_allclose(found.values, expected, atol=0.01 * np.abs(expected).max())
    assert (found.method, found.index) == ("rise", 1)
    assert found.values.dtype == np.float32


@pytest.mark.parametrize("size", [(28, 28), (30, 45), (5, 3), (224, 160)])
def test_the_sum_of_masks_is_that_of_each(size: tuple[int, int]) -> None:
    weights = np.random.default_rng(0).normal(size=50)
    expected = np.tensordot(weights, drawn(50, 1, size), 1)
    np.testing.assert_allclose(random_masks(size, 50, 1).sum(weights), expected, atol=1e-9)


def test_a_masked_picture_is_blended_towards_its_mean_colour() -> None:
    subject = Crew(classifier(), workers=1).subject(picture())
    masked = Masked(subject, random_masks((SIDE, SIDE), 20, seed=2))
    for number, mask in enumerate(drawn(20, seed=2)):
        expected = subject.pixels * mask[..., None] + subject.fill * (1 - mask[..., None])
        assert np.abs(masked.picture(number) - expected).max() <= 2  # of 255


def test_masks_are_those_of_the_seed() -> None:
    first, again, other = (random_masks((224, 224), 400, seed) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first.grids, again.grids)
    np.testing.assert_array_equal(first.shifts, again.shifts)
    assert (first.grids != other.grids).mean() == pytest.approx(0.5, abs=0.02)
    assert first.grids.mean() == pytest.approx(0.5, abs=0.02)
    assert (first.shifts.min(), first.shifts.max()) == (0, 31)


def test_the_number_of_threads_does_not_matter() -> None:
    maps = [rise(Crew(classifier(), workers=count), picture(), masks=70, seed=3).values for count in (1, 2, 5)]
    np.testing.assert_array_equal(maps[0], maps[1])
    np.testing.assert_array_equal(maps[0], maps[2])
    other = rise(Crew(classifier(), workers=1), picture(), masks=70, seed=4).values
    assert correlation(maps[0], other) < 0.99


@pytest.mark.parametrize("io", ["", "int8", "uint8", "float32"])
def test_it_finds_what_the_classifier_looks_at(io: str) -> None:
    found = rise(Crew(classifier(io=io), workers=2), picture(), masks=1500)
    assert pointing(found.values, BOX)
    assert mass(found.values) > 0.3
    outside = np.ones((SIDE, SIDE), bool)
    outside[8:27, :17] = False  # a cell is four pixels wide: near BOX masks are correlated with those inside
    assert found.values[INSIDE].mean() > 8 * np.abs(found.values[outside]).mean()


def test_a_bgr_model_sees_the_same_object() -> None:
    crew = Crew(classifier(color="bgr"), workers=2)
    assert pointing(rise(crew, picture(), masks=800).values, BOX)


def test_random_weights_have_another_map() -> None:
    """Sanity check of J. Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018."""
    before = rise(Crew(classifier(), workers=1), picture(), index=1, masks=400).values
    models = [classifier(random_weights(seed)) for seed in range(8)]
    others = [rise(Crew(model, workers=1), picture(), index=1, masks=400).values for model in models]
    found = [correlation(before, after) for after in others]
    assert max(found) < 0.9
    assert abs(np.mean(found)) < 0.3


def test_progress_is_told_up_to_the_end() -> None:
    told: list[tuple[int, int]] = []
    rise(Crew(classifier(), workers=2), picture(), masks=25, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (25, 25)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
