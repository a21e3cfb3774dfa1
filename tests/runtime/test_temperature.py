"""Probabilities with a temperature: the formula, the order of the classes that stays, and what a bundle says of it."""

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit, log_softmax, logit, softmax

from edgecnn.bundle.card import TEMPERATURES, Confidence
from edgecnn.config import NORMALIZATIONS, Preprocess
from edgecnn.quantization import TensorType
from edgecnn.runtime.classifier import Classifier
from edgecnn.runtime.head import Head
from tests.models import linear, quantized, sealed

RNG = np.random.default_rng(5)
LABELS = ("ant", "bee", "cat", "dog")
UNIT = Preprocess(4, 4, "rgb", *NORMALIZATIONS["unit"])
WEIGHTS, BIAS = RNG.normal(size=(4, 48)).astype(np.float32) / 4, RNG.normal(size=4).astype(np.float32) / 4
FRAMES = RNG.integers(0, 256, (12, 4, 4, 3), np.uint8)
INT8 = TensorType("int8", 1 / 256, -128)

temperatures = st.floats(*TEMPERATURES).filter(lambda temperature: temperature != 1)  # which leaves all as it is
# Scores as float32 holds them: of every size, some equal, some next to each other.
exponents = st.lists(st.integers(-120, 0) | st.sampled_from([0, -1, -24, -25]), min_size=2, max_size=8)
steps = st.lists(st.integers(-3, 3), min_size=8, max_size=8)


def near_ties(exponents: list[int], steps: list[int]) -> NDArray[np.float32]:
    values = np.array([np.float32(2.0**exponent) for exponent in exponents], np.float32)
    for i, step in enumerate(steps[: len(values)]):
        for _ in range(abs(step)):
            values[i] = np.nextafter(values[i], np.float32(np.sign(step)))
    return np.clip(values, 0, 1)


def confidence(temperature: float, unknown_below: float | None = None) -> Confidence:
    return Confidence(temperature, unknown_below, 1.0, 10, "val", 0.0, 0.0)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 0.9, 1.7, 10.0])
@pytest.mark.parametrize("units", [1, 2, 5, 300])
@pytest.mark.parametrize("kind", ["softmax", "sigmoid", "logits"])
def test_the_formula(kind: str, units: int, temperature: float) -> None:
    real = RNG.uniform(-6, 6, (50, units))
    head = Head(kind, TensorType(), temperature)
    if kind == "logits":
        raw, expected = real, softmax(real / temperature, axis=1)
    elif kind == "sigmoid":
        raw, expected = expit(real), expit(real / temperature)
    else:
        raw, expected = softmax(real, axis=1), softmax(log_softmax(real, axis=1) / temperature, axis=1)
    if units == 1:
        raw = raw if kind != "softmax" else expit(real)
        yes = expit(real / temperature)
        expected = np.concatenate([1 - yes, yes], axis=1)
    found = head.probabilities(raw.astype(np.float32))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)  # float32 knows 1 - p of a p near 1 no better


@given(exponents, steps, temperatures, st.sampled_from(["softmax", "sigmoid", "logits"]))
@example([0, 0], [0, -1, 0, 0, 0, 0, 0, 0], 10.0, "softmax")
@example([-1, -1, -1], [1, 0, 1, 0, 0, 0, 0, 0], 3.0, "sigmoid")
@example([0, 0, 0], [0, 0, -1, 0, 0, 0, 0, 0], 0.1, "sigmoid")
def test_no_class_overtakes_another_and_the_best_stays(
    exponents: list[int], steps: list[int], temperature: float, kind: str
) -> None:
    before = near_ties(exponents, steps)
    after = Head(kind, TensorType()).scaled(before, temperature)
    assert after.dtype == np.float32
    assert np.isfinite(after).all()
    assert ((after >= 0) & (after <= 1)).all()
    assert after.argmax() == before.argmax()
    for i, one in enumerate(before):
        for j, other in enumerate(before):
            assert (one != other) or after[i] == after[j]
            assert (one <= other) or after[i] >= after[j]
            assert (one <= other) or one < before.max() or after[i] > after[j]  # the best has no equal that is new


@given(
    st.lists(st.integers(0, 255), min_size=2, max_size=8), temperatures, st.sampled_from(["int8", "uint8"]),
    st.floats(1e-3, 0.5), st.integers(0, 255),
)  # fmt: skip
def test_eight_bit_answers_keep_their_whole_order(
    raw: list[int], temperature: float, dtype: str, scale: float, zero_point: int
) -> None:
    output = TensorType(dtype, scale, zero_point + int(np.iinfo(dtype).min))
    stored = np.array(raw, np.uint8).view(dtype)
    before = Head("softmax", output).probabilities(stored)
    head = Head("softmax", output, temperature)
    after = head.probabilities(stored)
    np.testing.assert_array_equal(np.argsort(-after, kind="stable"), np.argsort(-before, kind="stable"))
    np.testing.assert_allclose(after, head.scaled(before, temperature), atol=1e-6)
    assert after.sum() == pytest.approx(1, abs=1e-6)


