"""The whole state of a training after an epoch in one file, written whole or not at all."""

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.errors import DataError
from edgecnn.files import write_atomic

Arrays = list[NDArray[Any]]
_DAMAGED = (OSError, KeyError, TypeError, ValueError, EOFError, zipfile.BadZipFile)


@dataclass(frozen=True)
class EpochRecord:
    """One epoch: losses, accuracies in [0, 1], the learning rate at its end, wall seconds.

    Validation values are None where nothing is held out.
    """

    epoch: int
    loss: float
    accuracy: float
    val_loss: float | None
    val_accuracy: float | None
    learning_rate: float
    seconds: float


@dataclass
class State:
    """Where a training stands.

    Attributes:
        history: the finished epochs.
        network, optimizer: values of their variables, random seeds of layers included.
        best: weights of the best epoch; empty before the first.
        best_epoch: its number, counted from 1.
        finished: all epochs are done, or patience has ended.
    """

    history: list[EpochRecord] = field(default_factory=list)
    network: Arrays = field(default_factory=list)
    optimizer: Arrays = field(default_factory=list)
    best: Arrays = field(default_factory=list)
    best_epoch: int = 0
    finished: bool = False


def save(path: Path, state: State, options: dict[str, Any]) -> None:
    """Write the state, and the options that it was reached with.

    Raises:
        DataError: the folder cannot be written.
    """
    arrays = {
        f"{part}/{i}": value
        for part in ("network", "optimizer", "best")
        for i, value in enumerate(getattr(state, part))
    }
    about = {
        "options": options,
        "history": [asdict(record) for record in state.history],
        "best_epoch": state.best_epoch,
        "finished": state.finished,
    }
    file = io.BytesIO()
    np.savez(file, about=np.array(json.dumps(about)), allow_pickle=False, **arrays)
    write_atomic(path, file.getvalue())


def load(path: Path, options: dict[str, Any]) -> State:
    """Read a state back.

    Raises:
        DataError: the file is damaged, or was reached with other options.
    """
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:  # it does not close what is damaged
            about = json.loads(str(file["about"]))
            groups: dict[str, Arrays] = {"network": [], "optimizer": [], "best": []}
            for name in file.files:
                part, slash, _ = name.partition("/")
                if slash:
                    groups[part].append(file[name])
            history = [EpochRecord(**record) for record in about["history"]]
    except _DAMAGED as exc:
        raise DataError(f"cannot go on from {path}: {exc}; delete its folder to start again") from exc
    given, wanted = json.loads(json.dumps(options)), about["options"]
    if other := [key for key in sorted(given.keys() | wanted.keys()) if given.get(key) != wanted.get(key)]:
        key = other[0]
        raise DataError(
            f"cannot go on from {path}: it was made with {key}={_short(wanted.get(key))}, "
            f"got {_short(given.get(key))}; give the same options, or delete its folder to start again"
        )
    return State(history, **groups, best_epoch=about["best_epoch"], finished=about["finished"])


def left_by(path: Path | None, options: dict[str, Any]) -> State:
    """What an interrupted call left, if it was the same call; else the state before the first epoch."""
    if path is None or not path.exists():
        return State()
    try:
        return load(path, options)
    except DataError:  # of another run, which is over
        return State()


def standing(path: Path) -> tuple[int, bool]:
    """How many epochs a checkpoint has done, and whether its training came to its end; (0, False) if damaged."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
        return len(about["history"]), bool(about["finished"])
    except _DAMAGED:
        return 0, False


def values(variables: Sequence[Any]) -> Arrays:
    """Values of Keras variables, copied."""
    import keras

    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def assign(variables: Sequence[Any], arrays: Arrays) -> None:
    """Give Keras variables their values.

    Raises:
        DataError: number or shapes differ.
    """
    shapes = [tuple(variable.shape) for variable in variables]
    if shapes != [array.shape for array in arrays]:
        raise DataError("the checkpoint is of another network; delete its folder to start again")
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
