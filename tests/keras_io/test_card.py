"""The card inside a `.keras` file: what is written is read, Keras does not mind it, and damage is told."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.bundle.bundle import open_bundle
from edgecnn.config import Preprocess
from edgecnn.convert.loading import load_float
from edgecnn.errors import BundleError
from edgecnn.keras_io.card import MEMBER, KerasCard, read_card, with_card
from tests.keras_models import network, save

CARD = KerasCard(
    ("cat", "dog", "Größe"), Preprocess(6, 8, "bgr", (1.0, 2.0, 3.0), (4.0, 5.0, 6.0)), {"arch": "x", "epochs": 3}
)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import keras

    return save(network(keras), tmp_path_factory.mktemp("plain") / "plain.keras")


@pytest.fixture
def sealed(plain: Path, tmp_path: Path) -> Path:
    path = tmp_path / "sealed.keras"
    path.write_bytes(with_card(plain.read_bytes(), CARD))
    return path


def test_a_card_is_read_as_it_was_written(sealed: Path, plain: Path) -> None:
    assert read_card(sealed) == CARD
    assert read_card(plain) is None


def test_keras_loads_the_file_as_before(sealed: Path, plain: Path) -> None:
    import keras

    pictures = np.random.default_rng(1).random((2, 8, 6, 3), np.float32)
    before, after = (keras.saving.load_model(path)(pictures) for path in (plain, sealed))
    assert np.array_equal(before, after)


def test_the_card_goes_on_into_the_tflite(sealed: Path) -> None:
    bundle = open_bundle(load_float(sealed))
    assert bundle.card is not None
    assert (bundle.labels, bundle.card.preprocess) == (CARD.labels, CARD.preprocess)


def test_files_of_other_kinds_have_none(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    assert read_card(path) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "made by a newer edgecnn"),
        ({"labels": ["one"]}, "expected two labels or more"),
        ({"labels": None}, "damaged"),
        ({"preprocess": {"width": 3}}, "damaged"),
        ({"training": 5}, "damaged"),
    ],
)
def test_a_damaged_card_is_one_clear_line(plain: Path, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "m.keras"
    path.write_bytes(plain.read_bytes())
    values = {"format": 1, "labels": ["a", "b"], "preprocess": CARD.preprocess.to_dict(), "training": {}}
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(MEMBER, json.dumps(values | change))
    with pytest.raises(BundleError, match=message):
        read_card(path)


def test_numbers_that_json_cannot_hold_are_refused(plain: Path) -> None:
    with pytest.raises(BundleError, match="plain numbers and text"):
        with_card(plain.read_bytes(), KerasCard(CARD.labels, CARD.preprocess, {"loss": float("nan")}))
