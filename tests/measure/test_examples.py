"""Pictures for the report: disagreements first, the others spread, and thumbnails that show what is in the data."""

import base64
import json
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.data.dataset import Dataset, Sample
from edgecnn.measure.examples import pick_examples, thumbnail
from edgecnn.measure.score import Scores

LABELS = ("ant", "bee")


def scored(agree: NDArray[np.bool_], *, labelled: bool = True) -> tuple[Dataset, Scores]:
    """A pass of two models over pictures."""
    samples = tuple(Sample(f"{i}", i % 2 if labelled else None) for i in range(len(agree)))
    first = np.tile(np.array([0.25, 0.75], np.float32), (len(agree), 1))
    second = np.where(agree[:, None], first, first[:, ::-1]).astype(np.float32)
    dataset = Dataset("d", LABELS, {}, lambda _: np.zeros((8, 8, 3), np.uint8))
    return dataset, Scores(samples, (first, second), (), 1.0)


def flags(flips: int, others: int) -> NDArray[np.bool_]:
    """Whether two models agree on each picture, in a mixed order."""
    return np.random.default_rng(1).permutation(np.arange(flips + others) >= flips)


@pytest.mark.parametrize(
    ("flips", "others", "limit", "picked_flips", "picked"),
    [
        (3, 50, 24, 3, 24),
        (30, 50, 24, 12, 24),
        (30, 50, 7, 3, 7),
        (0, 50, 24, 0, 24),
        (2, 5, 24, 2, 7),
        (80, 0, 24, 12, 12),
        (40, 4, 24, 12, 16),
        (5, 5, 1, 0, 1),
        (5, 5, 0, 0, 0),
    ],
)
def test_disagreements_come_first_and_are_half_at_most(
    flips: int, others: int, limit: int, picked_flips: int, picked: int
) -> None:
    dataset, scores = scored(flags(flips, others))
    examples = pick_examples(dataset, scores, LABELS, limit=limit)
    differ = [example["float"]["label"] != example["output"]["label"] for example in examples]
    assert differ == [True] * picked_flips + [False] * (picked - picked_flips)
    assert len({example["image"] for example in examples}) == picked


def test_pictures_are_spread_over_the_data() -> None:
    dataset, scores = scored(np.ones(1000, bool))
    numbers = [int(example["image"]) for example in pick_examples(dataset, scores, LABELS, limit=5)]
    assert numbers == [0, 249, 499, 749, 999]


def test_an_example_says_what_both_models_answer() -> None:
    dataset, scores = scored(np.array([True, False]))
    flip, same = pick_examples(dataset, scores, LABELS)
    assert json.loads(json.dumps([flip, same])) == [flip, same]
    assert {key: flip[key] for key in ("image", "label", "float", "output")} == {
        "image": "1",
        "label": "bee",
        "float": {"label": "bee", "score": 0.75},
        "output": {"label": "ant", "score": 0.75},
    }
    assert (same["image"], same["label"], same["output"]) == ("0", "ant", {"label": "bee", "score": 0.75})
    dataset, scores = scored(np.array([True, False]), labelled=False)
    assert [example["label"] for example in pick_examples(dataset, scores, LABELS)] == [None, None]


def decoded(uri: str) -> NDArray[Any]:
    head, _, data = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    content = base64.b64decode(data, validate=True)
    assert content[:2] == b"\xff\xd8"
    return np.asarray(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR))


@pytest.mark.parametrize(
    ("shape", "shown"),
    [
        ((128, 128), (128, 128)),
        ((720, 1280), (72, 128)),
        ((1280, 720), (128, 72)),
        ((100, 60), (128, 77)),
        ((28, 28), (112, 112)),
        ((32, 20), (128, 80)),
        ((1, 1), (128, 128)),
        ((1, 2000), (1, 128)),
        ((2000, 1), (128, 1)),
    ],
)
def test_a_thumbnail_keeps_shape_and_colour(shape: tuple[int, int], shown: tuple[int, int]) -> None:
    picture = decoded(thumbnail(np.full((*shape, 3), (200, 100, 50), np.uint8)))
    assert picture.shape == (*shown, 3)
    assert np.abs(picture.astype(int) - (200, 100, 50)).max() <= 6  # JPEG


@pytest.mark.parametrize(("side", "times"), [(16, 2), (23, 2), (64, 8)])
def test_small_pictures_keep_their_pixels(side: int, times: int) -> None:
    board = np.zeros((8, 8, 3), np.uint8)
    board[::2, 1::2] = board[1::2, ::2] = 255
    shown = decoded(thumbnail(board, side=side))
    assert shown.shape == (8 * times, 8 * times, 3)
    assert np.abs(shown.astype(int) - board.repeat(times, 0).repeat(times, 1)).max() <= 40
