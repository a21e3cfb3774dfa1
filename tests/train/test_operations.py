"""The operations on one picture, against Pillow, numpy and colour arithmetic written out."""

import colorsys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from edgecnn.train import operations
from edgecnn.train.operations import RAND_AUGMENT, adjust, affine, erase, warp

Pixels = NDArray[np.uint8]


def photo(height: int = 40, width: int = 56, channels: int = 3) -> Pixels:
    """Smooth slopes with noise, not over the whole range: as photographs are, and with something left to stretch."""
    random = np.random.default_rng(4)
    y, x, channel = np.ogrid[:height, :width, :channels]
    levels = 70 + 80 * np.sin(x / 9 + channel) * np.cos(y / 7) + 20 * channel + random.normal(0, 6, (height, width, 1))
    picture: Pixels = levels.clip(12, 231).astype(np.uint8)
    return picture


def noise(height: int, width: int, channels: int = 3) -> Pixels:
    return np.random.default_rng(5).integers(0, 256, (height, width, channels), np.uint8)


def as_pillow(picture: Pixels) -> Image.Image:
    return Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("factor", [0.0, 0.4, 0.73, 1.0, 1.27, 1.9])
@pytest.mark.parametrize(
    ("change", "enhance"),
    [
        (lambda picture, factor: adjust(picture, brightness=factor), ImageEnhance.Brightness),
        (lambda picture, factor: adjust(picture, contrast=factor), ImageEnhance.Contrast),
        (lambda picture, factor: adjust(picture, saturation=factor), ImageEnhance.Color),
        (operations.sharpen, ImageEnhance.Sharpness),
    ],
    ids=["brightness", "contrast", "color", "sharpness"],
)
def test_enhancements_are_those_of_pillow(
    change: Callable[[Pixels, float], Pixels],
    enhance: Callable[[Image.Image], ImageEnhance.Brightness],
    factor: float,
    channels: int,
) -> None:
    picture = photo(channels=channels)
    expected = np.asarray(enhance(as_pillow(picture)).enhance(factor)).reshape(picture.shape)
    assert np.abs(change(picture, factor).astype(int) - expected).max() <= 2


@pytest.mark.parametrize("picture", [photo(), photo(channels=1), noise(9, 4), noise(300, 300, 1)])
@pytest.mark.parametrize(
    ("change", "pillow", "levels"),
    [
        (operations.autocontrast, ImageOps.autocontrast, 1),
        (operations.equalize, ImageOps.equalize, 0),
        (lambda picture: operations.posterize(picture, 5), lambda image: ImageOps.posterize(image, 5), 0),
        (lambda picture: operations.posterize(picture, 8), lambda image: image, 0),
        (lambda picture: operations.solarize(picture, 99), lambda image: ImageOps.solarize(image, 99), 0),
    ],
    ids=["autocontrast", "equalize", "posterize", "posterize-8", "solarize"],
)
def test_tone_operations_are_those_of_pillow(
    change: Callable[[Pixels], Pixels], pillow: Callable[[Image.Image], Image.Image], levels: int, picture: Pixels
) -> None:
    expected = np.asarray(pillow(as_pillow(picture))).reshape(picture.shape)
    assert np.abs(change(picture).astype(int) - expected).max() <= levels


def test_a_channel_of_one_level_has_nothing_to_stretch() -> None:
    flat = np.full((4, 5, 3), 77, np.uint8)
    assert np.array_equal(operations.autocontrast(flat), flat)
    assert np.array_equal(operations.equalize(flat), flat)


def test_colours_change_together_as_one_after_the_other() -> None:
    picture = photo()  # nothing of it is cut off on the way
    mean = picture.astype(float).mean((0, 1)) @ (0.299, 0.587, 0.114)
    expected = 1.1 * (0.9 * picture + 0.1 * mean)
    gray = (expected @ (0.299, 0.587, 0.114))[:, :, None]
    expected = gray + 0.8 * (expected - gray)
    changed = adjust(picture, brightness=1.1, contrast=0.9, saturation=0.8)
    assert np.abs(changed - expected.clip(0, 255)).max() <= 1.5


def test_hue_turns_colours_and_leaves_grays() -> None:
    picture = np.array([[[140, 110, 90], [128, 128, 128], [90, 120, 130]]], np.uint8)
    changed = adjust(picture, hue=30)
    assert np.array_equal(changed[0, 1], picture[0, 1])
    before = [colorsys.rgb_to_yiq(*(level / 255 for level in picture[0, index])) for index in (0, 2)]
    after = [colorsys.rgb_to_yiq(*(level / 255 for level in changed[0, index])) for index in (0, 2)]
    for (y, i, q), (turned_y, turned_i, turned_q) in zip(before, after, strict=True):
        turn = np.degrees(np.angle(complex(turned_i, turned_q) / complex(i, q)))
        assert turned_y == pytest.approx(y, abs=0.01)
        assert turn == pytest.approx(30, abs=2)  # whole levels
    assert np.abs(adjust(picture, hue=180).astype(int) - adjust(picture, hue=-180)).max() <= 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(24, 24), (15, 15), (1, 1)])
