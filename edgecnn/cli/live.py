"""What the terminal shows while a camera runs: one line that is rewritten, or a line a change where it is a log."""

from __future__ import annotations

import shutil
import sys
import time
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli.output import note

if TYPE_CHECKING:
    from edgecnn.camera.observation import Observation

_INTERVAL = 0.2  # seconds between two drawings
_STATES = {
    "running": "running again",
    "stalled": "no picture for two seconds",
    "reconnecting": "source lost, trying again",
    "ended": "source ended",
}


class LiveLine:
    """A sink for the terminal.

    Args:
        status: what `Camera.status` gives.
        quiet: whether labels are shown at all; states and drifts always are, on stderr.
    """

    def __init__(self, status: Callable[[], dict[str, Any]], *, quiet: bool) -> None:
        self._status, self._quiet = status, quiet
        self._rewrites = not quiet and sys.stdout.isatty()
        self._due, self._open = 0.0, False
        self._worked = True

    def show(self, observation: Observation) -> None:
        """Draw the line anew, or print one where the label changed; a drift is told on a line of its own."""
        if observation.drift:
            self.close()
            note(f"Drift: {observation.drift.words}")
        if self._quiet:
            return
        if not self._rewrites:
            if observation.changed:
                click.echo(f"frame {observation.frame.number}: {_answer(observation)}")
            return
        now = time.monotonic()
        if now < self._due and not observation.changed:
            return
        self._due = now + _INTERVAL
        status = self._status()
        parts = [_answer(observation), f"{observation.age_ms:.0f} ms old"]
        if status["drift"]:
            parts.insert(0, status["drift"]["reason"].upper())
        if status["fps"]:  # known from the second frame on
            parts.append(f"{status['fps']:.1f} fps")
        parts.append(f"{status['dropped']:,} dropped")
        if status["temperature_c"] is not None:
            parts.append(f"{status['temperature_c']:.0f} °C")
        parts += status["throttled"] or []
        width = shutil.get_terminal_size().columns
        click.echo("\r\x1b[K" + _cut("  ".join(parts), width - 1), nl=False)  # a full line would go on in the next
        self._open = True

    def state(self, state: str) -> None:
        """Tell that the source's state changed; that it runs only after trouble."""
        if state in ("stalled", "reconnecting") or (state == "running" and not self._worked):
            self.close()
            reason = self._status()["trouble"]
            note(_STATES[state] + (f": {reason}" if reason else ""))
        self._worked = state == "running"

    def close(self) -> None:
        """End the line."""
        if self._open:
            click.echo()
            self._open = False


def _answer(observation: Observation) -> str:
    return f"{observation.label[:32]} {observation.score:.0%}"


def _cut(text: str, columns: int) -> str:
    """As much of a text as fits; letters of East Asian scripts take two columns."""
    used = 0
    for place, letter in enumerate(text):
        used += 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if used > columns:
            return text[:place]
    return text
