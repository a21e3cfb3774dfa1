"""Bootstrap intervals against SciPy's bootstrap of scikit-learn's metrics, and whether they hold the truth."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics as reference

from edgecnn.measure.bootstrap import bootstrap, ece_interval, resampled_averages, resampled_errors
from edgecnn.measure.calibration import calibration
from edgecnn.measure.metrics import confusion_matrix


def answers(seed: int, samples: int, classes: int, right: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(truth, predicted), the classes of different size and difficulty."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(classes, samples, p=np.arange(1, classes + 1) / sum(range(1, classes + 1)))
    hit = rng.random(samples) < right + 0.1 * (truth % 2)
    return truth, np.where(hit, truth, rng.integers(0, classes, samples))


def scores(seed: int, samples: int, levels: int, sharpness: float = 0.6) -> tuple[Any, Any]:
    """(confidence, hits): a score of 0.9 is right as often as it says at sharpness 1, less often below."""
    rng = np.random.default_rng(seed)
    logits = np.abs(rng.normal(3, 2, samples))
    confidence = np.rint(levels / (1 + np.exp(-logits))) / levels
    return confidence, rng.random(samples) < 1 / (1 + np.exp(-sharpness * logits))


def expected_error(confidence: NDArray[np.float64], hits: NDArray[np.float64]) -> float:
    """The expected calibration error, by way of the whole calibration of a model of two classes."""
    rows = np.stack([confidence, 1 - confidence], axis=1)
    zeros = np.zeros(len(rows), np.int64)
    return calibration(rows, np.where(hits > 0, 0, 1), zeros).ece


def averages(truth: Any, predicted: Any) -> NDArray[np.float64]:
    """Top-1 and macro precision, recall and F1."""
    found = reference.precision_recall_fscore_support(truth, predicted, average="macro", zero_division=0.0)
    return np.array([np.mean(truth == predicted), *found[:3]])


def close(resampled: NDArray[np.float64], expected: NDArray[np.float64]) -> None:
    """Two bootstrap distributions agree within four standard errors of what chance does to them."""
    spread = expected.std()
    error = spread * np.sqrt(1 / len(resampled) + 1 / len(expected))
    assert resampled.mean() == pytest.approx(expected.mean(), abs=4 * error)
    assert resampled.std() == pytest.approx(spread, abs=4 * error)
    # A 2.5 % quantile of a normal distribution scatters 2.67 times as much as the mean.
    for tail in (2.5, 97.5):
        wanted = np.percentile(expected, tail)
        assert np.percentile(resampled, tail) == pytest.approx(wanted, abs=4 * 2.67 * error)


def test_averages_scatter_as_in_scipy() -> None:
    truth, predicted = answers(1, 300, 4, 0.7)
    expected = stats.bootstrap(
        (truth, predicted), averages, paired=True, vectorized=False, method="percentile", n_resamples=800,
        rng=np.random.default_rng(2),
    )  # fmt: skip
    confusion = confusion_matrix(predicted, truth, 4)
    drawn = resampled_averages(confusion, resamples=20_000, rng=np.random.default_rng(3))
    for got, wanted in zip(drawn.T, expected.bootstrap_distribution, strict=True):
        close(got, wanted)
    found = bootstrap(confusion, np.full(300, 0.5), truth == predicted)
    got = np.array([found.top1, found.precision, found.recall, found.f1])
    low, high = expected.confidence_interval
    np.testing.assert_allclose(got, np.stack([low, high], axis=1), rtol=0, atol=0.25 * float(np.min(high - low)))


@pytest.mark.parametrize("levels", [256, 2**24], ids=["8 bits", "float"])
@pytest.mark.parametrize("samples", [60, 1500])
def test_calibration_errors_scatter_as_in_scipy(samples: int, levels: int) -> None:
    confidence, hits = scores(4, samples, levels)
    expected = stats.bootstrap(
        (confidence, hits.astype(float)), expected_error, paired=True, vectorized=False, n_resamples=1500,
        method="basic", rng=np.random.default_rng(5),
    )  # fmt: skip
    got = resampled_errors(confidence, hits, resamples=20_000, rng=np.random.default_rng(6))
    close(got, expected.bootstrap_distribution)
    interval = expected.confidence_interval
    found = ece_interval(confidence, hits, resamples=20_000, rng=np.random.default_rng(6))
    assert found[1] == pytest.approx(interval.high, abs=0.1 * (interval.high - interval.low))
    if samples > 1000:
        assert found[0] == pytest.approx(interval.low, abs=0.1 * (interval.high - interval.low))
    else:
        assert found[0] == 0.0, "so few samples do not tell a gap from chance"


def test_a_resample_scores_as_scikit_learn_would() -> None:
    """Three samples have 27 resamples; each figure of ours is one of scikit-learn's, as often as it should be."""
    truth, predicted = np.array([0, 1, 2]), np.array([0, 1, 1])
    rows = [averages(truth[list(i)], predicted[list(i)]) for i in np.ndindex(3, 3, 3)]
    expected, often = np.unique(np.round(rows, 9), axis=0, return_counts=True)
    drawn = resampled_averages(confusion_matrix(predicted, truth, 5), resamples=27_000, rng=np.random.default_rng(7))
    got, counts = np.unique(np.round(drawn, 9), axis=0, return_counts=True)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-9)
    assert stats.chisquare(counts, 1000 * often).pvalue > 0.001


