"""A thread that reads a source and keeps only its newest picture, so that no label is about the past."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from edgecnn.camera.figures import Durations
from edgecnn.camera.frame import Frame, Picture
from edgecnn.errors import SourceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecnn.camera.source import Source

_FIRST_WAIT, _LONGEST_WAIT = 0.1, 1.0  # seconds between attempts to open a lost source
_STALLED = 2.0  # seconds without a picture that are worth telling
_SLOTS = 3  # one that is written, the newest, and the one in use


class Reader:
    """Reads in a thread of its own and hands out the newest picture; older ones are dropped and counted.

    Recordings play at their own rate, as a camera would; with `every_frame`, or where they have no rate, each picture
    waits until it is taken and none is dropped. A live source that is lost is opened again, ever less often, up to once
    a second.

    Args:
        connect: opens the source; called again after it was lost.
        every_frame: hand out every picture of a recording, as fast as they are taken.

    Attributes:
        dropped: pictures that were replaced by newer ones before anybody took them.
        reconnects: how often the source was lost and came back.
        trouble: why the source cannot be read at the moment; "" when it can.
        read_times: how long reading and decoding takes.
    """

    def __init__(self, connect: Callable[[], Source], *, every_frame: bool = False) -> None:
        self.dropped = self.reconnects = 0
        self.trouble = ""
        self.read_times = Durations()
        self._connect, self._every_frame = connect, every_frame
        self._source: Source | None = None
        self._slots: NDArray[np.uint8] = np.empty((_SLOTS, 0, 0, 3), np.uint8)
        self._newest: tuple[int, Frame] | None = None
        self._used = -1  # slot of the frame that was handed out
        self._number = -1
        self._last_picture = time.monotonic()
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._ended = False
        self._failure: BaseException | None = None
        self._skipped_before = 0
        self._wait = _FIRST_WAIT
        self._thread = threading.Thread(target=self._run, name="edgecnn-reader", daemon=True)

    def start(self) -> None:
        """Open the source and begin to read.

        Raises:
            SourceError: it cannot be opened; only a source that worked is tried again.
        """
        self._source = self._connect()
        self._last_picture = time.monotonic()
        self._thread.start()

    @property
    def waits(self) -> bool:
        """Whether pictures wait until they are taken, instead of being dropped."""
        source = self._source
        return source is not None and not source.live and (self._every_frame or source.rate is None)

    @property
    def rate(self) -> float | None:
        """Pictures a second of a recording; None where it has none."""
        return self._source.rate if self._source else None

    @property
    def state(self) -> str:
        """One of "running", "stalled" (no picture for two seconds), "reconnecting" and "ended"."""
        if self._ended:
            return "ended"
        if self.trouble:
            return "reconnecting"
        return "stalled" if not self.waits and time.monotonic() - self._last_picture > _STALLED else "running"

    @property
    def skipped(self) -> int:
        """Pictures that could not be decoded."""
        return self._skipped_before + (self._source.skipped if self._source else 0)

    def take(self, timeout: float) -> Frame | None:
        """The newest picture nobody has taken yet; its memory is used again after the next call.

        Args:
            timeout: seconds to wait for one.

        Returns:
            None when none came in time, or the source has ended.

        Raises:
            SourceError: reading failed in a way that trying again does not help.
        """
        with self._changed:
            self._used = -1
            if not self._newest and not self._ended:
                self._changed.wait_for(lambda: self._newest or self._ended, timeout)
            if self._newest is None:
                if self._failure is not None:
                    raise self._failure
                return None
            self._used, frame = self._newest
            self._newest = None
            self._changed.notify_all()
            return frame

    @property
    def ended(self) -> bool:
        """Whether the source has ended and every picture was taken."""
        return self._ended and self._newest is None

    def close(self) -> None:
        """Stop reading. A read that hangs is left behind; it ends with the process."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout=1.0)
        elif self._source:
            self._source.close()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                try:
                    self._read_all()
                    break
                except SourceError as exc:
                    if not self._source or not self._source.live:
                        raise
                    self.trouble = str(exc)
                    self._reconnect()
        except BaseException as exc:
            self._failure = exc  # for whoever takes pictures
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
            if self._source:
                self._source.close()

    def _read_all(self) -> None:
        """Read until a recording ends, or a live source is lost."""
        source = self._source
        assert source is not None
        started = time.monotonic()
        pictures = 0
        while not self._stop.is_set():
            slot = self._free_slot()
            begin = time.perf_counter()
            picture = source.read(self._slots[slot] if self._slots.size else None)
            if picture is None:
                return
            self.read_times.add(1e3 * (time.perf_counter() - begin))
            if self.trouble:
                self.trouble, self.reconnects, self._wait = "", self.reconnects + 1, _FIRST_WAIT
            if source.rate and not self.waits:
                self._stop.wait(started + pictures / source.rate - time.monotonic())
                picture = picture._replace(captured=time.monotonic())
            pictures += 1
            self._publish(picture, slot)

    def _free_slot(self) -> int:
        with self._changed:
            busy = {self._used, self._newest[0] if self._newest else -1}
            return next(slot for slot in range(_SLOTS) if slot not in busy)

    def _publish(self, picture: Picture, slot: int) -> None:
        pixels = picture.pixels
        if pixels.shape != self._slots.shape[1:]:  # the first one, or the size changed; frames keep their own memory
            self._slots = np.empty((_SLOTS, *pixels.shape), np.uint8)
        if not np.may_share_memory(pixels, self._slots):
            np.copyto(self._slots[slot], pixels)
        with self._changed:
            if self.waits:
                self._changed.wait_for(lambda: self._newest is None or self._stop.is_set())
                if self._stop.is_set():
                    return
            self._number += 1
            self._last_picture = time.monotonic()
            self.dropped += self._newest is not None
            captured_at = time.time() - (self._last_picture - picture.captured)
            self._newest = slot, Frame(self._slots[slot], self._number, captured_at, picture.captured)
            self._changed.notify_all()

    def _reconnect(self) -> None:
        """Open the source again, however long that takes; one that opens but gives no picture counts as failed too."""
        if self._source:
            self._skipped_before += self._source.skipped
            self._source.close()
            self._source = None
        while not self._stop.wait(self._wait):
            self._wait = min(2 * self._wait, _LONGEST_WAIT)
            try:
                self._source = self._connect()
                return
            except SourceError as exc:
                self.trouble = str(exc)
