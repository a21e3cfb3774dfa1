"""What the terminal shows: JSON, tables within 80 columns, progress on a terminal only."""

import json
import os
import sys
import textwrap
import threading
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.errors import DataError, MissingExtraError

if TYPE_CHECKING:
    from edgecnn.train.checkpoint import EpochRecord


def emit_json(document: Any) -> None:
    """Print one JSON document on stdout."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def note(text: str) -> None:
    """Print a line on stderr; a long one goes on in the next."""
    paragraph(text, err=True)


def paragraph(text: str, *, err: bool = False) -> None:
    """Print a text in lines of 80 columns, the later ones indented; what has no space in it stays whole."""
    indent = " " * (len(text) - len(text.lstrip()) + 2)
    lines = textwrap.wrap(text, 80, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    click.echo("\n".join(lines), err=err)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all; file names in it that are no valid text are escaped."""
    from edgecnn.files import write_atomic  # brings hashlib and more, which --help has no use for

    write_atomic(path, text.encode("utf-8", "backslashreplace"))


def check_report(folder: Path) -> None:
    """Tell before minutes of work what would keep a report from being written.

    Raises:
        MissingExtraError: Jinja2 is not installed.
        DataError: the folder cannot be made or written.
    """
    try:
        import_module("jinja2")
    except ImportError as exc:
        raise MissingExtraError("Jinja2", "report") from exc
    check_folder(folder, "a report")


def check_folder(folder: Path, what: str = "anything") -> None:
    """Tell before minutes of work that a folder cannot be made or written.

    Raises:
        DataError: it cannot; `what` was to be written there.
    """
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise DataError(f"cannot write {what} into {folder}: {there} is no folder that can be written")


def change(before: float, after: float, better: str, worse: str) -> str:
    """How many times smaller or larger, faster or slower something became."""
    return f"{before / after:.2f} x {better}" if after <= before else f"{after / before:.2f} x {worse}"


def table(rows: Sequence[Sequence[str]], *, header: Sequence[str] | None = None, indent: str = "") -> None:
    """Print rows in columns: the first flush left, the others flush right."""
    everything = [*([header] if header else []), *rows]
    widths = [max(len(row[i]) for row in everything) for i in range(len(everything[0]))]
    for row in everything:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        click.echo(indent + "  ".join(cells).rstrip())


def size(count: int) -> str:
    """Bytes for people: 98,496 B or 1.60 MB."""
    return f"{count:,} B" if count < 1_000_000 else f"{count / 1e6:.2f} MB"


class Progress:
    """A step's name on stderr, with a bar while it runs if stderr is a terminal; one line an epoch of training."""

    def __init__(self, epochs: int = 0) -> None:
        """Say how many epochs there will be; 0 if nobody knows."""
        self._bar = sys.stderr.isatty()
        self._lock = threading.Lock()
        self._step, self._started, self._shown = "", 0.0, 0.0
        self._epochs = epochs
        self.trained = 0  # epochs of this process
        self._first: tuple[float, int] | None = None  # when, and after how many batches, batches were first told

    def step(self, name: str) -> None:
        """A step begins; the one before it is finished."""
        self.close()
        self._step, self._started, self._shown = name, time.monotonic(), 0.0
        if self._bar:
            click.echo(f"  {name} …", err=True, nl=False)

    def progress(self, done: int, total: int) -> None:
        """Redraw the bar, at most ten times a second."""
        now = time.monotonic()
        with self._lock:
            if not self._bar or total < 1 or now - self._shown < 0.1:
                return
            self._shown = now
            filled = 24 * done // total
            left = (now - self._started) * (total - done) / done if done else 0
            bar = "█" * filled + "░" * (24 - filled)
            click.echo(f"\r\x1b[K  {self._step} {bar} {done:,}/{total:,}, {left:.0f} s left", err=True, nl=False)

    def batch(self, epoch: int, done: int, total: int, accuracy: float) -> None:
        """Redraw the bar of an epoch; the time left is that of all epochs."""
        if not self._bar:
            return
        now, batches = time.monotonic(), self.trained * total + done
        self._first = self._first or (now, batches)  # the first batch takes longer: the graph is built
        text = f"  epoch {self._of(epoch).strip()} {'█' * (20 * done // total):░<20} accuracy {accuracy:.1%}"
        if batches > self._first[1]:
            pace = (now - self._first[0]) / (batches - self._first[1])
            epochs = max(self._epochs, epoch)
            text += f", {duration(pace * ((epochs - epoch + 1) * total - done))} left"
        click.echo(f"\r\x1b[K{text}", err=True, nl=False)

    def epoch(self, record: "EpochRecord") -> None:
        """Print what an epoch gave."""
        self.trained += 1
        text = f"  epoch {self._of(record.epoch)}  loss {record.loss:.4f}  accuracy {record.accuracy:.2%}"
        if record.val_accuracy is not None:
            text += f"  val {record.val_loss:.4f} {record.val_accuracy:.2%}"
        text += f"  {duration(record.seconds)}"
        click.echo(f"\r\x1b[K{text}" if self._bar else text, err=True)

    def _of(self, epoch: int) -> str:
        return f"{epoch:>3}/{self._epochs}" if self._epochs else f"{epoch:>3}"

    def close(self) -> None:
        """Finish the running step's line."""
        if self._step:
            line = f"  {self._step}: {time.monotonic() - self._started:.1f} s"
            click.echo(f"\r\x1b[K{line}" if self._bar else line, err=True)
        self._step = ""


def duration(seconds: float) -> str:
    """Seconds for people: 8 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def write_report(record: dict[str, Any], folder: Path, name: str) -> None:
    """One record's page, and its JSON as NAME.json, in a folder that is made where it is missing."""
    from edgecnn.report.render import render

    page = render([record], "html")
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / f"{name}.json", json.dumps(record, indent=2, ensure_ascii=False))
    write_text(folder / "report.html", page)
    note(f"Report: {folder / 'report.html'}")
