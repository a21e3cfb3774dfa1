"""The whole way from a model and pictures to a sealed file: every kind, every source, and what goes wrong."""

import os
import shutil
from collections import defaultdict
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.bundle.bundle import open_bundle
from edgecnn.bundle.tflite import describe
from edgecnn.compress.quantize import IO_TYPES
from edgecnn.convert import pipeline
from edgecnn.convert.loading import load_float
from edgecnn.convert.options import ConvertConfig
from edgecnn.data.dataset import Sample, balanced, open_dataset
from edgecnn.errors import EdgecnnError, ModelError, PreprocessError
from edgecnn.files import sha256_bytes, sha256_path
from edgecnn.runtime.classifier import Classifier
from edgecnn.spec import parse_spec
from tests.keras_models import COLORS, color_network, color_picture, network, save, write_colors
from tests.models import linear

Convert = Callable[..., Any]
KINDS = [(kind, io) for kind, types in IO_TYPES.items() for io in types]


@pytest.mark.parametrize(("kind", "io"), KINDS)
def test_every_kind_and_every_io_type(
    kind: str, io: str, convert: Convert, model: Path, colors: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.tflite"
    result = convert(model, output, colors, quantize=kind, io=io)
    info = describe(output.read_bytes())
    assert (info.inputs[0].dtype, info.outputs[0].dtype) == (io, io)
    assert (result.accuracy["float"], result.accuracy["output"], result.accuracy["agreement"]) == (1, 1, 1)
    assert (result.parity.samples, result.parity.max_abs_difference < 1e-4) == (8, True)
    classifier, random = Classifier(output), np.random.default_rng(3)
    for color in COLORS:
        best = classifier.classify(color_picture(color, random, size=(31, 17)))[0]
        assert (best.label, best.score > 0.6) == (color, True)
    if kind == "float32":
        assert result.content is not result.float_content
        assert len(result.scores.probabilities) == 1
    assert os.listdir(tmp_path) == ["out.tflite"]


def test_the_card_says_where_the_model_came_from(convert: Convert, model: Path, colors: Path, tmp_path: Path) -> None:
    result = convert(model, tmp_path / "out.tflite", colors, seed=7, calibration_samples=20)
    bundle = open_bundle(tmp_path / "out.tflite")
    card = bundle.card
    assert card is not None
    assert bundle.labels == result.labels == COLORS
    assert card.source == {"name": "colors.keras", "sha256": sha256_path(model), "kind": "keras"}
    assert card.recipe.items() >= {"quantize": "int8", "io": "int8", "calibration_samples": 20, "seed": 7}.items()
    assert card.accuracy == result.accuracy
    assert card.accuracy is not None
    assert card.accuracy.items() >= {"samples": 24, "split": "test", "drop_pp": 0.0}.items()
    assert card.preprocess == result.preprocess
    with open_dataset(colors, seed=7) as dataset:
        names = [sample.name for sample in balanced(dataset.split("train"), 20, seed=7)]
    expected = {"data": "colors", "samples": 20, "names_sha256": sha256_bytes("\n".join(names).encode())}
    assert card.calibration == expected
    assert card.versions["tensorflow"] == import_module("tensorflow").__version__
    assert card.reference is not None
    assert card.reference == result.reference
    assert (card.reference.samples, card.reference.split) == (24, "test")
    assert result.to_dict()["reference"] == card.reference.to_dict()


def test_a_kind_without_calibration_names_none(convert: Convert, model: Path, colors: Path, tmp_path: Path) -> None:
    result = convert(model, tmp_path / "out.tflite", colors, quantize="float16")
    assert result.calibration_samples == 0
    card = open_bundle(tmp_path / "out.tflite").card
    assert card is not None
    assert (card.recipe["calibration_samples"], card.calibration["samples"]) == (0, 0)


@pytest.mark.parametrize("data", ["colors", "flat"])
@pytest.mark.parametrize("spec", ["raw", "auto"])
def test_no_picture_is_measured_that_calibrated(
    data: str, spec: str, steps: Any, model: Path, colors: Path, flat: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    read: dict[str, set[Sample]] = defaultdict(set)
    labelled = data == "colors"
    config = ConvertConfig(labels=COLORS, preprocess=parse_spec(spec), calibration_samples=9, accuracy_samples=8)
    with open_dataset(colors if labelled else flat) as dataset:
        original = dataset.read

        def remember(sample: Sample) -> Any:
            read[steps.names[-1]].add(sample)
            return original(sample)

        monkeypatch.setattr(dataset, "read", remember)
        if not labelled and spec == "auto":
            with pytest.raises(PreprocessError, match="only labelled images can tell"):
                pipeline.convert_model(model, tmp_path / "out.tflite", dataset, config, observer=steps)
            return
        result = pipeline.convert_model(model, tmp_path / "out.tflite", dataset, config, observer=steps)
    used, measured = read["prepare pictures"], read["measure accuracy"]
    assert len(used) >= 9
    assert measured == set(result.scores.samples)
    assert len(measured) == 8
    assert not {sample.name for sample in used} & {sample.name for sample in measured}
    if labelled and spec == "raw":
        assert {sum(sample.label == i for sample in used) for i in range(3)} == {3}


def test_without_labels_agreement_is_measured(convert: Convert, model: Path, flat: Path, tmp_path: Path) -> None:
    result = convert(model, tmp_path / "out.tflite", flat, labels=COLORS)
    assert result.accuracy == {
        "float": None, "output": None, "drop_pp": None, "agreement": 1.0, "samples": 10, "split": "unlabelled",
    }  # fmt: skip
    assert result.calibration_samples == 11
    assert result.within_budget
    assert result.evaluations() == {}
    assert any("half of them calibrate" in note for note in result.notes)


def sources(folder: Path) -> dict[str, Path]:
    """The colour classifier as every kind of file."""
    paths = {}
    for library in ("keras", "tf_keras"):
        network = color_network(import_module(library))
        for ending in (".keras", ".h5", ""):
            paths[f"{library}{ending}"] = save(network, folder / f"{library}{ending}")
    paths["tflite"] = folder / "mean.tflite"
    paths["tflite"].write_bytes(linear(0.2 * np.eye(3, dtype=np.float32)[::-1], size=(8, 8)))
    return paths


def test_every_source_gives_a_file_that_works(convert: Convert, colors: Path, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    for name, path in sources(tmp_path / "models").items():
        result = convert(path, tmp_path / f"{name}.tflite", colors)
        assert result.accuracy["output"] == 1, name
        assert result.model_sha256 == sha256_path(path), name
        assert (result.parity is None) == (name == "tflite")
        assert Classifier(tmp_path / f"{name}.tflite").labels == COLORS


@pytest.mark.parametrize("io", ["int8", "uint8", "float32"])
def test_our_own_float_bundle_can_be_quantized_later(
    io: str, convert: Convert, model: Path, colors: Path, flat: Path, tmp_path: Path
) -> None:
    convert(model, tmp_path / "float.tflite", colors, quantize="float32")
    result = convert(tmp_path / "float.tflite", tmp_path / "later.tflite", flat, spec="", io=io)
    assert (result.labels, result.choice["source"]) == (COLORS, "card")
    assert result.accuracy["agreement"] == 1
    assert Classifier(tmp_path / "later.tflite").preprocess == Classifier(tmp_path / "float.tflite").preprocess
    with pytest.raises(ModelError, match=r"later\.tflite is quantized already; give the float"):
        convert(tmp_path / "later.tflite", tmp_path / "again.tflite", colors)


@pytest.mark.parametrize("ending", [".keras", ".tflite"])
@pytest.mark.parametrize("kind", ["float32", "int8"])
def test_a_model_of_any_size_needs_one(ending: str, kind: str, convert: Convert, colors: Path, tmp_path: Path) -> None:
    source, output = tmp_path / f"any{ending}", tmp_path / "out.tflite"
    if ending == ".keras":
        save(color_network(import_module("keras"), size=(None, None)), source)
    else:
        source.write_bytes(linear(0.2 * np.eye(3, dtype=np.float32)[::-1], size=None))
    with pytest.raises(EdgecnnError, match=r"pictures of any size; say which with --preprocess size=WIDTHxHEIGHT"):
        convert(source, output, colors, quantize=kind)
    result = convert(source, output, colors, spec="raw,size=9x7", quantize=kind)
    assert result.accuracy["output"] == 1
    classifier = Classifier(output)
    assert (classifier.engine.width, classifier.engine.height) == (9, 7)
    assert classifier.classify(color_picture("green", np.random.default_rng(1)))[0].label == "green"


def test_a_stated_size_must_be_the_models(convert: Convert, model: Path, colors: Path, tmp_path: Path) -> None:
    with pytest.raises(PreprocessError, match=r"colors.keras takes pictures of 8x8, but --preprocess says 9x7"):
        convert(model, tmp_path / "out.tflite", colors, spec="raw,size=9x7")
    assert os.listdir(tmp_path) == []


def test_one_sigmoid_unit_is_a_model_of_two_classes(convert: Convert, tmp_path: Path) -> None:
    data = write_colors(tmp_path / "data", {"train": 9, "val": 4})
    for split in ("train", "val"):
        shutil.rmtree(data / split / "green")
    library = import_module("keras")
    layers = library.layers
    network = library.Sequential([layers.Input((8, 8, 3)), layers.GlobalAveragePooling2D(), layers.Dense(1, "sigmoid")])
    network.set_weights([np.array([[0.05], [0], [-0.05]], np.float32), np.zeros(1, np.float32)])
    for kind, io in KINDS:
        result = convert(save(network, tmp_path / "two.keras"), tmp_path / "two.tflite", data, quantize=kind, io=io)
        assert (result.labels, result.head) == (("blue", "red"), "sigmoid")
        assert (result.accuracy["output"], result.accuracy["split"]) == (1, "val")


def test_gray_pictures_and_a_normalization_inside(convert: Convert, flat: Path, tmp_path: Path) -> None:
    path = save(network(import_module("keras"), channels=1, inside="rescaling"), tmp_path / "gray.keras")
    result = convert(path, tmp_path / "out.tflite", flat, spec="", labels=("a", "b", "c"))
    assert (result.preprocess.spec, result.choice["source"]) == ("raw,size=6x8,gray,stretch", "model")


def test_labels_in_another_order_are_matched_by_name(
    convert: Convert, model: Path, colors: Path, tmp_path: Path
) -> None:
    for labels, accuracy in ((("BLUE", "Green", "red"), 1), (("red", "green", "blue"), 1 / 3)):
        result = convert(model, tmp_path / "out.tflite", colors, labels=labels)
        assert (result.labels, result.accuracy["output"]) == (labels, pytest.approx(accuracy))
    result = convert(model, tmp_path / "out.tflite", colors, labels=("blue", "green", "violet"))
    assert (result.accuracy["output"], result.accuracy["samples"]) == (1, 16)
    assert any("the model does not know are left out: red" in note for note in result.notes)


def test_labels_that_do_not_fit_are_refused(
    convert: Convert, model: Path, colors: Path, flat: Path, tmp_path: Path
) -> None:
    two = tmp_path / "two"
    shutil.copytree(colors, two, ignore=lambda _, names: {"red"} & set(names))
    cases: list[tuple[Path, tuple[str, ...] | None, str]] = [
        (colors, ("a", "b"), "expected 3 labels for the 3 classes of .*colors.keras, got 2"),
        (colors, ("a", "b", "c"), r"none of the classes \(blue, green, red\) is a label of the model \(a, b, c\)"),
        (flat, None, "colors.keras carries no labels; give its 3 class names with --labels FILE"),
        (two, None, "colors.keras has 3 classes and two has 2 class folders; give the model's class names"),
    ]
    for data, labels, reason in cases:
        with pytest.raises(EdgecnnError, match=reason):
            convert(model, tmp_path / "out.tflite", data, labels=labels)
        assert not (tmp_path / "out.tflite").exists()


def test_the_same_seed_gives_the_same_bytes(convert: Convert, model: Path, colors: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    first, second = (tmp_path / name / "out.tflite" for name in (".", "elsewhere"))
    for output in (first, second):
        convert(model, output, colors, spec="auto", seed=3)
    assert first.read_bytes() == second.read_bytes()


def test_a_missed_budget_is_told_and_the_file_kept(convert: Convert, colors: Path, tmp_path: Path) -> None:
    path = save(color_network(import_module("keras"), common=30), tmp_path / "coarse.keras")
    result = convert(path, tmp_path / "out.tflite", colors, max_drop=1)
    assert result.accuracy["float"] == 1
    assert result.accuracy["drop_pp"] > 1
    assert not result.within_budget
    assert result.to_dict()["within_budget"] is False
    assert (tmp_path / "out.tflite").read_bytes() == result.content
    assert convert(path, tmp_path / "out.tflite", colors, max_drop=100).within_budget
    assert convert(path, tmp_path / "out.tflite", colors, quantize="float16", max_drop=0).within_budget


@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_the_colour_order_is_found_and_the_evidence_kept(
    color: str, convert: Convert, colors: Path, tmp_path: Path
) -> None:
    network = color_network(import_module("keras"))
    weights = network.get_weights()
    network.set_weights([weights[0], weights[1], weights[2] if color == "rgb" else weights[2][::-1], weights[3]])
    result = convert(save(network, tmp_path / "model.keras"), tmp_path / "out.tflite", colors, spec="auto")
    assert (result.preprocess.color, result.accuracy["output"]) == (color, 1)
    choice = result.choice
    assert (choice["source"], choice["samples"], len(choice["candidates"])) == ("auto", 33, 9)
    assert choice["candidates"][0] == {"spec": result.preprocess.spec, "accuracy": 1.0, "samples": 33}
    assert any(note.startswith("preprocessing: raw") and "no clear difference" in note for note in result.notes)
    assert convert(tmp_path / "model.keras", tmp_path / "out.tflite", colors, spec=f"auto,{color}").choice["samples"]


def test_steps_are_timed_and_heard_in_order(
    steps: Any, convert: Convert, model: Path, colors: Path, tmp_path: Path
) -> None:
    result = convert(model, tmp_path / "out.tflite", colors, observer=steps)
    assert steps.names == [step.name for step in result.steps] == [
        "load", "convert to float .tflite", "prepare pictures", "check against Keras", "quantize to int8",
        "measure accuracy", "seal and write",
    ]  # fmt: skip
    assert all(step.seconds >= 0 and step.detail for step in result.steps)
    assert steps.done["measure accuracy"][-1] == (24, 24)
    assert steps.done["prepare pictures"] == [(i, 33) for i in range(1, 34)]


@pytest.mark.parametrize(
    "name", ["Größe 🟥.tflite", os.fsdecode(b"caf\xe9.tflite"), "a\\b.tflite", "-o.tflite", ".tflite"]
)
def test_a_model_may_have_any_name(name: str, convert: Convert, colors: Path, tmp_path: Path) -> None:
    path = tmp_path / "folder" / name
    path.parent.mkdir()
    path.write_bytes(linear(0.2 * np.eye(3, dtype=np.float32)[::-1], size=(8, 8)))
    data = tmp_path / os.fsdecode(b"d\xe9")
    shutil.copytree(colors, data)
    for split in ("train", "test"):
        (data / split / "red" / "red1.png").rename(data / split / "red" / os.fsdecode(b"r\xe9d.png"))
    result = convert(path, tmp_path / name, data)
    card = open_bundle(tmp_path / name).card
    assert card is not None
    expected = {os.fsdecode(b"caf\xe9.tflite"): "caf?.tflite", "a\\b.tflite": "a?b.tflite"}
    assert (card.source["name"], card.calibration["data"]) == (expected.get(name, name), "d?")
    assert result.accuracy["samples"] == 24


def test_load_float_reads_any_model(model: Path, colors: Path, tmp_path: Path) -> None:
    content = load_float(model)
    (tmp_path / "model.tflite").write_bytes(content)
    assert load_float(tmp_path / "model.tflite") == content
    assert load_float(model, parse_spec("size=8")) == content
    for text in ("size=9", "size=8x9"):
        with pytest.raises(PreprocessError, match="takes pictures of 8x8"):
            load_float(model, parse_spec(text))
