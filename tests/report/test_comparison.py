import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.measure.intervals import wilson_interval
from edgecnn.report import comparison as c
from edgecnn.report import numbers as n
from tests.report import compressed, samples


def table(record: samples.Record) -> dict[str, tuple[str, str, str, bool | None]]:
    """Metric -> what is written of float, of the output and of the change."""
    return {
        row.metric: (row.before.text.replace(n.SPACE, " "), row.after.text.replace(n.SPACE, " "),
                     row.change.replace(n.SPACE, " "), row.is_better)
        for row in c.rows(record)
    }  # fmt: skip


def test_the_table_has_every_number_beside_its_counterpart() -> None:
    assert table(samples.conversion()) == {
        "Top-1 accuracy": ("85.00 %", "84.17 %", "\u22120.83 points", None),
        "F1, average of classes": ("84.75 %", "83.86 %", "\u22120.89 points", None),
        "Same label as float": ("—", "95.00 %", "", None),
        "File size": ("318,144 B", "98,496 B", "3.2 × smaller", True),
        "Size after gzip": ("291,022 B", "81,400 B", "3.6 × smaller", True),
        "Inference p50": ("0.250 ms", "0.100 ms", "2.5 × faster", True),
        "Inference p90": ("0.300 ms", "0.120 ms", "2.5 × faster", True),
        "Inference p99": ("0.375 ms", "0.150 ms", "2.5 × faster", True),
        "First inference": ("0.750 ms", "0.300 ms", "2.5 × faster", True),
        "Loading": ("1.50 ms", "1.50 ms", "equal", None),
        "Frame to label": ("0.300 ms", "0.150 ms", "2.0 × faster", True),
        "Peak memory": ("41.5 MB", "41.5 MB", "equal", None),
    }


def test_work_is_a_row_where_it_changed() -> None:
    row = table(compressed.compressed())["Multiply-accumulates"]
    assert row == ("3,000,000", "1,000,000", "3.0 × fewer", True)
    assert "Multiply-accumulates" not in table(compressed.compressed(float_macs=1_000_000))
    assert "Multiply-accumulates" not in table(compressed.compressed(float_macs=None))


def test_the_budget_of_a_ladder_counts_where_none_was_asked_for() -> None:
    assert c.allowed_loss(compressed.compressed()) == 0.5
    assert c.allowed_loss(compressed.compressed(max_drop=2.0)) == 2.0
    assert c.allowed_loss(samples.conversion(max_drop=None)) is None
    assert c.output_name(compressed.compressed()) == c.short_name(compressed.compressed()) == "int8"


def test_a_change_is_good_or_bad_only_beyond_chance() -> None:
    assert table(samples.scored(0.75, 0.749))["Top-1 accuracy"][3] is None
    assert table(samples.scored(0.75, 0.74))["Top-1 accuracy"][3] is False
    assert table(samples.scored(0.75, 0.76))["Top-1 accuracy"][3] is True


def test_what_was_not_measured_has_no_row() -> None:
    record = samples.scored(None, None, benchmark=None, gzip_bytes=None, float_gzip_bytes=None)
    assert list(table(record)) == ["Same label as float", "File size"]


@given(hits=st.integers(0, 500), misses=st.integers(0, 500))
def test_the_interval_is_the_one_that_evaluation_uses(hits: int, misses: int) -> None:
    samples_ = hits + misses
    if samples_ == 0:
        assert c.interval(0.0, 0) is None
        return
    bounds = c.interval(hits / samples_, samples_)
    assert bounds == pytest.approx(wilson_interval(hits, samples_), abs=1e-4)


def test_the_noise_covers_95_percent_of_what_chance_does() -> None:
    """Two equally accurate models that differ on one image in ten: the interval must hold 0 nearly always."""
    rng = np.random.default_rng(1)
    images, rounds = 400, 2000
    draws = rng.multinomial(images, (0.05, 0.05, 0.9), size=rounds)
    change = 100 * (draws[:, 0] - draws[:, 1]) / images
    agreement = draws[:, 2] / images
    covered = [abs(points) <= (c.noise(share, images) or 0) for points, share in zip(change, agreement, strict=True)]
    assert 0.94 <= np.mean(covered) <= 0.975


def test_the_noise_is_not_zero_for_few_images_that_agree() -> None:
    assert c.noise(1.0, 50) == pytest.approx(100 * 1.96 / 52, rel=1e-4)
    assert c.noise(None, 50) is None
    assert c.noise(1.0, 0) is None


def test_the_budget_is_judged_by_the_numbers_too() -> None:
    assert c.budget_is_missed(samples.scored(0.9, 0.88, max_drop=1.0, within_budget=True))
    assert c.budget_is_missed(samples.scored(None, None, within_budget=False))
    assert not c.budget_is_missed(samples.scored(0.9, 0.89, max_drop=1.0))
    assert not c.budget_is_missed(samples.scored(0.9, 0.5, max_drop=None))


def test_stored_intervals_are_preferred() -> None:
    record = samples.conversion()
    record["evaluation"]["output"]["top1_ci95"] = [0.1, 0.2]
    assert c.intervals(record)["output"] == (0.1, 0.2)
    record["evaluation"]["output"]["top1_ci95"] = None
    assert c.intervals(record)["output"] == c.interval(record["evaluation"]["output"]["top1"], 120)
