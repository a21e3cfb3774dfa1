"""What a camera does, against sRGB's formula, a simulated sensor and plain geometry."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from edgecnn.robust.camera import expose
from edgecnn.robust.corruptions import corrupt
from tests.robust.textured import textured


def to_light(levels: NDArray[np.generic]) -> NDArray[np.float64]:
    """IEC 61966-2-1, value by value."""
    values = np.asarray(levels, float).ravel() / 255
    light = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values.tolist()]
    return np.array(light).reshape(np.shape(levels))


def to_levels(light: NDArray[np.float64]) -> NDArray[np.float64]:
    flat = np.clip(light, 0, 1).ravel().tolist()
    values = [255 * (12.92 * v if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055) for v in flat]
    return np.array(values).reshape(light.shape)


@pytest.mark.parametrize(
    ("name", "stops"),
    [("over_exposure", (0.5, 1, 1.5, 2, 2.5)), ("under_exposure", (-1, -2, -3, -4, -5))],
)
def test_exposure_multiplies_light(name: str, stops: tuple[float, ...]) -> None:
    levels = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    for severity, stop in enumerate(stops, 1):
        result = corrupt(levels, name, severity, np.random.default_rng(0))
        assert np.abs(result - to_levels(to_light(levels) * 2**stop)).max() < 0.501


def test_half_the_light_of_white_is_level_188() -> None:
    assert expose(-1)[255] == 188
    assert expose(0).tolist() == list(range(256))


@pytest.mark.parametrize("severity", range(1, 6))
@pytest.mark.parametrize("level", [0, 60, 140, 254])
def test_low_light_is_a_sensor_that_counts_electrons(severity: int, level: int) -> None:
    stops = (1, 1.5, 2, 2.5, 3)[severity - 1]
    electrons = (400, 200, 100, 50, 25)[severity - 1]
    random = np.random.default_rng(9)
    counted = random.poisson(float(to_light(np.array(level))) * electrons, 40_000) + random.normal(0, 2, 40_000)
    expected = np.rint(to_levels(counted / electrons * 2.0**-stops))
    picture = np.full((200, 200, 3), level, np.uint8)
    result = corrupt(picture, "low_light", severity, np.random.default_rng(1))[..., 0]
    for threshold in range(0, 256, 5):
        assert np.mean(result <= threshold) == pytest.approx(np.mean(expected <= threshold), abs=0.015)


@pytest.mark.parametrize("shape", [(224, 224), (61, 90)])
@pytest.mark.parametrize(("severity", "degrees"), list(enumerate((5, 10, 15, 20, 30), 1)))
def test_rotation_turns_about_the_centre_to_either_side(severity: int, degrees: float, shape: tuple[int, int]) -> None:
    picture = textured(*shape)
    center = (np.array(shape) - 1) / 2
    y, x = np.mgrid[: shape[0], : shape[1]]
    turned = []
    for angle in np.radians([degrees, -degrees]):
        from_y = center[0] + np.cos(angle) * (y - center[0]) + np.sin(angle) * (x - center[1])
        from_x = center[1] - np.sin(angle) * (y - center[0]) + np.cos(angle) * (x - center[1])
        places = [from_y, from_x]
        channels = [
            ndimage.map_coordinates(picture[..., i].astype(float), places, order=1, mode="mirror") for i in (0, 1, 2)
        ]
        turned.append(np.stack(channels, axis=2))
    sides = set()
    for seed in range(8):
        result = corrupt(picture, "rotation", severity, np.random.default_rng(seed))
        # OpenCV places pixels to 1/32.
        distances = [np.abs(result - expected).mean() for expected in turned]
        assert min(distances) < 0.5
        assert max(distances) > 5
        sides.add(int(np.argmin(distances)))
    assert sides == {0, 1}


@pytest.mark.parametrize(("severity", "share"), list(enumerate((0.05, 0.1, 0.15, 0.2, 0.3), 1)))
def test_rolling_shutter_moves_row_by_row(severity: int, share: float) -> None:
    height, width = 60, 100
    picture = textured(height, width).astype(float)
    columns = np.arange(width)
    distances = []
    result = corrupt(picture.astype(np.uint8), "rolling_shutter", severity, np.random.default_rng(0))
    for sign in (-1, 1):
        expected = np.empty_like(picture)
        for y in range(height):
            shift = sign * share * width * (y - (height - 1) / 2) / height
            for i in range(3):
                expected[y, :, i] = np.interp(columns + shift, columns, picture[y, :, i])
        inner = slice(16, -16)
        distances.append(np.abs(result[:, inner] - expected[:, inner]).mean())
    assert min(distances) < 0.6
    assert max(distances) > 3


@pytest.mark.parametrize(("severity", "stops"), list(enumerate((0.15, 0.3, 0.45, 0.6, 0.9), 1)))
def test_white_balance_is_warm_or_cold(severity: int, stops: float) -> None:
    picture = textured(40, 40)
    casts = set()
    for seed in range(8):
        result = corrupt(picture, "white_balance", severity, np.random.default_rng(seed))
        assert np.array_equal(result[..., 1], picture[..., 1])
        sign = 1 if result[..., 2].sum() > picture[..., 2].sum() else -1
        for channel, gain in ((0, -sign), (2, sign)):
            expected = to_levels(to_light(picture[..., channel]) * 2.0 ** (gain * stops))
            assert np.abs(result[..., channel] - expected).max() < 0.501
        casts.add(sign)
    assert casts == {-1, 1}


@pytest.mark.parametrize(("severity", "depth"), list(enumerate((0.2, 0.4, 0.6, 0.8, 0.95), 1)))
def test_light_flickers_a_hundred_times_a_second_over_a_thirtieth(severity: int, depth: float) -> None:
    white = np.full((300, 20, 3), 255, np.uint8)
    result = corrupt(white, "light_flicker", severity, np.random.default_rng(3))
    assert np.array_equal(result, np.broadcast_to(result[:, :1, :1], result.shape))  # whole rows
    light = to_light(result[:, 0, 0])
    assert light.max() == pytest.approx(1, abs=0.01)
    assert light.min() == pytest.approx(1 - depth, abs=0.01)
    rows = np.arange(300) / 300 * 100 / 30
    waves = np.stack([np.cos(2 * np.pi * rows), np.sin(2 * np.pi * rows), np.ones(300)], axis=1)
    fit, *_ = np.linalg.lstsq(waves, light, rcond=None)
    assert np.hypot(*fit[:2]) == pytest.approx(depth / 2, abs=0.01)
    assert np.abs(waves @ fit - light).max() < 0.01
