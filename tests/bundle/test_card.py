"""The card: JSON that is equal for equal cards, and read with care."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.bundle.card import CARD_FORMAT, HEADS, QUANTILES, STATISTICS, TEMPERATURES, Card, Confidence, Reference
from edgecnn.config import Preprocess
from edgecnn.errors import BundleError

MakeCard = Callable[..., Card]

numbers = st.floats(allow_nan=False, allow_infinity=False)
values = st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), numbers, st.text(max_size=10))
records = st.dictionaries(st.text(max_size=8), values, max_size=4)
positive = st.floats(0.001, 1000)
preprocesses = st.builds(
    Preprocess,
    width=st.integers(1, 4096),
    height=st.integers(1, 4096),
    color=st.sampled_from(["rgb", "bgr"]),
    mean=st.tuples(numbers) | st.tuples(numbers, numbers, numbers),
    std=st.tuples(positive) | st.tuples(positive, positive, positive),
    fit=st.sampled_from(["stretch", "center-crop", "letterbox"]),
)
shares = st.floats(0, 1)
confidences = st.builds(
    Confidence,
    temperature=st.floats(*TEMPERATURES),
    unknown_below=st.none() | shares,
    kept_right=shares,
    samples=st.integers(1, 10**9),
    split=st.text(max_size=8),
    ece_before=shares,
    ece_after=shares,
)
references = st.builds(
    Reference,
    **{
        name: st.lists(st.floats(0, most), min_size=len(QUANTILES), max_size=len(QUANTILES)).map(sorted).map(tuple)
        for name, most in STATISTICS.items()
    },
    samples=st.integers(1, 10**9),
    split=st.text(max_size=8),
)
RISING = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
REFERENCE = Reference(RISING, RISING, RISING, RISING, 200, "val")
CONFIDENCE = Confidence(1.5, 0.4, 0.95, 200, "val", 0.06, 0.01)


@given(
    st.builds(
        Card,
        preprocess=preprocesses,
        head=st.sampled_from(HEADS),
        labels=st.integers(2, 100_000),
        source=st.just({"name": "größe.keras", "sha256": "ab", "kind": "keras"}),
        recipe=records,
        versions=st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3),
        calibration=records,
        accuracy=st.none() | records,
        confidence=st.none() | confidences,
        reference=st.none() | references,
    )
)
def test_a_card_comes_back_as_it_was_written(card: Card) -> None:
    text = card.to_json()
    assert Card.from_json(text) == card
    assert Card.from_json(text).to_json() == text


def test_the_text_is_sorted_indented_and_ends_with_a_newline(make_card: MakeCard) -> None:
    text = make_card().to_json()
    values = json.loads(text)
    assert text == json.dumps(values, indent=2, sort_keys=True) + "\n"
    assert values["format"] == CARD_FORMAT
    assert values["preprocess"]["mean"] == [127.5]


def test_the_order_of_keys_does_not_matter(make_card: MakeCard) -> None:
    first = make_card(recipe={"io": "int8", "seed": 0})
    second = make_card(recipe={"seed": 0, "io": "int8"})
    assert first.to_json() == second.to_json()


def test_a_card_without_confidence_has_no_such_key(make_card: MakeCard) -> None:
    assert "confidence" not in json.loads(make_card().to_json())
    assert Card.from_json(changed(make_card(), confidence=None)) == make_card()


def changed(card: Card, **changes: Any) -> str:
    values = json.loads(card.to_json()) | changes
    return json.dumps({key: value for key, value in values.items() if value != "absent"})


def test_keys_of_later_releases_are_left_out(make_card: MakeCard) -> None:
    assert Card.from_json(changed(make_card(), licence="MIT")) == make_card()


def test_a_newer_format_asks_for_an_update(make_card: MakeCard) -> None:
    with pytest.raises(
        BundleError, match=r"^made by a newer edgecnn \(card format 2, this release reads 1\); update edgecnn$"
    ):
        Card.from_json(changed(make_card(), format=2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"head": "absent"}, "the card's head is missing or of the wrong type"),
        ({"head": "absent", "recipe": "absent"}, "the card's head, recipe is missing"),
        ({"labels": "3"}, "the card's labels is missing or of the wrong type"),
        ({"labels": True}, "the card's labels is missing or of the wrong type"),
        ({"accuracy": "absent"}, "the card's accuracy is missing"),
        ({"preprocess": {"width": 4}}, "the card's preprocess is wrong: expected a preprocessing record"),
        ({"head": "tanh"}, "head to be one of softmax, sigmoid, logits, got 'tanh'"),
        ({"labels": 1}, "2 labels or more, got 1"),
        ({"source": {"name": "a"}}, "text in the card's source for kind, sha256"),
        ({"source": {"name": "/home/a", "kind": "", "sha256": ""}}, "file name without folders"),
        ({"format": "absent"}, "no card of edgecnn"),
        ({"format": 0}, "no card of edgecnn"),
        ({"format": True}, "no card of edgecnn"),
    ],
)
def test_what_is_wrong_is_named(make_card: MakeCard, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError, match=message) as caught:
        Card.from_json(changed(make_card(), **changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": 0.05}, "expected the confidence's temperature from 0.1 to 10, got 0.05"),
        ({"temperature": 11}, "expected the confidence's temperature from 0.1 to 10, got 11"),
        ({"temperature": "1"}, "expected the confidence's temperature from 0.1 to 10, got '1'"),
        ({"temperature": True}, "expected the confidence's temperature from 0.1 to 10, got True"),
        ({"temperature": None}, "expected the confidence's temperature from 0.1 to 10, got None"),
        ({"unknown_below": 1.1}, "expected the confidence's unknown_below from 0 to 1, got 1.1"),
        ({"kept_right": None}, "expected the confidence's kept_right from 0 to 1, got None"),
        ({"ece_after": -0.1}, "expected the confidence's ece_after from 0 to 1, got -0.1"),
        ({"samples": 0}, "expected the confidence's samples to be a number from 1, got 0"),
        ({"samples": 1.5}, "expected the confidence's samples to be a number from 1, got 1.5"),
        ({"split": 1}, "expected the confidence's split to be text, got 1"),
        ({"split": "absent", "samples": "absent"}, "the card's confidence lacks samples, split; convert the model"),
    ],
)
def test_what_is_wrong_in_the_confidence_is_named(make_card: MakeCard, changes: dict[str, Any], message: str) -> None:
    values = {key: value for key, value in (CONFIDENCE.to_dict() | changes).items() if value != "absent"}
    with pytest.raises(BundleError) as caught:
        Card.from_json(changed(make_card(), confidence=values))
    assert str(caught.value).startswith(message)


def test_a_confidence_with_more_keys_is_read_and_one_that_is_no_object_refused(make_card: MakeCard) -> None:
    text = changed(make_card(), confidence=CONFIDENCE.to_dict() | {"method": "beta"})
    assert Card.from_json(text).confidence == CONFIDENCE
    for wrong in ([1.5], 1.5, "1.5", True):
        with pytest.raises(BundleError, match="the card's confidence is missing or of the wrong type"):
            Card.from_json(changed(make_card(), confidence=wrong))


def test_a_card_without_reference_has_no_such_key(make_card: MakeCard) -> None:
    assert "reference" not in json.loads(make_card().to_json())
    assert Card.from_json(changed(make_card(), reference=None)) == make_card()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"brightness": [0.1] * 6}, "expected the reference's brightness to be 7 rising numbers from 0 to 1"),
        ({"contrast": [0.1] * 6 + [1.1]}, "expected the reference's contrast to be 7 rising numbers from 0 to 1"),
        ({"sharpness": [-0.1] + [0.1] * 6}, "expected the reference's sharpness to be 7 rising numbers from 0 to 8"),
        ({"score": list(RISING[::-1])}, "expected the reference's score to be 7 rising numbers from 0 to 1, got "),
        ({"score": [*RISING[:-1], True]}, "expected the reference's score"),
        ({"score": [*RISING[:-1], "1"]}, "expected the reference's score"),
        ({"score": [*RISING[:-1], None]}, "expected the reference's score"),
        ({"score": 0.5, "contrast": "dark"}, "expected lists of numbers in the card's reference for contrast, score"),
        ({"samples": 0}, "expected the reference's samples to be a number from 1, got 0"),
        ({"split": 1}, "expected the reference's split to be text, got 1"),
        ({"split": "absent", "score": "absent"}, "the card's reference lacks score, split; convert the model again"),
    ],
)
def test_what_is_wrong_in_the_reference_is_named(make_card: MakeCard, changes: dict[str, Any], message: str) -> None:
    values = {key: value for key, value in (REFERENCE.to_dict() | changes).items() if value != "absent"}
    with pytest.raises(BundleError) as caught:
        Card.from_json(changed(make_card(), reference=values))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_reference_with_more_keys_is_read_and_one_that_is_no_object_refused(make_card: MakeCard) -> None:
    text = changed(make_card(), reference=REFERENCE.to_dict() | {"entropy": RISING})
    assert Card.from_json(text).reference == REFERENCE
    assert [REFERENCE.range("score", tail) for tail in (0.01, 0.05, 0.25)] == [(0.1, 0.7), (0.2, 0.6), (0.3, 0.5)]
    for wrong in ([1.5], 1.5, "1.5", True):
        with pytest.raises(BundleError, match="the card's reference is missing or of the wrong type"):
            Card.from_json(changed(make_card(), reference=wrong))


def test_no_number_is_no_reference() -> None:
    for name in STATISTICS:
        with pytest.raises(BundleError, match=f"the reference's {name}"):
            Reference.from_dict(REFERENCE.to_dict() | {name: [float("nan")] * 7})


def test_no_number_is_no_confidence() -> None:
    for name in ("temperature", "unknown_below", "ece_before"):
        with pytest.raises(BundleError, match=f"{name} from"):
            Confidence.from_dict(CONFIDENCE.to_dict() | {name: float("nan")})


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"card"', "[" * 100_000, '{"format": NaN}'])
def test_what_is_no_card_is_one_clear_error(text: str) -> None:
    with pytest.raises(BundleError, match="expected a card") as caught:
        Card.from_json(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"bytes", object()])
def test_values_that_json_cannot_hold_are_refused(make_card: MakeCard, value: object) -> None:
    with pytest.raises(BundleError, match="expected a card of plain numbers and text"):
        make_card(recipe={"value": value}).to_json()


def test_a_card_is_checked_when_it_is_changed(make_card: MakeCard) -> None:
    with pytest.raises(BundleError, match="head"):
        replace(make_card(), head="")
