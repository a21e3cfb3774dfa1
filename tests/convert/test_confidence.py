"""Confidence through the whole conversion: of a foreign `.tflite` whose every fifth answer is wrong, and of Keras."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.bundle.bundle import open_bundle
from edgecnn.config import NORMALIZATIONS, Preprocess
from edgecnn.convert.options import ConvertConfig
from edgecnn.convert.pipeline import convert_model
from edgecnn.convert.result import ConvertResult
from edgecnn.data.dataset import Dataset, Sample
from edgecnn.errors import DataError
from edgecnn.measure.confidence import measure_confidence
from edgecnn.measure.evaluate import evaluate
from edgecnn.measure.score import score
from edgecnn.runtime.classifier import Classifier
from edgecnn.spec import parse_spec
from tests.measure.colors import NAMES, ColorPictures, nearest_color

Convert = Callable[..., ConvertResult]
UNIT = Preprocess(4, 4, "rgb", *NORMALIZATIONS["unit"])


def mistaken(splits: tuple[str, ...] = ("val", "test"), *, val: int = 20, test: int = 20) -> Dataset:
    """Pictures of which every fifth in these splits has the label of another colour."""
    pictures = ColorPictures(train=6, val=val, test=test)
    dataset = pictures.dataset

    def label(i: int, sample: Sample) -> Sample:
        return replace(sample, label=((sample.label or 0) + (i % 5 == 0)) % len(NAMES))

    changed = {name: tuple(label(i, sample) for i, sample in enumerate(dataset.split(name))) for name in splits}
    return Dataset(dataset.name, NAMES, dataset.splits | changed, pictures.picture)


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float `.tflite` that says nothing about itself."""
    path = tmp_path_factory.mktemp("foreign") / "colors.tflite"
    path.write_bytes(nearest_color(UNIT))
    return path


def converted(model: Path, output: Path, dataset: Dataset, *, spec: str = "unit", **options: Any) -> ConvertResult:
    return convert_model(model, output, dataset, ConvertConfig(preprocess=parse_spec(spec), **options))


@pytest.mark.parametrize(("quantize", "io"), [("int8", "int8"), ("int8", "uint8"), ("float32", "float32")])
def test_a_model_that_is_too_sure(quantize: str, io: str, foreign: Path, tmp_path: Path) -> None:
    dataset = mistaken()
    plain = converted(foreign, tmp_path / "plain.tflite", dataset, quantize=quantize, io=io)
    result = converted(
        foreign, tmp_path / "out.tflite", dataset, quantize=quantize, io=io, calibrate_confidence=True, keep_right=0.9
    )
    found = result.confidence
    assert found is not None
    assert plain.confidence is None
    assert (found.samples, found.split) == (200, "val")
    assert found.temperature > 1.2
    assert found.ece_after < found.ece_before - 0.05
    assert found.kept_right >= 0.9

    scores = score([Classifier(plain.content)], dataset, dataset.split("val"))
    truth = np.array([sample.label for sample in scores.samples])
    head = Classifier(plain.content).head
    assert found == measure_confidence(scores.probabilities[0], truth, head, split="val", keep_right=0.9)

    card = open_bundle(tmp_path / "out.tflite").card
    assert card is not None
    assert card.confidence == found
    assert card.recipe.items() >= {"calibrate_confidence": True, "keep_right": 0.9}.items()
    record = result.to_dict()
    assert record["confidence"] == found.to_dict()
    assert plain.to_dict()["confidence"] is None
    assert record["accuracy"] == plain.to_dict()["accuracy"]
    assert "temperature" in next(step["detail"] for step in record["steps"] if step["name"] == "calibrate confidence")
    assert not any("confidence" in note for note in result.notes)


def test_the_evaluation_is_of_the_calibrated_scores(foreign: Path, tmp_path: Path) -> None:
    dataset = mistaken()
    result = converted(foreign, tmp_path / "out.tflite", dataset, calibrate_confidence=True)
    plain = Classifier(converted(foreign, tmp_path / "plain.tflite", dataset).content)
    calibrated = Classifier(tmp_path / "out.tflite")
    for one, other in zip(dataset.split("test"), result.scores.samples, strict=True):
        assert one == other
    before, after = score([plain, calibrated], dataset, dataset.split("test")).probabilities
    np.testing.assert_array_equal(result.scores.probabilities[-1], after)
    np.testing.assert_array_equal(np.argsort(-before, kind="stable"), np.argsort(-after, kind="stable"))
    first, second = (evaluate(classifier, dataset) for classifier in (plain, calibrated))
    assert (first.top1, first.top5, first.confusion) == (second.top1, second.top5, second.confusion)
    assert result.classifier().head.temperature == calibrated.head.temperature != 1
    assert result.classifier(float_model=True).head.temperature == 1


def test_without_a_test_split_half_of_val_is_used(foreign: Path, tmp_path: Path) -> None:
    dataset = mistaken(test=0)
    result = converted(foreign, tmp_path / "out.tflite", dataset, calibrate_confidence=True)
    assert result.confidence is not None
    assert (result.confidence.samples, result.confidence.split) == (100, "half of val")
    assert (result.accuracy["samples"], result.accuracy["split"]) == (100, "val")
    assert any(note.startswith("half of the val images tell how sure") for note in result.notes)


def test_val_images_that_the_model_knows_are_told(foreign: Path, tmp_path: Path) -> None:
    dataset = mistaken(("test",), test=40)
    result = converted(foreign, tmp_path / "out.tflite", dataset, calibrate_confidence=True)
    assert result.confidence is not None
    assert result.confidence.temperature == 1
    alike, doubt = (note for note in result.notes if note.startswith("confidence: "))
    assert alike == "confidence: the temperature stays 1, since the 200 images (val) tell no better one"
    assert "79.8% are right, so the model is still too sure; was it trained on the 200 images (val)?" in doubt


def test_a_keras_model_up_the_ladder(convert: Convert, model: Path, colors: Path, tmp_path: Path) -> None:
    result = convert(model, tmp_path / "out.tflite", colors, quantize="auto", calibrate_confidence=True)
    assert result.confidence is not None
    assert (result.confidence.temperature, result.confidence.split) == (1, "val")
    assert result.confidence.unknown_below is not None
    classifier = Classifier(tmp_path / "out.tflite")
    assert classifier.unknown_below == result.confidence.unknown_below


def test_images_without_labels_cannot_tell(convert: Convert, model: Path, flat: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^--calibrate-confidence needs labelled images, and flat has no class"):
        convert(model, tmp_path / "out.tflite", flat, labels=("a", "b", "c"), calibrate_confidence=True)
    assert list(tmp_path.iterdir()) == []


def test_the_same_images_give_the_same_bytes(foreign: Path, tmp_path: Path) -> None:
    dataset = mistaken(test=0)
    contents = {
        converted(foreign, tmp_path / "out.tflite", dataset, calibrate_confidence=True, seed=4).content for _ in "ab"
    }
    assert len(contents) == 1


def test_our_own_calibrated_bundle_is_measured_anew(foreign: Path, tmp_path: Path) -> None:
    """The temperature of the float model is no part of what is quantized later."""
    dataset = mistaken()
    converted(foreign, tmp_path / "float.tflite", dataset, quantize="float32", calibrate_confidence=True)
    later = converted(tmp_path / "float.tflite", tmp_path / "later.tflite", dataset, spec="")
    assert Classifier(tmp_path / "float.tflite").head.temperature != 1
    assert later.confidence is None
    assert Classifier(tmp_path / "later.tflite").head.temperature == 1
