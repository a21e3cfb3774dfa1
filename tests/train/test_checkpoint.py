"""A training's state: what is written is read back, and never taken for another training's."""

from pathlib import Path

import numpy as np
import pytest

from edgecnn.errors import DataError
from edgecnn.train import checkpoint
from edgecnn.train.checkpoint import EpochRecord, State

RECORD = EpochRecord(1, 0.5, 0.75, None, None, 1e-3, 2.5)


def state() -> State:
    random = np.random.default_rng(1)
    return State(
        history=[RECORD, EpochRecord(2, 0.4, 0.8, 0.45, 0.78, 5e-4, 2.4)],
        network=[random.random((3, 3, 1, 4), np.float32), np.array([7, 9], np.uint32)],
        optimizer=[np.array(12, np.int64), *(random.random(4, np.float32) for _ in range(11))],
        best=[random.random((3, 3, 1, 4), np.float32)],
        best_epoch=2,
    )


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    written, options = state(), {"arch": "lenet5", "rate": 0.1, "labels": ("a", "b")}
    checkpoint.save(tmp_path / "last.npz", written, options)
    read = checkpoint.load(tmp_path / "last.npz", options)
    assert (read.history, read.best_epoch, read.finished) == (written.history, 2, False)
    for part in ("network", "optimizer", "best"):
        pairs = list(zip(getattr(read, part), getattr(written, part), strict=True))
        assert all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)
    assert checkpoint.standing(tmp_path / "last.npz") == (2, False)


def test_other_options_are_named(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "last.npz", state(), {"arch": "lenet5", "seed": 1})
    with pytest.raises(DataError, match=r"made with seed=1, got 2; give the same options, or delete its folder"):
        checkpoint.load(tmp_path / "last.npz", {"arch": "lenet5", "seed": 2})


@pytest.mark.parametrize("keep", [0, 10, 500])
def test_a_damaged_file_is_one_clear_line(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "last.npz"
    checkpoint.save(path, state(), {})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"cannot go on from .*; delete its folder to start again"):
        checkpoint.load(path, {})
    assert checkpoint.standing(path) == (0, False)


def test_variables_of_another_network_are_refused() -> None:
    class Variable:
        shape = (2, 3)

    with pytest.raises(DataError, match="of another network"):
        checkpoint.assign([Variable()], [np.zeros((3, 2))])
