"""Contrast, warping, resolution and compression against plain computations."""

import cv2
import numpy as np
import pytest
from PIL import Image

from edgecnn.robust.corruptions import corrupt
from edgecnn.robust.digital import smooth_noise
from tests.robust.textured import textured


@pytest.mark.parametrize(("side", "shares"), [(32, (0.75, 0.5, 0.4, 0.3, 0.15)), (224, (0.4, 0.3, 0.2, 0.1, 0.05))])
def test_contrast_draws_every_channel_to_its_mean(side: int, shares: tuple[float, ...]) -> None:
    picture = textured(side, side).astype(float)
    means = picture.mean(axis=(0, 1))
    for severity, share in enumerate(shares, 1):
        result = corrupt(picture.astype(np.uint8), "contrast", severity, np.random.default_rng(0))
        assert np.abs(result - (means + share * (picture - means))).max() < 0.51


@pytest.mark.parametrize(("side", "qualities"), [(32, (80, 65, 58, 50, 40)), (224, (25, 18, 15, 10, 7))])
def test_jpeg_has_the_stated_quality(side: int, qualities: tuple[int, ...]) -> None:
    picture = textured(side, side)
    for severity, quality in enumerate(qualities, 1):
        content = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        expected = np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR))
        assert np.array_equal(corrupt(picture, "jpeg_compression", severity, np.random.default_rng(0)), expected)


@pytest.mark.parametrize(("severity", "block"), [(2, 2), (5, 4)])
def test_pixelate_shows_the_mean_of_each_block(severity: int, block: int) -> None:
    picture = textured(224, 224)
    means = picture.reshape(224 // block, block, 224 // block, block, 3).mean(axis=(1, 3))
    expected = np.repeat(np.repeat(means, block, axis=0), block, axis=1)
    assert np.abs(corrupt(picture, "pixelate", severity, np.random.default_rng(0)) - expected).max() < 0.51


@pytest.mark.parametrize(("side", "shares"), [(32, (0.95, 0.9, 0.85, 0.75, 0.65)), (224, (0.6, 0.5, 0.4, 0.3, 0.25))])
def test_pixelate_is_the_authors_way_through_pillow(side: int, shares: tuple[float, ...]) -> None:
    picture = textured(side, side)
    for severity, share in enumerate(shares, 1):
        small = Image.fromarray(picture).resize((int(side * share),) * 2, Image.Resampling.BOX)
        expected = np.asarray(small.resize((side, side), Image.Resampling.BOX)).astype(int)
        result = corrupt(picture, "pixelate", severity, np.random.default_rng(0)).astype(int)
        assert len(np.unique(result[:, side // 2], axis=0)) <= int(side * share)
        assert np.abs(result - expected).max() <= 1  # Pillow rounds after rows and again after columns


@pytest.mark.parametrize("sigma", [0, 0.96, 2.44, 3.9, 6.4, 19.5])
def test_smooth_noise_has_the_strength_and_width_that_are_asked_for(sigma: float) -> None:
    noise = smooth_noise(800, 700, sigma, np.random.default_rng(8))
    assert noise.shape == (800, 700, 2)
    inner = noise[60:-60, 60:-60]
    assert float(np.sqrt((inner**2).mean())) == pytest.approx(1, rel=0.12)
    assert abs(np.corrcoef(inner[..., 0].ravel(), inner[..., 1].ravel())[0, 1]) < 0.2
    # Noise blurred by a Gaussian has the autocorrelation of a Gaussian that is wider by the root of 2.
    for apart in (1, 2, 5, 12):
        expected = np.exp(-(apart**2) / (4 * sigma**2)) if sigma else 0
        measured = np.corrcoef(inner[apart:].ravel(), inner[:-apart].ravel())[0, 1]
        assert measured == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize(
    ("severity", "moved", "corner"),
    [(3, 0.814, 4.88), (4, 1.14, 4.88), (5, 1.954, 4.88), (1, 0, 24.4), (2, 4.07, 48.8)],
)
def test_elastic_transform_moves_pixels_as_far_as_stated(severity: int, moved: float, corner: float) -> None:
    # A ramp shows where each pixel came from: a plane for the affine map, and the rest is elastic.
    ramp = np.repeat(np.broadcast_to(np.arange(224, dtype=np.uint8), (224, 224))[..., None], 3, axis=2)
    y, x = np.mgrid[:224, :224]
    rest, shifts = [], []
    for seed in range(6):
        result = corrupt(np.ascontiguousarray(ramp), "elastic_transform", severity, np.random.default_rng(seed))
        inner = (abs(y - 112) < 50) & (abs(x - 112) < 50)
        values = result[..., 0][inner].astype(float)
        plane = np.stack([x[inner], y[inner], np.ones(inner.sum())], axis=1)
        fit, *_ = np.linalg.lstsq(plane, values, rcond=None)
        rest.append(np.std(values - plane @ fit))
        shifts.append(float(fit @ (112 + 74, 112 + 74, 1)) - (112 + 74))  # of one of the three points
    if severity != 2:  # so uneven that a plane takes a part of it
        assert np.mean(rest) == pytest.approx(np.hypot(moved, 0.29), abs=0.15)  # 0.29 by rounding
    assert max(map(abs, shifts)) < corner * 1.3 + 1
    assert max(map(abs, shifts)) > corner / 3
