"""The crew: the picture as the model sees it, and every answer at its place."""

import numpy as np
import pytest

from edgecnn.explain.crew import Crew
from tests.explain.black_box import SIDE, classifier, picture


def test_a_subject_is_what_the_model_sees() -> None:
    crew = Crew(classifier(), workers=2)
    frame = picture()
    subject = crew.subject(frame)
    np.testing.assert_array_equal(subject.pixels, frame[:, :, ::-1])
    assert subject.fill.tolist() == np.rint(frame[:, :, ::-1].mean(axis=(0, 1))).tolist()
    expected = classifier().probabilities(frame)
    assert subject.index == 1
    assert subject.score == pytest.approx(expected[1])
    assert crew.subject(frame, 0).score == pytest.approx(expected[0])
    large = frame.repeat(3, axis=0).repeat(3, axis=1)
    assert crew.subject(large).pixels.shape == (SIDE, SIDE, 3)


@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_many_pictures_are_asked_about_in_order(color: str) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (37, SIDE, SIDE, 3), np.uint8)
    one = classifier(color=color)
    expected = np.stack([one.probabilities(item, color="rgb") for item in pictures])
    np.testing.assert_array_equal(Crew(one, workers=3).predict(pictures), expected)


def test_members_are_clones_and_never_more_than_the_work() -> None:
    crew = Crew(classifier(), workers=4)
    assert len({id(member.engine) for member in [*crew.members, crew.classifier]}) == 5
    used: list[object] = []
    crew.run(2, lambda member: used.append(member) or (lambda _: None))  # type: ignore[func-returns-value]
    assert len(used) == 2


def test_what_a_member_raises_comes_out() -> None:
    def fail(number: int) -> None:
        raise ValueError(f"no {number}")

    with pytest.raises(ValueError, match="no "):
        Crew(classifier(), workers=2).run(10, lambda _: fail)
