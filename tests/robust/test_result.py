"""Figures of robustness against numbers worked out by hand, and the sentence that they come to."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.measure.intervals import paired_interval, wilson_interval
from edgecnn.robust.result import (
    Attacked,
    Corrupted,
    ExtraLoss,
    Robustness,
    corruption_errors,
    extra_losses,
    shares,
)


def test_mean_corruption_error_by_hand() -> None:
    """Two corruptions, two severities, clean top-1 of 0.9 and 0.8.

    Errors of the first: 0.2 + 0.4 and 0.5 + 0.5; of the second: 0.3 + 0.3 and 0.4 + 0.8. Quotients 1 and 1.2, mean 1.1.
    Beyond clean: 0.1 + 0.3 and 0.4 + 0.4 against 0.1 + 0.1 and 0.2 + 0.6. Quotients 0.5 and 1, mean 0.75.
    """
    top1 = np.array([[[0.8, 0.6], [0.7, 0.7]], [[0.5, 0.5], [0.6, 0.2]]])
    plain, relative = corruption_errors(np.array([0.9, 0.8]), top1)
    assert plain == pytest.approx((1.0, 1.1))
    assert relative == pytest.approx((1.0, 0.75))


def test_a_corruption_that_harms_the_first_model_nowhere_has_no_quotient() -> None:
    top1 = np.array([[[1.0], [0.9]], [[0.5], [0.75]]])
    plain, relative = corruption_errors(np.array([1.0, 1.0]), top1)
    assert plain == pytest.approx((1.0, 0.5)), "only the second corruption counts"
    assert relative == pytest.approx((1.0, 0.5))
    assert corruption_errors(np.array([1.0, 0.9]), top1[:1]) == ((None, None), (None, None))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_of_whole_losses_the_interval_is_that_of_pairs(pairs: list[tuple[bool, bool]]) -> None:
    """All right on clean pictures: the second model loses what it alone gets wrong now."""
    spoilt = np.array(pairs).T
    (found,) = extra_losses("pgd", np.ones_like(spoilt), spoilt)
    only = [int((spoilt[a] & ~spoilt[1 - a]).sum()) for a in (0, 1)]
    low, high = paired_interval(only[0], only[1], len(pairs))
    assert found.points == pytest.approx(100 * (only[0] - only[1]) / len(pairs))
    assert np.clip(found.ci95, -100, 100) == pytest.approx([100 * low, 100 * high])


def test_what_was_lost_before_does_not_count() -> None:
    """The second model is wrong on the clean picture already, so it loses less by the same answer."""
    clean = np.array([[True, True], [True, False]])
    (found,) = extra_losses("fgsm", clean, np.zeros((2, 2), bool))
    assert found.points == pytest.approx(-50)
    assert (found.model, found.condition) == (1, "fgsm")
    assert found.ci95[0] < -50 < found.ci95[1]


def test_an_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Losses with a known mean, drawn 400 times: some 95 % of the intervals hold it."""
    random, held = np.random.default_rng(0), 0
    for _ in range(400):
        spoilt = np.stack([random.binomial(10, 0.7, 80) / 10, random.binomial(10, 0.6, 80) / 10])
        (found,) = extra_losses("corruptions", np.ones((2, 80)), spoilt)
        held += found.ci95[0] <= 10 <= found.ci95[1]
    assert 0.92 <= held / 400 <= 1.0


def test_shares_have_wilson_intervals() -> None:
    found, bounds = shares(np.array([[True, True, False, True], [False] * 4]))
    assert found == (0.75, 0.0)
    assert bounds == (wilson_interval(3, 4), wilson_interval(0, 4))


def result(**changes: Any) -> Robustness:
    ci95 = ((0.8, 0.9), (0.8, 0.9))
    return replace(
        Robustness(
            names=("float", "int8"),
            data="pictures",
            split="test",
            samples=100,
            skipped=(("test/a.png", "damaged"),),
            clean=(0.9, 0.88),
            clean_ci95=ci95,
            size=(32, 32),
            corruptions=(
                Corrupted("fog", "weather", (1, 2), ((0.8, 0.7), (0.8, 0.6)), (ci95, ci95)),
                Corrupted("glass_blur", "blur", (1, 2), ((0.5, 0.3), (0.5, 0.2)), (ci95, ci95)),
            ),
            mce=(1.0, 1.1),
            relative_mce=(1.0, None),
            attacks=(Attacked("pgd", 8 / 255, 10, "Linf", "a.keras", (0.0, 0.05), ci95, 100),),
            patch=None,
            extra=(ExtraLoss(1, "corruptions", 1.0, (0.2, 1.8)), ExtraLoss(1, "pgd", -3.0, (-4.5, -1.5))),
            seed=0,
            notes=(),
        ),
        **changes,
    )


def test_the_verdict_compares_and_names_the_worst() -> None:
    assert result().verdict == (
        "Under corruption int8 loses 1.0 points more than float (95 %: 0.2 to 1.8); under PGD int8 loses 3.0 points "
        "less than float (95 %: 1.5 to 4.5); the worst corruption is glass blur, which leaves float 40.0% and "
        "int8 35.0%."
    )
    even = (
        ExtraLoss(1, "corruptions", 0.1, (-0.2, 0.4)),
        ExtraLoss(1, "fgsm", 0.0, (-1.0, 1.0)),
        ExtraLoss(1, "patch", -0.1, (-0.4, 0.2)),
    )
    assert result(extra=even, corruptions=()).verdict == (
        "Under corruption, FGSM and the patch int8 loses as much as float, as far as chance lets tell."
    )


def test_of_several_models_the_one_that_loses_most_is_named() -> None:
    extra = (ExtraLoss(1, "pgd", 1.0, (0.5, 1.5)), ExtraLoss(2, "pgd", 2.0, (1.5, 2.5)))
    verdict = result(names=("float", "int8", "small"), extra=extra, corruptions=()).verdict
    assert verdict == "Under PGD small loses 2.0 points more than float (95 %: 1.5 to 2.5)."


def test_a_model_alone_is_not_compared() -> None:
    glass = Corrupted("glass_blur", "blur", (1, 2), ((0.5, 0.3),), (((0.4, 0.6), (0.2, 0.4)),))
    alone = result(names=("float",), clean=(0.9,), extra=(), corruptions=(glass,))
    assert alone.verdict == "The worst corruption is glass blur, which leaves float 40.0%; PGD leaves 0.0%."
    bare = replace(alone, corruptions=(), attacks=())
    assert bare.verdict == "Float is right on 90.0% of clean images."


def test_the_record_is_plain_json() -> None:
    record = result().to_dict()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["skipped"] == 1
    assert record["skipped_images"] == [{"image": "test/a.png", "reason": "damaged"}]
    assert record["corruptions"][0]["top1"] == [[0.8, 0.7], [0.8, 0.6]]
    assert record["attacks"][0]["epsilon"] == 8 / 255
    assert record["verdict"] == result().verdict
