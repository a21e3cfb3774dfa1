"""Finding the preprocessing, on models whose right one is known for certain."""

import weakref
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.config import Preprocess, named_normalization
from edgecnn.data.dataset import Dataset
from edgecnn.errors import EdgecnnError, PreprocessError
from edgecnn.measure.detect import Choice, candidates, detect_preprocess
from edgecnn.spec import Spec, parse_spec
from tests.measure.colors import COLORS, NAMES, ColorPictures, nearest_color
from tests.models import linear, quantized

AUTO = Spec(auto=True)
COLORED = [
    *((name, color) for name in ("raw", "unit", "symmetric", "imagenet") for color in ("rgb", "bgr")),
    ("caffe", "bgr"),
]
GRAY = [(name, "gray") for name in ("raw", "unit", "symmetric")]


def wanted(name: str, color: str) -> Preprocess:
    return Preprocess(4, 4, color, *named_normalization(name, color))


def find(model: bytes, pictures: ColorPictures, spec: Spec = AUTO, **options: Any) -> Choice:
    dataset = pictures.dataset
    return detect_preprocess(model, options.pop("head", "softmax"), spec, dataset, dataset.split("train"), **options)


def not_found(message: str, *arguments: Any, **options: Any) -> None:
    with pytest.raises(PreprocessError, match=message) as caught:
        find(*arguments, **options)
    assert "\n" not in str(caught.value)


def test_what_is_tried() -> None:
    size = {"width": 8, "height": 6}

    def tried(text: str, channels: int = 3) -> list[tuple[str, str]]:
        return [(p.normalization, p.color) for p in candidates(parse_spec(text), channels=channels, **size)]

    assert sorted(tried("auto")) == sorted(COLORED)
    assert sorted(tried("auto,bgr")) == sorted(pair for pair in COLORED if pair[1] == "bgr")
    assert sorted(tried("auto,rgb")) == sorted(pair for pair in COLORED if pair[1] == "rgb")
    assert sorted(tried("auto", channels=1)) == sorted(GRAY)
    for preprocess in candidates(parse_spec("auto,letterbox,area"), channels=3, **size):
        assert (preprocess.width, preprocess.height) == (8, 6)
        assert (preprocess.fit, preprocess.interpolation) == ("letterbox", "area")


@pytest.mark.parametrize(("name", "color"), COLORED)
def test_the_right_one_of_colour_is_found(name: str, color: str) -> None:
    right = wanted(name, color)
    choice = find(nearest_color(right), ColorPictures(train=40))
    assert choice.preprocess == right
    assert not choice.tied
    assert choice.candidates[0] == (right.spec, 1.0, choice.samples)
    assert choice.detail.startswith(f"{name} {color} gets 100.0% of {choice.samples} training images right; next is ")
    assert choice.detail.endswith("; chance is 10.0%") or choice.samples == 96
    shares = [share for _, share, samples in choice.candidates if samples == choice.samples]
    assert shares == sorted(shares, reverse=True)
    assert sorted(spec for spec, _, _ in choice.candidates) == sorted(wanted(*pair).spec for pair in COLORED)


@pytest.mark.parametrize(("name", "color"), GRAY)
@pytest.mark.parametrize("head", ["softmax", "logits"])
def test_the_right_one_of_gray_is_found(name: str, color: str, head: str) -> None:
    right, classes = wanted(name, color), ("black", "gray", "white")
    model = nearest_color(right, classes=classes, head=head)
    choice = find(model, ColorPictures(classes, train=40, gray=True), head=head)
    assert choice.preprocess == right
    assert not choice.tied
    assert choice.candidates[0][1] == 1.0
    assert len(choice.candidates) == 3


