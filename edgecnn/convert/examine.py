"""Which layer hurts: the damage of each layer's quantization, on labelled or unlabelled pictures."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle.tflite import with_metadata, with_signature
from edgecnn.bundle.weights import is_float
from edgecnn.compress.sensitivity import sensitivity
from edgecnn.data.dataset import Dataset, Sample, balanced
from edgecnn.data.preprocess import Preprocessor, real_range
from edgecnn.errors import DataError, ImageError, ModelError
from edgecnn.measure.evaluate import labelled_task
from edgecnn.measure.match import classifier_for
from edgecnn.spec import Spec


def layer_sensitivity(
    content: bytes,
    dataset: Dataset,
    *,
    labels: Sequence[str] | None = None,
    spec: Spec | None = None,
    name: str = "model",
    limit: int = 500,
    calibration_samples: int = 300,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """The `sensitivity` JSON record of a float `.tflite`.

    Args:
        dataset: its training pictures calibrate; damage is measured on others, with or without labels.
        name: what messages call the model.
        limit: at most so many pictures are measured.

    Raises:
        ModelError: quantized already, or no single-image classifier.
        DataError: the data does not fit the model.
        PreprocessError: the preprocessing cannot be found out.
        MissingExtraError: ai-edge-quantizer is not installed.
    """
    if not is_float(content):
        raise ModelError(f"{name} is quantized already; give the float model it was made from")
    classifier, choice = classifier_for(content, dataset, labels=labels, spec=spec or Spec(), name=name)
    prepare = Preprocessor(classifier.preprocess)
    if dataset.labelled:
        split = dataset.measured_split()
        training = labelled_task(dataset, classifier.labels, "train").samples
        measured = labelled_task(dataset, classifier.labels, split, limit=limit).samples
    else:
        images = balanced(dataset.split("train"), len(dataset.split("train")))
        split, half = "unlabelled", (len(images) + 1) // 2
        training, measured = images[:half], images[half:][:limit]
    skipped: list[tuple[str, str]] = []
    tensors, _ = _tensors(dataset, balanced(training, calibration_samples), prepare, skipped)
    pictures, kept = _tensors(dataset, measured, prepare, skipped)
    truth = np.array([sample.label for sample in kept], np.int64) if dataset.labelled else None
    bare = with_signature(with_metadata(content, b""))
    damages = sensitivity(
        bare,
        head=classifier.head.kind,
        tensors=tensors,
        input_range=real_range(classifier.preprocess),
        evaluate=pictures,
        labels=truth,
        progress=progress,
    )
    top1 = None
    if truth is not None:
        predicted = [int(np.argmax(classifier.head.probabilities(classifier.engine.run(x)[None])[0])) for x in pictures]
        top1 = float(np.mean(np.array(predicted) == truth))
    return {
        "schema": "edgecnn.sensitivity/1",
        "model": name,
        "data": dataset.name,
        "split": split,
        "samples": len(pictures),
        "calibration_samples": len(tensors),
        "skipped": len(skipped),
        "skipped_images": [{"image": image, "reason": reason} for image, reason in skipped],
        "preprocess": choice,
        "float_top1": top1,
        "layers": [damage.to_dict() for damage in damages],
    }


def _tensors(
    dataset: Dataset, samples: Sequence[Sample], prepare: Preprocessor, skipped: list[tuple[str, str]]
) -> tuple[list[NDArray[np.float32]], list[Sample]]:
    """Inputs of pictures, and the pictures that could be read; (name, reason) of the others go to `skipped`."""
    tensors, kept = [], []
    for sample in samples:
        try:
            tensors.append(prepare(dataset.read(sample)))
        except ImageError as exc:
            skipped.append((sample.name, str(exc)))
            continue
        kept.append(sample)
    if not tensors:
        raise DataError(f"none of the {len(samples)} images of {dataset.name} could be read")
    return tensors, kept
