"""What a training leaves to look at: a CSV, TensorBoard events and a picture of the learning curves."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType
from typing import Any

from edgecnn.errors import MissingExtraError
from edgecnn.files import write_atomic
from edgecnn.train.checkpoint import EpochRecord


def require_logs() -> None:
    """Tell before minutes of work that logs could not be written.

    Raises:
        MissingExtraError: Matplotlib or tensorboardX is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401
        import tensorboardX  # noqa: F401
    except ImportError as exc:
        raise MissingExtraError("Matplotlib or tensorboardX", "train") from exc


class Logs:
    """Writes into one folder after every epoch; a context manager.

    Args:
        history: epochs that are finished already, when a training goes on.
    """

    def __init__(self, folder: Path, history: Sequence[EpochRecord]) -> None:
        from tensorboardX import SummaryWriter

        self._folder = folder
        # What a killed process wrote beyond its last checkpoint is hidden behind the steps that are written again.
        # Names of event files tell seconds only: two runs within one would share a file, and the first be lost.
        self._events = SummaryWriter(
            str(folder / "tensorboard"), purge_step=len(history) + 1, filename_suffix=f".from{len(history) + 1}"
        )

    def write(self, history: Sequence[EpochRecord]) -> None:
        """Add the last epoch."""
        for name, value in asdict(history[-1]).items():
            if value is not None and name != "epoch":
                self._events.add_scalar(name, value, history[-1].epoch)
        self._events.flush()
        self.draw(history)

    def draw(self, history: Sequence[EpochRecord]) -> None:
        """Write the CSV and the curves of all epochs anew."""
        write_atomic(self._folder / "history.csv", history_csv(history))
        write_atomic(self._folder / "curves.png", curves_png(history))

    def close(self) -> None:
        """Finish the event file."""
        self._events.close()

    def __enter__(self) -> "Logs":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def history_csv(history: Sequence[EpochRecord]) -> str:
    """One row an epoch, with a header; empty where there is no value."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(EpochRecord)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(record) for record in history)
    return text.getvalue()


def curves_png(history: Sequence[EpochRecord]) -> bytes:
    """Loss and accuracy over epochs, training and validation, as a PNG of 1200x480 pixels."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(10, 4), dpi=120, layout="constrained")
    for axes, name, title in zip(figure.subplots(1, 2), ("loss", "accuracy"), ("Loss", "Accuracy"), strict=True):
        _curve(axes, history, name, "training", "#7a8ba3")
        _curve(axes, history, f"val_{name}", "validation", "#c2410c")
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[1].yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    figure.axes[1].legend(loc="lower right", frameon=False)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def _curve(axes: Any, history: Sequence[EpochRecord], name: str, label: str, color: str) -> None:
    points = [(record.epoch, getattr(record, name)) for record in history if getattr(record, name) is not None]
    if points:
        axes.plot(*zip(*points, strict=True), label=label, color=color, marker="o" if len(points) < 3 else None)
