"""`Preprocess`: what it allows, its names for normalizations, and its text and JSON forms."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.config import COLORS, FITS, INTERPOLATIONS, NORMALIZATIONS, Preprocess, named_normalization
from edgecnn.errors import PreprocessError
from edgecnn.spec import parse_spec

sizes = st.integers(1, 4096)
means = st.floats(-1e6, 1e6)
stds = st.floats(1e-6, 1e6)


@st.composite
def preprocesses(draw: st.DrawFn) -> Preprocess:
    color = draw(st.sampled_from(COLORS))
    if draw(st.booleans()):
        mean, std = named_normalization(draw(st.sampled_from(list(NORMALIZATIONS))), color)
    else:
        lengths = st.sampled_from((1,) if color == "gray" else (1, 3))
        mean, std = (
            tuple(draw(st.lists(values, min_size=n, max_size=n)))
            for values, n in ((means, draw(lengths)), (stds, draw(lengths)))
        )
    return Preprocess(
        width=draw(sizes),
        height=draw(sizes),
        color=color,
        mean=mean,
        std=std,
        fit=draw(st.sampled_from(FITS)),
        interpolation=draw(st.sampled_from(INTERPOLATIONS)),
    )


@given(preprocesses())
def test_the_spec_says_it_whole(preprocess: Preprocess) -> None:
    assert parse_spec(preprocess.spec).complete(1, 1, "rgb") == preprocess
    assert parse_spec(preprocess.spec).over(Preprocess(1, 1, "gray", (7.0,), (7.0,), "letterbox")) == preprocess


@given(preprocesses())
def test_json_brings_it_back(preprocess: Preprocess) -> None:
    assert Preprocess.from_dict(json.loads(json.dumps(preprocess.to_dict()))) == preprocess


@given(preprocesses())
def test_equal_ones_are_one_key(preprocess: Preprocess) -> None:
    assert len({preprocess, Preprocess.from_dict(preprocess.to_dict())}) == 1


@pytest.mark.parametrize("color", COLORS)
@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_a_named_normalization_keeps_its_name(name: str, color: str) -> None:
    mean, std = named_normalization(name, color)
    preprocess = Preprocess(4, 4, color, mean, std)
    assert preprocess.normalization == name
    assert preprocess.spec == f"{name},size=4x4,{color},stretch"


def test_published_normalizations() -> None:
    # torchvision: mean 0.485, 0.456, 0.406 and std 0.229, 0.224, 0.225 of pixels in 0..1, in RGB order
    mean, std = named_normalization("imagenet", "rgb")
    assert mean == pytest.approx([255 * v for v in (0.485, 0.456, 0.406)], abs=1e-9)
    assert std == pytest.approx([255 * v for v in (0.229, 0.224, 0.225)], abs=1e-9)
    # keras.applications.imagenet_utils, mode "caffe": BGR, mean 103.939, 116.779, 123.68, no scaling
    assert named_normalization("caffe", "bgr") == ((103.939, 116.779, 123.68), (1.0,))
    assert named_normalization("imagenet", "bgr") == (mean[::-1], std[::-1])
    assert named_normalization("unit", "bgr") == ((0.0,), (255.0,))
    assert named_normalization("imagenet", "gray")[0] == pytest.approx([255 * (0.485 + 0.456 + 0.406) / 3], abs=1e-3)
    assert named_normalization("imagenet", "gray")[1] == pytest.approx([255 * (0.229 + 0.224 + 0.225) / 3], abs=1e-3)


def test_a_normalization_without_a_name_is_stated_in_numbers() -> None:
    assert Preprocess(4, 4, mean=(1.0, 2.0, 3.5), std=(64.0,)).normalization == "mean=1.0,2.0,3.5,std=64.0"
    assert Preprocess(4, 4, "bgr", *NORMALIZATIONS["imagenet"]).normalization.startswith("mean=123.675,")


@pytest.mark.parametrize(("color", "channels"), [("rgb", 3), ("bgr", 3), ("gray", 1)])
def test_channels(color: str, channels: int) -> None:
    assert Preprocess(4, 4, color).channels == channels


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"color": "rbg"}, "expected color to be one of rgb, bgr, gray, got 'rbg'"),
        ({"color": "RGB"}, "expected color"),
        ({"fit": "crop"}, "expected fit to be one of stretch, center-crop, letterbox, got 'crop'"),
        ({"interpolation": "cubic"}, "expected interpolation to be one of linear, area, nearest, .*got 'cubic'"),
        ({"width": 0}, "expected a size of at least 1x1, got 0x4"),
        ({"height": -3}, "expected a size of at least 1x1, got 4x-3"),
        ({"mean": ()}, r"expected 1 or 3 values for mean \(rgb\), got 0"),
        ({"mean": (1.0, 2.0)}, r"expected 1 or 3 values for mean \(rgb\), got 2"),
        ({"std": (1.0,) * 4}, r"expected 1 or 3 values for std \(rgb\), got 4"),
        ({"color": "gray", "mean": (1.0,) * 3}, r"expected 1 value for mean \(gray\), got 3"),
        ({"std": (1.0, 0.0, 1.0)}, r"expected std above 0, got \(1.0, 0.0, 1.0\)"),
        ({"std": (-1.0,)}, "expected std above 0"),
        ({"std": (float("nan"),)}, "expected finite numbers for std, got nan"),
        ({"std": (float("inf"),)}, "expected finite numbers for std, got inf"),
        ({"mean": (float("nan"), 0.0, 0.0)}, "expected finite numbers for mean, got nan"),
        ({"mean": (float("-inf"),)}, "expected finite numbers for mean, got -inf"),
    ],
)
def test_wrong_values_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(PreprocessError, match=message) as caught:
        Preprocess(**{"width": 4, "height": 4} | changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"width": "4"},
        {"width": 4.5},
        {"height": 4.0},
        {"height": None},
        {"color": ["rgb"]},
        {"mean": 3.0},
        {"mean": ["a"]},
        {"std": None},
        {"std": [float("inf")]},
        {"unknown": 1},
    ],
)
def test_a_wrong_record_is_refused(changes: dict[str, Any]) -> None:
    record = Preprocess(4, 4).to_dict()
    with pytest.raises(PreprocessError) as caught:
        Preprocess.from_dict(record | changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["width", "height", "mean", "std"])
def test_a_record_with_a_gap_is_refused(key: str) -> None:
    record = Preprocess(4, 4).to_dict()
    del record[key]
    with pytest.raises(PreprocessError, match=f"expected a preprocessing record, .*{key}"):
        Preprocess.from_dict(record)
