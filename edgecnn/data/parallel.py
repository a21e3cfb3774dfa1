"""The same work on many samples by several threads: decoding, inference and file reads run beside each other."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from itertools import count
from threading import Lock
from typing import TypeVar

T = TypeVar("T")

_AHEAD = 8  # results that are ready before they are needed
_BLOCK = 32  # samples a worker takes at once: large enough to be cheap, small enough to end together


def threads_for(total: int, wanted: int | None = None) -> int:
    """How many workers so much work is worth: as many as wanted, else as there are cores; at least one."""
    return max(1, min(wanted or os.cpu_count() or 1, -(-total // _BLOCK)))


def for_each(
    total: int,
    workers: Sequence[Callable[[int], None]],
    progress: Callable[[int, int], None] | None = None,
    *,
    block: int = _BLOCK,
) -> None:
    """Hand the numbers 0 to total - 1 out to workers, each of which runs in a thread of its own.

    Args:
        workers: called with one number at a time; see `threads_for`.
        progress: called from worker threads, one at a time, with (done, total).
        block: numbers that a worker takes at once; fewer where one takes long.

    Raises:
        Exception: what a worker raised first; the others stop after the sample that they are at.
    """
    blocks, stop, finished, lock = count(0, block), False, 0, Lock()

    def work(worker: Callable[[int], None]) -> None:
        nonlocal finished
        while not stop and (first := next(blocks)) < total:
            numbers = range(first, min(first + block, total))
            for number in numbers:
                if stop:
                    return
                worker(number)
            with lock:
                finished += len(numbers)
                if progress:
                    progress(finished, total)

    with ThreadPoolExecutor(len(workers)) as pool:
        try:
            for done in as_completed([pool.submit(work, worker) for worker in workers]):
                done.result()
        finally:
            stop = True


def ahead(make: Callable[[int], T], total: int) -> Iterator[T]:
    """make(0) to make(total - 1) in order, a few of them made by threads before they are asked for."""
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        waiting: deque[Future[T]] = deque()
        try:
            for number in range(total):
                waiting.append(pool.submit(make, number))
                if len(waiting) >= _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
