"""What lies in models/: whole, as its manifest says, ready to use, and as good as its cards say."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.bundle.bundle import open_bundle
from edgecnn.data.dataset import open_dataset
from edgecnn.measure.evaluate import evaluate
from edgecnn.measure.intervals import wilson_interval
from edgecnn.runtime.classifier import Classifier
from tools.model_card import overview, shown
from tools.released_models import differences, read_manifest
from tools.released_recipes import DATA, RECIPES

MODELS = Path(__file__).parents[1] / "models"
ENTRIES = read_manifest(MODELS)
MAX_BYTES = 30_000_000
Z999 = 3.290526731491926  # 99.95 % point of the normal distribution

pytestmark = pytest.mark.skipif(not MODELS.is_dir(), reason="no models/ in this checkout")
each = pytest.mark.parametrize("entry", [pytest.param(entry, id=entry["name"]) for entry in ENTRIES])


def test_the_manifest_lists_exactly_the_files_there() -> None:
    assert differences(MODELS, ENTRIES) == []
    assert sorted(path.name for path in MODELS.iterdir() if path.is_file()) == ["README.md", "manifest.json"]


def test_every_recipe_is_released() -> None:
    assert [entry["name"] for entry in ENTRIES] == list(RECIPES)


def test_they_are_small_enough_for_a_repository() -> None:
    assert sum(path.stat().st_size for path in MODELS.rglob("*") if path.is_file()) < MAX_BYTES


def test_the_list_is_that_of_the_manifest() -> None:
    assert (MODELS / "README.md").read_text("utf-8") == overview(ENTRIES)


@each
def test_int8_is_within_half_a_point_of_float(entry: dict[str, Any]) -> None:
    assert entry["float"]["top1"] - entry["int8"]["top1"] <= 0.005 + 1e-9
    for kind in ("float", "int8"):
        low, high = entry[kind]["top1_ci95"]
        assert low < entry[kind]["top1"] < high
        assert (low, high) == pytest.approx(
            wilson_interval(round(entry[kind]["top1"] * entry["samples"]), entry["samples"])
        )


@each
def test_the_card_shows_its_recipe(entry: dict[str, Any]) -> None:
    card, recipe = (MODELS / entry["name"] / "README.md").read_text("utf-8"), RECIPES[entry["name"]]
    assert (entry["data"], entry["title"]) == (recipe.data, recipe.title)
    for step in ("train", "float", "int8"):
        assert f"\n{shown(recipe.steps[step])}\n" in card
    assert recipe.licence in card
    assert recipe.limits in card
    assert f"{entry['int8']['top1']:.2%}" in card


@each
@pytest.mark.parametrize("kind", ["float", "int8"])
def test_a_bundle_carries_all_it_needs_and_classifies(entry: dict[str, Any], kind: str) -> None:
    path = MODELS / entry["name"] / entry[kind]["file"]
    bundle = open_bundle(path)
    assert len(set(bundle.labels)) == len(bundle.labels) >= 2
    assert bundle.card is not None
    classifier = Classifier(path)
    assert classifier.preprocess == bundle.card.preprocess
    assert classifier.engine.input_type.dtype == ("float32" if kind == "float" else "int8")
    frame = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    predictions = classifier.classify(frame, top_k=len(bundle.labels))
    assert sorted(prediction.label for prediction in predictions) == sorted(bundle.labels)
    assert sum(prediction.score for prediction in predictions) == pytest.approx(1, abs=0.05)


@each
def test_int8_is_as_good_as_its_card_says(entry: dict[str, Any], shared_data: Path) -> None:
    with open_dataset(shared_data / entry["data"].removeprefix(DATA)) as dataset:
        assert dataset.measured_split() == entry["split"]
        classifier = Classifier(MODELS / entry["name"] / entry["int8"]["file"])
        measured = evaluate(classifier, dataset, limit=200)
    low, high = wilson_interval(round(measured.top1 * measured.samples), measured.samples, z=Z999)
    assert low <= entry["int8"]["top1"] <= high
