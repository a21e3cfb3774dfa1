"""What the tests of training share."""

from pathlib import Path

import pytest

from edgecnn.train.checkpoint import EpochRecord
from tests.keras_models import write_colors


class Silent:
    """An observer that remembers the epochs, and stops the training like Ctrl-C after one of them."""

    def __init__(self, stop_after: int = 0) -> None:
        self.records: list[EpochRecord] = []
        self._stop_after = stop_after

    def step(self, name: str) -> None:
        pass

    def progress(self, done: int, total: int) -> None:
        pass

    def batch(self, epoch: int, done: int, total: int, accuracy: float) -> None:
        assert 1 <= done <= total
        assert 0 <= accuracy <= 1

    def epoch(self, record: EpochRecord) -> None:
        self.records.append(record)
        if record.epoch == self._stop_after:
            raise KeyboardInterrupt


@pytest.fixture(scope="session")
def colors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of three colours: 24 a class to train, 6 to validate, 8 to test."""
    return write_colors(tmp_path_factory.mktemp("colors") / "colors", {"train": 24, "val": 6, "test": 8})
