"""The program that makes the released models: what it runs, what it does not run again, and what it writes."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from edgecnn.bundle.bundle import open_bundle
from edgecnn.cli.main import COMMANDS, cli
from edgecnn.files import sha256_path
from edgecnn.train.augment import parse_augment
from tools import model_card, released_models
from tools.model_card import overview, shown
from tools.released_models import differences, list_models, main, read_manifest, run_step
from tools.released_recipes import RECIPES, Recipe

DIGITS = Recipe(
    name="digits-lenet5",
    title="small digits",
    data="digits",
    train=("--arch", "lenet5", "--epochs", "1"),
    convert=(),  # after one epoch nothing is certain yet
    architecture="LeNet-5.",
    pictures="Digits of scikit-learn.",
    licence="BSD.",
    limits="A test.",
)
Make = Callable[[str], None]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("released")


@pytest.fixture(scope="module")
def make(folder: Path) -> Make:
    """Runs a command of the program with the recipe of digits."""

    def run(command: str) -> None:
        names = [DIGITS.name] if command in ("train", "make") else []
        places = ["--work", str(folder / "work"), "--models", str(folder / "models")]
        main([command, *names, *places], {DIGITS.name: DIGITS})

    return run


@pytest.fixture(scope="module")
def released(folder: Path, make: Make) -> Path:
    """The folder of models after `make` and `manifest`."""
    make("make")
    make("manifest")
    return folder / "models"


@pytest.fixture
def unwanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Running any command of edgecnn fails the test."""

    def run(recipe: Recipe, step: str, *_: Any) -> Any:
        raise AssertionError(f"step {step} ran again")

    monkeypatch.setattr(released_models, "_run", run)


@pytest.mark.slow
def test_a_recipe_becomes_a_folder_with_bundles_card_and_curves(released: Path, folder: Path) -> None:
    there = sorted(path.name for path in (released / DIGITS.name).iterdir())
    assert there == ["README.md", "curves.png", "digits-lenet5-float.tflite", "digits-lenet5-int8.tflite"]
    for name in DIGITS.bundles:
        bundle = open_bundle(released / DIGITS.name / name)
        assert bundle.labels == tuple("0123456789")
        assert bundle.card is not None
        assert bundle.card.preprocess.size == (8, 8)
    entry = read_manifest(released)[0]
    measured = json.loads((folder / "work" / DIGITS.name / "evaluate.json").read_text("utf-8"))["record"]
    for kind, record in zip(("float", "int8"), measured, strict=True):
        assert entry[kind] == {"file": record["model"], "top1": record["top1"], "top1_ci95": record["top1_ci95"]}
    assert (entry["split"], entry["samples"]) == ("test", measured[1]["samples"])
    assert {file["name"]: file["sha256"] for file in entry["files"]} == {
        name: sha256_path(released / DIGITS.name / name) for name in there
    }


@pytest.mark.slow
def test_the_card_shows_the_commands_and_the_figures(released: Path, folder: Path) -> None:
    card = (released / DIGITS.name / "README.md").read_text("utf-8")
    train = json.loads((folder / "work" / DIGITS.name / "train.json").read_text("utf-8"))["record"]
    small = json.loads((folder / "work" / DIGITS.name / "evaluate.json").read_text("utf-8"))["record"][1]
    for step in ("train", "float", "int8"):
        assert f"\n{shown(DIGITS.steps[step])}\n" in card
    assert "edgecnn predict models/digits-lenet5/digits-lenet5-int8.tflite" in card
    low, high = small["top1_ci95"]
    assert f"{small['top1']:.2%} ({low:.2%} to {high:.2%}) |" in card
    assert f"{train['parameters']:,} parameters" in card
    assert f"{(released / DIGITS.name / DIGITS.bundles[1]).stat().st_size:,} B |" in card
    assert card.count("\n| ") == (2 + 9) + (2 + 10)  # header, rule and rows of the figures, and of the classes
    assert "The test split had no influence on the training; the val split chose the epoch." in card
    assert str(folder) not in card
    assert (released / "README.md").read_text("utf-8") == overview(read_manifest(released))


