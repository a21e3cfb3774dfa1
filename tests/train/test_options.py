"""Options are checked when they are made."""

import json
from typing import Any

import pytest

from edgecnn.errors import EdgecnnError
from edgecnn.train.augment import parse_augment
from edgecnn.train.options import TrainConfig


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"optimizer": "lion"}, "expected optimizer to be one of adamw, adam, sgd, got 'lion'"),
        ({"epochs": 0}, "expected epochs from 1 to 100000, got 0"),
        ({"epochs": 3, "head_epochs": 4}, "expected head_epochs from 0 to 3, got 4"),
        ({"learning_rate": -1.0}, "expected learning_rate from 1e-12 to 100, got -1"),
        ({"label_smoothing": 1.0}, "expected label_smoothing from 0 to 0.99, got 1"),
        ({"arch": "lenet5", "weights": "w.keras"}, "has an architecture of its own; leave out arch=lenet5"),
        ({"keep_head": True}, "give that file as weights"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(EdgecnnError, match=message):
        TrainConfig(**values)


def test_rates_follow_the_optimizer() -> None:
    assert TrainConfig(optimizer="sgd").rate == 0.05
    assert TrainConfig(learning_rate=0.4).finetune_rate == pytest.approx(0.04)
    assert TrainConfig(finetuning_rate=0.7).finetune_rate == 0.7


def test_a_new_head_always_trains_alone_first() -> None:
    expected = {1: 1, 2: 1, 3: 1, 8: 2, 30: 7}
    assert {n: TrainConfig(epochs=n, weights="w.keras").frozen_epochs for n in expected} == expected
    assert TrainConfig(epochs=8, weights="w.keras", keep_head=True).frozen_epochs == TrainConfig().frozen_epochs == 0


def test_the_record_has_what_matters_and_is_json() -> None:
    config = TrainConfig(augment=parse_augment("light,flip=no"), resume=True)
    values = json.loads(json.dumps(config.to_dict()))
    assert values["augment"] == config.augment.spec
    assert values["epochs"] == 20
    assert "resume" not in values, "how a result was reached in time is not part of what was asked for"