def covered(trials: int, interval_of: Callable[[int], tuple[float, float]], truth: float) -> float:
    intervals = np.array([interval_of(trial) for trial in range(trials)])
    return float(np.mean((intervals[:, 0] <= truth) & (truth <= intervals[:, 1])))


def test_95_of_100_intervals_hold_the_accuracy() -> None:
    chances = np.array([[0.32, 0.08], [0.12, 0.48]])

    def interval_of(trial: int) -> tuple[float, float]:
        rng = np.random.default_rng([8, trial])
        confusion = rng.multinomial(400, chances.ravel()).reshape(2, 2)
        low, high = np.percentile(resampled_averages(confusion, resamples=400, rng=rng)[:, 0], (2.5, 97.5))
        return float(low), float(high)

    assert 0.92 <= covered(500, interval_of, 0.8) <= 0.98


@pytest.mark.parametrize(("sharpness", "least"), [(1.0, 0.93), (0.9, 0.87), (0.6, 0.87)])
def test_intervals_hold_the_calibration_error(sharpness: float, least: float) -> None:
    """At sharpness 1 the error is 0, which no percentile of resamples reaches: all of them lie above."""
    logits = np.abs(np.random.default_rng(9).normal(3, 2, 1_000_000))
    confidence = 1 / (1 + np.exp(-logits))
    chance = 1 / (1 + np.exp(-sharpness * logits))
    bins = np.ceil(confidence * 15).astype(int)
    truth = float(np.abs(np.bincount(bins, chance - confidence)).sum() / len(bins))

    def interval_of(trial: int) -> tuple[float, float]:
        rng = np.random.default_rng([10, trial])
        return ece_interval(*scores(trial, 1000, 2**24, sharpness), resamples=300, rng=rng)

    assert covered(300, interval_of, truth) >= least


def test_every_interval_holds_its_estimate() -> None:
    for seed in range(40):
        confidence, hits = scores(seed, 300, 256, 1.0)
        truth = np.random.default_rng(seed).integers(0, 3, 300)
        predicted = np.where(hits, truth, (truth + 1) % 3)
        found = bootstrap(confusion_matrix(predicted, truth, 3), confidence, hits, resamples=200)
        estimates = [*averages(truth, predicted), expected_error(confidence, hits.astype(float))]
        intervals = (found.top1, found.precision, found.recall, found.f1, found.ece)
        for (low, high), estimate in zip(intervals, estimates, strict=True):
            assert 0 <= low <= estimate + 1e-12
            assert estimate - 1e-12 <= high <= 1


def test_the_seed_decides() -> None:
    truth, predicted = answers(11, 500, 5, 0.6)
    confidence, _ = scores(11, 500, 256)
    given = confusion_matrix(predicted, truth, 5), confidence, truth == predicted
    assert bootstrap(*given, seed=3) == bootstrap(*given, seed=3)
    assert bootstrap(*given, seed=3).f1 != bootstrap(*given, seed=4).f1
    record = bootstrap(*given, resamples=50, seed=3).to_dict()
    assert record["bootstrap"] == {"resamples": 50, "seed": 3}
    assert list(record["intervals"]) == ["top1", "precision", "recall", "f1", "ece"]
    assert json.loads(json.dumps(record)) == record


def test_many_classes_are_drawn_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    import edgecnn.measure.bootstrap as module

    truth, predicted = answers(12, 900, 40, 0.5)
    given = confusion_matrix(predicted, truth, 40), np.full(900, 0.5), truth == predicted
    whole = bootstrap(*given)
    monkeypatch.setattr(module, "_AT_ONCE", 2_000)
    assert bootstrap(*given) == whole


@pytest.mark.parametrize("right", [True, False])
def test_one_sample_and_one_kind_of_answer(right: bool) -> None:
    confusion = confusion_matrix(np.array([1]), np.array([int(right)]), 3)
    found = bootstrap(confusion, np.array([1.0]), np.array([right]))
    share = float(right)
    assert (found.top1, found.f1, found.ece) == ((share, share), (share, share), (1 - share, 1 - share))
