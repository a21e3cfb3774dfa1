"""Options are checked when they are built, and an error names the option, what was expected and what came."""

import dataclasses
import math
from typing import Any

import pytest

from edgecnn.compress.quantize import IO_TYPES
from edgecnn.convert.options import ConvertConfig
from edgecnn.errors import EdgecnnError
from edgecnn.spec import Spec


def test_the_defaults_are_those_of_the_command() -> None:
    config = ConvertConfig()
    assert (config.quantize, config.io, config.io_type, config.seed, config.max_drop) == ("int8", None, "int8", 0, None)
    assert (config.calibration_samples, config.accuracy_samples) == (300, 10_000)
    assert (config.labels, config.preprocess, config.allow_unsafe) == (None, Spec(), False)
    assert (config.calibrate_confidence, config.keep_right) == (False, 0.95)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.seed = 1  # type: ignore[misc]  # this is what must fail


@pytest.mark.parametrize("kind", IO_TYPES)
@pytest.mark.parametrize("io", ["int8", "uint8", "float32", "int16", ""])
def test_every_kind_takes_its_own_io_types_only(kind: str, io: str) -> None:
    if io in IO_TYPES[kind]:
        assert ConvertConfig(quantize=kind, io=io).io_type == io
    else:
        with pytest.raises(EdgecnnError, match=f"a {kind} model has .* input and output, got io={io!r}"):
            ConvertConfig(quantize=kind, io=io)
    assert ConvertConfig(quantize=kind).io_type == IO_TYPES[kind][0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"quantize": "int4"},
            "expected quantize to be one of float32, float16, dynamic, int8, int16x8, auto, got 'int4'",
        ),
        ({"calibration_samples": 0}, "expected calibration_samples of at least 1, got 0"),
        ({"accuracy_samples": -1}, "expected accuracy_samples of at least 1, got -1"),
        ({"max_drop": -0.1}, "expected max_drop in percentage points from 0 to 100, got -0.1"),
        ({"max_drop": 100.1}, "expected max_drop in percentage points from 0 to 100, got 100.1"),
        ({"max_drop": math.nan}, "expected max_drop in percentage points from 0 to 100, got nan"),
        ({"keep_right": 0}, "expected keep_right above 0 and up to 1, got 0"),
        ({"keep_right": 1.01}, "expected keep_right above 0 and up to 1, got 1.01"),
        ({"keep_right": math.nan}, "expected keep_right above 0 and up to 1, got nan"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(EdgecnnError) as caught:
        ConvertConfig(**options)
    assert str(caught.value) == message


@pytest.mark.parametrize("drop", [0, 0.5, 100])
def test_a_budget_at_the_ends_is_one(drop: float) -> None:
    assert ConvertConfig(max_drop=drop).max_drop == drop
