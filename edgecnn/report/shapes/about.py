"""What `edgecnn inspect` says of a model, and `doctor` of an installation."""

from typing import Any, Final

from edgecnn.report.shapes.convert import ARCHITECTURE, CONFIDENCE, REFERENCE
from edgecnn.report.shapes.kinds import Each, Maybe

_TENSOR: Final = {"name": "text", "shape": ["number"], "dtype": "text", "scale": "number", "zero_point": "number"}
INSPECT: Final[dict[str, Any]] = {
    "schema": "text",
    "path": "text",
    "sha256": "text",
    "size_bytes": "count",
    "inputs": [_TENSOR],
    "outputs": [_TENSOR],
    "ops": Each("count"),
    "head": "text",
    "parameters": "count",
    "macs?": "count",
    "architecture?": Maybe(ARCHITECTURE),
    "sparsity": "share",
    "labels": ["text"],
    "preprocess": "table",
    "confidence?": Maybe(CONFIDENCE),
    "reference?": Maybe(REFERENCE),
    "provenance": "table",
}
DOCTOR: Final[dict[str, Any]] = {
    "schema": "text",
    "packages": [{"package": "text", "version": Maybe("text"), "extra": "text", "purpose": "text"}],
    "runtime": {"works": "flag", "detail": "text"},
    "machine": "table",
}
