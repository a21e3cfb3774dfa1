"""`Worker`: tasks in order on another thread, a bounded queue, and failures that are told."""

import threading
import time
from collections.abc import Callable

import pytest

from edgecnn.sinks.worker import Worker


class Gate:
    """A task that says when it has begun, and waits to be let through."""

    def __init__(self) -> None:
        self.begun, self.let = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        assert self.let.wait(5)


def fail() -> None:
    raise ValueError("no space")


def adding(number: int, done: list[int], *, after: float = 0.0) -> Callable[[], None]:
    def task() -> None:
        time.sleep(after)
        done.append(number)

    return task


def ask_until(worker: Worker, *, wait: bool) -> None:
    """Ask for a place again and again, for five seconds at most."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        worker.free(wait=wait)


def test_tasks_are_done_in_order_by_one_other_thread() -> None:
    worker = Worker("test", most=3)
    done: list[int] = []
    threads: set[str] = set()
    for number in range(50):
        assert worker.free(wait=True)
        worker.do(lambda: threads.add(threading.current_thread().name))
        worker.do(adding(number, done))
    worker.close()
    assert done == list(range(50))
    assert threads == {"edgecnn-test"}
    assert worker.refused == 0


@pytest.mark.parametrize("most", [1, 2, 4])
def test_more_than_fit_are_refused_and_counted(most: int) -> None:
    worker, gate = Worker("test", most=most), Gate()
    done: list[int] = []
    assert worker.free()
    worker.do(gate)
    assert gate.begun.wait(5)
    for number in range(most - 1):
        assert worker.free()
        worker.do(adding(number, done))
    assert [worker.free() for _ in range(3)] == [False] * 3
    assert worker.refused == 3
    gate.let.set()
    assert worker.free(wait=True)
    assert worker.refused == 3
    worker.close()
    assert done == list(range(most - 1))


def test_waiting_lasts_until_there_is_a_place() -> None:
    worker, gate = Worker("test", most=1), Gate()
    worker.do(gate)
    assert gate.begun.wait(5)
    timer = threading.Timer(0.15, gate.let.set)
    timer.start()
    begin = time.monotonic()
    assert worker.free(wait=True)
    assert 0.1 < time.monotonic() - begin < 3
    timer.join()
    worker.close()


def test_close_waits_for_everything() -> None:
    worker = Worker("test", most=2)
    done: list[int] = []
    for number in range(2):
        worker.do(adding(number, done, after=0.05))
    worker.close()
    assert done == [0, 1]
    assert "edgecnn-test" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("wait", [True, False])
def test_a_failure_is_told_once_by_the_next_call(wait: bool) -> None:
    worker = Worker("test")
    worker.do(fail)
    with pytest.raises(ValueError, match="no space"):
        ask_until(worker, wait=wait)
    assert worker.free()
    done: list[int] = []
    worker.do(lambda: done.append(1))
    worker.close()
    assert done == [1]


def test_a_failure_ends_the_wait_for_a_place() -> None:
    worker, gate = Worker("test", most=1), Gate()
    failures = []

    def ask() -> None:
        try:
            worker.free(wait=True)
        except ValueError as exc:
            failures.append(str(exc))

    def pass_and_fail() -> None:
        gate()
        fail()

    worker.do(pass_and_fail)
    assert gate.begun.wait(5)
    asking = threading.Thread(target=ask)
    asking.start()
    gate.let.set()
    asking.join(5)
    assert failures == ["no space"]
    worker.close()


def test_a_failure_is_told_by_close_after_the_other_tasks() -> None:
    worker = Worker("test", most=3)
    done: list[int] = []
    worker.do(fail)
    worker.do(lambda: done.append(1))
    with pytest.raises(ValueError, match="no space"):
        worker.close()
    assert done == [1]
    assert not [thread for thread in threading.enumerate() if thread.name == "edgecnn-test"]