@pytest.mark.parametrize("io", ["int8", "uint8", "float32"])
def test_a_quantized_model_tells_too(io: str) -> None:
    right = wanted("symmetric", "bgr")
    tensors = np.random.default_rng(1).uniform(-1, 1, (64, 1, 1, 3)).astype(np.float32).repeat(4, 1).repeat(4, 2)
    model = quantized(nearest_color(right), tensors, io=io, input_range=(-1.0, 1.0))
    choice = find(model, ColorPictures(train=40))
    assert choice.preprocess == right
    assert choice.candidates[0][1] > 0.97


def test_one_unit_tells_too() -> None:
    right, classes = wanted("imagenet", "bgr"), ("red", "white")
    centers = (np.array([COLORS[name][::-1] for name in classes]) - right.mean) / right.std
    weights, bias = centers[1:] - centers[:1], (centers[:1] ** 2 - centers[1:] ** 2).sum(axis=1) / 2
    for head in ("sigmoid", "logits"):
        choice = find(linear(weights, bias, head=head), ColorPictures(classes, train=60), head=head)
        assert choice.preprocess.color == "bgr"
        assert choice.candidates[0][1] == 1.0


def test_what_is_stated_is_kept() -> None:
    model = nearest_color(wanted("unit", "rgb"))
    choice = find(model, ColorPictures(train=40), parse_spec("auto,rgb,center-crop,nearest"))
    assert choice.preprocess.spec == "unit,size=4x4,rgb,center-crop,nearest"
    choice = find(model, ColorPictures(train=40), parse_spec("auto,bgr"))  # stated wrongly: the best of the rest
    assert choice.preprocess.color == "bgr"
    assert choice.candidates[0][1] < 0.6


def test_a_dynamic_size_is_stated() -> None:
    model = nearest_color(wanted("unit", "rgb"), dynamic=True)
    choice = find(model, ColorPictures(train=40), parse_spec("auto,size=7x3"))
    assert choice.preprocess.spec == "unit,size=7x3,rgb,stretch"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("auto,size=9x4", "the model takes pictures of 4x4 with 3 .* gives 9x4 with 3"),
        ("auto,gray", r"takes pictures of 4x4 with 3 channel\(s\), but the preprocessing gives 4x4 with 1"),
    ],
)
def test_a_spec_that_does_not_fit_is_refused(spec: str, message: str) -> None:
    not_found(message, nearest_color(wanted("unit", "rgb")), ColorPictures(train=2), parse_spec(spec))


def test_colours_do_not_fit_a_gray_model() -> None:
    model = nearest_color(wanted("unit", "gray"), classes=("black", "white"))
    not_found(
        "4x4 with 1 .* gives 4x4 with 3", model, ColorPictures(("black", "white"), train=9), parse_spec("auto,bgr")
    )


@pytest.mark.parametrize("head", ["softmax", "logits"])
@pytest.mark.parametrize("train", [2, 9, 40])
def test_a_constant_model_is_no_better_than_chance(head: str, train: int) -> None:
    model = linear(np.zeros((10, 3)), np.arange(10), head=head)
    chance = r"beats chance on colours: .* gets \d+\.\d% of \d+ training images right, chance is \d+\.\d%; check labels"
    not_found(chance, model, ColorPictures(train=train), head=head)


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_labels_are_no_better_than_chance(seed: int) -> None:
    model = nearest_color(wanted("unit", "rgb"))
    not_found("no preprocessing that beats chance", model, ColorPictures(train=40, shuffled=True), seed=seed)


def test_one_class_tells_nothing() -> None:
    pictures = ColorPictures(("red",), train=200)
    model = nearest_color(wanted("unit", "rgb"), classes=("red", "blue"))
    not_found("beats chance .* gets 100.0% of .* chance is 100.0%", model, pictures)


def test_too_few_pictures_tell_nothing() -> None:
    model = nearest_color(wanted("unit", "rgb"), classes=("red", "blue"))
    not_found("beats chance .* of 4 training images", model, ColorPictures(("red", "blue"), train=2))


