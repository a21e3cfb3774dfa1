"""ROC and precision-recall curves against scikit-learn, on scores with and without ties."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as reference

from edgecnn.measure.curves import areas, curves, precision_recall_curve, roc_curve

EXACT = 1e-12
Case = tuple[NDArray[np.floating], NDArray[np.bool_]]


@st.composite
def rankings(draw: st.DrawFn) -> Case:
    """(scores, positive) with samples of both kinds; few levels make many ties, as 8-bit outputs do."""
    samples, rng = draw(st.integers(2, 80)), np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.sampled_from([1, 2, 5, 256, 2**24]))
    scores = (rng.integers(0, levels, samples) / levels).astype(draw(st.sampled_from([np.float32, np.float64])))
    positive = rng.random(samples) < draw(st.floats(0, 1))
    positive[rng.permutation(samples)[:2]] = True, False
    return scores, positive


@given(rankings())
def test_the_roc_curve_is_that_of_scikit_learn(case: Case) -> None:
    scores, positive = case
    expected = reference.roc_curve(positive, scores, drop_intermediate=False)
    np.testing.assert_allclose(np.stack(roc_curve(scores, positive)), np.stack(expected[:2]), rtol=0, atol=EXACT)


@given(rankings())
def test_the_precision_recall_curve_is_that_of_scikit_learn(case: Case) -> None:
    scores, positive = case
    precision, recall, _ = reference.precision_recall_curve(positive, scores)
    got = precision_recall_curve(scores, positive)
    np.testing.assert_allclose(np.stack(got), np.stack([recall[::-1], precision[::-1]]), rtol=0, atol=EXACT)


@given(rankings())
def test_the_areas_are_those_of_scikit_learn(case: Case) -> None:
    scores, positive = case
    expected = reference.roc_auc_score(positive, scores), reference.average_precision_score(positive, scores)
    assert areas(scores, positive) == pytest.approx(expected, abs=EXACT)


@given(rankings())
def test_the_area_is_the_share_of_pairs_in_order(case: Case) -> None:
    scores, positive = case
    mine, others = scores[positive][:, None], scores[~positive]
    pairs = np.mean((mine > others) + 0.5 * (mine == others))
    assert areas(scores, positive)[0] == pytest.approx(pairs, abs=EXACT)
    assert areas(1 - scores.astype(np.float64), positive)[0] == pytest.approx(1 - pairs, abs=EXACT)


@pytest.mark.parametrize("positive", [True, False])
def test_samples_of_one_kind_have_no_curve(positive: bool) -> None:
    scores, all_alike = np.linspace(0, 1, 5), np.full(5, positive)
    assert areas(scores, all_alike) == (None, None)
    assert curves(scores, all_alike, "dog") is None


def test_a_record_of_known_points() -> None:
    found = curves(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, True, False, True]), "dog")
    assert found is not None
    record = found.to_dict()
    assert record == {
        "positive": "dog",
        "roc": [[0.0, 0.0], [0.0, 0.5], [0.5, 1.0], [1.0, 1.0]],
        "pr": [[0.0, 1.0], [0.5, 1.0], [1.0, 0.666667], [1.0, 0.5]],
    }
    assert json.loads(json.dumps(record)) == record


@pytest.mark.parametrize("share", [0.5, 0.01])
def test_a_long_curve_keeps_its_shape_in_few_points(share: float) -> None:
    rng = np.random.default_rng(7)
    positive = rng.random(20_000) < share
    scores = rng.normal(1.5 * positive, 1)
    found = curves(scores, positive, "dog")
    assert found is not None
    for points, (x, y) in (
        (found.roc, roc_curve(scores, positive)),
        (found.pr, precision_recall_curve(scores, positive)),
    ):
        assert 100 < len(points) <= 200
        exact = {(round(float(a), 6), round(float(b), 6)) for a, b in zip(x, y, strict=True)}
        assert set(points) <= exact, "every point is one of the curve"
        assert points[0] == (x[0], y[0])
        assert points[-1] == pytest.approx((x[-1], y[-1]), abs=1e-6)
        assert np.all(np.diff([a for a, _ in points]) >= 0)
    thin_area = np.trapezoid([y for _, y in found.roc], [x for x, _ in found.roc])
    assert thin_area == pytest.approx(areas(scores, positive)[0], abs=1e-3)
