"""What counts as a classifier of single images."""

import pytest

from edgecnn.errors import ModelError
from edgecnn.signature import Shape, check_signature


@pytest.mark.parametrize(
    ("picture", "scores", "size", "classes"),
    [
        ((1, 32, 24, 3), (1, 10), (32, 24, 3), 10),
        ((-1, 28, 28, 1), (-1, 2), (28, 28, 1), 2),
        ((-1, -1, -1, 3), (-1, 5), (-1, -1, 3), 5),
        ((8, 4, 4, 3), (8, 7), (4, 4, 3), 7),
        ((1, 4, 4, 3), (1, 1, 1, 1001), (4, 4, 3), 1001),
        ((1, 4, 4, 3), (1, 1), (4, 4, 3), 1),
        ((1, 4, 4, 3), (1, 1, 1, 1), (4, 4, 3), 1),
        ((1, 3, 3, 1), (1, 10), (3, 3, 1), 10),
    ],
)
def test_classifiers(picture: Shape, scores: Shape, size: Shape, classes: int) -> None:
    assert check_signature({"image": picture}, {"scores": scores}) == (size, classes)


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        ({}, {"y": (1, 2)}, r"one image input, got 0 inputs \(none\)"),
        ({"a": (1, 4, 4, 3), "b": (1, 7)}, {"y": (1, 2)}, r"got 2 inputs \(a \(1, 4, 4, 3\), b \(1, 7\)\)"),
        ({"x": (1, 4, 4, 3)}, {}, r"one output of scores, got 0 \(none\)$"),
        ({"x": (1, 4, 4, 3)}, {"a": (1, 2), "b": (1, 2)}, r"got 2 \(a \(1, 2\), b \(1, 2\)\)$"),
        (
            {"x": (1, 4, 4, 3)},
            {"boxes": (1, 10, 4), "classes": (1, 10), "scores": (1, 10), "count": (1,)},
            "this looks like a detector",
        ),
        ({"x": (-1, 784)}, {"y": (1, 2)}, r"got a flat vector \(\?, 784\) in 'x'; put a Reshape layer in front"),
        ({"x": (1, 3, 32, 32)}, {"y": (1, 2)}, r"got \(1, 3, 32, 32\) in 'x'; channels must come last"),
        ({"x": (1, 1, 28, 28)}, {"y": (1, 2)}, r"got \(1, 1, 28, 28\) in 'x'; channels must come last"),
        ({"x": (1, 2, 28, 28)}, {"y": (1, 2)}, r"got \(1, 2, 28, 28\) in 'x'$"),
        ({"x": (1, 32, 32, 4)}, {"y": (1, 2)}, r"1 or 3 channels\), got \(1, 32, 32, 4\) in 'x'$"),
        ({"x": (1, 32, 32, -1)}, {"y": (1, 2)}, r"got \(1, 32, 32, \?\)"),
        ({"x": (1, 8, 32, 32, 3)}, {"y": (1, 2)}, "expected an image input"),
        ({"x": (32, 32, 3)}, {"y": (1, 2)}, "expected an image input"),
        ({"x": ()}, {"y": (1, 2)}, r"expected an image input .* got \(\)"),
        ({"x": (1, 4, 4, 3)}, {"y": (1, 4, 4, 2)}, r"got \(1, 4, 4, 2\) in 'y'; detectors, segmenters and backbones"),
        ({"x": (1, 4, 4, 3)}, {"y": (1, 4, 2)}, r"got \(1, 4, 2\) in 'y'"),
        ({"x": (1, 4, 4, 3)}, {"y": (1, -1)}, r"expected an output of class scores \(batch, classes\), got \(1, \?\)"),
        ({"x": (1, 4, 4, 3)}, {"y": (1, -1, -1, 5)}, "expected an output of class scores"),
        ({"x": (1, 4, 4, 3)}, {"y": (10,)}, r"got \(10\) in 'y'"),
        ({"x": (1, 4, 4, 3)}, {"y": ()}, r"got \(\) in 'y'"),
    ],
)
def test_everything_else_is_refused(inputs: dict[str, Shape], outputs: dict[str, Shape], message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        check_signature(inputs, outputs)
    assert "\n" not in str(caught.value)
