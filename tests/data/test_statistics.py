"""Statistics of a picture against the formulas in NumPy and SciPy, and the laws that they are used by."""

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, laplace

from edgecnn.data.statistics import picture_statistics

WEIGHTS = {"rgb": (0.299, 0.587, 0.114), "bgr": (0.114, 0.587, 0.299)}


def scene(seed: int, height: int = 96, width: int = 96) -> NDArray[Any]:
    """A gray picture with the spectrum of photographs, amplitude 1 / frequency; float64, mean 100, deviation 30."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    frequency[0, 0] = np.inf
    picture = np.fft.ifft2(np.fft.fft2(rng.normal(size=(height, width))) / frequency).real
    return np.asarray(np.clip(100 + 30 * picture / picture.std(), 0, 255))


def as_pixels(values: NDArray[Any]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def expected(pixels: NDArray[np.uint8], color: str) -> tuple[float, float, float]:
    """The formulas, in floating point; for pictures that need not be shrunk."""
    luma = pixels.squeeze().astype(float) if color == "gray" else np.rint(pixels @ np.array(WEIGHTS[color]))
    edges = laplace(luma, mode="mirror")
    return luma.mean() / 255, luma.std() / 255, edges.std() / luma.std()


@pytest.mark.parametrize("color", ["rgb", "bgr", "gray"])
@pytest.mark.parametrize("shape", [(28, 28), (96, 96), (128, 128), (33, 57), (2, 3)])
def test_the_formulas(shape: tuple[int, int], color: str) -> None:
    channels = 1 if color == "gray" else 3
    pixels = np.random.default_rng(3).integers(0, 256, (*shape, channels), np.uint8)
    # OpenCV rounds luma by integer arithmetic, which is one off now and then
    assert picture_statistics(pixels, color) == pytest.approx(expected(pixels, color), rel=2e-3)


@pytest.mark.parametrize(("side", "factor"), [(128, 1), (129, 2), (224, 2), (256, 2), (257, 3), (384, 3)])
def test_a_large_picture_is_first_reduced_by_a_whole_factor(side: int, factor: int) -> None:
    pixels = as_pixels(scene(1, side, side + 7))
    small = cv2.resize(pixels, ((side + 7) // factor, side // factor), interpolation=cv2.INTER_AREA)
    assert min(small.shape) <= 128
    assert picture_statistics(pixels, "gray") == pytest.approx(expected(np.asarray(small, np.uint8), "gray"), rel=1e-9)


def test_reducing_by_two_is_the_mean_of_four() -> None:
    pixels = as_pixels(scene(2, 224, 224))
    small = np.floor(pixels.reshape(112, 2, 112, 2).mean(axis=(1, 3)) + 0.5)
    assert picture_statistics(pixels, "gray") == pytest.approx(expected(small.astype(np.uint8), "gray"), rel=1e-3)


@pytest.mark.parametrize("value", [0, 1, 128, 255])
@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 9, 3), (9, 1, 3), (300, 1, 3), (224, 224, 3)])
def test_one_colour_has_neither_contrast_nor_sharpness(shape: tuple[int, int, int], value: int) -> None:
    found = picture_statistics(np.full(shape, value, np.uint8), "rgb")
    assert found == pytest.approx((value / 255, 0, 0), abs=1e-7)


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3))))
def test_every_picture_has_figures_within_their_bounds(pixels: NDArray[np.uint8]) -> None:
    brightness, contrast, sharpness = picture_statistics(pixels, "rgb")
    assert 0 <= brightness <= 1
    assert 0 <= contrast <= 0.5
    assert 0 <= sharpness <= 8 + 1e-9


def test_a_checkerboard_is_as_sharp_as_can_be() -> None:
    board = 255 * (np.indices((16, 16)).sum(axis=0) % 2)
    assert picture_statistics(as_pixels(board), "gray") == pytest.approx((0.5, 0.5, 8))


@settings(max_examples=30)
@given(st.integers(0, 50), st.floats(0.05, 0.95), st.floats(0.05, 0.95))
def test_less_light_is_darker_and_flatter_and_as_sharp(seed: int, one: float, other: float) -> None:
    low, high = sorted((one, other))
    whole = scene(seed)
    dim, lit = (picture_statistics(as_pixels(share * whole), "gray") for share in (low, high))
    if high - low > 0.02:
        assert dim.brightness < lit.brightness
        assert dim.contrast < lit.contrast
    # down to a tenth of the light; below, the steps of the pixels are edges of their own
    if low > 0.1:
        assert dim.sharpness == pytest.approx(lit.sharpness, rel=0.2)


@settings(max_examples=30)
@given(st.integers(0, 50), st.floats(0.4, 1.5), st.floats(1.2, 2))
def test_blur_lowers_sharpness_and_leaves_brightness(seed: int, sigma: float, more: float) -> None:
    whole = scene(seed)
    clear, soft, softer = (
        picture_statistics(as_pixels(gaussian_filter(whole, width, mode="wrap")), "gray")
        for width in (0, sigma, sigma * more)
    )
    assert clear.sharpness > soft.sharpness > softer.sharpness
    assert softer.brightness == pytest.approx(clear.brightness, abs=0.01)


@settings(max_examples=10)
@given(st.integers(0, 50))
def test_blur_tells_more_than_noise_hides(seed: int) -> None:
    """A sensor's noise behind a lens out of focus: 3 of 255 steps, 2 % of a width of 224 pixels."""
    whole = scene(seed, 224, 224)
    noise = np.random.default_rng(seed).normal(0, 3, whole.shape)
    blurred = gaussian_filter(whole, 4.5, mode="wrap") + noise
    clear, soft = (picture_statistics(as_pixels(picture), "gray").sharpness for picture in (whole, blurred))
    assert soft < clear / 2
