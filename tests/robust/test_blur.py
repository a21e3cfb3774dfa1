"""Blur: kernels, borders and disorder against plain computations."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from edgecnn.robust.blur import disk, drag, gaussian, path, shuffle
from edgecnn.robust.corruptions import corrupt
from tests.robust.textured import textured

BLURS = ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur")


@given(radius=st.floats(0.3, 30), softening=st.floats(0.1, 3))
def test_a_disk_sums_to_1_and_looks_the_same_from_all_sides(radius: float, softening: float) -> None:
    kernel = disk(radius, softening)
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert kernel.shape[0] % 2 == 1
    for turned in (kernel[::-1], kernel[:, ::-1], kernel.T):
        assert np.abs(kernel - turned).max() < 1e-7


@pytest.mark.parametrize(("radius", "pixels"), [(1, 5), (3, 29), (4, 49), (10, 317)])  # Gauss's circle problem
def test_a_hard_disk_holds_the_pixels_within_its_radius(radius: float, pixels: int) -> None:
    kernel = disk(radius, 0.01)
    assert np.count_nonzero(kernel > 1e-6) == pixels
    assert kernel.max() == pytest.approx(1 / pixels, rel=1e-4)


def test_defocus_blur_is_the_convolution_with_the_authors_kernel() -> None:
    picture = textured(224, 224)
    places = np.arange(-8, 9)
    kernel = cv2.GaussianBlur((places**2 + places[:, None] ** 2 <= 9) / 29, (3, 3), 0.1)  # severity 1 at 224 px
    expected = np.stack([ndimage.convolve(picture[..., i].astype(float), kernel, mode="mirror") for i in range(3)], 2)
    result = corrupt(picture, "defocus_blur", 1, np.random.default_rng(0))
    assert np.abs(result - expected).max() < 0.6


@given(radius=st.floats(3, 60), sigma=st.floats(0.5, 40), angle=st.floats(-180, 180))
def test_a_path_sums_to_1_and_leads_in_its_direction(radius: float, sigma: float, angle: float) -> None:
    kernel = path(radius, sigma, angle)
    assert kernel.sum() == pytest.approx(1)
    assert kernel.min() >= 0
    steps = np.arange(math.floor(2 * radius) + 1)
    weights = np.exp(-0.5 * (steps / sigma) ** 2)
    reach = len(kernel) // 2
    offsets = np.arange(-reach, reach + 1)
    far = float((steps * weights).sum() / weights.sum())
    assert float((kernel.sum(axis=0) * offsets).sum()) == pytest.approx(far * math.cos(math.radians(angle)), abs=0.5)
    assert float((kernel.sum(axis=1) * offsets).sum()) == pytest.approx(far * math.sin(math.radians(angle)), abs=0.5)


@pytest.mark.parametrize("angle", [-45, -10, 0, 33, 90])
def test_a_drag_is_the_correlation_with_its_path(angle: float) -> None:
    picture = textured(50, 40)
    kernel = path(9, 6, angle)
    expected = [ndimage.correlate(picture[..., i].astype(float), kernel, mode="mirror") for i in range(3)]
    assert np.abs(drag(picture, 9, 6, angle) - np.stack(expected, 2)).max() < 1e-3


def test_a_gaussian_is_that_of_scipy() -> None:
    picture = textured(60, 70)
    expected = ndimage.gaussian_filter(picture.astype(float), (1.3, 1.3, 0), mode="mirror", truncate=4)
    assert np.abs(gaussian(picture, 1.3) - expected).max() < 1


@given(height=st.integers(1, 40), width=st.integers(1, 40), reach=st.floats(0.1, 30), seed=st.integers(0, 99))
def test_a_shuffle_keeps_all_pixels_and_moves_none_far(height: int, width: int, reach: float, seed: int) -> None:
    y, x = np.mgrid[:height, :width]
    places = np.stack([y, x, y], axis=2).astype(np.uint8)
    moved = shuffle(places, reach, np.random.default_rng(seed))
    assert sorted(map(tuple, moved.reshape(-1, 3).tolist())) == sorted(map(tuple, places.reshape(-1, 3).tolist()))
    assert np.abs(moved.astype(int) - places).max() <= math.ceil(2 * reach)


@pytest.mark.parametrize(
    ("delta", "times", "reach"), [(1, 1, 2), (1, 2, 3), (2, 1, 3.2), (2, 3, 5.4), (3, 2, 6.2), (4, 2, 8)]
)
def test_a_shuffle_moves_pixels_as_far_as_the_authors_swaps(delta: int, times: int, reach: float) -> None:
    side = 80
    random = np.random.default_rng(1)
    swapped = [[(y, x) for x in range(side)] for y in range(side)]
    for _ in range(times):
        for y in range(side - delta, delta, -1):
            for x in range(side - delta, delta, -1):
                dx, dy = random.integers(-delta, delta, 2).tolist()
                swapped[y][x], swapped[y + dy][x + dx] = swapped[y + dy][x + dx], swapped[y][x]
    y, x = np.mgrid[:side, :side]
    start = np.stack([y, x, x], axis=2).astype(np.uint8)
    moved = np.array([shuffle(start, reach, random)[..., :2], swapped], float) - start[..., :2]
    far = np.sqrt((moved[:, 8:-8, 8:-8] ** 2).mean(axis=(1, 2, 3)))
    assert far[0] == pytest.approx(far[1], rel=0.12)


def test_zoom_blur_is_the_mean_of_enlargements() -> None:
    picture = textured(225, 225).astype(float)
    y, x = np.mgrid[:225, :225] - 112.0
    layers = [picture]
    for factor in np.linspace(1, 1.1, 11):  # severity 1: 1, 1.01, ... 1.1
        places = [112 + y / factor, 112 + x / factor]
        layers.append(np.stack([ndimage.map_coordinates(picture[..., i], places, order=1) for i in range(3)], axis=2))
    # 225 px move the border by 11.25 px, more than ten: ten steps from 1 on.
    result = corrupt(picture.astype(np.uint8), "zoom_blur", 1, np.random.default_rng(0))
    assert np.abs(result - np.mean(layers, axis=0)).max() < 2


@pytest.mark.parametrize("name", BLURS)
@pytest.mark.parametrize("side", [32, 150, 224])
@pytest.mark.parametrize("severity", [1, 5])
def test_blur_keeps_a_flat_picture_and_nearly_the_mean(name: str, side: int, severity: int) -> None:
    flat = np.full((side, side, 3), (3, 130, 250), np.uint8)
    assert np.array_equal(corrupt(flat, name, severity, np.random.default_rng(0)), flat)
    # Away from the border and from what is moved across it.
    picture = np.full((side, side, 3), 100, np.uint8)
    low, high = side * 3 // 8, side * 5 // 8
    picture[low:high, low:high] = textured(high - low, high - low)
    blurred = corrupt(picture, name, severity, np.random.default_rng(0)).astype(float)
    if name != "zoom_blur":  # which makes the middle larger
        assert (blurred - 100).mean(axis=(0, 1)) == pytest.approx((picture - 100.0).mean(axis=(0, 1)), abs=0.5)