def test_a_tie_is_told() -> None:
    classes = ("black", "gray", "white")
    pictures = ColorPictures(classes, train=100, gray=True)  # gray pictures say nothing about the order of colours
    model = nearest_color(wanted("unit", "rgb"), classes=classes)
    choice = find(model, pictures)
    assert choice.tied
    assert choice.preprocess.normalization == "unit"
    assert "; next is unit bgr with " in choice.detail.replace("unit rgb with", "unit bgr with")
    assert ", which is no clear difference; chance is 33." in choice.detail


def test_without_pictures_there_is_an_error() -> None:
    not_found(
        "auto needs labelled training images, and colours has none",
        nearest_color(wanted("raw", "rgb")),
        ColorPictures(),
    )


def test_without_a_readable_picture_there_is_an_error() -> None:
    pictures = ColorPictures(train=3, broken=[f"train/{name}/{i:03d}" for name in NAMES for i in range(3)])
    not_found("auto could read none of 30 training images of colours", nearest_color(wanted("raw", "rgb")), pictures)


def test_unreadable_pictures_are_left_out() -> None:
    right = wanted("unit", "bgr")
    for broken in (["train/red/000"], [f"train/{name}/{i:03d}" for name in NAMES for i in range(5, 10)]):
        choice = find(nearest_color(right), ColorPictures(train=10, broken=broken))
        assert choice.preprocess == right
        assert choice.samples <= 100 - len(broken)


def test_one_unreadable_picture_beyond_the_first_96_does_no_harm() -> None:
    right = wanted("unit", "rgb")
    readable = ColorPictures(train=10)
    find(nearest_color(right), readable)
    last = readable.names_read[-1]  # of the few that are tried after the first 96
    assert len(readable.names_read) == 100
    for broken in ([last], readable.names_read[96:]):
        choice = find(nearest_color(right), ColorPictures(train=10, broken=broken))
        assert choice.preprocess == right
        assert choice.samples == 100 - len(broken)


def test_pictures_are_read_once_and_not_too_many() -> None:
    pictures = ColorPictures(train=80, val=10, test=10)
    choice = find(nearest_color(wanted("unit", "rgb")), pictures)
    assert len(pictures.names_read) == len(set(pictures.names_read)) == choice.samples == 400
    assert {name.split("/")[0] for name in pictures.names_read} == {"train"}
    assert {sum(f"/{name}/" in read for read in pictures.names_read) for name in NAMES} == {40}


def test_large_pictures_are_not_kept() -> None:
    kept: list[weakref.ref[NDArray[np.uint8]]] = []
    most_alive = 0

    def read(name: str) -> NDArray[np.uint8]:
        nonlocal most_alive
        most_alive = max(most_alive, sum(reference() is not None for reference in kept))
        picture = pictures.picture(name)
        kept.append(weakref.ref(picture))
        return picture

    pictures = ColorPictures(train=40, size=(50, 60))
    splits = pictures.dataset.splits
    detect_preprocess(
        nearest_color(wanted("unit", "rgb")), "softmax", AUTO, Dataset("d", NAMES, splits, read), splits["train"]
    )
    assert len(kept) == 400
    assert most_alive <= 1


def test_a_clear_case_is_decided_on_few_pictures() -> None:
    pictures = ColorPictures(train=80)
    choice = find(nearest_color(wanted("caffe", "bgr")), pictures)  # no other is near
    assert len(pictures.names_read) == choice.samples == 96


def test_the_same_is_found_again_whatever_the_order_of_samples() -> None:
    pictures = ColorPictures(train=60)
    model, dataset = nearest_color(wanted("unit", "rgb")), pictures.dataset
    first = detect_preprocess(model, "softmax", AUTO, dataset, dataset.split("train"), seed=4)
    again = detect_preprocess(model, "softmax", AUTO, dataset, dataset.split("train")[::-1], seed=4)
    assert first == again


def test_what_is_no_classifier_is_an_error() -> None:
    pictures = ColorPictures(train=2)
    with pytest.raises(EdgecnnError, match="cannot load this model"):
        detect_preprocess(b"no model", "softmax", AUTO, pictures.dataset, pictures.dataset.split("train"))