@pytest.mark.slow
@pytest.mark.usefixtures("unwanted")
def test_what_is_done_is_not_done_again(released: Path, make: Make) -> None:
    before = {path: path.read_bytes() for path in released.rglob("*") if path.is_file()}
    make("train")
    make("make")
    make("manifest")
    assert {path: path.read_bytes() for path in released.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_a_changed_missing_or_strange_file_is_named(released: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    shutil.copytree(released, models)
    entries = read_manifest(models)
    assert differences(models, entries) == []
    bundle = models / DIGITS.name / DIGITS.bundles[1]
    bundle.write_bytes(bundle.read_bytes()[:-1] + b"\0\0")
    (models / DIGITS.name / "curves.png").unlink()
    (models / "other").mkdir()
    (models / "other" / "x.tflite").write_bytes(b"")
    assert differences(models, entries) == [
        "digits-lenet5/curves.png is missing",
        "other/x.tflite is not in manifest.json",
        "digits-lenet5/digits-lenet5-int8.tflite is not the file of manifest.json",
    ]
    with pytest.raises(SystemExit, match=r"curves\.png is missing"):
        list_models(models)


class Program:
    """Stands for edgecnn: writes the output that a step names, and counts."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, recipe: Recipe, step: str, work: Path, data: Path) -> dict[str, str]:
        self.runs += 1
        (work / f"{recipe.name}.training").mkdir(exist_ok=True)
        (work / recipe.keras).write_bytes(b"weights")
        return {"sha256": sha256_path(work / recipe.keras)}


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Program:
    stand_in = Program()
    monkeypatch.setattr(released_models, "_run", stand_in)
    return stand_in


@pytest.mark.parametrize("change", ["nothing", "options", "input", "output", "record"])
def test_a_step_runs_again_only_when_something_changed(program: Program, tmp_path: Path, change: str) -> None:
    recipe, work = replace(DIGITS, data="DATA/pictures.zip"), tmp_path / "work"
    (tmp_path / "pictures.zip").write_bytes(b"pictures")
    first = run_step(recipe, "train", work, tmp_path)
    if change == "options":
        recipe = replace(recipe, train=("--epochs", "2"))
    elif change == "input":
        (tmp_path / "pictures.zip").write_bytes(b"others")
    elif change == "output":
        (work / recipe.keras).write_bytes(b"damaged")
    elif change == "record":
        (work / "train.json").unlink()
    second = run_step(recipe, "train", work, tmp_path)
    assert program.runs == (1 if change == "nothing" else 2)
    assert (second == first) == (change != "options" and change != "input")
    assert str(tmp_path) not in (work / "train.json").read_text("utf-8")  # it can be moved to another machine


@pytest.mark.parametrize("changed", [False, True])
def test_an_interrupted_training_goes_on_unless_its_options_changed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changed: bool
) -> None:
    checkpoint = tmp_path / f"{DIGITS.name}.training" / "last.npz"
    seen: list[bool] = []

    def killed(recipe: Recipe, step: str, work: Path, data: Path) -> Any:
        seen.append(checkpoint.exists())
        checkpoint.parent.mkdir(exist_ok=True)
        checkpoint.write_bytes(b"state")
        raise KeyboardInterrupt

    monkeypatch.setattr(released_models, "_run", killed)
    for recipe in (DIGITS, replace(DIGITS, train=("--epochs", "9")) if changed else DIGITS):
        with pytest.raises(KeyboardInterrupt):
            run_step(recipe, "train", tmp_path, tmp_path)
    assert seen == [False, not changed]


def test_missing_data_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"step train needs .*mnist\.tar\.gz; --data-folder says") as failure:
        main(["train", "mnist-lenet5", "--data-folder", str(tmp_path), "--work", str(tmp_path / "work")])
    assert "\n" not in str(failure.value)
    assert not (tmp_path / "work").exists()


def test_a_failing_command_is_named_and_leaves_no_record(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="digits-lenet5: step train ended with exit code 2"):
        run_step(replace(DIGITS, train=("--no-such-option",)), "train", tmp_path, tmp_path)
    assert "record" not in json.loads((tmp_path / "train.json").read_text("utf-8"))


@pytest.mark.parametrize("arguments", [["make", "nonsense"], ["make"], ["manifest", "mnist-lenet5"], ["fly"]])
def test_wrong_usage_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as failure:
        main(arguments)
    assert failure.value.code == 2
    assert "expected" in (text := capsys.readouterr().err) or "names" in text or "invalid choice" in text


def test_no_models_no_list(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"has no manifest\.json; make a model first"):
        list_models(tmp_path)


def test_list_shows_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    main(["list"])
    listed = capsys.readouterr().out
    for recipe in RECIPES.values():
        assert all(f"  {shown(words)}\n" in listed for words in recipe.steps.values())


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_made_of_commands_that_exist(name: str) -> None:
    recipe = RECIPES[name]
    for words in recipe.steps.values():
        assert words[0] in COMMANDS
        program = click.Context(cli, info_name="edgecnn", **cli.context_settings)
        command = cli.get_command(program, words[0])
        assert command is not None
        with command.make_context(words[0], list(words[1:]), parent=program) as context:
            if words[0] == "train":
                parse_augment(context.params["augment"])
    texts = (recipe.title, recipe.architecture, recipe.pictures, recipe.licence, recipe.limits)
    assert all(texts)
    assert not any(re.search(r"(^|\s)(/|\.\./)|shared", text) for text in texts)


@pytest.mark.parametrize(
    ("split", "watched", "keep", "patience", "said"),
    [
        ("test", 0, "best", 0, "no influence on the training."),
        ("test", 9, "best", 0, "the val split chose the epoch."),
        ("test", 9, "last", 0, "no influence on the training."),
        ("val", 9, "last", 0, "It had no influence on this training"),
        ("val", 9, "last", 5, "a little too good."),
        ("val", 9, "best", 0, "a little too good."),
    ],
)
def test_the_card_says_what_the_measured_pictures_had_a_say_in(
    split: str, watched: int, keep: str, patience: int, said: str
) -> None:
    train = {"pictures": {"val": watched}, "options": {"keep": keep, "patience": patience}}
    assert said in model_card._influence(train, split)
