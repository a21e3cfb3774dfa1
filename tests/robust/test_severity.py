"""Strengths between and beyond the authors' tables, and against their third table, which is not used."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.robust.severity import Scale, side_of, to_picture

# Tables of make_cifar_c.py, make_tinyimagenet_c.py and make_imagenet_c.py of Hendrycks & Dietterich.
RATIOS = {
    "gaussian_noise": ((0.04, 0.06, 0.08, 0.09, 0.10), (0.04, 0.08, 0.12, 0.15, 0.18), (0.08, 0.12, 0.18, 0.26, 0.38)),
    "shot_noise": ((500, 250, 100, 75, 50), (250, 100, 50, 30, 15), (60, 25, 12, 5, 3)),
    "impulse_noise": ((0.01, 0.02, 0.03, 0.05, 0.07), (0.01, 0.02, 0.05, 0.08, 0.14), (0.03, 0.06, 0.09, 0.17, 0.27)),
    "fog": ((0.2, 0.5, 0.75, 1, 1.5), (0.4, 0.7, 1, 1.5, 2), (1.5, 2, 2.5, 2.5, 3)),
}
LENGTHS = {
    "defocus_blur": ((0.3, 0.4, 0.5, 1, 1.5), (0.5, 1, 1.5, 2.5, 3), (3, 4, 6, 8, 10)),
    "pixelate": (
        (1 / 0.95, 1 / 0.9, 1 / 0.85, 1 / 0.75, 1 / 0.65),
        (1 / 0.9, 1 / 0.8, 1 / 0.7, 1 / 0.6, 1 / 0.5),
        (1 / 0.6, 1 / 0.5, 1 / 0.4, 1 / 0.3, 1 / 0.25),
    ),
}


@pytest.mark.parametrize(("small", "middle", "large"), RATIOS.values(), ids=RATIOS)
def test_ratios_meet_the_table_for_64_pixels(
    small: tuple[float, ...], middle: tuple[float, ...], large: tuple[float, ...]
) -> None:
    ratios = np.array([Scale(small, large).ratio(severity, 64) for severity in range(1, 6)]) / middle
    assert np.abs(np.log(ratios)).max() < np.log(1.5)
    assert np.abs(np.log(ratios)).mean() < np.log(1.3)


@pytest.mark.parametrize(("small", "middle", "large"), LENGTHS.values(), ids=LENGTHS)
def test_lengths_meet_the_table_for_64_pixels(
    small: tuple[float, ...], middle: tuple[float, ...], large: tuple[float, ...]
) -> None:
    lengths = np.array([Scale(small, large).length(severity, 64) for severity in range(1, 6)])
    assert np.abs(lengths - middle).max() < 0.4


@given(severity=st.integers(1, 5), ends=st.tuples(*[st.tuples(*[st.floats(0.01, 50)] * 5)] * 2))
def test_the_ends_are_the_tables(severity: int, ends: tuple[tuple[float, ...], tuple[float, ...]]) -> None:
    scale = Scale(*ends)
    for small in (8, 28, 32):
        assert scale.ratio(severity, small) == pytest.approx(ends[0][severity - 1])
        assert scale.length(severity, small) == pytest.approx(ends[0][severity - 1])
    assert scale.length(severity, 224) == pytest.approx(ends[1][severity - 1])
    assert scale.length(severity, 1080) == pytest.approx(ends[1][severity - 1] * 1080 / 224)
    assert scale.ratio(severity, 224) == pytest.approx(ends[1][severity - 1])
    assert scale.ratio(severity, 1080) == pytest.approx(ends[1][severity - 1])


def test_the_shorter_side_counts() -> None:
    assert side_of(np.zeros((20, 30, 3), np.uint8)) == side_of(np.zeros((30, 20, 3), np.uint8)) == 20


def test_levels_are_rounded_and_cut_off() -> None:
    assert to_picture(np.array([-3.0, 0.4, 0.6, 254.6, 300.0])).tolist() == [0, 0, 1, 255, 255]
