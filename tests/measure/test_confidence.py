"""Temperature and threshold against other ways to find them: scipy's minimizer, brute force, and known answers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, softmax

from edgecnn.bundle.card import TEMPERATURES
from edgecnn.measure.confidence import best_temperature, measure_confidence, too_sure, unknown_threshold
from edgecnn.quantization import TensorType
from edgecnn.runtime.head import Head

FLOAT, INT8 = TensorType(), TensorType("int8", 1 / 256, -128)
SOFTMAX = Head("softmax", FLOAT)


def answers(
    samples: int, classes: int, *, surer: float, seed: int, spread: float = 2.0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Probabilities (samples, classes) of a model that is `surer` times as sure as it should be, and true classes."""
    rng = np.random.default_rng(seed)
    evidence = rng.normal(size=(samples, classes)) * spread
    truth = softmax(evidence, axis=1)
    labels = (truth.cumsum(axis=1) > rng.random((samples, 1))).argmax(axis=1)
    return softmax(evidence * surer, axis=1).astype(np.float32), labels.astype(np.int64)


def nll(probabilities: NDArray[np.float32], labels: NDArray[np.int64], temperature: float, head: Head) -> float:
    """Negative log likelihood, from scipy's functions."""
    least = head.output.scale / 2 or (2.0**-25 if head.kind == "sigmoid" or probabilities.shape[1] == 2 else 2.0**-126)
    p = np.clip(probabilities.astype(float), least, 1 - least if head.kind == "sigmoid" else 1)
    own = np.arange(len(labels))
    if head.kind != "sigmoid":
        return float(-log_softmax(np.log(p) / temperature, axis=1)[own, labels].mean())
    says = expit(np.log(p / (1 - p)) / temperature)
    target = np.zeros_like(says)
    target[own, labels] = 1
    return float(-np.log(np.where(target == 1, says, 1 - says)).sum(axis=1).mean())


@pytest.mark.parametrize("surer", [0.5, 1.3, 3.0])
@pytest.mark.parametrize("classes", [2, 3, 40])
@pytest.mark.parametrize("head", [SOFTMAX, Head("softmax", INT8), Head("logits", FLOAT), Head("sigmoid", FLOAT)])
def test_the_temperature_is_the_one_that_a_minimizer_finds(head: Head, classes: int, surer: float) -> None:
    probabilities, labels = answers(400, classes, surer=surer, seed=classes)
    probabilities = head.output.dequantize(head.output.quantize(probabilities))
    found = best_temperature(probabilities, labels, head)
    best = minimize_scalar(
        lambda log: nll(probabilities, labels, math.exp(log), head),
        bounds=np.log(TEMPERATURES),
        method="bounded",
        options={"xatol": 1e-10},
    )
    assert found == pytest.approx(math.exp(best.x), rel=2e-4)
    assert nll(probabilities, labels, found, head) <= nll(probabilities, labels, 1, head)


def test_a_known_temperature_comes_out() -> None:
    for surer in (0.4, 1.0, 2.5):
        probabilities, labels = answers(20_000, 10, surer=surer, seed=1)
        assert best_temperature(probabilities, labels, SOFTMAX) == pytest.approx(surer, rel=0.03)


@given(st.integers(1, 40), st.integers(2, 5), st.floats(0.2, 5), st.integers(0, 2**32 - 1))
def test_the_likelihood_never_falls_and_no_label_changes(samples: int, classes: int, surer: float, seed: int) -> None:
    probabilities, labels = answers(samples, classes, surer=surer, seed=seed)
    found = best_temperature(probabilities, labels, SOFTMAX)
    assert TEMPERATURES[0] <= found <= TEMPERATURES[1]
    assert nll(probabilities, labels, found, SOFTMAX) <= nll(probabilities, labels, 1, SOFTMAX) + 1e-9
    scaled = SOFTMAX.scaled(probabilities, found)
    np.testing.assert_array_equal(scaled.argmax(axis=1), probabilities.argmax(axis=1))


