"""Which labels and which preprocessing a model is measured with, and where each was learned."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgecnn.bundle.archive import append_archive
from edgecnn.bundle.bundle import Bundle, open_bundle
from edgecnn.bundle.metadata import pack_metadata
from edgecnn.bundle.tflite import with_metadata
from edgecnn.config import NORMALIZATIONS, Preprocess
from edgecnn.data.dataset import Dataset, Sample
from edgecnn.errors import BundleError, DataError, EdgecnnError, ModelError, PreprocessError
from edgecnn.measure.match import classifier_for, labels_for, preprocess_for
from edgecnn.runtime.interpreter import Engine
from edgecnn.spec import Spec, parse_spec
from tests.measure.colors import NAMES, ColorPictures, nearest_color
from tests.models import sealed

UNIT = Preprocess(4, 4, "rgb", *NORMALIZATIONS["unit"])
MODEL = nearest_color(UNIT)


def unlabelled() -> Dataset:
    samples = tuple(Sample(f"{i}.png", None) for i in range(3))
    return Dataset("flat", (), {"train": samples, "val": (), "test": ()}, lambda _: np.zeros((4, 4, 3), np.uint8))


def with_normalization(model: bytes, preprocess: Preprocess) -> bytes:
    """The model with TFLite Metadata of another tool, and without labels."""
    texts = {"name": "", "description": "", "output_name": "score", "label_file": "labels.txt", "card_file": "a.json"}
    content = with_metadata(model, pack_metadata(preprocess, **texts))
    return append_archive(content, {"labels.txt": "".join(f"{name}\n" for name in NAMES).encode()})


def refused(kind: type[EdgecnnError], message: str, content: bytes, dataset: Dataset, **options: Any) -> None:
    with pytest.raises(kind, match=message) as caught:
        classifier_for(content, dataset, **options)
    assert "\n" not in str(caught.value)


def test_labels_are_the_given_ones_then_the_files_then_the_folders() -> None:
    dataset, file = ColorPictures(("red", "blue", "cyan")).dataset, Bundle(labels=("x", "y", "z"))
    assert labels_for(("a", "b", "c"), file, dataset, 3, "m") == ("a", "b", "c")
    assert labels_for(None, file, dataset, 3, "m") == ("x", "y", "z")
    assert labels_for((), Bundle(), dataset, 3, "m") == ("red", "blue", "cyan")
    assert labels_for(None, Bundle(), ColorPictures(("red", "blue")).dataset, 1, "m") == ("red", "blue")


def test_labels_that_do_not_fit_are_refused() -> None:
    dataset = ColorPictures(("red", "blue", "cyan")).dataset
    with pytest.raises(DataError, match=r"^m has 4 classes and colours has 3 class folders; .* with --labels FILE$"):
        labels_for(None, Bundle(), dataset, 4, "m")
    with pytest.raises(DataError, match=r"^m has 2 classes and colours has 3 class folders"):
        labels_for(None, Bundle(), dataset, 1, "m")
    with pytest.raises(BundleError, match=r"^expected 4 labels for the 4 classes of m, got 3$"):
        labels_for(("a", "b", "c"), Bundle(), dataset, 4, "m")
    with pytest.raises(BundleError, match=r"^expected 4 labels for the 4 classes of m, got 3$"):
        labels_for(None, Bundle(labels=("a", "b", "c")), dataset, 4, "m")
    with pytest.raises(BundleError, match=r"^m carries no labels; give its 4 class names"):
        labels_for(None, Bundle(), unlabelled(), 4, "m")


def test_a_bundle_needs_nothing_and_reads_nothing() -> None:
    pictures = ColorPictures(train=9, test=9)
    preprocess = replace(UNIT, fit="letterbox")
    classifier, record = classifier_for(sealed(MODEL, labels=NAMES, preprocess=preprocess), pictures.dataset, threads=2)
    assert (classifier.labels, classifier.preprocess, classifier.threads) == (NAMES, preprocess, 2)
    assert record == {
        "source": "card",
        "detail": f"{preprocess.spec}, as the model file says",
        "samples": 0,
        "candidates": [],
    }
    assert pictures.names_read == []


def test_what_is_stated_counts_and_nothing_is_read() -> None:
    pictures = ColorPictures(train=9, test=9)
    bundle = sealed(MODEL, labels=NAMES, preprocess=replace(UNIT, color="bgr", fit="letterbox"))
    for content, spec, text in (
        (MODEL, "symmetric,area", "symmetric,size=4x4,rgb,stretch,area"),
        (bundle, "symmetric", "symmetric,size=4x4,bgr,letterbox"),
        (bundle, "rgb", "unit,size=4x4,rgb,letterbox"),
    ):
        classifier, record = classifier_for(content, pictures.dataset, spec=parse_spec(spec))
        assert classifier.preprocess.spec == text
        assert (record["source"], record["detail"]) == ("stated", f"{text}, as given")
    assert pictures.names_read == []


def test_metadata_of_another_tool_counts_and_nothing_is_read() -> None:
    content = with_normalization(MODEL, UNIT)
    for pictures in (ColorPictures(train=9, test=9), ColorPictures(test=9)):
        classifier, record = classifier_for(content, pictures.dataset)
        assert (classifier.labels, classifier.preprocess, record["source"]) == (NAMES, UNIT, "card")
        assert pictures.names_read == []


@pytest.mark.parametrize("spec", [None, Spec(), parse_spec("auto"), parse_spec("auto,letterbox")])
def test_a_foreign_model_is_tried_on_training_pictures_alone(spec: Spec | None) -> None:
    pictures = ColorPictures(train=40, val=5, test=5, size=(5, 5))  # square, so that no fit changes them
    classifier, record = classifier_for(MODEL, pictures.dataset, spec=spec)
    fit = "letterbox" if spec and spec.fit else "stretch"
    assert (classifier.labels, classifier.preprocess) == (NAMES, replace(UNIT, fit=fit))
    assert {name.split("/")[0] for name in pictures.names_read} == {"train"}
    assert record["source"] == "auto"
    assert record["samples"] == len(pictures.names_read)
    assert record["candidates"][0] == {"spec": classifier.preprocess.spec, "accuracy": 1.0, "samples": 400}
    assert len(record["candidates"]) == 9
    assert record["detail"].startswith("unit rgb gets 100.0% of 400 training images right")


def test_labels_in_another_order_than_folders_are_tried_in_theirs() -> None:
    order = NAMES[::-1]
    classifier, _ = classifier_for(nearest_color(UNIT, classes=order), ColorPictures(train=40).dataset, labels=order)
    assert (classifier.labels, classifier.preprocess) == (order, UNIT)


@pytest.mark.parametrize("head", ["logits", "sigmoid"])
def test_the_head_is_seen_in_the_graph(head: str) -> None:
    model = nearest_color(UNIT, head=head)
    assert classifier_for(model, ColorPictures().dataset, spec=parse_spec("unit"))[0].head.kind == head


def test_auto_goes_over_what_a_bundle_says() -> None:
    wrong = Preprocess(4, 4, "bgr", (1.0,), (2.0,), "center-crop", "area")
    content = sealed(MODEL, labels=NAMES, preprocess=wrong)
    classifier, record = classifier_for(content, ColorPictures(train=40).dataset, spec=parse_spec("auto"))
    assert classifier.preprocess == replace(UNIT, fit="center-crop", interpolation="area")  # which trying cannot tell
    assert record["source"] == "auto"


def test_a_dynamic_size_comes_from_the_spec_or_the_card() -> None:
    model = nearest_color(UNIT, dynamic=True)
    dataset = ColorPictures(train=40).dataset
    refused(ModelError, "takes pictures of any size; say which with --preprocess size=", model, dataset)
    for text in ("auto,size=6x5", "size=6x5"):
        assert classifier_for(model, dataset, spec=parse_spec(text))[0].preprocess.spec == "unit,size=6x5,rgb,stretch"
    content = sealed(model, labels=NAMES, preprocess=Preprocess(7, 3))
    for spec, size in (("", (7, 3)), ("size=5", (5, 5)), ("auto", (7, 3)), ("auto,size=2x9", (2, 9))):
        preprocess = classifier_for(content, dataset, spec=parse_spec(spec))[0].preprocess
        assert (preprocess.width, preprocess.height) == size
        assert preprocess.normalization == ("unit" if "auto" in spec else "raw")


def test_without_training_pictures_preprocessing_must_be_stated() -> None:
    refused(
        PreprocessError,
        "auto needs labelled training images, and colours has none",
        MODEL,
        ColorPictures(test=9).dataset,
    )
    strange = ColorPictures(("red",), train=9).dataset
    refused(DataError, "none of the classes", MODEL, strange, labels=[f"class {i}" for i in range(10)])


def test_unlabelled_pictures_cannot_tell() -> None:
    unknown = r"^m does not say how its input is prepared, and only labelled images can tell; give --preprocess"
    refused(PreprocessError, unknown, MODEL, unlabelled(), labels=NAMES, name="m")
    refused(PreprocessError, unknown, MODEL, unlabelled(), labels=NAMES, name="m", spec=parse_spec("auto"))
    refused(BundleError, "^m carries no labels; give its 10 class names", MODEL, unlabelled(), name="m")


@pytest.mark.parametrize("spec", ["unit,size=8", "auto,size=8"])
def test_a_size_that_does_not_fit_is_refused(spec: str) -> None:
    wrong = r"takes pictures of 4x4 with 3 channel\(s\), but the preprocessing gives 8x8 with 3"
    refused(PreprocessError, wrong, MODEL, ColorPictures(train=9).dataset, spec=parse_spec(spec))


@pytest.mark.parametrize(("channels", "color"), [(3, "rgb"), (1, "gray")])
def test_a_normalization_layer_inside_means_raw_pixels(channels: int, color: str) -> None:
    model = nearest_color(Preprocess(4, 4, color), classes=("black", "white"))
    engine = Engine(model)
    assert engine.channels == channels

    def find(spec: str) -> Any:
        bundle = open_bundle(model)
        return preprocess_for(
            engine, model, "softmax", bundle, parse_spec(spec), unlabelled(), (), name="m", inside=True
        )

    preprocess, record, choice = find("center-crop")
    assert preprocess == Preprocess(4, 4, color, fit="center-crop")
    assert (record["source"], choice) == ("model", None)
    assert find("unit")[1]["source"] == "stated"
    with pytest.raises(PreprocessError, match="only labelled images can tell"):
        find("auto")
