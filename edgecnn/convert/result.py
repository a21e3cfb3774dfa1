"""A finished conversion and its `convert` JSON record."""

import gzip
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgecnn.bundle.architecture import architecture
from edgecnn.bundle.card import Confidence, Reference
from edgecnn.bundle.tflite import describe
from edgecnn.compress.ladder import Climb
from edgecnn.compress.quantize import Quantized
from edgecnn.config import Preprocess
from edgecnn.convert.options import ConvertConfig
from edgecnn.files import sha256_bytes
from edgecnn.keras_io.export import Parity
from edgecnn.measure.evaluate import summarize
from edgecnn.measure.machine import versions
from edgecnn.measure.score import Scores
from edgecnn.runtime.classifier import Classifier


@dataclass(frozen=True)
class Step:
    """One step of the run: name, wall seconds, what came of it."""

    name: str
    seconds: float
    detail: str


@dataclass(frozen=True)
class ConvertResult:
    """A finished conversion; `to_dict` is the `convert` JSON record."""

    model: Path
    model_sha256: str
    output: Path
    content: bytes
    float_content: bytes
    config: ConvertConfig
    labels: tuple[str, ...]
    preprocess: Preprocess
    head: str
    choice: dict[str, Any]
    calibration_samples: int
    stages: tuple[dict[str, Any], ...]
    gains: dict[str, Any] | None
    climb: Climb | None
    quantized: Quantized
    parity: Parity | None
    accuracy: dict[str, Any]
    confidence: Confidence | None
    reference: Reference
    scores: Scores
    steps: tuple[Step, ...]
    notes: tuple[str, ...]

    @property
    def within_budget(self) -> bool:
        """False when an accuracy budget was asked for and missed; by the ladder's judgement too."""
        if self.climb and not self.climb.inside:
            return False
        budget = self.config.budget if self.climb else self.config.max_drop
        return budget is None or self.accuracy["drop_pp"] is None or self.accuracy["drop_pp"] <= budget + 1e-9

    def classifier(self, *, float_model: bool = False, threads: int = 1) -> Classifier:
        """A classifier of the output, or of the float model it was made from."""
        content = self.float_content if float_model else self.content
        return Classifier(content, labels=self.labels, preprocess=self.preprocess, head=self.head, threads=threads)

    def evaluations(self) -> dict[str, dict[str, Any]]:
        """Full evaluations {"float", "output"} as JSON records; empty when the data had no labels."""
        if self.accuracy["output"] is None:
            return {}
        names = {"float": 0, "output": len(self.scores.probabilities) - 1}
        return {key: summarize(self.scores, self.labels, model=i).to_dict() for key, i in names.items()}

    def to_dict(self) -> dict[str, Any]:
        """The `convert` JSON record."""
        info = describe(self.content)
        rung = self.climb.rungs[self.climb.taken] if self.climb else None
        return {
            "schema": "edgecnn.convert/1",
            "model": str(self.model),
            "model_sha256": self.model_sha256,
            "output": str(self.output),
            "sha256": sha256_bytes(self.content),
            "size_bytes": len(self.content),
            "float_size_bytes": len(self.float_content),
            "gzip_bytes": len(gzip.compress(self.content, 9)),
            "float_gzip_bytes": len(gzip.compress(self.float_content, 9)),
            "quantize": self.config.quantize,
            "io": self.config.io_type,
            "calibration_samples": self.calibration_samples,
            "calibration": _calibration_record(self.quantized),
            "stages": list(self.stages),
            "gains": self.gains,
            "macs": info.macs,
            "float_macs": describe(self.float_content).macs,
            "sparsity": round(info.sparsity, 6),
            "architecture": architecture(self.content),
            "labels": len(self.labels),
            "label_names": list(self.labels),
            "preprocess": self.preprocess.to_dict(),
            "preprocess_spec": self.preprocess.spec,
            "preprocess_choice": self.choice,
            "steps": [asdict(step) for step in self.steps],
            "accuracy": self.accuracy,
            "confidence": self.confidence.to_dict() if self.confidence else None,
            "reference": self.reference.to_dict(),
            "skipped": len(self.scores.skipped),
            "skipped_images": [{"image": name, "reason": reason} for name, reason in self.scores.skipped],
            "max_drop": self.config.max_drop,
            "within_budget": self.within_budget,
            "layers_kept_float": list(rung.float_layers if rung else self.config.keep_float),
            "ladder": self.climb.to_dict() if self.climb else None,
            "parity": None if self.parity is None else asdict(self.parity),
            "notes": list(self.notes),
            "versions": versions(),
        }


def _calibration_record(quantized: Quantized) -> dict[str, Any] | None:
    if quantized.chosen is None:
        return None
    return asdict(quantized.chosen) | {"candidates": [asdict(candidate) for candidate in quantized.candidates]}
