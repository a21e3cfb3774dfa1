"""Sealing and opening: the round trip, files of other tools, damage, and the cost of a cold start."""

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.bundle.archive import Archive
from edgecnn.bundle.bundle import CARD_FILE, LABELS_FILE, Bundle, open_bundle, seal
from edgecnn.bundle.card import Card
from edgecnn.bundle.metadata import METADATA_NAME, pack_metadata, read_metadata
from edgecnn.bundle.tflite import describe
from edgecnn.config import Preprocess
from edgecnn.errors import BundleError, ModelError

MakeModel = Callable[..., bytes]
MakeCard = Callable[..., Card]
PREPROCESS = Preprocess(width=4, height=4, mean=(127.5,), std=(64.0,))

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), min_size=1, max_size=12)


@given(st.lists(names, min_size=2, max_size=6, unique=True))
def test_what_is_sealed_comes_back(make_model: MakeModel, make_card: MakeCard, labels: list[str]) -> None:
    card = make_card(labels=len(labels))
    model = make_model(classes=len(labels))
    sealed = seal(model, labels=labels, preprocess=PREPROCESS, card=card)
    assert open_bundle(sealed) == Bundle(tuple(labels), card)


def test_a_bundle_is_opened_by_path_too(
    make_model: MakeModel, make_card: MakeCard, labels: tuple[str, ...], tmp_path: Path
) -> None:
    sealed = seal(make_model(), labels=labels, preprocess=PREPROCESS, card=make_card())
    (tmp_path / "model.tflite").write_bytes(sealed)
    assert open_bundle(tmp_path / "model.tflite") == open_bundle(sealed)
    with pytest.raises(ModelError, match=r"cannot read the model .*other\.tflite: No such file"):
        open_bundle(tmp_path / "other.tflite")


def test_sealing_again_replaces_labels_card_and_metadata(
    make_model: MakeModel, make_card: MakeCard, labels: tuple[str, ...]
) -> None:
    model = make_model(metadata={"min_runtime_version": b"1.5.0"})
    first = seal(model, labels=labels, preprocess=PREPROCESS, card=make_card(), name="first")
    again = seal(first, labels=["x", "y", "z"], preprocess=PREPROCESS, card=make_card(recipe={}), name="second")
    assert open_bundle(again).labels == ("x", "y", "z")
    metadata = read_metadata(again)
    assert metadata is not None
    assert metadata.name == "second"
    assert seal(again, labels=labels, preprocess=PREPROCESS, card=make_card(), name="first") == first
    assert b"min_runtime_version" in again
    with zipfile.ZipFile(io.BytesIO(again)) as archive:
        assert archive.namelist() == [LABELS_FILE, CARD_FILE]


def test_a_sealed_model_computes_the_same(make_model: MakeModel, make_card: MakeCard, labels: tuple[str, ...]) -> None:
    model = make_model()
    assert outputs(seal(model, labels=labels, preprocess=PREPROCESS, card=make_card())) == outputs(model)


def outputs(content: bytes) -> Any:
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    details = interpreter.get_input_details()[0]
    values = np.arange(np.prod(details["shape"])).reshape(details["shape"])
    interpreter.set_tensor(details["index"], values.astype(details["dtype"]))
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).tolist()


