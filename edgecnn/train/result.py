"""A finished training and its `train` JSON record."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgecnn.measure.evaluate import Evaluation
from edgecnn.measure.machine import versions
from edgecnn.train.adversary import RobustAccuracy
from edgecnn.train.checkpoint import EpochRecord
from edgecnn.train.design import Design
from edgecnn.train.options import TrainConfig


@dataclass(frozen=True)
class TrainResult:
    """A finished training; `to_dict` is the `train` JSON record.

    Attributes:
        output: the `.keras` file; sha256 and size_bytes are its own.
        folder: logs, curves and the checkpoint.
        history: all epochs; the model has the weights of epoch `kept_epoch`, counted from 1.
        pictures: how many were trained on and validated with.
        split: the split that `evaluation` is of.
        robust: accuracy under attack, where it was trained with one.
        device: what it ran on, for people.
        seconds: of all epochs, those before a resume included.
    """

    output: Path
    sha256: str
    size_bytes: int
    folder: Path
    design: Design
    config: TrainConfig
    parameters: int
    history: tuple[EpochRecord, ...]
    kept_epoch: int
    pictures: dict[str, int]
    split: str
    evaluation: Evaluation
    robust: RobustAccuracy | None
    device: str
    notes: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Wall seconds of all epochs."""
        return sum(record.seconds for record in self.history)

    def to_dict(self) -> dict[str, Any]:
        """The `train` JSON record."""
        return {
            "schema": "edgecnn.train/1",
            "model": str(self.output),
            "sha256": self.sha256,
            "size_bytes": self.size_bytes,
            "logs": str(self.folder),
            "arch": self.design.arch,
            "parameters": self.parameters,
            "label_names": list(self.evaluation.labels),
            "preprocess": self.design.preprocess.to_dict(),
            "preprocess_spec": self.design.preprocess.spec,
            "options": self.config.to_dict(),
            "pictures": self.pictures,
            "epochs": len(self.history),
            "kept_epoch": self.kept_epoch,
            "history": [asdict(record) for record in self.history],
            "split": self.split,
            "evaluation": self.evaluation.to_dict(),
            "robust": asdict(self.robust) if self.robust else None,
            "device": self.device,
            "seconds": round(self.seconds, 3),
            "versions": versions(),
            "notes": list(self.notes),
        }
