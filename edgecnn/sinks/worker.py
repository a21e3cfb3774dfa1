"""A thread for slow work on pictures, such as encoding, which must not hold up the next label."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable


class Worker:
    """Does tasks in order; when more than `most` wait, new ones are refused or, if asked, waited for.

    Attributes:
        refused: tasks that found no place.
    """

    def __init__(self, name: str, *, most: int = 2) -> None:
        self.refused = 0
        self._most = most
        self._tasks: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=f"edgecnn-{name}", daemon=True)
        self._thread.start()

    def free(self, *, wait: bool = False) -> bool:
        """Whether `do` would take a task now; with `wait` once there is a place.

        Raises:
            Exception: what an earlier task raised.
        """
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: len(self._tasks) < self._most or self._failure is not None)
            self._raise()
            if len(self._tasks) < self._most:
                return True
            self.refused += 1
            return False

    def do(self, task: Callable[[], None]) -> None:
        """Have a task done; ask `free` first."""
        with self._changed:
            self._tasks.append(task)
            self._changed.notify_all()

    def close(self) -> None:
        """Wait until everything is done.

        Raises:
            Exception: what a task raised.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        self._raise()

    def _raise(self) -> None:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._tasks or self._closed)
                if not self._tasks:
                    return
                task = self._tasks[0]
            try:
                task()
            except Exception as exc:
                self._failure = exc  # told by the next call
            with self._changed:
                self._tasks.popleft()
                self._changed.notify_all()