def test_quarter_turns_are_exact(shape: tuple[int, int], channels: int) -> None:
    picture = noise(*shape, channels)
    for turns in (1, 2, 3, -1):
        matrix = affine(shape[1], shape[0], rotate=90 * turns)
        assert np.array_equal(warp(picture, matrix), np.rot90(picture, turns))


def test_zoom_and_shear_against_places_written_out() -> None:
    assert affine(9, 5, zoom=2) @ (4, 2, 1) == pytest.approx((4, 2))  # the centre stays
    assert affine(9, 5, zoom=2) @ (8, 2, 1) == pytest.approx((6, 2))
    # A shear of 0.5 takes what lies 2 below the centre 1 to the right.
    assert affine(9, 5, shear=(0.5, 0)) @ (5, 4, 1) == pytest.approx((4, 4))
    assert affine(9, 5, shear=(0, 0.5)) @ (6, 3, 1) == pytest.approx((6, 2))
    # First flipped, then turned a quarter counterclockwise, then shifted.
    matrix = affine(9, 9, flip=True, rotate=90, shift=(1, 0))
    picture = noise(9, 9)
    expected = np.rot90(picture[:, ::-1])
    assert np.array_equal(warp(picture, matrix)[:, 1:], expected[:, :-1])


@given(
    width=st.integers(1, 20),
    height=st.integers(1, 20),
    across=st.integers(-25, 25),
    down=st.integers(-25, 25),
    flip=st.booleans(),
    exact=st.booleans(),
    channels=st.sampled_from([1, 3]),
)
def test_flips_and_whole_shifts_move_pixels_unchanged(
    width: int, height: int, across: int, down: int, flip: bool, exact: bool, channels: int
) -> None:
    picture = noise(height, width, channels)
    padded = np.pad(picture[:, ::-1] if flip else picture, ((30, 30), (30, 30), (0, 0)), "reflect")
    expected = padded[30 - down :, 30 - across :][:height, :width]
    matrix = affine(width, height, flip=flip, shift=(across, down))
    assert np.array_equal(warp(picture, matrix, exact=exact), expected)


def test_a_box_is_covered_with_the_mean_colour() -> None:
    picture = noise(6, 8)
    erased = erase(picture, 2, 1, 3, 4)
    assert (erased[1:5, 2:5] == np.rint(picture.astype(float).mean((0, 1)))).all()
    erased[1:5, 2:5] = picture[1:5, 2:5]
    assert np.array_equal(erased, picture)


def test_randaugment_has_the_operations_of_the_paper() -> None:
    assert set(RAND_AUGMENT) == {
        "identity", "autocontrast", "equalize", "rotate", "solarize", "color", "posterize", "contrast", "brightness",
        "sharpness", "shear-x", "shear-y", "translate-x", "translate-y",
    }  # fmt: skip


@pytest.mark.parametrize("name", RAND_AUGMENT)
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 2, 3), (1, 7, 3), (21, 16, 1), (32, 32, 3)])
def test_operations_keep_the_shape_and_their_input(name: str, shape: tuple[int, int, int]) -> None:
    picture = noise(*shape)
    before = picture.copy()
    for level in (-1.0, -0.3, 0.0, 0.3, 1.0):
        changed = RAND_AUGMENT[name](picture, level)
        assert changed.shape == shape
        assert changed.dtype == np.uint8
        if level == 0 and name not in ("autocontrast", "equalize"):
            assert np.array_equal(changed, before)
    assert np.array_equal(picture, before)


def test_operations_at_level_one_go_as_far_as_the_paper() -> None:
    picture = photo(32, 331)  # 150/331 of 32 is 14.5016
    assert np.array_equal(RAND_AUGMENT["translate-x"](picture, 1)[:, 150:], picture[:, :-150])
    assert np.array_equal(RAND_AUGMENT["translate-x"](picture, -1)[:, :-150], picture[:, 150:])
    assert np.array_equal(RAND_AUGMENT["translate-y"](picture, 1)[15:], picture[:-15])
    assert np.array_equal(RAND_AUGMENT["solarize"](picture, -1), 255 - picture)
    assert np.array_equal(RAND_AUGMENT["posterize"](picture, 1), picture & 0xF0)
    assert np.array_equal(RAND_AUGMENT["rotate"](picture, 1), warp(picture, affine(331, 32, rotate=30)))
    assert np.array_equal(RAND_AUGMENT["shear-y"](picture, -1), warp(picture, affine(331, 32, shear=(0, -0.3))))
    assert RAND_AUGMENT["brightness"](picture, -1).mean() == pytest.approx(0.1 * picture.mean(), abs=0.5)
    spread = RAND_AUGMENT["contrast"](picture, -1).astype(float).std()
    assert spread == pytest.approx(0.1 * picture.astype(float).std(), abs=0.5)
