"""Occlusion against a plain loop, and on a classifier that looks at one known place."""

import numpy as np
import pytest

from edgecnn.explain.crew import Crew
from edgecnn.explain.maps import correlation, mass, pointing
from edgecnn.explain.occlusion import occlusion
from tests.explain.black_box import BOX, SIDE, classifier, picture, random_weights


def test_it_is_the_mean_fall_of_the_patches_over_a_pixel() -> None:
    frame, model = picture(), classifier()
    found = occlusion(Crew(model, workers=2), frame)
    before = float(model.probabilities(frame)[1])
    length, step = round(SIDE / 5), 2  # a quarter of 6 is rounded to the even 2
    places = sorted({*range(0, SIDE - length + 1, step), SIDE - length})
    fill = np.rint(frame.mean(axis=(0, 1))).astype(np.uint8)
    falls: dict[tuple[int, int], list[float]] = {(y, x): [] for y in range(SIDE) for x in range(SIDE)}
    for top in places:
        for left in places:
            hidden = frame.copy()
            hidden[top : top + length, left : left + length] = fill
            fall = before - float(model.probabilities(hidden)[1])
            for y in range(top, top + length):
                for x in range(left, left + length):
                    falls[y, x].append(fall)
    expected = np.array([np.mean(falls[y, x]) for y in range(SIDE) for x in range(SIDE)]).reshape(SIDE, SIDE)
    np.testing.assert_allclose(found.values, expected, atol=1e-6)
    assert (found.method, found.index) == ("occlusion", 1)
    assert found.score == pytest.approx(before)
    assert found.values.dtype == np.float32


@pytest.mark.parametrize("io", ["", "int8", "uint8", "float32"])
def test_it_finds_what_the_classifier_looks_at(io: str) -> None:
    found = occlusion(Crew(classifier(io=io), workers=2), picture())
    assert pointing(found.values, BOX)
    assert mass(found.values) > 0.5
    left, top, width, height = BOX
    far = np.ones((SIDE, SIDE), bool)
    far[top - 6 : top + height + 6, max(0, left - 6) : left + width + 6] = False
    assert np.abs(found.values[far]).max() < 0.02 * found.values.max()


def test_another_class_has_another_map() -> None:
    crew = Crew(classifier(), workers=1)
    bright, dull = (occlusion(crew, picture(), index=index) for index in (1, 0))
    np.testing.assert_allclose(dull.values, -bright.values, atol=1e-6)  # two classes: what one loses the other gains
    assert dull.score == pytest.approx(1 - bright.score, abs=1e-6)


def test_random_weights_have_another_map() -> None:
    """Sanity check of J. Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018."""
    before = occlusion(Crew(classifier(), workers=1), picture(), index=1).values
    models = [classifier(random_weights(seed)) for seed in range(8)]
    others = [occlusion(Crew(model, workers=1), picture(), index=1).values for model in models]
    found = [correlation(before, after) for after in others]
    assert max(found) < 0.9
    assert abs(np.mean(found)) < 0.3


def test_the_number_of_threads_does_not_matter() -> None:
    maps = [occlusion(Crew(classifier(), workers=count), picture()).values for count in (1, 3)]
    np.testing.assert_array_equal(maps[0], maps[1])