@pytest.mark.parametrize("head", ["sigmoid", "logits"])
def test_a_one_unit_model_has_two_labels(make_model: MakeModel, make_card: MakeCard, head: str) -> None:
    card = make_card(labels=2, head=head)
    sealed = seal(make_model(classes=1, head=head), labels=["no", "yes"], preprocess=PREPROCESS, card=card)
    assert open_bundle(sealed).labels == ("no", "yes")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "expected 3 labels for the model's 3 classes, got 0"),
        (["a", "b"], "expected 3 labels for the model's 3 classes, got 2"),
        (["a", "", "c"], "not empty, got ''"),
        (["a", "b\nc", "d"], r"labels of one line .* got 'b\\nc'"),
        (["a", "b\r", "d"], "labels of one line"),
        (["a", "b", "\ud800"], "labels of Unicode text"),
    ],
)
def test_wrong_labels_are_refused(make_model: MakeModel, make_card: MakeCard, labels: list[str], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        seal(make_model(), labels=labels, preprocess=PREPROCESS, card=make_card())


def test_what_does_not_fit_together_is_refused(
    make_model: MakeModel, make_card: MakeCard, labels: tuple[str, ...]
) -> None:
    other = Preprocess(width=8, height=4)
    with pytest.raises(
        BundleError, match=r"model's input \(height, width, channels\) \(4, 4, 3\), got one to \(4, 8, 3\)"
    ):
        seal(make_model(), labels=labels, preprocess=other, card=make_card(preprocess=other))
    with pytest.raises(BundleError, match=r"a card for 3 labels and mean=127\.5,std=64\.0,size=4x4,rgb,stretch"):
        seal(make_model(), labels=labels, preprocess=PREPROCESS, card=make_card(labels=4))
    with pytest.raises(BundleError, match="expected a card for 3 labels"):
        seal(make_model(), labels=labels, preprocess=PREPROCESS, card=make_card(preprocess=other))
    with pytest.raises(ModelError, match="one output of scores"):
        seal(make_model(outputs=2), labels=labels, preprocess=PREPROCESS, card=make_card())


@pytest.mark.parametrize(("head", "name"), [("softmax", b"probability"), ("logits", b"score")])
def test_the_output_is_named_for_what_it_is(
    make_model: MakeModel, make_card: MakeCard, labels: tuple[str, ...], head: str, name: bytes
) -> None:
    sealed = seal(make_model(head=head), labels=labels, preprocess=PREPROCESS, card=make_card(head=head))
    assert name in sealed


def test_a_bare_model_says_nothing(make_model: MakeModel) -> None:
    assert open_bundle(make_model()) == Bundle()


def other_tools_bundle(make_model: MakeModel, labels: bytes | None) -> bytes:
    """A model with metadata and, when given, a packed label file, and no card."""
    payload = pack_metadata(
        PREPROCESS, name="Theirs", description="", output_name="p", label_file="names.txt", card_file="notes.txt"
    )
    file = io.BytesIO(make_model(metadata={METADATA_NAME: payload}))
    if labels is not None:
        with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("names.txt", labels)
    return file.getvalue()


@pytest.mark.parametrize("text", [b"a\nb\nc", b"a\nb\nc\n", b"a\r\nb\r\nc\r\n"])
def test_a_bundle_of_another_tool_gives_labels_and_normalization(make_model: MakeModel, text: bytes) -> None:
    bundle = open_bundle(other_tools_bundle(make_model, text))
    assert bundle.labels == ("a", "b", "c")
    assert bundle.card is None
    assert bundle.metadata is not None
    assert (bundle.metadata.mean, bundle.metadata.std) == ((127.5,), (64.0,))


def test_metadata_that_names_a_missing_label_file_is_damage(make_model: MakeModel) -> None:
    with pytest.raises(BundleError, match=r"expected the file names\.txt inside the bundle, found none"):
        open_bundle(other_tools_bundle(make_model, None))


def test_metadata_without_labels_is_no_damage(make_model: MakeModel) -> None:
    payload = pack_metadata(PREPROCESS, name="", description="", output_name="p", label_file="", card_file="notes.txt")
    bundle = open_bundle(make_model(metadata={METADATA_NAME: payload}))
    assert bundle.labels == ()
    assert bundle.metadata is not None


def resealed(sealed: bytes, **files: bytes) -> bytes:
    """The bundle with other content in its files, in an archive that is whole."""
    file = io.BytesIO(sealed[: Archive(sealed).start])
    with zipfile.ZipFile(file, "a") as archive:
        for name, data in files.items():
            archive.writestr(f"{name}.txt" if name == "labels" else f"{name}.json", data)
    return file.getvalue()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"labels": b"a\nb\n"}, "expected the 3 labels of the card in labels.txt, got 2"),
        ({"labels": b"\xff\n"}, "expected UTF-8 text in labels.txt"),
        ({"edgecnn": b"\xff"}, "expected UTF-8 text in edgecnn.json"),
        ({"edgecnn": b"{}"}, "no card of edgecnn"),
        ({"labels": None}, r"expected the file labels.txt inside the bundle, found edgecnn.json"),
    ],
)
def test_files_that_do_not_fit_are_refused(
    make_model: MakeModel, make_card: MakeCard, labels: tuple[str, ...], files: dict[str, Any], message: str
) -> None:
    card = make_card()
    sealed = seal(make_model(), labels=labels, preprocess=PREPROCESS, card=card)
    content = {"labels": b"bird\ncat\ndog\n", "edgecnn": card.to_json().encode()} | files
    with pytest.raises(BundleError, match=message) as caught:
        open_bundle(resealed(sealed, **{name: data for name, data in content.items() if data is not None}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cut", [1, 10, 22, 100, 400])
def test_a_bundle_that_is_cut_off_is_one_clear_error(
    make_model: MakeModel, make_card: MakeCard, labels: tuple[str, ...], cut: int
) -> None:
    sealed = seal(make_model(), labels=labels, preprocess=PREPROCESS, card=make_card())
    with pytest.raises(BundleError, match=r"expected the file labels\.txt inside the bundle, found none"):
        open_bundle(sealed[:-cut])


@given(st.data())
def test_any_damage_is_read_or_one_clear_error(make_model: MakeModel, make_card: MakeCard, data: st.DataObject) -> None:
    sealed = seal(make_model(), labels=["a", "b", "c"], preprocess=PREPROCESS, card=make_card())
    content = bytearray(sealed)
    start = Archive(sealed).start if data.draw(st.booleans()) else 0
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(start, len(content) - 1))] = data.draw(st.integers(0, 255))
    message = ""
    try:
        bundle = open_bundle(bytes(content))
    except (BundleError, ModelError) as exc:
        message = str(exc)
    else:
        assert bundle.labels in ((), ("a", "b", "c"))
    assert "\n" not in message