def test_where_nothing_is_wrong_the_temperature_stays_1() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], np.float32)
    assert best_temperature(probabilities, np.array([0, 1, 0]), SOFTMAX) == 1.0
    wrong = np.tile(probabilities[:1], (10_000, 1))
    mostly = np.zeros(10_000, np.int64)
    mostly[0] = 1
    assert best_temperature(wrong, mostly, SOFTMAX) == pytest.approx(math.log(9) / math.log(9999), rel=1e-3)


def test_the_ends_of_the_range() -> None:
    sure = np.tile(np.array([[0.99, 0.01]], np.float32), (4, 1))
    assert best_temperature(sure, np.array([0, 1, 0, 1]), SOFTMAX) == TEMPERATURES[1]  # says nothing, surely
    timid = np.tile(np.array([[0.501, 0.499]], np.float32), (1000, 1))
    labels = np.zeros(1000, np.int64)
    labels[0] = 1
    assert best_temperature(timid, labels, SOFTMAX) == TEMPERATURES[0]


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=60), st.floats(0.01, 1))
def test_the_threshold_is_the_largest_that_keeps_enough(values: list[float], keep_right: float) -> None:
    right = np.array(values, np.float32)
    threshold = unknown_threshold(right, keep_right)
    assert threshold is not None
    assert threshold == round(threshold, 6)
    assert np.mean(right >= threshold) >= keep_right - 1e-9
    higher = right[right > threshold + 2e-6]
    if len(higher):
        assert np.mean(right >= higher.min()) < keep_right or (right <= threshold + 2e-6).sum() == 0


def test_a_threshold_of_known_scores() -> None:
    right = np.arange(1, 101).astype(np.float32) / np.float32(128)
    assert unknown_threshold(right, 0.95) == math.floor(6 / 128 * 1e6 - 0.2) / 1e6
    assert unknown_threshold(right, 1.0) == math.floor(1 / 128 * 1e6 - 0.2) / 1e6
    assert unknown_threshold(np.ones(3, np.float32), 0.95) == 0.999999  # another processor may round 1 down
    assert unknown_threshold(np.zeros(3, np.float32), 0.95) == 0
    assert unknown_threshold(right[:0], 0.95) is None


def ece(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Expected calibration error, bin by bin."""
    top, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    total = 0.0
    for i in range(15):
        inside = (top > i / 15) & (top <= (i + 1) / 15)
        if inside.any():
            total += inside.sum() * abs(right[inside].mean() - top[inside].mean())
    return total / len(labels)


def test_the_record() -> None:
    probabilities, labels = answers(5000, 10, surer=2.5, seed=3)
    found = measure_confidence(probabilities, labels, SOFTMAX, split="val", keep_right=0.9)
    scaled = SOFTMAX.scaled(probabilities, found.temperature)
    right = scaled.max(axis=1)[scaled.argmax(axis=1) == labels]
    assert (found.samples, found.split) == (5000, "val")
    assert found.unknown_below == unknown_threshold(right, 0.9)
    assert found.kept_right == np.mean(right >= found.unknown_below) >= 0.9
    assert found.ece_before == pytest.approx(ece(probabilities, labels), abs=1e-6)
    assert found.ece_after == pytest.approx(ece(scaled, labels), abs=1e-6)
    assert found.ece_after < 0.03 < found.ece_before


def test_a_record_of_a_model_that_is_never_right() -> None:
    found = measure_confidence(np.eye(2, dtype=np.float32)[[0, 0]], np.array([1, 1]), SOFTMAX, split="val")
    assert (found.temperature, found.unknown_below, found.kept_right, found.samples) == (10, None, 1, 2)


def test_too_sure_is_what_chance_does_not_explain() -> None:
    for seed in range(20):
        fair, labels = answers(2000, 5, surer=1.0, seed=seed)
        assert too_sure(fair, labels) is None
        assert too_sure(answers(2000, 5, surer=0.5, seed=seed)[0], labels) is None  # less sure than it could be
    sure, labels = answers(2000, 5, surer=2.0, seed=0)
    found = too_sure(sure, labels)
    assert found == pytest.approx((sure.max(axis=1).mean(), np.mean(sure.argmax(axis=1) == labels)))
    assert too_sure(sure[:20], labels[:20]) is None
    assert too_sure(np.eye(3, dtype=np.float32), np.arange(3)) is None
