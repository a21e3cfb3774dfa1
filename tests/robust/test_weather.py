"""Weather: closed forms where there are any, bounds where there are none."""

import colorsys

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.robust.corruptions import corrupt
from edgecnn.robust.frost import TEXTURE, TEXTURES, texture
from edgecnn.robust.weather import fractal
from tests.robust.textured import textured


@pytest.mark.parametrize("severity", range(1, 6))
def test_brightness_adds_to_the_value_of_hsv(severity: int) -> None:
    picture = np.random.default_rng(severity).integers(0, 256, (224, 224, 3)).astype(np.uint8)
    picture[0, :3] = [(0, 0, 0), (255, 255, 255), (9, 9, 9)]
    result = corrupt(picture, "brightness", severity, np.random.default_rng(0))
    for place in [(0, 0), (0, 1), (0, 2), *zip(range(5, 224), range(7, 224), strict=False)]:
        blue, green, red = (picture[place] / 255).tolist()
        hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
        expected = colorsys.hsv_to_rgb(hue, saturation, min(value + severity / 10, 1))
        assert result[place][::-1] == pytest.approx(255 * np.array(expected), abs=0.51)


@pytest.mark.parametrize(("severity", "thick"), [(1, 1.5), (2, 2), (3, 2.5), (5, 3)])
def test_fog_hides_the_picture_by_its_thickness(severity: int, thick: float) -> None:
    random = np.random.default_rng(4)
    white = corrupt(np.full((224, 224, 3), 255, np.uint8), "fog", severity, random).astype(float)
    layer = fractal(224, 224, (2, 2, 1.7, 1.5, 1.4)[severity - 1], np.random.default_rng(4))
    expected = 255 * (1 + thick * layer) / (1 + thick)
    assert np.abs(white - expected[..., None]).max() < 0.51
    # Of any two levels the difference shrinks by the same factor.
    picture = textured(224, 224)
    picture[0, 0] = 255
    foggy = corrupt(picture, "fog", severity, np.random.default_rng(4)).astype(float)
    assert np.abs((white - foggy) * (1 + thick) - (255.0 - picture)).max() <= 1 + thick


def test_no_fog_is_in_the_dark() -> None:
    assert not corrupt(np.zeros((32, 32, 3), np.uint8), "fog", 5, np.random.default_rng(0)).any()


@given(height=st.integers(1, 70), width=st.integers(1, 70), decay=st.floats(1, 4), seed=st.integers(0, 99))
def test_a_fractal_is_from_0_to_1(height: int, width: int, decay: float, seed: int) -> None:
    layer = fractal(height, width, decay, np.random.default_rng(seed))
    assert layer.shape == (height, width)
    assert layer.min() >= 0
    assert layer.max() <= 1
    whole = fractal(64, 64, decay, np.random.default_rng(seed))
    assert (whole.min(), whole.max()) == (0, 1)


def test_a_slower_decay_is_rougher() -> None:
    steps = [
        np.mean([np.abs(np.diff(fractal(64, 64, decay, np.random.default_rng(i)))).mean() for i in range(10)])
        for decay in (3, 2, 1.5, 1.2)
    ]
    assert steps == sorted(steps)
    assert steps[-1] > 1.5 * steps[0]


@pytest.mark.parametrize("side", [32, 224])
@pytest.mark.parametrize("severity", range(1, 6))
def test_snow_only_adds_light(severity: int, side: int) -> None:
    picture = textured(side, side)
    snowy = corrupt(picture, "snow", severity, np.random.default_rng(severity)).astype(int)
    assert (snowy - picture).min() >= -1
    # On black: a share of 0.5 everywhere, and flakes; both in white.
    black = corrupt(np.zeros((side, side, 3), np.uint8), "snow", severity, np.random.default_rng(severity))
    plain = {32: (0.95, 0.9, 0.9, 0.85, 0.8), 224: (0.8, 0.7, 0.7, 0.65, 0.55)}[side][severity - 1]
    assert black.min() == pytest.approx(255 * 0.5 * (1 - plain), abs=1)
    assert black.max() > black.min() + 20
    assert np.array_equal(black, black[::-1, ::-1])  # the same flakes turned by 180 degrees


@pytest.mark.parametrize("severity", range(1, 6))
def test_frost_is_a_weighted_sum_with_ice(severity: int) -> None:
    seen, ice = ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))[severity - 1]
    black = corrupt(np.zeros((224, 224, 3), np.uint8), "frost", severity, np.random.default_rng(2)).astype(float)
    picture = textured(224, 224)
    frosty = corrupt(picture, "frost", severity, np.random.default_rng(2))
    assert np.abs(frosty - np.minimum(black + seen * picture, 255)).max() <= 1
    differences = [
        cv2.matchTemplate((ice * texture(number)).astype(np.float32), side, cv2.TM_SQDIFF).min() / side.size
        for number in range(TEXTURES)
        for side in (black.astype(np.float32), black[:, ::-1].astype(np.float32))
    ]
    assert sorted(differences)[0] < 0.3  # a piece of one of them, but for rounding
    assert sorted(differences)[1] > 100


def test_ice_is_the_same_for_all_bluish_and_not_to_be_written_to() -> None:
    assert len({texture(number).tobytes() for number in range(TEXTURES)}) == TEXTURES
    for number in range(TEXTURES):
        ice = texture(number)
        assert ice.shape == (TEXTURE, TEXTURE, 3)
        assert not ice.flags.writeable
        blue, green, red = ice.reshape(-1, 3).mean(axis=0)
        assert blue > green > red
        assert 90 < green < 160
        assert ice.std() > 50  # crystals and gaps
