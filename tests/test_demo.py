"""The demonstration: everything it tells about is there, true, and made without a network."""

import json
import socket
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from edgecnn import demo
from edgecnn.bundle.bundle import open_bundle
from edgecnn.camera.capture import Clip
from edgecnn.cli.main import cli
from edgecnn.data.images import read_image
from edgecnn.demo import DemoResult, run_demo
from edgecnn.errors import DataError, MissingExtraError
from edgecnn.quiet import quiet
from edgecnn.report.render import FORMATS, render
from edgecnn.runtime.classifier import Classifier
from edgecnn.train.loop import Silent


class Steps(Silent):
    """Hears the steps of a demonstration."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.epochs: list[tuple[int, int]] = []

    def step(self, name: str) -> None:
        self.names.append(name)

    def progress(self, done: int, total: int) -> None:
        if self.names[-1].startswith("train"):
            self.epochs.append((done, total))


@pytest.fixture(scope="module")
def steps() -> Steps:
    return Steps()


@pytest.fixture(scope="module")
def result(steps: Steps, tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    with pytest.MonkeyPatch.context() as patch, quiet():
        patch.setattr(socket.socket, "connect", _no_network)
        return run_demo(tmp_path_factory.mktemp("demo") / "new" / "folder", observer=steps, epochs=2, seed=1)


def _no_network(*_: Any) -> None:
    raise AssertionError("the demonstration must not use the network")


def test_the_story_is_told_in_order(result: DemoResult, steps: Steps) -> None:
    wanted = ["train a small network on digits", "load", "quantize to int8", "measure latency", "classify a clip"]
    assert [name for name in steps.names if name in wanted] == wanted
    assert steps.epochs == [(1, 2), (2, 2)]
    folder = result.bundle.parent
    assert sorted(path.name for path in folder.iterdir()) == [
        "digit.png",
        "digits.avi",
        "digits.keras",
        "digits.tflite",
    ]
    assert {result.bundle, result.keras, result.clip, result.picture} == set(folder.iterdir())


def test_the_bundle_is_sealed_and_good(result: DemoResult) -> None:
    bundle = open_bundle(result.bundle)
    assert bundle.labels == tuple("0123456789")
    assert bundle.card is not None
    assert bundle.card.source["name"] == "digits.keras"
    assert bundle.card.preprocess == demo.PREPROCESS
    accuracy = result.records[0]["accuracy"]
    assert accuracy["output"] > 0.8  # after two epochs; chance is 0.1
    assert abs(accuracy["drop_pp"]) < 2
    assert accuracy["split"] == "test"


def test_the_clip_and_the_picture_are_what_was_classified(result: DemoResult) -> None:
    clip = Clip(str(result.clip))
    frames = [picture.pixels for _ in range(61) if (picture := clip.read(None))]
    clip.close()
    assert {frame.shape for frame in frames} == {(240, 320, 3)}
    assert len(frames) == 60
    classifier = Classifier(result.bundle)
    answers = [classifier.classify(frame, top_k=1)[0].label for frame in frames]
    shown = result.records[1]["frames"]
    truths = [item["truth"] for item in shown]
    assert sorted(truths) == list("0123456789")
    right = np.mean([answer == truths[i // 6] for i, answer in enumerate(answers)])
    assert result.clip_accuracy == pytest.approx(right)
    assert right > 0.6
    assert classifier.classify(read_image(result.picture), top_k=1)[0] == result.prediction
    assert result.truth == truths[-1]


@pytest.mark.parametrize("form", FORMATS)
def test_the_records_make_a_report(form: str, result: DemoResult) -> None:
    records = json.loads(json.dumps(result.records, allow_nan=False))
    text = render(records, form)
    assert "digits" in text
    if form == "html":
        assert text.count("data:image/") >= 10  # the clip's frames among them


def test_a_folder_that_cannot_hold_the_clip_is_told(tmp_path: Path) -> None:
    frames = [np.zeros((8, 8, 3), np.uint8)]
    with pytest.raises(DataError, match="cannot write the clip"):
        demo._write_clip(tmp_path / "none" / "clip.avi", frames, 0)


@pytest.mark.parametrize(("module", "what"), [("sklearn.datasets", "scikit-learn"), ("keras", "Keras")])
def test_what_is_not_installed_is_told(module: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"^{what} is not installed; type: pip install 'edgecnn\[train\]'$"):
        run_demo(tmp_path, observer=Steps(), epochs=1)


def test_the_command_shows_the_numbers_and_where_things_are(
    result: DemoResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "run_demo", lambda folder, observer: (folder.mkdir(), observer.step("work"), result)[2])
    done = CliRunner().invoke(cli, ["demo", "--output", str(tmp_path / "demo")])
    assert done.exit_code == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "demo").iterdir()) == ["report.html", "results.json"]
    assert json.loads((tmp_path / "demo" / "results.json").read_text(encoding="utf-8"))[0]["accuracy"]
    assert f"digit.png is a {result.prediction.label} ({result.prediction.score:.1%})" in done.stdout
    assert f"{result.records[0]['size_bytes']:,} B int8" in done.stdout
    assert f"Next:   edgecnn predict {result.bundle} {result.picture}" in done.stdout
    predicted = CliRunner().invoke(cli, done.stdout.splitlines()[-1].split()[2:])  # the line can be typed
    assert predicted.stdout.splitlines()[1].split()[0] == result.prediction.label
    assert "work:" in done.stderr


def test_the_command_refuses_what_cannot_be_its_folder(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "file.png"), np.zeros((4, 4, 3), np.uint8))
    assert CliRunner().invoke(cli, ["demo", "--output", str(tmp_path / "file.png")]).exit_code == 2
    done = CliRunner().invoke(cli, ["demo", "--output", str(tmp_path / "file.png" / "demo")])
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: cannot write a report into ")
