"""The SPEC text: every part alone and together, what it fills in, what it replaces, and what it refuses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.config import NORMALIZATIONS, Preprocess, named_normalization
from edgecnn.errors import PreprocessError
from edgecnn.spec import Spec, parse_spec

IMAGENET = NORMALIZATIONS["imagenet"]


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("", Spec()),
        ("  ", Spec()),
        ("auto", Spec(auto=True)),
        ("raw", Spec(normalization="raw")),
        ("Symmetric , RGB", Spec(normalization="symmetric", color="rgb")),
        ("size=28", Spec(width=28, height=28)),
        ("size=320x240", Spec(width=320, height=240)),
        ("SIZE=320X240", Spec(width=320, height=240)),
        ("auto,size=28", Spec(auto=True, width=28, height=28)),
        (
            "symmetric,size=224x192,rgb,center-crop,area",
            Spec(
                normalization="symmetric", width=224, height=192, color="rgb", fit="center-crop", interpolation="area"
            ),
        ),
        ("letterbox", Spec(fit="letterbox")),
        ("mean=127.5,std=64", Spec(mean=(127.5,), std=(64.0,))),
        ("std=64", Spec(std=(64.0,))),
        ("mean=-1e1", Spec(mean=(-10.0,))),
        (
            "mean=103.9,116.8,123.7,bgr,std=1,2,3",
            Spec(mean=(103.9, 116.8, 123.7), std=(1.0, 2.0, 3.0), color="bgr"),
        ),
        ("gray,nearest", Spec(color="gray", interpolation="nearest")),
    ],
)
def test_a_spec_is_read(text: str, spec: Spec) -> None:
    assert parse_spec(text) == spec


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rbg", "cannot read 'rbg' in the SPEC 'rbg'; expected auto, raw, unit"),
        ("unit,,rgb", "cannot read ''"),
        ("unit;rgb", "cannot read 'unit;rgb'"),
        ("5", "cannot read '5'"),
        ("mean=1,rgb,2", "cannot read '2'"),
        ("mean=", "cannot read 'mean='"),
        ("mean=a", "cannot read 'mean=a'"),
        ("width=3", "cannot read 'width=3'"),
        ("rgb=1", "cannot read 'rgb=1'"),
        ("size=0", "expected size=WIDTHxHEIGHT or size=N in pixels, got size=0"),
        ("size=0x4", "got size=0x4"),
        ("size=4x0", "got size=4x0"),
        ("size=1234567", "got size=1234567"),
        ("size=", "got size="),
        ("size=-3", "got size=-3"),
        ("size=1.5", "got size=1.5"),
        ("size=4x", "got size=4x"),
        ("size=1x2x3", "got size=1x2x3"),
        ("size=²", "got size=²"),
        ("auto,unit", "states more than one normalization"),
        ("auto,mean=1", "states more than one normalization"),
        ("raw,std=2", "states more than one normalization"),
        ("raw,unit", "states more than one normalization"),
        ("mean=1,mean=2", "states more than one mean"),
        ("rgb,bgr", "states more than one color"),
        ("size=3,size=4", "states more than one size"),
        ("stretch,letterbox", "states more than one fit"),
        ("linear,area", "states more than one interpolation"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, message: str) -> None:
    with pytest.raises(PreprocessError, match=message) as caught:
        parse_spec(text)
    assert "\n" not in str(caught.value)


@given(st.text(st.sampled_from("autorgbunitmeanstdsize=,.x0123456789 -²٣"), max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        spec = parse_spec(text)
    except PreprocessError:
        return
    assert (spec == Spec()) == (not text.strip())


def test_what_is_missing_is_filled_in() -> None:
    assert parse_spec("").complete(8, 6, "rgb") == Preprocess(8, 6, "rgb")
    assert parse_spec("").complete(8, 6, "gray", "symmetric") == Preprocess(8, 6, "gray", (127.5,), (127.5,))
    assert parse_spec("bgr").complete(8, 6, "rgb", "imagenet") == Preprocess(
        8, 6, "bgr", IMAGENET[0][::-1], IMAGENET[1][::-1]
    )
    assert parse_spec("imagenet,gray,size=3x2,letterbox,area").complete(8, 6, "rgb") == Preprocess(
        3, 2, "gray", *named_normalization("imagenet", "gray"), "letterbox", "area"
    )


def test_half_a_normalization_gets_the_half_that_changes_nothing() -> None:
    assert parse_spec("mean=3").complete(4, 4, "rgb", "imagenet") == Preprocess(4, 4, "rgb", (3.0,), (1.0,))
    assert parse_spec("std=2,4,8").complete(4, 4, "rgb", "unit") == Preprocess(4, 4, "rgb", (0.0,), (2.0, 4.0, 8.0))


def test_a_spec_goes_over_what_is_known() -> None:
    known = Preprocess(8, 6, "bgr", (1.0,), (2.0,), "center-crop", "area")
    assert parse_spec("").over(known) == known
    assert parse_spec("auto").over(known) == known
    assert parse_spec("std=5").over(known) == Preprocess(8, 6, "bgr", (1.0,), (5.0,), "center-crop", "area")
    assert parse_spec("unit").over(known) == Preprocess(8, 6, "bgr", (0.0,), (255.0,), "center-crop", "area")
    assert parse_spec("imagenet").over(known).mean == IMAGENET[0][::-1]
    assert parse_spec("stretch,nearest,size=4x5").over(known) == Preprocess(
        4, 5, "bgr", (1.0,), (2.0,), "stretch", "nearest"
    )


def test_another_colour_order_turns_the_known_values_round() -> None:
    known = Preprocess(4, 4, "rgb", *IMAGENET)
    turned = parse_spec("bgr").over(known)
    assert (turned.color, turned.normalization) == ("bgr", "imagenet")
    assert parse_spec("rgb").over(turned) == known
    assert parse_spec("bgr,mean=1,2,3").over(known) == Preprocess(4, 4, "bgr", (1.0, 2.0, 3.0), IMAGENET[1][::-1])
    assert parse_spec("rgb,std=1,2,3").over(known) == Preprocess(4, 4, "rgb", IMAGENET[0], (1.0, 2.0, 3.0))


def test_values_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(PreprocessError, match=r"expected 1 value for mean \(gray\), got 3"):
        parse_spec("gray,mean=1,2,3").complete(4, 4, "rgb")
    with pytest.raises(PreprocessError, match="expected std above 0"):
        parse_spec("std=0").complete(4, 4, "rgb")
    with pytest.raises(PreprocessError, match="expected finite numbers for mean, got nan"):
        parse_spec("mean=nan").complete(4, 4, "rgb")


@pytest.mark.parametrize(
    ("text", "states"),
    [("", False), ("auto,rgb,size=4", False), ("raw", True), ("mean=0", True), ("std=1", True)],
)
def test_states_normalization(text: str, states: bool) -> None:
    assert parse_spec(text).states_normalization is states
