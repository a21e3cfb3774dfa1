"""Observations as JSON lines: one when the label changes, one when a drift begins or ends, and one now and then."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from edgecnn.errors import CameraError

if TYPE_CHECKING:
    from edgecnn.camera.observation import Observation


def event(observation: Observation) -> dict[str, Any]:
    """The JSON form of an observation; `index` is null for "unknown", and "drift" is there when one began or ended."""
    record = {
        "frame": observation.frame.number,
        "captured_at": round(observation.frame.captured_at, 6),
        "age_ms": round(observation.age_ms, 3),
        "label": observation.label,
        "index": observation.index,
        "score": round(observation.score, 6),
        "latency_ms": round(observation.latency_ms, 4),
    }
    return record | ({"drift": observation.drift.to_dict()} if observation.drift else {})


class EventLog:
    """Appends events to a file, one JSON object a line; each line is there for readers at once.

    Args:
        path: of the file; what it holds already stays, so that a restarted service goes on in it. A new one in which
            nothing was written is removed again.
        every: seconds after which an event is written although the label stays; 0 for every frame.

    Raises:
        CameraError: the file cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], *, every: float = 10.0) -> None:
        self._every, self._due = every, 0.0
        self._new = not os.path.exists(path)
        try:
            self._file = open(path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115  # closed by close()
            if _is_cut_short(path):
                self._file.write("\n")
        except OSError as exc:
            raise CameraError(f"cannot write events to {os.fspath(path)}: {exc.strerror or exc}") from exc

    def show(self, observation: Observation) -> None:
        """Write an event if one is due."""
        now = observation.frame.captured
        if not observation.changed and not observation.drift and now < self._due:
            return
        self._due = now + self._every
        try:
            self._file.write(json.dumps(event(observation), ensure_ascii=False) + "\n")
        except OSError as exc:
            raise CameraError(f"cannot write events to {self._file.name}: {exc.strerror or exc}") from exc

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):  # a line that could not be written was told by `show`, and cannot be now either
            self._file.close()
        if self._new and not os.path.getsize(self._file.name):
            os.remove(self._file.name)


def _is_cut_short(path: str | os.PathLike[str]) -> bool:
    """Whether a regular file ends inside a line, as after a power cut."""
    if not os.path.isfile(path) or not os.path.getsize(path):
        return False
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"
