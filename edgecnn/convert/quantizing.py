"""From a float `.tflite` to the quantized one: as asked for, or up the ladder until accuracy is inside the budget."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle.card import Confidence
from edgecnn.compress.ladder import Climb, Measured, climb
from edgecnn.compress.quantize import Quantized, quantize
from edgecnn.config import Preprocess
from edgecnn.convert.options import ConvertConfig
from edgecnn.convert.samples import Pictures
from edgecnn.data.dataset import Dataset, Sample
from edgecnn.data.preprocess import real_range
from edgecnn.measure.confidence import measure_confidence, too_sure
from edgecnn.measure.score import Progress, Scores, score
from edgecnn.runtime.classifier import Classifier


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

    def classifier(self, content: bytes, confidence: Confidence | None = None) -> Classifier:
        """A model with this preprocessing and these labels."""
        return Classifier(
            content, labels=self.labels, preprocess=self.preprocess, head=self.head, confidence=confidence
        )

    def confidence(self, content: bytes, pictures: Pictures, *, progress: Progress | None = None) -> Confidence:
        """Temperature and threshold of the quantized model, from pictures that it has not seen.

        Raises:
            DataError: none of them can be read.
        """
        classifier = self.classifier(content)
        scores = score([classifier], self.dataset, pictures.unseen, progress=progress)
        return measure_confidence(
            scores.probabilities[0],
            _truth(scores),
            classifier.head,
            split=pictures.unseen_split,
            keep_right=self.config.keep_right,
        )

    def _measure(self, content: bytes) -> Measured:
        scores = score([self.classifier(content)], self.dataset, self.judges)
        return Measured(scores.predicted(0), _truth(scores) if self.dataset.labelled else None)


def quantized_words(quantized: Quantized, climbed: Climb | None) -> list[str]:
    """How it was quantized, for people."""
    if climbed:
        rung = climbed.rungs[climbed.taken]
        return [f"{rung.name}: {rung.detail}", "inside the budget" if climbed.inside else "outside the budget"]
    if (chosen := quantized.chosen) is None:
        return []
    words = [
        f"activation ranges at the {chosen.range_quantile:.0%} quantile of the extremes",
        f"{chosen.weights} weights",
    ]
    return words + (["biases corrected"] if chosen.bias_correction else [])


def confidence_words(confidence: Confidence) -> list[str]:
    """What was found, for people."""
    words = [f"temperature {confidence.temperature:g} on {confidence.samples:,} images ({confidence.split})"]
    if confidence.unknown_below is not None:
        words.append(f"unknown below {confidence.unknown_below:.2%}")
    return words


def confidence_doubts(confidence: Confidence, scores: Scores) -> list[str]:
    """What there is to say against it.

    Args:
        scores: of the measured pictures, the output with its temperature last.
    """
    doubts = []
    where = f"{confidence.samples:,} images ({confidence.split})"
    if confidence.temperature == 1:
        doubts.append(f"confidence: the temperature stays 1, since the {where} tell no better one")
    if gap := too_sure(scores.probabilities[-1], _truth(scores)):
        doubts.append(
            f"confidence: on the measured images the mean score is {gap[0]:.1%}, and {gap[1]:.1%} are right, so the "
            f"model is still too sure; was it trained on the {where}? Calibrate with images that it has not seen"
        )
    return doubts


def _truth(scores: Scores) -> NDArray[np.int64]:
    return np.array([sample.label for sample in scores.samples], np.int64)
