"""Sources that do what a test says: which pictures they give, when they give them, and how they end."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from edgecnn.camera.frame import Picture
from edgecnn.camera.reader import Reader
from edgecnn.camera.source import Source
from edgecnn.errors import SourceError
from tests.camera.stream import numbered

PATIENCE = 10.0  # seconds that nothing here takes unless it is broken


class Scripted:
    """Gives the pictures of a list; then a recording ends and a live source is lost.

    Args:
        pictures: what to give; an error among them is raised.
        gated: whether each picture waits for `let`.

    Attributes:
        live, rate, skipped: see `Source`.
        asked: how often `read` was called.
        closed: how often `close` was.
    """

    def __init__(
        self,
        pictures: Sequence[NDArray[np.uint8] | Exception],
        *,
        live: bool = False,
        rate: float | None = None,
        gated: bool = False,
        skipped: int = 0,
    ) -> None:
        self.live, self.rate, self.skipped = live, rate, skipped
        self.asked = self.closed = 0
        self._pictures = iter(pictures)
        self._gate = threading.Semaphore(0) if gated else None
        self._let = 0
        self._changed = threading.Condition()

    def read(self, into: NDArray[np.uint8] | None) -> Picture | None:
        """See `Source.read`; the picture is copied into the given memory, as OpenCV does."""
        with self._changed:
            self.asked += 1
            self._changed.notify_all()
        if self._gate:
            self._gate.acquire()
        item = next(self._pictures, None)
        if isinstance(item, Exception):
            raise item
        if item is None:
            if self.live:
                raise SourceError("lost")
            return None
        if into is not None and into.shape == item.shape:
            into[...] = item
            item = into
        return Picture(item, time.monotonic())

    def close(self) -> None:
        """See `Source.close`."""
        self.closed += 1

    def let(self, count: int) -> None:
        """Let so many reads pass."""
        assert self._gate is not None
        self._let += count
        self._gate.release(count)

    def give(self, count: int) -> None:
        """Let so many reads pass, and wait until the reader is done with them."""
        self.let(count)
        self.wait_asked(self._let + 1)

    def open_gate(self) -> None:
        """Hold nothing back any more."""
        if self._gate:
            self._gate.release(100_000)

    def wait_asked(self, times: int) -> None:
        """Wait until `read` was called so often: all pictures before are published then."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.asked >= times, PATIENCE), f"read was called {self.asked} times"


def pictures(first: int, last: int) -> list[NDArray[np.uint8] | Exception]:
    """Pictures that spell the numbers from the first up to the last, which is left out."""
    return [numbered(number) for number in range(first, last)]


def connecting(*attempts: Source | Exception) -> Callable[[], Source]:
    """A function that opens these one after the other; after the last nothing answers."""
    rest = iter(attempts)

    def connect() -> Source:
        item = next(rest, None) or SourceError("nobody there")
        if isinstance(item, Exception):
            raise item
        return item

    return connect


@contextmanager
def reading(*attempts: Source | Exception, every_frame: bool = False) -> Iterator[Reader]:
    """A reader of these sources, started; whatever the test does, it is closed and its thread gone."""
    reader = Reader(connecting(*attempts), every_frame=every_frame)
    reader.start()
    try:
        yield reader
    finally:
        for source in attempts:
            if isinstance(source, Scripted):
                source.open_gate()
        reader.close()
        assert not any(thread.name == "edgecnn-reader" for thread in threading.enumerate())


def wait_for(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Look again and again until it is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.002)
