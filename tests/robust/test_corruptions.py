"""What holds for every corruption: shape, random numbers, an untouched input, the order of channels and severities."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecnn.data.images import read_image
from edgecnn.errors import EdgecnnError
from edgecnn.robust.corruptions import CORRUPTIONS, corrupt
from tests.robust.textured import textured

PAPER = (
    "gaussian_noise shot_noise impulse_noise defocus_blur glass_blur motion_blur zoom_blur snow frost fog brightness "
    "contrast elastic_transform pixelate jpeg_compression"
).split()
COLORED = ("frost", "white_balance")
# Severities after which the authors' own tables do not make the picture differ more; see test_severities_rise.
LEVEL_224 = {"elastic_transform": {2}, "fog": {3}}
LEVEL_32 = {"elastic_transform": {1, 2, 3, 4}, "glass_blur": {1, 2, 4}, "motion_blur": {3}}

names = st.sampled_from(list(CORRUPTIONS))
severities = st.integers(1, 5)
sides = st.integers(8, 64)


def apply(picture: NDArray[np.uint8], name: str, severity: int, seed: int = 0) -> NDArray[np.uint8]:
    return corrupt(picture, name, severity, np.random.default_rng(seed))


def test_the_fifteen_of_the_paper_come_first_in_its_order() -> None:
    assert list(CORRUPTIONS)[: len(PAPER)] == PAPER
    assert len(CORRUPTIONS) == 22
    assert all(corruption.name == name for name, corruption in CORRUPTIONS.items())
    kinds = [corruption.kind for corruption in CORRUPTIONS.values()]
    assert list(dict.fromkeys(kinds)) == ["noise", "blur", "weather", "digital", "camera"]
    assert kinds == sorted(kinds, key=kinds.index)


@given(name=names, severity=severities, height=sides, width=sides, seed=st.integers(0, 99), flat=st.booleans())
@settings(max_examples=150)
def test_a_new_picture_of_the_same_kind_from_the_same_random_numbers(
    name: str, severity: int, height: int, width: int, seed: int, flat: bool
) -> None:
    picture = textured(height, width)
    if flat:
        picture[:] = seed % 2 * 255
    before = picture.copy()
    picture.flags.writeable = False
    result = apply(picture, name, severity, seed)
    assert result.shape == picture.shape
    assert result.dtype == np.uint8
    assert result.flags.c_contiguous
    assert result.flags.writeable
    assert not np.shares_memory(result, picture)
    assert np.array_equal(picture, before)
    assert np.array_equal(apply(picture, name, severity, seed), result)


@given(name=names, severity=severities, height=sides, width=sides)
@settings(max_examples=80)
def test_gray_stays_gray(name: str, severity: int, height: int, width: int) -> None:
    result = apply(textured(height, width, gray=True), name, severity)
    gray = np.array_equal(result[..., 0], result[..., 1]) and np.array_equal(result[..., 0], result[..., 2])
    assert gray == (name not in COLORED)


@given(name=names, severity=severities, height=sides, width=sides)
@settings(max_examples=80)
def test_rgb_gives_the_same_picture_as_bgr(name: str, severity: int, height: int, width: int) -> None:
    picture = textured(height, width)
    result = corrupt(picture[..., ::-1], name, severity, np.random.default_rng(3), color="rgb")
    assert np.array_equal(result[..., ::-1], apply(picture, name, severity, 3))


@pytest.mark.parametrize("name", [*COLORED, "snow", "jpeg_compression"])
def test_the_order_of_channels_matters(name: str) -> None:
    picture = textured(64, 64)
    swapped = apply(np.ascontiguousarray(picture[..., ::-1]), name, 5)[..., ::-1]
    assert np.abs(swapped.astype(int) - apply(picture, name, 5)).max() > 3


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("shape", [(240, 300), (8, 400), (500, 9)])
def test_large_and_long_pictures(name: str, shape: tuple[int, int]) -> None:
    picture = textured(*shape)
    result = apply(picture, name, 5)
    assert result.shape == picture.shape
    assert not np.array_equal(result, picture)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_other_random_numbers_give_another_picture_where_there_are_any(name: str) -> None:
    picture = textured(32, 32)
    results = {apply(picture, name, 3, seed).tobytes() for seed in range(8)}
    without = ("defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression")
    if name in (*without, "over_exposure", "under_exposure"):
        assert len(results) == 1
    else:
        assert len(results) > 1


@pytest.mark.parametrize("name", ["defocus_blur", "motion_blur", "zoom_blur", "pixelate"])
def test_a_large_picture_looks_as_its_small_copy(name: str) -> None:
    large = np.asarray(cv2.GaussianBlur(textured(448, 448), (0, 0), 2), np.uint8)
    small = np.asarray(cv2.resize(large, (224, 224), interpolation=cv2.INTER_AREA), np.uint8)
    shrunk = cv2.resize(apply(large, name, 5), (224, 224), interpolation=cv2.INTER_AREA)
    expected = apply(small, name, 5)
    assert difference(np.asarray(shrunk, np.uint8), expected) < 0.15 * difference(small, expected)


def test_an_unknown_name_lists_the_names() -> None:
    with pytest.raises(EdgecnnError) as caught:
        apply(textured(8, 8), "gaussian-noise", 1)
    assert "'gaussian-noise'" in str(caught.value)
    assert all(name in str(caught.value) for name in CORRUPTIONS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("severity", [0, 6, -1])
def test_a_severity_is_from_1_to_5(severity: int) -> None:
    with pytest.raises(EdgecnnError, match=f"^expected a severity from 1 to 5, got {severity}$"):
        apply(textured(8, 8), "fog", severity)


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Mean distance in levels."""
    return float(np.abs(one.astype(np.int16) - other).mean())


def lost(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """1 less the correlation of the values."""
    return 1 - float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def check_severities(name: str, pictures: list[NDArray[np.uint8]], level: dict[str, set[int]]) -> None:
    # Frost takes from the picture's light what the ice brings: the mean level stays, what is seen is less.
    measure = lost if name == "frost" else difference
    changes = [
        np.mean([measure(apply(picture, name, severity, i), picture) for i, picture in enumerate(pictures)])
        for severity in range(1, 6)
    ]
    rises = [severity for severity in range(1, 5) if changes[severity] > changes[severity - 1]]
    expected = {1, 2, 3, 4} - level.get(name, set())
    assert expected <= set(rises), [round(float(change), 3) for change in changes]
    assert min(changes) > 0


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize(("side", "level"), [(224, LEVEL_224), (32, LEVEL_32)])
def test_severities_rise(name: str, side: int, level: dict[str, set[int]]) -> None:
    """Elastic severities 3 to 5 distort less of the whole, fog only becomes more uneven from 3 to 4; for 32 px, glass
    is smoother at 3 and 5 than before, and motion has the same sigma at 3 and 4."""
    count = 4 if side == 224 else 16
    check_severities(name, [textured(side, side, seed=seed) for seed in range(count)], level)


@pytest.fixture(scope="module")
def photos(shared_data: Path) -> list[NDArray[np.uint8]]:
    paths = sorted((shared_data / "photos").glob("*.jpg"))[:4]
    resized = [cv2.resize(read_image(path), (224, 224), interpolation=cv2.INTER_AREA) for path in paths]
    return [np.asarray(photo, np.uint8) for photo in resized]


@pytest.mark.shared_data
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_severities_rise_on_photographs(name: str, photos: list[NDArray[np.uint8]]) -> None:
    check_severities(name, photos, LEVEL_224)
