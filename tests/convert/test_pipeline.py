"""The whole way from a model and pictures to a sealed file: every kind, every source, and what goes wrong."""

import os
import resource
import shutil
from collections import defaultdict
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgecnn.bundle.bundle import open_bundle
from edgecnn.bundle.tflite import describe
from edgecnn.compress.quantize import IO_TYPES
from edgecnn.convert import pipeline
from edgecnn.convert.options import ConvertConfig
from edgecnn.data.dataset import balanced, open_dataset
from edgecnn.errors import ConversionError, DataError, EdgecnnError, ModelError, ParityError, PreprocessError
from edgecnn.files import sha256_bytes, sha256_path
from edgecnn.runtime.classifier import Classifier
from edgecnn.spec import parse_spec
from tests.keras_models import COLORS, color_network, color_picture, network, save, write_colors, write_flat
from tests.models import linear

Convert = Callable[..., Any]
KINDS = [(kind, io) for kind, types in IO_TYPES.items() for io in types]


class Steps:
    """Hears the steps of a conversion."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.done: dict[str, list[tuple[int, int]]] = defaultdict(list)

    def step(self, name: str) -> None:
        self.names.append(name)

    def progress(self, done: int, total: int) -> None:
        self.done[self.names[-1]].append((done, total))


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
    assert card.accuracy.items() >= {"samples": 24, "split": "test", "drop_pp": 0.0}.items()
    assert card.preprocess == result.preprocess
    with open_dataset(colors, seed=7) as dataset:
        names = [sample.name for sample in balanced(dataset.split("train"), 20, seed=7)]
    expected = {"data": "colors", "samples": 20, "names_sha256": sha256_bytes("\n".join(names).encode())}
    assert card.calibration == expected
    assert card.versions["tensorflow"] == import_module("tensorflow").__version__


def test_a_kind_without_calibration_names_none(convert: Convert, model: Path, colors: Path, tmp_path: Path) -> None:
    result = convert(model, tmp_path / "out.tflite", colors, quantize="float16")
    assert result.calibration_samples == 0
    card = open_bundle(tmp_path / "out.tflite").card
    assert card is not None
    assert (card.recipe["calibration_samples"], card.calibration["samples"]) == (0, 0)


@pytest.mark.parametrize("data", ["colors", "flat"])
@pytest.mark.parametrize("spec", ["raw", "auto"])
def test_no_picture_is_measured_that_calibrated(
    data: str, spec: str, model: Path, colors: Path, flat: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, read = Steps(), defaultdict(set)
    labelled = data == "colors"
    config = ConvertConfig(labels=COLORS, preprocess=parse_spec(spec), calibration_samples=9, accuracy_samples=8)
    with open_dataset(colors if labelled else flat) as dataset:
        original = dataset.read
        monkeypatch.setattr(dataset, "read", lambda sample: (read[steps.names[-1]].add(sample), original(sample))[1])
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
    with pytest.raises(ModelError, match="later.tflite is quantized already; give the float model it was made from"):
        convert(tmp_path / "later.tflite", tmp_path / "again.tflite", colors)


@pytest.mark.parametrize("size", [(9, 7), None])
def test_a_model_of_any_size_needs_one(
    size: tuple[int, int] | None, convert: Convert, colors: Path, tmp_path: Path
) -> None:
    path = save(color_network(import_module("keras"), size=(None, None)), tmp_path / "any.keras")
    (tmp_path / "any.tflite").write_bytes(linear(np.eye(3, dtype=np.float32)[::-1], size=None))
    for source in (path, tmp_path / "any.tflite"):
        if size is None:
            with pytest.raises(EdgecnnError, match=r"pictures of any size; say which with --preprocess size=WIDTHxHEI"):
                convert(source, tmp_path / "out.tflite", colors)
        else:
            convert(source, tmp_path / "out.tflite", colors, spec="raw,size=9x7")
            classifier = Classifier(tmp_path / "out.tflite")
            assert (classifier.engine.width, classifier.engine.height) == size
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
    network = library.Sequential(
        [layers.Input((8, 8, 3)), layers.GlobalAveragePooling2D(), layers.Dense(1, "sigmoid")]
    )
    network.set_weights([np.array([[0.05], [0], [-0.05]], np.float32), np.zeros(1, np.float32)])
    for kind, io in KINDS:
        result = convert(save(network, tmp_path / "two.keras"), tmp_path / "two.tflite", data, quantize=kind, io=io)
        assert (result.labels, result.head) == (("blue", "red"), "sigmoid")
        assert (result.accuracy["output"], result.accuracy["split"]) == (1, "val")


def test_gray_pictures_and_a_normalization_inside(convert: Convert, flat: Path, tmp_path: Path) -> None:
    path = save(network(import_module("keras"), channels=1, inside="rescaling"), tmp_path / "gray.keras")
    result = convert(path, tmp_path / "out.tflite", flat, spec="", labels=("a", "b", "c"))
    assert (result.preprocess.spec, result.choice["source"]) == ("raw,size=6x8,gray,stretch", "model")


def test_labels_in_another_order_are_matched_by_name(convert: Convert, model: Path, colors: Path, tmp_path: Path) -> None:
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


def lose_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the conversion give a model whose weights are all zero."""
    export = pipeline.export_float

    def broken(source: Any, **size: int) -> bytes:
        source.owner.set_weights([np.zeros_like(array) for array in source.owner.get_weights()])
        return export(source, **size)

    monkeypatch.setattr(pipeline, "export_float", broken)


