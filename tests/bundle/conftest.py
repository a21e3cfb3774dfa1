"""A model of a few hundred bytes, and a card that fits it."""

from collections.abc import Callable
from typing import Any

import pytest

from edgecnn.bundle.card import Card
from edgecnn.config import Preprocess
from tests.models import build

MakeModel = Callable[..., bytes]
MakeCard = Callable[..., Card]


@pytest.fixture(scope="session")
def make_model() -> MakeModel:
    """`build`."""
    return build


@pytest.fixture(scope="session")
def make_card() -> MakeCard:
    """A function that makes a card; its keyword arguments replace the usual values."""

    def make(**changes: Any) -> Card:
        values: dict[str, Any] = {
            "preprocess": Preprocess(width=4, height=4, mean=(127.5,), std=(64.0,)),
            "head": "softmax",
            "labels": 3,
            "source": {"name": "tiny.keras", "sha256": "0" * 64, "kind": "keras"},
            "recipe": {"quantize": "int8", "io": "int8", "seed": 0},
            "versions": {"edgecnn": "0.1.0"},
            "calibration": {"samples": 2, "sha256": "1" * 64, "chosen": "balanced over the classes"},
            "accuracy": {
                "float": 0.75,
                "output": 0.75,
                "drop_pp": 0.0,
                "samples": 4,
                "agreement": 1.0,
                "split": "test",
            },
        }
        return Card(**values | changes)

    return make


@pytest.fixture
def labels() -> tuple[str, ...]:
    """Labels of the usual three classes."""
    return ("bird", "cat", "dog")
