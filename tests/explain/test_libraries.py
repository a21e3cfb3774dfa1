"""LIME and SHAP on classifiers whose answer is a sum over pixels: what each part adds is known without them."""

import sys
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.errors import EdgecnnError, MissingExtraError
from edgecnn.explain.libraries import Predict, explain_with
from edgecnn.explain.maps import pointing

Counted = Callable[[], int]


def needs(*names: str) -> None:
    for name in names:
        pytest.importorskip(name, reason=f"{name} is not installed; type: pip install 'edgecnn[explain]'")


def summing(weights: NDArray[Any]) -> tuple[Predict, Counted]:
    """A classifier whose second probability is a half and the weighted sum of pixels, and how often it was asked."""
    asked: list[int] = []

    def predict(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        assert pictures.dtype == np.uint8
        assert pictures.shape[1:] == weights.shape
        asked.append(len(pictures))
        second = 0.5 + (pictures * weights).sum(axis=(1, 2, 3))
        return np.stack([1 - second, second], axis=1).astype(np.float32)

    return predict, lambda: sum(asked)


def picture(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.slow
def test_shap_shares_a_sum_out_exactly() -> None:
    """Of a sum, each value's share is its weight times its way from the blurred picture (Shapley's additivity)."""
    needs("shap")
    shown = picture(4, 5)
    weights = np.random.default_rng(4).normal(size=shown.shape) * 1e-5
    predict, asked = summing(weights)
    found = explain_with("shap", predict, shown, index=1, samples=5000, seed=0)
    expected = (weights * (shown.astype(np.float64) - cv2.blur(shown, (2, 2)))).sum(axis=-1)
    np.testing.assert_allclose(found.values, expected, atol=2e-6)  # probabilities are float32
    assert (found.method, found.index, str(found.values.dtype)) == ("shap", 1, "float32")
    assert found.score == pytest.approx(0.5 + (weights * shown).sum(), abs=1e-6)
    assert asked() <= 5000 + 100
    opposite = explain_with("shap", predict, shown, index=0, samples=5000, seed=0)
    np.testing.assert_allclose(opposite.values, -found.values, atol=2e-6)
    coarse = explain_with("shap", predict, shown, index=1, samples=30, seed=0)
    np.testing.assert_allclose(coarse.values.sum(), expected.sum(), atol=2e-6)


def test_lime_finds_what_each_superpixel_adds() -> None:
    """Of a sum, a superpixel adds what is lost when its mean stands in its place; the fit is shrunk a little."""
    needs("lime", "skimage")
    shown = picture(40, 40)
    shown[10:20, 5:15] = 255 - shown[10:20, 5:15] // 8
    weights = np.zeros(shown.shape)
    weights[10:20, 5:15] = np.where(np.arange(10)[:, None, None] % 2, 2e-3, -2e-3)
    weights += np.random.default_rng(4).normal(size=shown.shape) * 2e-5
    predict, asked = summing(weights)
    found = explain_with("lime", predict, shown, index=1, samples=600, seed=1)
    assert asked() == 601  # and the picture as it is
    parts = np.unique(found.values)
    assert 20 < len(parts) < 80
    lost = [(weights * (shown - np.floor(shown[found.values == part].mean(axis=0))))[found.values == part].sum()
            for part in parts]  # fmt: skip
    assert np.corrcoef(parts, lost)[0, 1] > 0.98
    assert 0.7 < np.polyfit(lost, parts, 1)[0] < 1.02
    again = explain_with("lime", predict, shown, index=1, samples=600, seed=1)
    np.testing.assert_array_equal(again.values, found.values)
    other = explain_with("lime", predict, shown, index=1, samples=600, seed=2)
    assert not np.array_equal(other.values, found.values)


@pytest.mark.parametrize("name", [pytest.param("lime"), pytest.param("shap", marks=pytest.mark.slow)])
def test_both_point_at_the_bright_square_that_makes_the_class(name: str) -> None:
    needs(name)

    def predict(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        grays = [cv2.blur(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY), (9, 9)).max() / 255 for one in pictures]
        return np.stack([1 - np.array(grays), grays], axis=1).astype(np.float32)

    shown = picture(48, 64) // 4
    shown[24:36, 40:52] += 180
    found = explain_with(name, predict, shown, index=None, samples=300, seed=0)
    assert (found.index, found.values.shape) == (1, (48, 64))
    assert pointing(found.values, (36, 20, 20, 20))


def test_an_unknown_name_or_class_is_one_clear_line() -> None:
    predict, _ = summing(np.zeros((4, 4, 3)))
    with pytest.raises(EdgecnnError, match=r"^expected a method of lime, shap, got 'shape'$"):
        explain_with("shape", predict, picture(4, 4), index=None, samples=10, seed=0)
    with pytest.raises(EdgecnnError, match=r"^expected a class from 0 to 1, got 2$"):
        explain_with("lime", predict, picture(4, 4), index=2, samples=10, seed=0)


@pytest.mark.parametrize(("name", "package"), [("lime", "lime"), ("lime", "skimage"), ("shap", "shap")])
def test_without_the_library_the_line_to_type_is_told(name: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [module for module in sys.modules if module.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    predict, _ = summing(np.zeros((4, 4, 3)))
    with pytest.raises(MissingExtraError, match=rf"^{name} is not installed; type: pip install 'edgecnn\[explain\]'$"):
        explain_with(name, predict, picture(4, 4), index=1, samples=10, seed=0)