COLD = """
import sys
from edgecnn.bundle.archive import Archive
from edgecnn.bundle.bundle import open_bundle
bundle = open_bundle(open(sys.argv[1], "rb").read())
print(bundle.labels[0], sorted({name.partition(".")[0] for name in sys.modules}), sep="\\n")
"""


def test_opening_our_own_bundle_needs_no_numpy_no_flatbuffers_no_runtime_and_no_zipfile(
    make_model: MakeModel, make_card: MakeCard, labels: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(seal(make_model(), labels=labels, preprocess=PREPROCESS, card=make_card()))
    run = subprocess.run([sys.executable, "-c", COLD, str(path)], capture_output=True, text=True, check=True)
    first, modules = run.stdout.splitlines()
    assert first == "bird"
    assert "edgecnn" in modules
    for slow in ("numpy", "flatbuffers", "ai_edge_litert", "zipfile", "cv2"):
        assert f"'{slow}'" not in modules


@pytest.mark.parametrize(
    ("name", "size", "normalization", "label_file"),
    [
        ("mlperf_tiny_resnet8_cifar10_float", 32, ((0.0,), (1.0,)), "cifar10_labels.txt"),
        ("mlperf_tiny_resnet8_cifar10_int8", 32, ((0.0,), (1.0,)), "cifar10_labels.txt"),
        ("mlperf_tiny_vww_96_float", 96, ((0.0,), (255.0,)), "vww_labels.txt"),
        ("mlperf_tiny_vww_96_int8", 96, ((0.0,), (255.0,)), "vww_labels.txt"),
    ],
)
def test_real_models_are_sealed(
    shared_data: Path,
    make_card: MakeCard,
    name: str,
    size: int,
    normalization: tuple[tuple[float, ...], tuple[float, ...]],
    label_file: str,
) -> None:
    model = (shared_data / "models" / f"{name}.tflite").read_bytes()
    labels = (shared_data / "models" / label_file).read_text().split()
    preprocess = Preprocess(width=size, height=size, mean=normalization[0], std=normalization[1])
    card = make_card(preprocess=preprocess, labels=len(labels))
    sealed = seal(model, labels=labels, preprocess=preprocess, card=card)
    assert open_bundle(sealed) == Bundle(tuple(labels), card)
    assert describe(sealed) == describe(model)
    assert len(sealed) - len(model) < 4096
    with zipfile.ZipFile(io.BytesIO(sealed)) as archive:
        assert archive.testzip() is None
        assert json.loads(archive.read(CARD_FILE))["labels"] == len(labels)
