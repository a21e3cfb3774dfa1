"""What a record says of a picture's map, and of two models' maps of it."""

import base64
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.config import Preprocess
from edgecnn.errors import DataError
from edgecnn.explain.crew import Crew
from edgecnn.explain.explanation import BlackBox, Explanation, Side, class_index, enlarged, explain_picture, view
from edgecnn.explain.maps import Map, correlation, mass
from edgecnn.runtime.classifier import Classifier
from tests.explain.black_box import SIDE, classifier, picture, random_weights
from tests.models import linear, sealed


def side(model: Classifier, *, name: str = "a.tflite", method: str = "occlusion") -> Side:
    return Side(name, "0" * 64, BlackBox(Crew(model, workers=2), method, samples=100))


def test_a_record_tells_the_map_and_its_mass() -> None:
    record, (found,) = explain_picture([side(classifier())], picture())
    assert {
        key: record[key] for key in ("model", "sha256", "label", "index", "method", "size", "against", "notes")
    } == {
        "model": "a.tflite",
        "sha256": "0" * 64,
        "label": "bright",
        "index": 1,
        "method": "occlusion",
        "size": [SIDE, SIDE],
        "against": None,
        "notes": [],
    }
    assert record["score"] == pytest.approx(float(classifier().probabilities(picture())[1]), abs=1e-6)
    assert record["mass"] == pytest.approx(mass(found.map.values), abs=1e-6)
    positive = np.maximum(found.map.values, 0)
    np.testing.assert_allclose(record["map"], positive / positive.max(), atol=1e-4)
    np.testing.assert_array_equal(found.picture, enlarged(picture()))
    assert decoded(record["overlay"]).shape == found.picture.shape == (9 * SIDE, 9 * SIDE, 3)
    np.testing.assert_allclose(decoded(record["picture"]).mean(), picture().mean(), atol=2)
    assert np.abs(decoded(record["overlay"]).astype(int) - found.overlay()).mean() < 6  # JPEG


def test_what_speaks_against_a_class_has_no_support() -> None:
    values = np.array([[-5, 0], [1, 4]], np.float32)
    found = Explanation(Map("lime", values, 0, 0.5), "cat", np.zeros((2, 2, 3), np.uint8), 1.0)
    assert found.support.tolist() == [[0, 0], [0.25, 1]]


def test_a_second_model_explains_the_same_class() -> None:
    labels = ["bright", "dull"]  # the other order
    content = linear(random_weights(1), size=(SIDE, SIDE))
    unit = Preprocess(SIDE, SIDE, "rgb", (0.0,), (255.0,))
    other = Classifier(sealed(content, labels=labels, preprocess=unit))
    record, found = explain_picture([side(classifier()), side(other, name="b.tflite")], picture())
    against = record["against"]
    assert (against["model"], against["label"], against["index"], record["index"]) == ("b.tflite", "bright", 0, 1)
    assert against["correlation"] == pytest.approx(correlation(found[0].map.values, found[1].map.values), abs=1e-6)
    same, _ = explain_picture([side(classifier()), side(classifier())], picture(), target="dull")
    assert (same["label"], same["against"]["correlation"], same["against"]["rank_correlation"]) == ("dull", 1, 1)


def test_an_even_map_has_no_correlation() -> None:
    blind = classifier(np.zeros((2, SIDE * SIDE * 3), np.float32))
    record, _ = explain_picture([side(classifier()), side(blind)], picture(), target="bright")
    assert (record["against"]["correlation"], record["against"]["rank_correlation"]) == (None, None)
    assert record["against"]["mass"] == 0


def test_models_of_another_size_and_another_cut_are_compared_and_it_is_told() -> None:
    weights = np.zeros((2, 14, 14, 3), np.float32)
    weights[1, 7:10, 2:5] = 0.3
    content = linear(weights.reshape(2, -1), np.array([0, -2], np.float32), size=(14, 14))
    unit = Preprocess(14, 14, "rgb", (0.0,), (255.0,))
    for preprocess in (unit, replace(unit, fit="center-crop")):
        other = Classifier(sealed(content, labels=["dull", "bright"], preprocess=preprocess))
        record, _ = explain_picture([side(classifier()), side(other, name="b.tflite")], picture())
        assert record["against"]["size"] == [14, 14]
        assert record["against"]["correlation"] > 0.7
        assert len(record["notes"]) == (preprocess.fit != "stretch")
    assert record["notes"][0].startswith("a.tflite (stretch) and b.tflite (center-crop) see different parts")


def test_a_class_that_is_not_there() -> None:
    assert class_index(("cat", "dog"), "dog", "m.tflite") == 1
    with pytest.raises(DataError, match=r"^m.tflite has no class 'dgo'; it has dog, …$"):
        class_index(("cat", "dog"), "dgo", "m.tflite")
    with pytest.raises(DataError, match="has no class 'x'; it has a, b"):
        explain_picture([side(Classifier(sealed(
            linear(random_weights(1), size=(SIDE, SIDE)), labels=["a", "b"],
            preprocess=Preprocess(SIDE, SIDE, "rgb", (0.0,), (255.0,)),
        )))], picture(), target="x")  # fmt: skip


@pytest.mark.parametrize("color", ["rgb", "bgr", "gray"])
@pytest.mark.parametrize("fit", ["stretch", "center-crop", "letterbox"])
def test_the_view_is_what_the_model_sees_in_bgr(color: str, fit: str) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    preprocess = Preprocess(20, 20, color, (0.0,), (1.0,), fit)
    seen = view(frame, preprocess)
    assert seen.shape == (20, 20, 3)
    assert seen.dtype == np.uint8
    plain = {"stretch": frame, "center-crop": frame[:, 10:50], "letterbox": frame}[fit]
    size = (20, 13) if fit == "letterbox" else (20, 20)
    expected = cv2.resize(plain, size, interpolation=cv2.INTER_LINEAR)
    if color == "gray":
        expected = cv2.cvtColor(cv2.cvtColor(expected, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    part = seen[3:16] if fit == "letterbox" else seen
    np.testing.assert_allclose(part.astype(int), expected, atol=1)


def test_small_pictures_are_enlarged_by_whole_pixels() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (28, 20, 3), np.uint8)
    np.testing.assert_array_equal(enlarged(frame)[::9, ::9], frame)
    assert enlarged(np.zeros((224, 224, 3), np.uint8)).shape == (224, 224, 3)


@pytest.mark.parametrize("method", ["rise", "occlusion"])
def test_a_gray_model_is_explained_too(method: str) -> None:
    weights = np.zeros((2, SIDE, SIDE), np.float32)
    weights[1, 14:21, 4:11] = 0.2
    content = linear(weights.reshape(2, -1), np.array([0, -2], np.float32), size=(SIDE, SIDE), channels=1)
    unit = Preprocess(SIDE, SIDE, "gray", (0.0,), (255.0,))
    model = Classifier(sealed(content, labels=["dull", "bright"], preprocess=unit))
    record, (found,) = explain_picture([side(model, method=method)], picture())
    y, x = np.unravel_index(int(found.map.values.argmax()), found.map.values.shape)
    assert 12 <= y <= 22
    assert 2 <= x <= 12
    assert record["label"] == "bright"


def decoded(uri: str) -> NDArray[np.uint8]:
    content = base64.b64decode(uri.partition(",")[2])
    return np.asarray(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR), np.uint8)
