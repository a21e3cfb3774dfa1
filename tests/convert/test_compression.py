"""Stages in the pipeline: smaller files that work, the same again, and after a kill."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgecnn.bundle.bundle import open_bundle
from edgecnn.bundle.tflite import describe
from edgecnn.convert.stages import BlockStage, ChannelStage, ClusterStage, MagnitudeStage, QatStage, Schooling
from edgecnn.errors import DataError, EdgecnnError, ModelError
from edgecnn.train.checkpoint import EpochRecord
from edgecnn.train.loop import Silent
from tests.models import linear

Convert = Callable[..., Any]
SCHOOLING = Schooling(batch_size=12, teacher_weight=0.5)
CHANNELS = ChannelStage(epochs=4, learning_rate=0.01, macs=0.5, steps=2)


class Epochs(Silent):
    """Counts epochs and stops after some."""

    def __init__(self, stop_after: int = 0) -> None:
        self.count, self._stop = 0, stop_after

    def epoch(self, record: EpochRecord) -> None:
        self.count += 1
        if self.count == self._stop:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def wide(colors: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained classifier of the three colours with more channels than it needs."""
    import keras
    import numpy as np

    from edgecnn.data.dataset import open_dataset

    keras.utils.set_random_seed(5)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Rescaling(1 / 127.5, offset=-1),
            layers.Conv2D(32, 3, activation="relu", name="first"),
            layers.Conv2D(32, 3, activation="relu", name="second"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax", name="scores"),
        ]
    )
    with open_dataset(colors) as dataset:
        samples = dataset.split("train")
        pictures = np.stack([dataset.read(sample)[..., ::-1] for sample in samples]).astype(np.float32)
        truth = np.array([sample.label for sample in samples])
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(pictures, truth, epochs=20, verbose=0)
    path = tmp_path_factory.mktemp("wide") / "wide.keras"
    model.save(path)
    return path


@pytest.fixture(scope="module")
def pruned(wide: Path, colors: Path, convert: Convert, tmp_path_factory: pytest.TempPathFactory) -> Any:
    output = tmp_path_factory.mktemp("pruned") / "p.tflite"
    return convert(wide, output, colors, stages=(CHANNELS,), schooling=SCHOOLING)


