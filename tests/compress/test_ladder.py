"""The ladder: which rung is taken, and what it says about each."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.compress.ladder import Climb, Measured, climb, paired_drop
from edgecnn.compress.quantize import probabilities
from edgecnn.errors import ConversionError, EdgecnnError
from tests.compress.rescaled import rescaled

RANGE = (0.0, 255.0)


class Judge:
    """Measures models on the pictures; labels are those of the float network."""

    def __init__(self, network: bytes, pictures: list[NDArray[np.float32]]) -> None:
        self.inputs = np.concatenate([np.stack(pictures)] * 5)
        self.labels = self.predict(network)

    def predict(self, content: bytes) -> NDArray[np.int64]:
        return np.asarray(probabilities(content, "softmax", self.inputs).argmax(axis=1), np.int64)

    def __call__(self, content: bytes) -> Measured:
        return Measured(self.predict(content), self.labels)


@pytest.fixture(scope="module")
def judge(network: bytes, pictures: list[NDArray[np.float32]]) -> Judge:
    return Judge(network, pictures)


def names(result: Climb) -> list[str]:
    return [rung.name for rung in result.rungs]


def test_a_network_that_needs_nothing_stays_on_the_first_rung(
    network: bytes, pictures: list[NDArray[np.float32]], judge: Judge
) -> None:
    result = climb(
        network, head="softmax", io="int8", tensors=pictures, input_range=RANGE, measure=judge, max_drop=20.0
    )
    assert names(result) == ["int8"]
    assert (result.taken, result.inside, result.skipped, result.damages) == (0, True, (), ())
    rung = result.rungs[0]
    assert rung.content == result.content
    assert rung.size_bytes == len(rung.content)
    assert 0 < rung.gzip_bytes < rung.size_bytes
    assert rung.p50_ms > 0
    assert rung.accuracy == rung.agreement  # the labels are the float model's answers
    assert result.float_rung.accuracy == 1
    record = json.loads(json.dumps(result.to_dict()))
    assert record["rungs"][0]["drop"]["high"] <= 20


def test_a_network_that_int8_breaks_is_mended_by_equalization(
    network: bytes, pictures: list[NDArray[np.float32]], judge: Judge
) -> None:
    result = climb(
        rescaled(network, 0, 1.5),
        head="softmax",
        io="int8",
        tensors=pictures,
        input_range=RANGE,
        measure=judge,
        max_drop=5.0,
    )
    assert names(result) == ["int8", "ranges", "equalize"]
    assert (result.taken, result.inside) == (2, True)
    assert result.rungs[0].agreement < 0.9


def test_every_rung_is_tried_for_a_budget_that_cannot_be_kept(
    network: bytes, pictures: list[NDArray[np.float32]], judge: Judge
) -> None:
    called: list[str] = []
    result = climb(
        network, head="softmax", io="uint8", tensors=pictures, input_range=RANGE, measure=judge, max_drop=-100.0,
        qat=lambda: network, progress=called.append,
    )  # fmt: skip
    assert names(result) == ["int8", "ranges", "equalize", "float-layers", "float-layers", "float-layers", "qat"]
    assert called == names(result)
    assert [len(rung.float_layers) for rung in result.rungs] == [0, 0, 0, 1, 2, 4, 0]
    assert [damage.layer for damage in result.damages][:2] == list(result.rungs[4].float_layers)
    assert not result.inside
    highs = [rung.drop.high for rung in result.rungs if rung.drop]
    assert result.taken == int(np.argmin(highs))
    assert result.skipped == ()


def test_a_rung_that_fails_says_why_and_the_next_is_tried(
    network: bytes, pictures: list[NDArray[np.float32]], judge: Judge
) -> None:
    def training() -> bytes:
        raise EdgecnnError("no layer to train")

    result = climb(
        rescaled(network, 0, 4.0), head="softmax", io="int8", tensors=pictures, input_range=RANGE, measure=judge,
        max_drop=-100.0, qat=training,
    )  # fmt: skip
    assert (result.rungs[-1].name, result.rungs[-1].failed) == ("qat", "no layer to train")
    assert result.rungs[result.taken].failed == ""


def test_a_missing_training_is_told(network: bytes, pictures: list[NDArray[np.float32]], judge: Judge) -> None:
    result = climb(
        network, head="softmax", io="int8", tensors=pictures, input_range=RANGE, measure=judge, max_drop=-100.0,
        qat_missing="TensorFlow is not installed",
    )  # fmt: skip
    assert result.skipped == (("qat", "TensorFlow is not installed"),)


def test_calibration_pictures_are_needed(network: bytes, judge: Judge) -> None:
    with pytest.raises(ConversionError, match="needs calibration pictures"):
        climb(network, head="softmax", io="int8", tensors=[], input_range=RANGE, measure=judge, max_drop=1.0)


def measured(right: list[bool], *, labelled: bool = True) -> Measured:
    predicted = np.where(right, 0, 1).astype(np.int64)
    return Measured(predicted, np.zeros(len(right), np.int64) if labelled else None)


def test_the_interval_is_that_of_agresti_and_min() -> None:
    """Written out for 100 pictures: 8 lost, 3 won."""
    before = measured([True] * 8 + [False] * 3 + [True] * 89)
    after = measured([False] * 8 + [True] * 3 + [True] * 89)
    drop = paired_drop(before, after)
    center, variance = 5 / 102, (8.5 + 3.5) / 102**2 - 5**2 / 102**3
    assert drop.points == pytest.approx(5.0)
    assert drop.low == pytest.approx(100 * (center - 1.959964 * variance**0.5))
    assert drop.high == pytest.approx(100 * (center + 1.959964 * variance**0.5))


def test_the_interval_holds_the_truth_nearly_always() -> None:
    random = np.random.default_rng(0)
    inside = 0
    for _ in range(2000):
        kinds = random.choice(4, 400, p=[0.85, 0.06, 0.03, 0.06])  # both right, lost, won, both wrong: 3 points lost
        drop = paired_drop(measured(list(kinds <= 1)), measured(list((kinds == 0) | (kinds == 2))))
        inside += drop.low <= 3 <= drop.high
    assert 0.935 <= inside / 2000 <= 0.97


def test_without_labels_every_disagreement_may_be_a_loss() -> None:
    drop = paired_drop(measured([True] * 100, labelled=False), measured([True] * 96 + [False] * 4, labelled=False))
    assert drop.points == pytest.approx(4)
    assert drop.low == 0
    assert drop.high == pytest.approx(9.84, abs=0.01)