@given(st.integers(0, 255), temperatures, st.sampled_from(["softmax", "sigmoid", "logits"]))
def test_one_unit_of_eight_bits(raw: int, temperature: float, kind: str) -> None:
    output = INT8 if kind != "logits" else TensorType("int8", 0.1, 3)
    stored = np.array([raw], np.uint8).view(np.int8)
    before, after = (Head(kind, output, t).probabilities(stored) for t in (1.0, temperature))
    yes = np.clip(before[1].astype(float), 1 / 512, 1 - 1 / 512) if kind != "logits" else before[1].astype(float)
    expected = expit(logit(yes) / temperature)
    np.testing.assert_allclose(after, [1 - expected, expected], atol=2e-3 if before.min() == 0 else 1e-5)
    assert after.argmax() == before.argmax()
    assert (before[0] == before[1]) == (after[0] == after[1])


@pytest.mark.parametrize("kind", ["softmax", "sigmoid", "logits"])
@pytest.mark.parametrize("output", [TensorType(), INT8, TensorType("int16", 1 / 32768, 0)], ids=lambda item: item.dtype)
def test_many_at_once_are_what_one_by_one_gives(kind: str, output: TensorType) -> None:
    raw = output.quantize(RNG.dirichlet(np.full(7, 0.3), size=40))
    head = Head(kind, output, 1.6)
    for part in (raw, raw[:, :1], raw[::-2, ::3]):
        together = head.probabilities(part)
        for row, one in zip(part, together, strict=True):
            np.testing.assert_array_equal(head.probabilities(row), one)
        kept = together.copy()
        head.probabilities(part)[:] = 9  # the caller's own
        np.testing.assert_array_equal(head.probabilities(part), kept)


@pytest.mark.parametrize("kind", ["softmax", "sigmoid", "logits"])
def test_zeros_and_ones_and_nans_end_well(kind: str) -> None:
    for output in (TensorType(), INT8, TensorType("uint8", 1.0, 0)):
        for row in ([1, 0, 0], [0, 0, 0], [1, 1, 1]):
            for temperature in TEMPERATURES:
                found = Head(kind, output, temperature).probabilities(output.quantize(np.array(row, np.float32)))
                assert np.isfinite(found).all()
    assert np.isnan(Head(kind, TensorType(), 2.0).probabilities(np.full(3, np.nan, np.float32))).all()


@pytest.mark.parametrize("io", ["float32", "int8", "uint8"])
def test_a_bundle_with_a_temperature(io: str) -> None:
    model = linear(WEIGHTS, BIAS)
    content = model if io == "float32" else quantized(model, FRAMES[..., ::-1].astype(np.float32) / 255, io=io)
    plain = Classifier(sealed(content, labels=LABELS, preprocess=UNIT))
    warm = Classifier(sealed(content, labels=LABELS, preprocess=UNIT, confidence=confidence(2.5, 0.4)))
    assert (plain.head.temperature, plain.unknown_below) == (1.0, None)
    assert (warm.head.temperature, warm.unknown_below) == (2.5, 0.4)
    unknown = set()
    for frame in FRAMES:
        before, after = plain.classify(frame), warm.classify(frame)
        assert [p.index for p in before] == [p.index for p in after]
        assert before[0].score > after[0].score
        expected = plain.head.scaled(plain.probabilities(frame), 2.5)
        np.testing.assert_allclose(warm.probabilities(frame), expected, atol=1e-6)
        np.testing.assert_array_equal(warm.clone().probabilities(frame), warm.probabilities(frame))
        assert warm.is_unknown(after) == (after[0].score < 0.4)
        assert not plain.is_unknown(before)
        unknown.add(warm.is_unknown(after))
    assert unknown == {True, False}
    assert warm.clone().unknown_below == 0.4


def test_what_is_given_counts_more_than_the_bundle() -> None:
    content = sealed(linear(WEIGHTS, BIAS), labels=LABELS, preprocess=UNIT, confidence=confidence(2.5, 0.4))
    given = Classifier(content, confidence=confidence(0.5))
    assert (given.head.temperature, given.unknown_below) == (0.5, None)
    same = Classifier(content, head="softmax", labels=tuple("wxyz"), preprocess="bgr")
    assert (same.head.temperature, same.unknown_below) == (2.5, 0.4)
    other = Classifier(content, head="logits")  # it was found for another
    assert (other.head.temperature, other.unknown_below) == (1.0, None)


def test_the_threshold_itself_names_and_no_number_is_unknown() -> None:
    content = sealed(linear(WEIGHTS, BIAS), labels=LABELS, preprocess=UNIT, confidence=confidence(1.0, 0.25))
    classifier = Classifier(content)

    def unknown(*scores: Any) -> bool:
        return classifier.is_unknown(classifier.rank(np.array(scores, np.float32)))

    assert not unknown(0.25, 0.25, 0.25, 0.25)
    assert unknown(0.2, 0.2, np.nextafter(np.float32(0.25), np.float32(0)), 0.2)
    assert unknown(np.nan, np.nan, np.nan, np.nan)
