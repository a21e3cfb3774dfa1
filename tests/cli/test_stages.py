"""Options of `edgecnn convert` that become stages, and recipes."""

import json
from pathlib import Path
from typing import Any

import click
import pytest

from edgecnn.cli.stages import stages_of
from edgecnn.convert.stages import BlockStage, ChannelStage, ClusterStage, MagnitudeStage, QatStage
from tests.cli.conftest import Run

NONE: dict[str, Any] = {
    "prune": "none", "sparsity": None, "macs": None, "importance": "magnitude", "per_layer": False, "prune_steps": 1,
    "clusters": None, "finetune_epochs": 3, "finetune_rate": 1e-3, "qat_epochs": 0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "stages"),
    [
        ({}, ()),
        ({"prune": "channel"}, (ChannelStage(),)),
        ({"prune": "blocks", "macs": 0.6, "finetune_epochs": 1}, (BlockStage(1, macs=0.6),)),
        ({"prune": "channel", "macs": 0.4, "prune_steps": 3, "importance": "taylor", "per_layer": True,
          "finetune_epochs": 9},
         (ChannelStage(9, macs=0.4, steps=3, importance="taylor", everywhere=True),)),
        ({"prune": "magnitude", "sparsity": 0.8, "clusters": 16, "qat_epochs": 2, "finetune_rate": 0.01},
         (MagnitudeStage(3, 0.01, 0.8), ClusterStage(3, 0.01, 16), QatStage(2, 0.001))),
    ],
)  # fmt: skip
def test_options_become_stages_in_their_order(typed: dict[str, Any], stages: tuple[Any, ...]) -> None:
    options = NONE | typed | {"seed": 1}
    assert stages_of(options) == stages
    assert options == {"seed": 1}, "the options are taken out"


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"sparsity": 0.5}, "--sparsity needs --prune"),
        ({"macs": 0.5}, "--macs needs --prune channel"),
        ({"macs": 0.5, "prune": "magnitude"}, "--macs needs --prune channel"),
        ({"macs": 0.5, "sparsity": 0.5, "prune": "channel"}, "give one of them"),
    ],
)
def test_options_that_lack_another(typed: dict[str, Any], message: str) -> None:
    with pytest.raises(click.UsageError, match=message):
        stages_of(NONE | typed)


def test_a_recipe_gives_what_its_options_gave_and_typed_ones_count_more(edgecnn: Run, place: Path) -> None:
    words = ("convert", "float.tflite", "-o", "out.tflite", "--data", "data", "--preprocess", "raw")
    (place / "r.toml").write_text("[convert]\nquantize = 'dynamic'\naccuracy_samples = 6\nseed = 4\n")
    result = edgecnn(*words, "--config", "r.toml", "--seed", 5, "--json")
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert record["quantize"] == "dynamic"
    assert record["accuracy"]["samples"] == 6
    written = (place / "out.recipe.toml").read_text()
    assert "seed = 5" in written
    assert 'preprocess = "raw,size=8x8,rgb,stretch"' in written
    first = (place / "out.tflite").read_bytes()
    again = edgecnn("convert", "float.tflite", "-o", "out.tflite", "--data", "data", "--config", "out.recipe.toml")
    assert again.exit_code == 0, again.output
    assert (place / "out.tflite").read_bytes() == first, "the same recipe gives the same bytes"


def test_a_recipe_with_a_mistake_is_one_line(edgecnn: Run, place: Path) -> None:
    (place / "r.toml").write_text("[convert]\nquantise = 'int8'\n")
    result = edgecnn("convert", "float.tflite", "-o", "o.tflite", "--data", "data", "--config", "r.toml")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: r.toml: expected options of [convert] among")
    assert not (place / "o.tflite").exists()