def test_blocks_go_and_then_channels(
    colors: Path, convert: Convert, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    import keras
    from keras import layers

    keras.utils.set_random_seed(6)
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(32, 3, padding="same", activation="relu", name="stem")(layers.Rescaling(1 / 255)(image))
    for name in "ab":
        y = layers.Conv2D(32, 3, padding="same", activation="relu", name=f"{name}1")(x)
        x = layers.Add()([x, layers.Conv2D(32, 3, padding="same", name=f"{name}2")(y)])
    x = layers.Dense(3, activation="softmax", name="scores")(layers.GlobalAveragePooling2D()(x))
    keras.Model(image, x).save(tmp_path / "residual.keras")
    stages = (BlockStage(2, 0.01, macs=0.6), ChannelStage(2, 0.01, macs=0.5, multiple=16, exact=True))
    result = convert(tmp_path / "residual.keras", tmp_path / "out.tflite", colors, stages=stages, schooling=SCHOOLING)
    first, second = result.stages
    (block,) = first["dropped"]
    assert block["layers"] in (["a1", "a2"], ["b1", "b2"])
    assert block["macs"] == first["macs_before"] - first["macs"] == 2 * 64 * 9 * 32 * 32
    assert second["macs_before"] == first["macs"]
    assert second["macs"] <= 0.5 * first["macs"]
    assert {group["after"] for group in second["groups"]} <= {3, 16, 32}
    assert describe(result.content).macs == second["macs"]


def test_channels_go_and_the_file_works(pruned: Any) -> None:
    (stage,) = pruned.stages
    assert stage["macs"] <= 0.5 * stage["macs_before"]
    info = describe(pruned.content)
    assert info.macs == stage["macs"]
    assert describe(pruned.float_content).macs == stage["macs_before"]
    assert {group["layers"][0]: group["reason"] for group in stage["groups"]} == {
        "first": "",
        "second": "",
        "scores": "its channels are the output of the model",
    }
    assert pruned.accuracy["float"] == 1
    assert pruned.accuracy["output"] > 0.9
    assert [path.name for path in pruned.output.parent.iterdir()] == ["p.tflite"], "the state of the epochs is gone"


@pytest.mark.parametrize("form", ["html", "md", "csv", "json"])
def test_the_record_makes_a_report_as_it_is(pruned: Any, form: str) -> None:
    from edgecnn.report.render import render

    assert "second" in render([pruned.to_dict()], form)


def test_what_it_bought_is_told(pruned: Any) -> None:
    gains = pruned.to_dict()["gains"]
    assert gains["output"]["parameters"] < gains["plain"]["parameters"]
    assert gains["output"]["gzip_bytes"] < gains["plain"]["gzip_bytes"]
    assert [sentence.partition(":")[0] for sentence in gains["words"]] == ["file", "gzip", "latency"]
    assert "smaller" in gains["words"][1]
    card = open_bundle(pruned.content).card
    assert card is not None
    assert card.recipe["stages"] == [CHANNELS.to_dict()]


def test_the_same_again_and_after_an_interruption(
    pruned: Any, wide: Path, colors: Path, convert: Convert, tmp_path: Path
) -> None:
    options = {"stages": (CHANNELS,), "schooling": SCHOOLING}
    output = tmp_path / "p.tflite"
    with pytest.raises(KeyboardInterrupt):
        convert(wide, output, colors, observer=Epochs(3), **options)
    assert not output.exists()
    rest = Epochs()
    again = convert(wide, output, colors, observer=rest, **options)
    assert rest.count == 1, "three of four epochs were kept"
    assert again.content == pruned.content, "the same bytes as without the interruption"


def test_training_with_rounding_goes_on_after_an_interruption(
    wide: Path, colors: Path, convert: Convert, tmp_path: Path
) -> None:
    stages = (MagnitudeStage(epochs=1, sparsity=0.5), ClusterStage(epochs=1, clusters=8), QatStage(epochs=3))
    options = {"stages": stages, "schooling": SCHOOLING}
    whole = convert(wide, tmp_path / "whole.tflite", colors, **options)
    output = tmp_path / "q.tflite"
    with pytest.raises(KeyboardInterrupt):
        convert(wide, output, colors, observer=Epochs(4), **options)
    rest = Epochs()
    again = convert(wide, output, colors, observer=rest, **options)
    assert rest.count == 1, "four of five epochs were kept"
    assert again.content == whole.content, "the same bytes as without the interruption"


def test_zeros_and_few_weights_survive_training_with_int8(
    wide: Path, colors: Path, convert: Convert, tmp_path: Path
) -> None:
    stages = (
        MagnitudeStage(epochs=2, learning_rate=0.005, sparsity=0.6),
        ClusterStage(epochs=1, clusters=8),
        QatStage(epochs=2),
    )
    result = convert(wide, tmp_path / "q.tflite", colors, stages=stages, schooling=SCHOOLING)
    assert [stage["technique"] for stage in result.stages] == ["magnitude", "cluster", "qat"]
    info = describe(result.content)
    assert info.sparsity >= 0.55
    assert info.inputs[0].dtype == "int8"
    assert result.accuracy["output"] > 0.9
    assert result.stages[2]["against_trained"]["agreement"] > 0.9
    gains = result.gains
    assert gains["output"]["gzip_bytes"] < gains["plain"]["gzip_bytes"]
    assert "no gain" in gains["words"][0], "zeros and shared weights take as much room in the file"


def test_zeros_survive_plain_quantization(wide: Path, colors: Path, convert: Convert, tmp_path: Path) -> None:
    stages = (MagnitudeStage(epochs=1, sparsity=0.7),)
    result = convert(wide, tmp_path / "m.tflite", colors, stages=stages, schooling=SCHOOLING)
    assert describe(result.content).sparsity >= 0.69
    assert {change["layer"] for change in result.stages[0]["changed"]} == {"first", "second", "scores"}


def test_the_ladder_stops_at_its_first_rung_where_int8_is_good(
    wide: Path, colors: Path, convert: Convert, tmp_path: Path
) -> None:
    result = convert(wide, tmp_path / "a.tflite", colors, quantize="auto", max_drop=50.0)
    assert result.within_budget
    assert [rung.name for rung in result.climb.rungs] == ["int8"]
    card = open_bundle(result.content).card
    assert card is not None
    assert card.recipe["rung"] == "int8"


def test_no_rung_fits_a_budget_that_so_few_pictures_cannot_show(
    wide: Path, colors: Path, convert: Convert, tmp_path: Path
) -> None:
    result = convert(wide, tmp_path / "a.tflite", colors, quantize="auto", max_drop=0.0, stages=(QatStage(epochs=1),))
    assert not result.within_budget
    assert result.climb.rungs[-1].name == "qat"
    assert result.climb.rungs[-1].failed == ""
    assert result.output.exists()


def test_what_cannot_be_trained_is_told(wide: Path, colors: Path, flat: Path, convert: Convert, tmp_path: Path) -> None:
    import numpy as np

    other = tmp_path / "linear.tflite"
    other.write_bytes(linear(0.2 * np.eye(3, dtype=np.float32)[::-1], size=(8, 8)))
    for model, data, error, message in (
        (other, colors, ModelError, "cannot be pruned or trained; give the .keras or .h5 model"),
        (wide, flat, DataError, "has no class folders; pruning and training need labelled images"),
    ):
        labels = ("blue", "green", "red")
        with pytest.raises(error, match=message):
            convert(model, tmp_path / "o.tflite", data, labels=labels, stages=(CHANNELS,))
    with pytest.raises(EdgecnnError, match="the target of pruning cannot be reached: at least"):
        convert(wide, tmp_path / "o.tflite", colors, stages=(ChannelStage(macs=0.01),))
    assert [path.name for path in tmp_path.iterdir()] == ["linear.tflite"]
