"""`edgecnn train`: what it prints, writes and exits with."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from edgecnn.cli.output import Progress, duration
from edgecnn.train.checkpoint import EpochRecord

Run = Callable[..., Result]
TRAIN = ("train", "data", "-o", "trained.keras", "--arch", "lenet5", "--epochs", "2", "--batch-size", "8")


def test_from_pictures_to_a_bundle(edgecnn: Run, place: Path) -> None:
    result = edgecnn(*TRAIN)
    assert result.exit_code == 0, result.stderr
    first, *lines = result.stdout.splitlines()
    size = (place / "trained.keras").stat().st_size
    assert first.startswith(f"trained.keras: {size:,} B, ")
    assert first.endswith("parameters, lenet5")
    assert [line.split()[0] for line in lines[:4]] == ["top-1", "precision", "recall", "F1"]
    assert lines[-1] == "Next: edgecnn convert trained.keras -o trained.tflite --data data"
    epochs = [line for line in result.stderr.splitlines() if line.startswith("  epoch ")]
    assert [line.split()[1] for line in epochs] == ["1/2", "2/2"]
    assert (place / "trained.training" / "curves.png").exists()

    converted = edgecnn("convert", "trained.keras", "-o", "out.tflite", "--data", "data", "--json")
    assert converted.exit_code == 0, converted.stderr
    record = json.loads(converted.stdout)
    assert record["preprocess_spec"] == "unit,size=12x10,rgb,stretch"
    assert record["preprocess_choice"]["source"] == "card"
    assert record["label_names"] == ["blue", "green", "red"]


def test_json_is_one_document_with_the_history(edgecnn: Run, place: Path) -> None:
    result = edgecnn(*TRAIN, "--json", "--input-size", "16", "--augment", "strong,flip=no", "--patience", "1")
    assert result.exit_code == 0, result.stderr
    record = json.loads(result.stdout)
    assert record["schema"] == "edgecnn.train/1"
    assert [row["epoch"] for row in record["history"]] == list(range(1, record["epochs"] + 1))
    assert record["preprocess"]["width"] == record["preprocess"]["height"] == 16
    assert record["options"]["augment"].startswith("shift=")
    assert record["evaluation"]["samples"] == 24


def test_the_architectures_are_listed(edgecnn: Run) -> None:
    result = edgecnn("train", "--architectures")
    assert result.exit_code == 0
    assert "resnet8" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--epochs", "0"), 2, "0 is not in the range"),
        (("--augment", "much"), 2, "cannot read 'much'"),
        (("--preprocess", "half"), 2, "cannot read 'half'"),
        (("--arch", "resnet9"), 1, "Error: expected an architecture of"),
        (("--weights", "imagenet", "--arch", "lenet5"), 1, "Error: expected an architecture with ImageNet weights"),
        (("--weights", "text.keras"), 1, "has an architecture of its own; leave out arch=lenet5"),
        (("--learning-rate", "-1"), 1, "Error: expected learning_rate from"),
    ],
)
def test_wrong_options_are_one_line(
    edgecnn: Run, place: Path, options: tuple[str, ...], code: int, message: str
) -> None:
    result = edgecnn(*TRAIN, *options)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr
    assert not (place / "trained.keras").exists()


def test_ctrl_c_says_how_to_go_on(edgecnn: Run, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Progress.epoch

    def epoch(progress: Progress, record: EpochRecord) -> None:
        original(progress, record)
        if record.epoch == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "epoch", epoch)
    stopped = edgecnn(*TRAIN)
    assert (stopped.exit_code, stopped.stdout) == (130, "")
    assert "--resume goes on after the last epoch shown" in stopped.stderr
    refused = edgecnn(*TRAIN)
    assert refused.exit_code == 1
    assert refused.stderr.splitlines()[-1].startswith("Error: trained.training holds a training that was interrupted")
    resumed = edgecnn(*TRAIN, "--resume")
    assert resumed.exit_code == 0, resumed.stderr
    assert "epoch   1/2" not in resumed.stderr


def test_durations_are_for_people() -> None:
    assert [duration(s) for s in (7.6, 60, 3599.4, 7500)] == ["8 s", "1 min 0 s", "59 min 59 s", "2 h 5 min"]
