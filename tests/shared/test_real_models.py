"""Real models on real pictures: each is converted or evaluated as a user would, and the known facts must come out."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from edgecnn.bundle.bundle import open_bundle
from edgecnn.cli.main import cli
from edgecnn.config import Preprocess
from edgecnn.convert.options import ConvertConfig
from edgecnn.convert.pipeline import convert_model
from edgecnn.convert.result import ConvertResult
from edgecnn.data.dataset import Dataset, balanced, open_dataset, read_labels
from edgecnn.data.images import read_image
from edgecnn.data.preprocess import Preprocessor
from edgecnn.files import sha256_path
from edgecnn.measure.evaluate import labelled_task, summarize
from edgecnn.measure.match import classifier_for
from edgecnn.measure.score import score
from edgecnn.runtime.classifier import Classifier
from edgecnn.spec import parse_spec
from tests.keras_models import save

pytestmark = pytest.mark.shared_data


@pytest.fixture(scope="module")
def models(shared_data: Path) -> Path:
    return shared_data / "models"


@pytest.fixture(scope="module")
def cifar10(shared_data: Path) -> Iterator[Dataset]:
    with open_dataset(shared_data / "cifar10.tar.gz") as dataset:
        yield dataset


@pytest.fixture(scope="module")
def trashnet(shared_data: Path) -> Iterator[Dataset]:
    with open_dataset(shared_data / "trashnet.tar.gz") as dataset:
        yield dataset


def converted(model: Path, output: Path, dataset: Dataset, spec: str, **options: Any) -> ConvertResult:
    result = convert_model(model, output, dataset, ConvertConfig(preprocess=parse_spec(spec), **options))
    assert open_bundle(output).labels == result.labels
    return result


def test_resnet8_of_mlperf_tiny(models: Path, cifar10: Dataset, tmp_path: Path) -> None:
    model, output = models / "mlperf_tiny_resnet8_cifar10.h5", tmp_path / "r8.tflite"
    result = converted(model, output, cifar10, "", accuracy_samples=2000)
    assert output.stat().st_size <= 100_000
    assert result.accuracy["samples"] == 2000
    assert result.accuracy["agreement"] >= 0.95
    assert result.accuracy["float"] == pytest.approx(0.7548, abs=0.03)  # measured on all 10,000
    assert result.accuracy["drop_pp"] < 1
    assert result.labels == read_labels(models / "cifar10_labels.txt")
    assert result.preprocess.spec == "raw,size=32x32,rgb,stretch"
    assert (result.choice["source"], len(result.choice["candidates"])) == ("auto", 9)
    card = open_bundle(output).card
    assert card is not None
    assert card.source == {"name": model.name, "sha256": sha256_path(model), "kind": "tf_keras"}


@pytest.mark.slow
def test_waste_classifier_of_teachable_machine(models: Path, trashnet: Dataset, tmp_path: Path) -> None:
    names = read_labels(models / "teachable_machine_waste_labels.txt")
    assert len(names) == 4
    assert not any(name[0].isdigit() for name in names)
    result = converted(
        models / "teachable_machine_waste.h5", tmp_path / "waste.tflite", trashnet, "auto", labels=names,
        calibration_samples=60, accuracy_samples=120,
    )  # fmt: skip
    assert (result.preprocess.normalization, result.preprocess.color) == ("symmetric", "rgb")
    assert result.accuracy["float"] > 0.9
    assert result.accuracy["agreement"] >= 0.95
    assert any("the model does not know are left out: paper" in note for note in result.notes)
    assert len(result.content) < 0.4 * len(result.float_content)


def test_visual_wake_words_on_unlabelled_photos(models: Path, shared_data: Path, tmp_path: Path) -> None:
    arguments = [
        "convert", str(models / "mlperf_tiny_vww_96.h5"), "-o", str(tmp_path / "vww.tflite"), "--data",
        str(shared_data / "photos"), "--labels", str(models / "vww_labels.txt"), "--json",
    ]  # fmt: skip
    refused = CliRunner().invoke(cli, arguments)
    assert refused.exit_code == 1
    assert "only labelled images can tell; give --preprocess" in refused.stderr
    record = json.loads(CliRunner().invoke(cli, [*arguments, "--preprocess", "unit"]).stdout)
    accuracy = record["accuracy"]
    assert (accuracy["float"], accuracy["output"], accuracy["split"]) == (None, None, "unlabelled")
    assert (accuracy["samples"], record["calibration_samples"]) == (9, 9)
    assert accuracy["agreement"] >= 8 / 9
    classifier = Classifier(tmp_path / "vww.tflite")
    for name, label in (("people_faces", "person"), ("person_squat", "person"), ("owl", "non_person")):
        best = classifier.classify(read_image(shared_data / "photos" / f"{name}.jpg"))[0]
        assert best.label.replace("-", "_").endswith(label), name


@pytest.mark.slow
def test_a_head_on_a_nested_mobilenet(models: Path, trashnet: Dataset, tmp_path: Path) -> None:
    import keras

    backbone = keras.saving.load_model(models / "mobilenetv2_a035_224_notop_imagenet.keras", compile=False)
    layers = keras.layers
    network = keras.Sequential(
        [
            layers.Input((224, 224, 3)),
            layers.Rescaling(1 / 127.5, offset=-1),
            backbone,
            layers.GlobalAveragePooling2D(),
            layers.Dense(5),
        ]
    )
    features = keras.Sequential(network.layers[:-1])
    prepare = Preprocessor(Preprocess(224, 224))
    samples = balanced(trashnet.split("train"), 100)
    tensors = np.stack([prepare(trashnet.read(sample)) for sample in samples])
    known = np.concatenate([np.asarray(features(part)) for part in np.array_split(tensors, 5)])
    wanted = np.eye(5)[np.array([sample.label for sample in samples], np.int64)]
    weights = known.T @ np.linalg.solve(known @ known.T + 0.5 * np.eye(len(known)), wanted)  # ridge regression
    network.layers[-1].set_weights([10 * weights, np.zeros(5)])
    model = save(network, tmp_path / "nested.keras")
    result = converted(
        model, tmp_path / "nested.tflite", trashnet, "raw", calibration_samples=60, accuracy_samples=100
    )  # fmt: skip
    assert result.head == "logits"
    assert result.accuracy["float"] > 0.6  # chance is 0.2
    assert result.accuracy["agreement"] >= 0.9
    assert result.parity is not None
    assert result.parity.max_abs_difference < result.parity.tolerance
    assert len(result.content) < 0.4 * len(result.float_content)


@pytest.mark.parametrize(("kind", "accuracy"), [("float", 0.7548), ("int8", 0.7542)])
def test_the_published_tflite_files_of_resnet8(kind: str, accuracy: float, models: Path, cifar10: Dataset) -> None:
    content = (models / f"mlperf_tiny_resnet8_cifar10_{kind}.tflite").read_bytes()
    labels = read_labels(models / "cifar10_labels.txt")
    classifier, choice = classifier_for(content, cifar10, labels=labels, spec=parse_spec("auto"))
    assert choice["source"] == "auto"
    assert classifier.preprocess.spec == "raw,size=32x32,rgb,stretch"
    assert classifier.engine.input_type.dtype == ("float32" if kind == "float" else "int8")
    task = labelled_task(cifar10, labels, "test", limit=2000)
    evaluation = summarize(score([classifier], cifar10, task.samples), labels)
    assert evaluation.top1 == pytest.approx(accuracy, abs=0.03)
    assert evaluation.top5 > 0.95


def test_evaluate_from_the_command_line(models: Path, shared_data: Path) -> None:
    arguments = [
        "evaluate", str(models / "mlperf_tiny_resnet8_cifar10_int8.tflite"), "--data",
        str(shared_data / "cifar10.tar.gz"), "--labels", str(models / "cifar10_labels.txt"), "--preprocess", "auto",
        "--limit", "500", "--json",
    ]  # fmt: skip
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.stderr
    record = json.loads(done.stdout)[0]
    assert (record["samples"], record["preprocess"]["source"]) == (500, "auto")
    assert record["top1"] == pytest.approx(0.7542, abs=0.06)


def test_a_backbone_without_its_head_is_refused(models: Path, shared_data: Path, tmp_path: Path) -> None:
    for name in ("mobilenetv2_a035_224_notop_imagenet.keras", "mobilenetv2_a035_224_notop_imagenet_tfkeras.h5"):
        arguments = [
            "convert",
            str(models / name),
            "-o",
            str(tmp_path / "x.tflite"),
            "--data",
            str(shared_data / "photos"),
        ]
        done = CliRunner().invoke(cli, arguments)
        assert done.exit_code == 1
        assert "got (?, 7, 7, 1280)" in done.stderr
        assert "backbones without a head are no classifiers" in done.stderr
    assert list(tmp_path.iterdir()) == []
