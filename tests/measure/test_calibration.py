"""Calibration figures against scikit-learn, and the binned errors against a loop over the bins of the paper."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as reference

from edgecnn.measure.calibration import (
    bin_index,
    brier_score,
    calibration,
    confidence_of,
    negative_log_likelihood,
)

EXACT = 1e-9
Case = tuple[NDArray[np.float64], NDArray[np.int64]]


@st.composite
def answers(draw: st.DrawFn) -> Case:
    """(probabilities, labels): rows that add up to 1, with zeros and ties where there are few levels."""
    classes, samples = draw(st.integers(2, 7)), draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weights = rng.integers(0, draw(st.sampled_from([2, 5, 10_000])), (samples, classes)).astype(np.float64)
    weights[np.arange(samples), rng.integers(0, classes, samples)] += 1
    return weights / weights.sum(axis=1, keepdims=True), rng.integers(0, classes, samples)


def binned(confidence: NDArray[np.float64], hits: NDArray[np.bool_]) -> list[tuple[int, float, float]]:
    """(samples, mean confidence, accuracy) of every bin that has samples; the paper's are ((m - 1)/15, m/15]."""
    found = []
    for low, high in zip(np.linspace(0, 1, 16)[:-1], np.linspace(0, 1, 16)[1:], strict=True):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            found.append((int(inside.sum()), float(confidence[inside].mean()), float(hits[inside].mean())))
    return found


@given(answers())
def test_the_binned_errors_are_those_of_the_paper(case: Case) -> None:
    probabilities, labels = case
    predicted = np.argmax(probabilities, axis=1)
    got = calibration(probabilities, labels, predicted)
    bins = binned(probabilities.max(axis=1), predicted == labels)
    gaps = [abs(accuracy - confidence) for _, confidence, accuracy in bins]
    weights = [count / len(labels) for count, _, _ in bins]
    assert got.ece == pytest.approx(sum(w * gap for w, gap in zip(weights, gaps, strict=True)), abs=EXACT)
    assert got.mce == pytest.approx(max(gaps), abs=EXACT)
    known = [(b.count, b.confidence, b.accuracy) for b in got.bins if b.count]
    np.testing.assert_allclose(np.array(known, float), np.array(bins), rtol=0, atol=EXACT)
    assert {(b.confidence, b.accuracy) for b in got.bins if not b.count} <= {(None, None)}
    assert got.ece <= got.mce <= 1


@given(answers())
def test_the_brier_score_is_that_of_scikit_learn(case: Case) -> None:
    probabilities, labels = case
    classes = probabilities.shape[1]
    expected = reference.brier_score_loss(labels, probabilities, labels=range(classes))
    assert brier_score(probabilities, labels) == pytest.approx(expected, abs=EXACT)


@given(answers())
def test_the_log_likelihood_is_that_of_scikit_learn(case: Case) -> None:
    probabilities, labels = case
    expected = reference.log_loss(labels, probabilities, labels=range(probabilities.shape[1]))
    assert negative_log_likelihood(probabilities, labels) == pytest.approx(expected, abs=EXACT)


@given(answers())
def test_float32_is_added_up_in_float64(case: Case) -> None:
    probabilities, labels = case
    rows = probabilities.astype(np.float32)
    squares = np.mean(np.sum((rows.astype(np.float64) - np.eye(rows.shape[1])[labels]) ** 2, axis=1))
    assert brier_score(rows, labels) == pytest.approx(squares / (2 if rows.shape[1] == 2 else 1), abs=EXACT)
    own = rows[np.arange(len(labels)), labels].astype(np.float64)
    clipped = np.clip(own, 2.0**-23, 1 - 2.0**-23)
    assert negative_log_likelihood(rows, labels) == pytest.approx(np.mean(-np.log(clipped)), abs=EXACT)


def test_a_true_class_at_zero_counts_as_much_as_scikit_learn_lets_it() -> None:
    rows, labels = np.array([[1.0, 0.0], [0.25, 0.75]], np.float32), np.array([1, 1])
    expected = (23 * np.log(2) - np.log(0.75)) / 2
    assert negative_log_likelihood(rows, labels) == pytest.approx(expected, abs=EXACT)
    assert reference.log_loss(labels, rows, labels=[0, 1]) == pytest.approx(expected, abs=1e-5)


def test_scores_on_an_edge_belong_to_the_bin_below() -> None:
    edges = np.linspace(0, 1, 16)
    assert bin_index(edges).tolist() == [0, *range(15)]
    assert bin_index(np.nextafter(edges[:-1], 1)).tolist() == list(range(15))
    every_8_bit_score = np.arange(257) / 256
    np.testing.assert_array_equal(bin_index(every_8_bit_score)[1:], np.ceil(every_8_bit_score[1:] * 15) - 1)


def test_known_numbers() -> None:
    rows = np.array([[0.9, 0.1], [0.9, 0.1], [0.3, 0.7], [0.3, 0.7]], np.float64)
    got = calibration(rows, np.array([0, 1, 1, 1]), np.argmax(rows, axis=1))
    assert (got.ece, got.mce) == pytest.approx(((2 * 0.4 + 2 * 0.3) / 4, 0.4), abs=EXACT)
    assert got.brier == pytest.approx((0.01 + 0.81 + 0.09 + 0.09) / 4, abs=EXACT)
    assert [b.count for b in got.bins] == [0] * 10 + [2, 0, 0, 2, 0]
    record = got.to_dict()
    assert record["bins"][13] == {"low": 13 / 15, "high": 14 / 15, "count": 2, "confidence": 0.9, "accuracy": 0.5}
    assert record["bins"][0]["confidence"] is record["bins"][0]["accuracy"] is None
    assert json.loads(json.dumps(record)) == record


def test_scores_that_mean_what_they_say_have_no_error() -> None:
    rng = np.random.default_rng(2)
    second = rng.random(400_000)
    rows, labels = np.stack([1 - second, second], axis=1), (rng.random(400_000) < second).astype(np.int64)
    honest = calibration(rows, labels, np.argmax(rows, axis=1))
    assert honest.ece < 0.005
    sure = np.eye(2)[np.argmax(rows, axis=1)]
    boastful = calibration(sure, labels, np.argmax(rows, axis=1))
    assert boastful.ece == pytest.approx(1 - np.mean(np.argmax(rows, axis=1) == labels), abs=EXACT)
    np.testing.assert_array_equal(confidence_of(rows, labels), np.where(labels == 1, second, 1 - second))
