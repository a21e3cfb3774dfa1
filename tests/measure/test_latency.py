"""Who goes when, when a model is warm, and a garbage collector that waits."""

import gc
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecnn.measure.latency import collector_off, is_steady, orders


@pytest.mark.parametrize("count", range(1, 13))
def test_every_model_follows_every_other_one_equally_often(count: int) -> None:
    rounds = orders(count)
    assert all(sorted(order) == list(range(count)) for order in rounds)
    pairs = Counter(pair for order in rounds for pair in pairwise(order))
    assert set(pairs) == {(a, b) for a in range(count) for b in range(count) if a != b}
    assert len(set(pairs.values())) <= 1
    starts = Counter(order[0] for order in rounds)
    assert len(set(starts.values())) == 1


def test_two_models_swap_places() -> None:
    assert orders(2) == ((0, 1), (1, 0))


def test_twenty_times_are_needed() -> None:
    assert not is_steady([])
    assert not is_steady([1.0] * 19)
    assert is_steady([1.0] * 20)


@settings(deadline=None)
@given(st.lists(st.floats(1, 1000), max_size=5), st.floats(0.5, 1.5), st.floats(0.1, 10))
def test_a_fall_of_more_than_two_percent_is_one(before: list[float], factor: float, scale: float) -> None:
    times = [*before, *[100 * scale] * 10, *[100 * scale * factor] * 10]
    if abs(factor - 0.98) > 1e-9:
        assert is_steady(times) == (factor > 0.98)


def test_single_slow_inferences_do_not_count() -> None:
    times = [5.0, 3.0, *[2.0] * 18]
    assert is_steady(times)
    assert is_steady([*times[:-1], 90.0])
    falling = list(np.geomspace(10, 5, 20))
    assert not is_steady(falling)


@pytest.mark.parametrize("was_on", [True, False])
def test_the_collector_waits_and_is_left_as_it_was(was_on: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if was_on else gc.disable)()
        with pytest.raises(ZeroDivisionError), collector_off():
            1 / gc.isenabled()
        assert gc.isenabled() == was_on
    finally:
        (gc.enable if before else gc.disable)()
