"""Training end to end on little pictures: the file that comes out, resuming, and what is refused."""

import json
import zipfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from edgecnn.config import Preprocess
from edgecnn.data.dataset import open_dataset
from edgecnn.data.preprocess import Preprocessor
from edgecnn.errors import DataError, EdgecnnError, ModelError, PreprocessError
from edgecnn.keras_io.card import read_card
from edgecnn.spec import parse_spec
from edgecnn.train.augment import parse_augment
from edgecnn.train.options import TrainConfig
from edgecnn.train.result import TrainResult
from edgecnn.train.trainer import train_model
from tests.train.conftest import Silent

CONFIG = TrainConfig(arch="lenet5", epochs=4, batch_size=16, learning_rate=0.004, dropout=0.2)


def train(data: Path, output: Path, config: TrainConfig = CONFIG, observer: Silent | None = None) -> TrainResult:
    with open_dataset(data) as dataset:
        return train_model(dataset, output, config, observer=observer or Silent())


def values(result: TrainResult) -> list[dict[str, Any]]:
    """The history without its times."""
    return [asdict(replace(record, seconds=0)) for record in result.history]


@pytest.fixture(scope="module")
def trained(colors: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    return train(colors, tmp_path_factory.mktemp("trained") / "colors.keras", replace(CONFIG, epochs=12))


def test_it_learns(trained: TrainResult) -> None:
    assert trained.evaluation.top1 > 0.9
    assert trained.split == "test"
    assert trained.pictures == {"train": 72, "val": 18, "skipped": 0}
    assert trained.history[-1].loss < trained.history[0].loss
    best = max(record.val_accuracy or 0 for record in trained.history)
    assert trained.history[trained.kept_epoch - 1].val_accuracy == best


def test_the_file_carries_labels_and_preprocessing(trained: TrainResult) -> None:
    card = read_card(trained.output)
    assert card is not None
    assert card.labels == ("blue", "green", "red")
    assert card.preprocess == Preprocess(12, 10, mean=(0.0,), std=(255.0,))
    assert card.training["accuracy"]["top1"] == trained.evaluation.top1
    assert zipfile.ZipFile(trained.output).testzip() is None


def test_keras_alone_gets_the_same_metrics_from_the_file(trained: TrainResult, colors: Path) -> None:
    import keras

    model = keras.saving.load_model(trained.output)
    card = read_card(trained.output)
    assert card is not None
    prepare = Preprocessor(card.preprocess)
    with open_dataset(colors) as dataset:
        samples = dataset.split("test")
        scores = model.predict(np.stack([prepare(dataset.read(sample)) for sample in samples]), verbose=0)
    assert scores.sum(axis=1) == pytest.approx(1, abs=1e-5)
    truth, said = [sample.label for sample in samples], scores.argmax(axis=1)
    evaluation = trained.evaluation
    assert evaluation.top1 == pytest.approx(accuracy_score(truth, said), abs=1e-9)
    expected = precision_recall_fscore_support(truth, said, average="macro", zero_division=0)[:3]
    assert (evaluation.precision, evaluation.recall, evaluation.f1) == pytest.approx(expected, abs=1e-9)


def test_logs_lie_beside_it(trained: TrainResult) -> None:
    folder = trained.output.with_suffix(".training")
    rows = (folder / "history.csv").read_text().splitlines()
    assert rows[0] == "epoch,loss,accuracy,val_loss,val_accuracy,learning_rate,seconds"
    assert [row.partition(",")[0] for row in rows[1:]] == [str(i + 1) for i in range(12)]
    curves = cv2.imread(str(folder / "curves.png"))
    assert curves is not None
    assert curves.shape == (480, 1200, 3)
    assert list((folder / "tensorboard").iterdir())
    assert json.loads(json.dumps(trained.to_dict()))["epochs"] == 12


def test_the_same_seed_gives_the_same_history(colors: Path, tmp_path: Path) -> None:
    histories = [values(train(colors, tmp_path / f"{i}.keras", replace(CONFIG, seed=i // 2))) for i in range(3)]
    assert histories[0] == histories[1]
    assert histories[0] != histories[2]


@pytest.mark.parametrize("stop_after", [1, 3])
def test_a_resumed_training_has_the_history_of_an_uninterrupted_one(
    colors: Path, tmp_path: Path, stop_after: int
) -> None:
    config = replace(CONFIG, augment=parse_augment("light,mixup=0.2"))
    whole = train(colors, tmp_path / "whole.keras", config)
    with pytest.raises(KeyboardInterrupt):
        train(colors, tmp_path / "parts.keras", config, Silent(stop_after))
    assert not (tmp_path / "parts.keras").exists()
    observer = Silent()
    parts = train(colors, tmp_path / "parts.keras", replace(config, resume=True), observer)
    assert [record.epoch for record in observer.records] == list(range(stop_after + 1, 5))
    assert values(parts) == values(whole)
    assert parts.evaluation.confusion == whole.evaluation.confusion


def test_an_interrupted_training_is_not_overwritten(colors: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(colors, tmp_path / "m.keras", CONFIG, Silent(2))
    with pytest.raises(DataError, match="interrupted after epoch 2; add --resume"):
        train(colors, tmp_path / "m.keras")
    with pytest.raises(DataError, match="made with batch_size=16, got 8"):
        train(colors, tmp_path / "m.keras", replace(CONFIG, batch_size=8, resume=True))


def test_a_finished_training_resumes_to_its_end_without_training(colors: Path, tmp_path: Path) -> None:
    first = train(colors, tmp_path / "m.keras")
    (tmp_path / "m.keras").unlink()
    (tmp_path / "m.training" / "curves.png").unlink()
    observer = Silent()
    again = train(colors, tmp_path / "m.keras", replace(CONFIG, resume=True), observer)
    assert observer.records == []
    assert (tmp_path / "m.training" / "curves.png").exists()
    assert again.evaluation.confusion == first.evaluation.confusion


def test_training_goes_on_from_its_own_file(trained: TrainResult, colors: Path, tmp_path: Path) -> None:
    config = TrainConfig(weights=str(trained.output), keep_head=True, epochs=1, batch_size=16)
    result = train(colors, tmp_path / "more.keras", config)
    assert result.design.preprocess == trained.design.preprocess
    assert result.history[0].val_accuracy == pytest.approx(1.0, abs=0.12)


def test_a_new_head_trains_alone_first(trained: TrainResult, colors: Path, tmp_path: Path) -> None:
    import keras

    config = TrainConfig(weights=str(trained.output), epochs=3, head_epochs=3, batch_size=16, learning_rate=0.02)
    result = train(colors, tmp_path / "head.keras", config)
    assert result.evaluation.top1 > 0.6
    before, after = (keras.saving.load_model(path).layers for path in (trained.output, result.output))
    kernels = [[layer.get_weights()[0] for layer in layers if layer.weights] for layers in (before, after)]
    assert all(np.array_equal(a, b) for a, b in zip(kernels[0][:2], kernels[1][:2], strict=True))


def test_a_sigmoid_head_is_one_unit_and_as_good(tmp_path: Path, colors: Path) -> None:
    import shutil

    for split in ("train", "val", "test"):
        for color in ("blue", "red"):
            shutil.copytree(colors / split / color, tmp_path / "two" / split / color)
    result = train(tmp_path / "two", tmp_path / "m.keras", replace(CONFIG, head="sigmoid", epochs=8))
    assert result.design.units == 1
    assert result.evaluation.top1 > 0.9
    with pytest.raises(DataError, match="a sigmoid head is for two classes, colors has 3"):
        train(colors, tmp_path / "n.keras", replace(CONFIG, head="sigmoid"))


def test_mixed_precision_ends_in_a_float32_model(colors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    built: list[Any] = []
    original = keras.Model.fit

    def fit(model: Any, *arguments: Any, **options: Any) -> Any:
        built.append(model)
        return original(model, *arguments, **options)

    monkeypatch.setattr(keras.Model, "fit", fit)
    result = train(colors, tmp_path / "m.keras", replace(CONFIG, mixed_precision=True))
    computed = {layer.name: layer.compute_dtype for layer in built[0].layers if layer.weights}
    assert computed.pop("logits") == "float32"
    assert set(computed.values()) == {"bfloat16"}
    model = keras.saving.load_model(result.output)
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"


def test_unbalanced_classes_are_weighed(tmp_path: Path) -> None:
    from tests.keras_models import write_colors

    data = write_colors(tmp_path / "data", {"train": 8, "test": 2})
    for path in sorted((data / "train" / "red").iterdir())[4:]:
        path.unlink()
    result = train(data, tmp_path / "m.keras", replace(CONFIG, epochs=1))
    assert "classes are weighed by their rareness" in result.notes


def test_one_bad_picture_is_skipped_and_counted(colors: Path, tmp_path: Path) -> None:
    import shutil

    data = Path(shutil.copytree(colors, tmp_path / "data"))
    (data / "train" / "red" / "red0.png").write_bytes(b"no picture")
    result = train(data, tmp_path / "m.keras", replace(CONFIG, epochs=1))
    assert result.pictures == {"train": 71, "val": 18, "skipped": 1}
    assert "images skipped because they cannot be read: 1" in result.notes


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"arch": "resnet9"}, ModelError, "expected an architecture of lenet300, .*got 'resnet9'"),
        ({"arch": None, "weights": "nothing.keras"}, ModelError, "no such model: nothing.keras"),
        ({"teacher": "nothing.keras"}, ModelError, "no such model: nothing.keras"),
        ({"preprocess": parse_spec("mean=1,2,3,gray")}, PreprocessError, "expected 1 value for mean"),
    ],
)
def test_what_cannot_be_is_told(
    colors: Path, tmp_path: Path, change: dict[str, Any], error: type[EdgecnnError], message: str
) -> None:
    with pytest.raises(error, match=message):
        train(colors, tmp_path / "m.keras", replace(CONFIG, **change))
    assert not (tmp_path / "m.keras").exists()


def test_outputs_that_cannot_be_are_told_first(colors: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected an output that ends in \.keras"):
        train(colors, tmp_path / "m.h5")
    with pytest.raises(DataError, match="there is no folder"):
        train(colors, tmp_path / "none" / "m.keras")


def test_data_that_cannot_be_trained_on(tmp_path: Path, colors: Path) -> None:
    from tests.keras_models import write_flat

    with pytest.raises(DataError, match="flat has no class folders"):
        train(write_flat(tmp_path / "flat", 4), tmp_path / "m.keras")
    import shutil

    data = Path(shutil.copytree(colors, tmp_path / "data"))
    shutil.rmtree(data / "test")
    with pytest.raises(DataError, match="no test split: val is what gets measured"):
        train(data, tmp_path / "m.keras", replace(CONFIG, train_on_val=True))
    shutil.rmtree(data / "train" / "red")
    with pytest.raises(DataError, match="no training image of red"):
        train(data, tmp_path / "m.keras")
