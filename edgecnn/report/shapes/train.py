"""What `edgecnn train` says of a finished training."""

from typing import Any, Final

from edgecnn.report.shapes.evaluate import METRICS
from edgecnn.report.shapes.kinds import Each, Maybe

_EPOCH: Final = {
    "epoch": "count",
    "loss": "number",
    "accuracy": "share",
    "val_loss": Maybe("number"),
    "val_accuracy": Maybe("share"),
    "learning_rate": "amount",
    "seconds": "amount",
}
TRAIN: Final[dict[str, Any]] = {
    "schema": "text",
    "model": "text",
    "sha256": "text",
    "size_bytes": "count",
    "logs": "text",
    "arch": "text",
    "parameters": "count",
    "label_names": ["text"],
    "preprocess": "table",
    "preprocess_spec": "text",
    "options": "table",
    "pictures": Each("count"),
    "epochs": "count",
    "kept_epoch": "count",
    "history": [_EPOCH],
    "split": "text",
    "evaluation": METRICS,
    "robust?": Maybe({"epsilon": "share", "steps": "count", "samples": "count", "clean": "share", "top1": "share"}),
    "device": "text",
    "seconds": "amount",
    "versions": "table",
    "notes": ["text"],
}
