"""Metrics against scikit-learn and SciPy, on random answers of every kind."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as reference

from edgecnn.measure.metrics import (
    class_metrics,
    confusion_matrix,
    macro_average,
    top_k_accuracy,
    weighted_average,
)

EXACT = 1e-12


@st.composite
def answers(draw: st.DrawFn) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """(labels, predicted, classes); some classes are absent from either or both."""
    classes = draw(st.integers(2, 9))
    samples = draw(st.integers(1, 60))
    indices = st.lists(st.integers(0, classes - 1), min_size=samples, max_size=samples)
    return np.array(draw(indices)), np.array(draw(indices)), classes


def probabilities_of(seed: int, samples: int, classes: int) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).dirichlet(np.full(classes, 0.5), samples).astype(np.float32)
    assert all(len(set(row)) == classes for row in rows.tolist())  # no ties, where scikit-learn decides otherwise
    return rows


@given(answers())
def test_confusion_matrix_is_that_of_scikit_learn(case: tuple[NDArray[np.int64], NDArray[np.int64], int]) -> None:
    labels, predicted, classes = case
    expected = reference.confusion_matrix(labels, predicted, labels=range(classes))
    np.testing.assert_array_equal(confusion_matrix(predicted, labels, classes), expected)


@given(answers())
def test_class_metrics_are_those_of_scikit_learn(case: tuple[NDArray[np.int64], NDArray[np.int64], int]) -> None:
    labels, predicted, classes = case
    per_class = class_metrics(confusion_matrix(predicted, labels, classes))
    expected: Any = reference.precision_recall_fscore_support(
        labels, predicted, labels=range(classes), zero_division=0.0
    )
    got = np.array([(m.precision, m.recall, m.f1, m.support) for m in per_class]).T
    np.testing.assert_allclose(got, np.stack(expected), rtol=0, atol=EXACT)
    assert [m.predicted for m in per_class] == np.bincount(predicted, minlength=classes).tolist()


@given(answers())
def test_macro_averages_are_those_of_scikit_learn(case: tuple[NDArray[np.int64], NDArray[np.int64], int]) -> None:
    labels, predicted, classes = case
    got = macro_average(class_metrics(confusion_matrix(predicted, labels, classes)))
    expected = reference.precision_recall_fscore_support(labels, predicted, average="macro", zero_division=0.0)
    np.testing.assert_allclose(got, expected[:3], rtol=0, atol=EXACT)


@given(answers())
def test_weighted_averages_are_those_of_scikit_learn(case: tuple[NDArray[np.int64], NDArray[np.int64], int]) -> None:
    labels, predicted, classes = case
    got = weighted_average(class_metrics(confusion_matrix(predicted, labels, classes)))
    expected = reference.precision_recall_fscore_support(labels, predicted, average="weighted", zero_division=0.0)
    np.testing.assert_allclose(got, expected[:3], rtol=0, atol=EXACT)


@pytest.mark.parametrize("classes", [3, 5, 20])
@pytest.mark.parametrize("k", [1, 2, 5])
def test_top_k_is_that_of_scikit_learn(k: int, classes: int) -> None:
    probabilities = probabilities_of(k, 200, classes)
    labels = np.random.default_rng(classes).integers(0, classes, 200)
    expected = (
        1.0 if k >= classes else reference.top_k_accuracy_score(labels, probabilities, k=k, labels=range(classes))
    )
    assert top_k_accuracy(probabilities, labels, k) == pytest.approx(expected, abs=EXACT)


@given(st.integers(0, 2**32 - 1), st.integers(3, 8), st.integers(1, 7), st.integers(1, 4))
def test_top_k_of_tied_scores_is_that_of_scikit_learn(seed: int, classes: int, k: int, levels: int) -> None:
    """scikit-learn gives ties to the higher class, so it is asked with the classes turned round."""
    rng = np.random.default_rng(seed)
    scores, labels = rng.integers(0, levels, (40, classes)) / levels, rng.integers(0, classes, 40)
    expected = (
        1.0
        if k >= classes
        else reference.top_k_accuracy_score(classes - 1 - labels, scores[:, ::-1], k=k, labels=range(classes))
    )
    assert top_k_accuracy(scores, labels, k) == pytest.approx(expected, abs=EXACT)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    assert top_k_accuracy(scores, labels, k) == np.mean([label in row for label, row in zip(labels, best, strict=True)])


def test_top_1_is_the_share_of_the_diagonal() -> None:
    probabilities = probabilities_of(3, 100, 6)
    labels = np.random.default_rng(4).integers(0, 6, 100)
    confusion = confusion_matrix(np.argmax(probabilities, axis=1), labels, 6)
    assert top_k_accuracy(probabilities, labels, 1) == pytest.approx(np.trace(confusion) / 100, abs=EXACT)


def test_ties_go_to_the_lower_class() -> None:
    flat = np.full((4, 4), 0.25, np.float32)
    assert top_k_accuracy(flat, np.arange(4), 1) == 0.25
    assert top_k_accuracy(flat, np.arange(4), 3) == 0.75
    assert top_k_accuracy(np.array([[0.1, 0.4, 0.4, 0.1]], np.float32), np.array([2]), 1) == 0.0


def test_a_matrix_of_known_numbers() -> None:
    confusion = confusion_matrix(np.array([0, 1, 1, 2, 0]), np.array([0, 0, 1, 2, 2]), 4)
    np.testing.assert_array_equal(confusion, [[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]])
    first, *_, absent = class_metrics(confusion)
    assert (first.precision, first.recall, first.f1, first.support, first.predicted) == (0.5, 0.5, 0.5, 2, 2)
    assert (absent.precision, absent.recall, absent.f1, absent.support, absent.predicted) == (0.0, 0.0, 0.0, 0, 0)


def test_nothing_seen_is_zero() -> None:
    assert macro_average(class_metrics(np.zeros((3, 3), np.int64))) == (0.0, 0.0, 0.0)
    assert weighted_average(class_metrics(np.zeros((3, 3), np.int64))) == (0.0, 0.0, 0.0)
