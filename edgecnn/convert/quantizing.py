"""From a float `.tflite` to the quantized one: as asked for, or up the ladder until accuracy is inside the budget."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecnn.compress.ladder import Climb, Measured, climb
from edgecnn.compress.quantize import Quantized, quantize
from edgecnn.config import Preprocess
from edgecnn.convert.options import ConvertConfig
from edgecnn.data.dataset import Dataset, Sample, balanced
from edgecnn.data.preprocess import real_range
from edgecnn.measure.evaluate import labelled_task
from edgecnn.measure.score import score
from edgecnn.runtime.classifier import Classifier

_JUDGES = 5000  # at most so many pictures decide about a rung


@dataclass(frozen=True)
class Quantizing:
    """What a quantization works with.

    Attributes:
        tensors: calibration inputs, float32 (height, width, channels) each.
        judges: pictures that decide between the rungs of the ladder; accuracy is reported on others.
        labels: class names in the model's order.
        head: "softmax", "sigmoid" or "logits".
    """

    config: ConvertConfig
    dataset: Dataset
    preprocess: Preprocess
    labels: tuple[str, ...]
    head: str
    tensors: Sequence[NDArray[np.float32]]
    judges: Sequence[Sample]

    def run(
        self,
        content: bytes,
        *,
        qat: Callable[[], bytes] | None = None,
        qat_missing: str = "",
        progress: Callable[[str], None] | None = None,
    ) -> tuple[Quantized, Climb | None]:
        """Quantize a float `.tflite`; with "auto" up the ladder.

        Args:
            qat: the last rung of the ladder, which trains; `qat_missing` says why there is none.
            progress: called with the name of a rung before it is tried.

        Raises:
            ConversionError: no calibration inputs, or the quantizer failed.
            ModelError: a layer to keep in float is not there.
        """
        config, reach = self.config, real_range(self.preprocess)
        if config.quantize != "auto":
            return self.plain(content), None
        climbed = climb(
            content,
            head=self.head,
            io=config.io_type,
            tensors=self.tensors,
            input_range=reach,
            measure=self._measure,
            max_drop=config.budget,
            qat=qat,
            qat_missing=qat_missing,
            progress=progress,
        )
        return Quantized(climbed.content), climbed

    def plain(self, content: bytes) -> Quantized:
        """Quantize without a ladder."""
        config = self.config
        return quantize(
            content,
            kind="int8" if config.quantize == "auto" else config.quantize,
            io=config.io_type,
            head=self.head,
            tensors=self.tensors,
            input_range=real_range(self.preprocess),
            keep_float=config.keep_float,
        )

    def classifier(self, content: bytes) -> Classifier:
        """A model with this preprocessing and these labels."""
        return Classifier(content, labels=self.labels, preprocess=self.preprocess, head=self.head)

    def _measure(self, content: bytes) -> Measured:
        scores = score([self.classifier(content)], self.dataset, self.judges)
        known = self.dataset.labelled
        truth = np.array([sample.label for sample in scores.samples], np.int64) if known else None
        return Measured(scores.predicted(0), truth)


def choose_judges(
    dataset: Dataset, labels: Sequence[str], split: str, training: Sequence[Sample], calibrating: Sequence[Sample]
) -> tuple[Sample, ...]:
    """Pictures that may decide between quantized models: the val split, else training pictures that do not calibrate.

    Args:
        split: on which accuracy is reported.
    """
    if split == "test" and dataset.split("val"):
        return labelled_task(dataset, labels, "val", limit=_JUDGES).samples
    used = set(calibrating)
    others = [sample for sample in training if sample not in used]
    return balanced(others or training, _JUDGES)
