"""Quantization arithmetic: its laws, held against exact fractions."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecnn.quantization import TensorType

DTYPES = ("int8", "uint8", "int16")

scales = st.floats(1e-6, 1e3).map(lambda value: float(np.float32(value)))  # files store float32


@st.composite
def tensor_types(draw: st.DrawFn) -> TensorType:
    dtype = draw(st.sampled_from(DTYPES))
    info = np.iinfo(dtype)
    return TensorType(dtype, draw(scales), draw(st.integers(int(info.min), int(info.max))))


def everything(dtype: str) -> NDArray[Any]:
    info = np.iinfo(dtype)
    return np.arange(info.min, info.max + 1).astype(dtype)


def exact(real: float, tensor: TensorType) -> int:
    """The definition in rational numbers: round half away from zero, shift, saturate."""
    steps = Fraction(real) / Fraction(tensor.scale)
    rounded = math.floor(abs(steps) + Fraction(1, 2)) * (1 if steps >= 0 else -1)
    info = np.iinfo(tensor.dtype)
    return int(min(max(rounded + tensor.zero_point, info.min), info.max))


def is_near_a_tie(real: float, tensor: TensorType) -> bool:
    """Whether the quotient is so near to a half step that float64 may round it onto the half."""
    steps = abs(Fraction(real) / Fraction(tensor.scale))
    return abs(steps % 1 - Fraction(1, 2)) < Fraction(1, 10**9)


@given(tensor_types(), st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_quantize_is_the_definition(tensor: TensorType, reals: list[float]) -> None:
    stored = tensor.quantize(np.array(reals))
    assert stored.dtype == tensor.dtype
    for real, value in zip(reals, stored.tolist(), strict=True):
        assert value == exact(real, tensor) or is_near_a_tie(real, tensor)


@given(tensor_types(), st.integers(-40_000, 40_000))
def test_halves_round_away_from_zero(tensor: TensorType, whole: int) -> None:
    tensor = tensor._replace(scale=0.25)  # so that halves are exact
    half = (whole + 0.5) * tensor.scale
    assert tensor.quantize(np.array([half])).item() == exact(half, tensor)
    # the two neighbours of a half differ by one step, and the half goes with the outer one
    inner, outer = (0.25 * (whole + 0.5 + side) for side in ((-0.25, 0.25) if whole >= 0 else (0.25, -0.25)))
    assert tensor.quantize(np.array([half])).item() == tensor.quantize(np.array([outer])).item()
    assert tensor.quantize(np.array([inner])).item() == exact(inner, tensor)


@pytest.mark.parametrize(
    ("real", "stored"),
    [(0.5, 1), (-0.5, -1), (1.5, 2), (2.5, 3), (-2.5, -3), (0.49, 0), (-0.49, 0), (126.5, 127), (-127.5, -128)],
)
def test_known_halves(real: float, stored: int) -> None:
    assert TensorType("int8", 1.0, 0).quantize(np.array([real])).tolist() == [stored]


@given(tensor_types())
def test_what_is_stored_comes_back(tensor: TensorType) -> None:
    values = everything(tensor.dtype)
    np.testing.assert_array_equal(tensor.quantize(tensor.dequantize(values)), values)


@given(tensor_types(), st.floats(0, 1))
def test_a_round_trip_costs_half_a_step_at_most(tensor: TensorType, place: float) -> None:
    low, high = tensor.real_range
    real = low + place * (high - low)
    back = float(tensor.dequantize(tensor.quantize(np.array([real])))[0])
    rounding = 2 * np.finfo(np.float32).eps * max(abs(low), abs(high))  # the result is float32
    assert abs(back - real) <= tensor.scale / 2 + rounding


@given(tensor_types(), st.floats(1.0, 1e9))
def test_what_lies_outside_saturates(tensor: TensorType, steps: float) -> None:
    low, high = tensor.real_range
    info = np.iinfo(tensor.dtype)
    outside = np.array([low - steps * tensor.scale, high + steps * tensor.scale, -np.inf, np.inf])
    assert tensor.quantize(outside).tolist() == [info.min, info.max, info.min, info.max]


@given(tensor_types(), st.lists(st.floats(-1e5, 1e5), min_size=2, max_size=50))
def test_order_is_kept(tensor: TensorType, reals: list[float]) -> None:
    stored = tensor.quantize(np.sort(np.array(reals))).astype(np.int64)
    assert (np.diff(stored) >= 0).all()
    assert (np.diff(tensor.dequantize(everything(tensor.dtype))) >= 0).all()


@given(tensor_types())
def test_the_zero_point_is_zero_and_a_step_is_the_scale(tensor: TensorType) -> None:
    zero = np.array([tensor.zero_point], tensor.dtype)
    assert tensor.dequantize(zero).tolist() == [0.0]
    assert tensor.quantize(np.zeros(1)).tolist() == [tensor.zero_point]
    low, high = tensor.real_range
    ends = tensor.dequantize(everything(tensor.dtype)[[0, -1]])
    np.testing.assert_allclose(ends, [low, high], rtol=1e-6)
    assert high - low == pytest.approx(tensor.scale * (everything(tensor.dtype).size - 1))


@pytest.mark.parametrize("dtype", DTYPES)
def test_shapes_and_element_types_are_kept(dtype: str) -> None:
    tensor = TensorType(dtype, 0.5, 3)
    assert tensor.is_quantized
    for shape in ((), (0,), (2, 3, 1)):
        stored = tensor.quantize(np.ones(shape, np.float32))
        assert (stored.shape, stored.dtype) == (shape, np.dtype(dtype))
        real = tensor.dequantize(stored)
        assert (real.shape, real.dtype) == (shape, np.dtype(np.float32))


def test_float_tensors_pass() -> None:
    tensor = TensorType()
    assert tensor == ("float32", 0.0, 0)
    assert not tensor.is_quantized
    assert tensor.real_range == (-math.inf, math.inf)
    values = np.array([-1e30, 0.1, 3.0])
    for passed in (tensor.quantize(values), tensor.dequantize(values)):
        assert passed.dtype == np.float32
        np.testing.assert_array_equal(passed, values.astype(np.float32))


def test_wide_integers_do_not_overflow() -> None:
    tensor = TensorType("int16", 1.0, -32768)
    assert tensor.dequantize(np.array([32767], np.int16)).tolist() == [65535.0]
    tensor = TensorType("uint8", 0.5, 255)
    assert tensor.dequantize(np.array([0], np.uint8)).tolist() == [-127.5]