def test_a_conversion_that_loses_the_weights_is_caught(
    convert: Convert, model: Path, colors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = pipeline.load_source
    intact = load(model)
    lose_the_weights(monkeypatch)

    def compared_with_the_intact(*arguments: Any) -> Any:
        return original(intact, *arguments[1:])

    original = pipeline.check_parity
    monkeypatch.setattr(pipeline, "check_parity", compared_with_the_intact)
    output = tmp_path / "out.tflite"
    output.write_text("old")
    with pytest.raises(ParityError, match=r"colors.keras: output \d of sample \d is 0.333333, Keras gives 0\.\d+"):
        convert(model, output, colors)
    assert output.read_text() == "old"


@pytest.mark.parametrize("step", ["quantize", "score", "seal", "sha256_path", "write_atomic"])
@pytest.mark.parametrize("old", [b"", b"old"])
def test_whatever_fails_the_old_output_stays(
    step: str, old: bytes, convert: Convert, model: Path, colors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise ConversionError(f"{step} failed")

    output = tmp_path / "out.tflite"
    if old:
        output.write_bytes(old)
    monkeypatch.setattr(pipeline, step, fail)
    with pytest.raises(ConversionError, match=f"{step} failed"):
        convert(model, output, colors)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == ([old] if old else [])


def test_a_full_disk_leaves_the_old_output(convert: Convert, model: Path, colors: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.tflite"
    output.write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # a larger file fails as on a full disk
    try:
        with pytest.raises(DataError, match=r"cannot write .*out.tflite: File too large"):
            convert(model, output, colors)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_what_is_bound_to_fail_is_told_before_the_work(
    convert: Convert, model: Path, colors: Path, flat: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.keras"
    own.write_bytes(model.read_bytes())
    link = tmp_path / "link.tflite"
    link.symlink_to(own)
    one = write_flat(tmp_path / "one", 1)
    cases: list[tuple[Path, Path, Path, dict[str, Any], str]] = [
        (model, tmp_path / "none" / "out.tflite", colors, {}, "there is no folder .*none"),
        (model, own / "out.tflite", colors, {}, "there is no folder .*own.keras"),
        (model, tmp_path, colors, {}, "it is a folder or a device"),
        (model, Path(os.devnull), colors, {}, "it is a folder or a device"),
        (own, own, colors, {}, "it is the model itself; name another file"),
        (own, link, colors, {}, "it is the model itself; name another file"),
        (model, tmp_path / "out.tflite", flat, {"max_drop": 1.0}, "--max-drop needs labelled images, and flat has no"),
        (model, tmp_path / "out.tflite", one, {"labels": COLORS}, r"one has 1 image\(s\); half calibrate, the rest"),
    ]
    for path, output, data, options, reason in cases:
        steps = Steps()
        with pytest.raises(DataError, match=reason):
            convert(path, output, data, observer=steps, **options)
        assert set(steps.names) <= ({"load", "convert to float .tflite"} if data == one else set())
    assert own.read_bytes() == model.read_bytes()
    assert Path(os.devnull).is_char_device()
    assert sorted(os.listdir(tmp_path)) == ["link.tflite", "one", "own.keras"]


def test_pictures_that_cannot_be_read_are_counted_and_named(
    convert: Convert, model: Path, colors: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(colors, data)
    for name in ("train/red/red0.png", "train/blue/blue1.png", "test/red/red3.png", "test/green/green2.png"):
        (data / name).write_bytes(b"no picture")
    for spec in ("raw", "auto"):
        result = convert(model, tmp_path / "out.tflite", data, spec=spec)
        assert result.accuracy["samples"] == 22
        assert sorted(name for name, _ in result.scores.skipped) == ["test/green/green2.png", "test/red/red3.png"]
        assert [note.split(":")[1].strip() for note in result.notes if "calibration skipped" in note] != []
        assert "2 images could not be read and were skipped" in result.notes
    for path in data.rglob("*.png"):
        path.write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"none of the 33 calibration images of data could be read"):
        convert(model, tmp_path / "out.tflite", data)


def test_the_normalization_is_found_and_the_evidence_kept(convert: Convert, colors: Path, tmp_path: Path) -> None:
    library = import_module("keras")
    network = color_network(library)
    weights = network.get_weights()
    weights[2], weights[3] = weights[2] * 25, np.array([9, 0, 9], np.float32)  # green has to be bright on its own
    network.set_weights(weights)
    path = save(network, tmp_path / "unit.keras")
    result = convert(path, tmp_path / "out.tflite", colors, spec="auto")
    assert result.choice["source"] == "auto"
    tried = {item["spec"].split(",size")[0] + item["spec"].split("8x8")[1] for item in result.choice["candidates"]}
    assert {"raw,rgb,stretch", "unit,bgr,stretch"} <= tried
    assert result.choice["candidates"][0]["spec"] == result.preprocess.spec
    assert result.accuracy["float"] == 1
    stated = convert(path, tmp_path / "out.tflite", colors, spec="bgr,auto")
    assert stated.preprocess.color == "bgr"


def test_pictures_that_tell_nothing_give_no_guess(convert: Convert, model: Path, tmp_path: Path) -> None:
    data, random = tmp_path / "data", np.random.default_rng(0)
    for color in COLORS:
        (data / color).mkdir(parents=True)
        for i in range(20):
            cv2.imwrite(str(data / color / f"{i}.png"), random.integers(0, 256, (8, 8, 3), np.uint8))
    with pytest.raises(PreprocessError, match="auto found no preprocessing that beats chance on data"):
        convert(model, tmp_path / "out.tflite", data, spec="auto")


def test_steps_are_timed_and_heard_in_order(convert: Convert, model: Path, colors: Path, tmp_path: Path) -> None:
    steps = Steps()
    result = convert(model, tmp_path / "out.tflite", colors, observer=steps)
    assert steps.names == [step.name for step in result.steps] == [
        "load", "convert to float .tflite", "prepare pictures", "check against Keras", "quantize to int8",
        "measure accuracy", "seal and write",
    ]  # fmt: skip
    assert all(step.seconds >= 0 and step.detail for step in result.steps)
    assert steps.done["measure accuracy"][-1] == (24, 24)
    assert steps.done["prepare pictures"] == [(i, 33) for i in range(1, 34)]


def test_load_float_reads_any_model(model: Path, colors: Path, tmp_path: Path) -> None:
    content = pipeline.load_float(model)
    (tmp_path / "model.tflite").write_bytes(content)
    assert pipeline.load_float(tmp_path / "model.tflite") == content
    assert pipeline.load_float(model, parse_spec("size=8")) == content
    for text in ("size=9", "size=8x9"):
        with pytest.raises(PreprocessError, match="takes pictures of 8x8"):
            pipeline.load_float(model, parse_spec(text))
