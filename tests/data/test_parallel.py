"""Work handed out to threads: everything once, and an error ends it."""

import threading
from functools import partial

import pytest

from edgecnn.data import parallel
from edgecnn.data.parallel import ahead, for_each


@pytest.mark.parametrize("total", [0, 1, 31, 32, 33, 500])
@pytest.mark.parametrize("workers", [1, 3])
def test_every_number_is_done_once_and_told(total: int, workers: int) -> None:
    done: list[int] = []
    told: list[tuple[int, int]] = []
    for_each(total, [done.append] * workers, lambda *now: told.append(now))
    assert sorted(done) == list(range(total))
    assert [end for _, end in told] == [total] * -(-total // 32)
    assert [so_far for so_far, _ in told][-1:] == ([total] if total else [])


def test_small_blocks_end_together() -> None:
    told: list[tuple[int, int]] = []
    for_each(5, [lambda _: None], lambda *now: told.append(now), block=2)
    assert told == [(2, 5), (4, 5), (5, 5)]


def test_each_worker_has_a_thread_of_its_own() -> None:
    meet = threading.Barrier(2, timeout=10)
    threads: dict[str, set[int]] = {"a": set(), "b": set()}

    def work(name: str, number: int) -> None:
        if number in (0, 32):
            meet.wait()  # both are here at once
        threads[name].add(threading.get_ident())

    for_each(64, [partial(work, name) for name in threads])
    assert [len(idents) for idents in threads.values()] == [1, 1]
    assert threads["a"] != threads["b"]


def test_the_first_error_ends_the_work() -> None:
    done: list[int] = []

    def work(number: int) -> None:
        if number == 40:
            raise ValueError("forty")
        done.append(number)

    with pytest.raises(ValueError, match="forty"):
        for_each(10_000, [work])
    assert done == list(range(40))


def test_results_come_in_order_and_not_all_at_once() -> None:
    made: list[int] = []
    lock = threading.Lock()

    def make(number: int) -> int:
        with lock:
            made.append(number)
        return number

    coming = ahead(make, 50)
    assert [next(coming) for _ in range(3)] == [0, 1, 2]
    assert len(made) <= 3 + parallel._AHEAD
    assert list(coming) == list(range(3, 50))


def test_an_error_ahead_is_not_lost() -> None:
    def make(number: int) -> int:
        return 1 // (3 - number)

    with pytest.raises(ZeroDivisionError):
        list(ahead(make, 20))
