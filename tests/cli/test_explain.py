"""`edgecnn explain`: the folder it writes, what it shows, and which method it takes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgecnn.cli import explain
from edgecnn.explain import explanation, gradients
from edgecnn.report.results import read_results
from tests.cli.conftest import Run

FOREIGN = ("--labels", "labels.txt", "--preprocess", "raw")


@pytest.fixture
def half(place: Path) -> str:
    """A picture whose left half is red: the mean colour of `red.png` stays what it is when parts are hidden by it."""
    frame = np.full((16, 16, 3), 90, np.uint8)
    frame[:, :8, 2] += 20
    cv2.imwrite(str(place / "half.png"), frame)
    return "half.png"


def records_of(folder: Path) -> list[dict[str, Any]]:
    return read_results([folder / "explain.json"])


def test_the_methods_are_those_of_the_package() -> None:
    assert explain.BLACK_BOX == explanation.BLACK_BOX
    assert explain.INSIDE == gradients.METHODS


def test_a_folder_with_pictures_page_and_json(edgecnn: Run, place: Path) -> None:
    result = edgecnn("explain", "int8.tflite", "red.png", "flat", "-o", "why/deep", "--masks", 20)
    assert result.exit_code == 0, result.output
    out = place / "why" / "deep"
    names = ["red", *(f"{number:03d}" for number in range(9))]
    assert sorted(path.name for path in out.iterdir()) == sorted(
        [*(f"{name}.png" for name in names), "explain.json", "report.html"]
    )
    records = records_of(out)
    assert [Path(record["image"]).stem for record in records] == names
    assert (
        records[0] | {"schema": "edgecnn.explain/1", "label": "red", "method": "rise", "samples": 20, "seed": 0}
        == (records[0])
    )
    drawn = cv2.imread(str(out / "red.png"))
    assert drawn is not None
    assert drawn.shape == (256, 256, 3)  # 8 pixels, enlarged
    assert "data:image/jpeg" in (out / "report.html").read_text("utf-8")
    assert result.stdout.startswith("int8.tflite by rise, 20 masks\n")
    assert "Wrote 10 pictures, explain.json and report.html to why/deep" in result.stderr


def test_json_is_one_document_and_the_seed_decides(edgecnn: Run, place: Path, half: str) -> None:
    def found(*options: Any) -> Any:
        arguments = ("explain", "int8.tflite", half, "-o", "why", "--json", "--masks", 50, *options)
        return json.loads(edgecnn(*arguments).stdout)[0]["map"]

    first = found("--seed", 1)
    assert first == found("--seed", 1)
    assert first != found("--seed", 2)
    assert records_of(place / "why")[0]["seed"] == 2
    left, right = np.hsplit(np.array(first), 2)
    assert left.mean() > 3 * right.mean()


def test_two_models_are_compared_by_class_name(edgecnn: Run, place: Path, half: str) -> None:
    (place / "labels.txt").write_text("blue\nred\ngreen\n")  # another order, and so other answers
    arguments = ("explain", "int8.tflite", half, "-o", "why", "--against", "float.tflite", *FOREIGN)
    result = edgecnn(*arguments, "--method", "occlusion", "--target", "red")
    assert result.exit_code == 0, result.output
    (record,) = records_of(place / "why")
    against = record["against"]
    assert (record["label"], against["label"], against["model"]) == ("red", "red", "float.tflite")
    assert (record["index"], against["index"]) == (2, 1)  # what the second calls red looks at green
    assert against["correlation"] < -0.9
    assert (place / "why" / "half-against.png").is_file()
    lines = result.stdout.splitlines()
    assert lines[1].split() == ["image", "class", "int8", "float", "maps", "ranks", "focus"]
    assert f"{against['correlation']:.3f}" in lines[2]
    assert edgecnn(*arguments[:-4], "--labels", "three.txt", "--preprocess", "raw").exit_code == 1
    (place / "three.txt").write_text("blue\ngreen\nred\n")
    assert edgecnn(*arguments[:-4], "--labels", "three.txt", "--preprocess", "raw").exit_code == 0
    assert records_of(place / "why")[0]["against"]["correlation"] > 0.9


@pytest.mark.parametrize(
    ("arguments", "method"),
    [
        (("model.keras",), "grad-cam"),
        (("model.keras", "--method", "saliency"), "saliency"),
        (("model.keras", "--method", "occlusion"), "occlusion"),
        (("model.keras", "--against", "int8.tflite", "--masks", "20"), "rise"),
        (("int8.tflite", "--against", "model.keras", "--masks", "20"), "rise"),
    ],
)
def test_the_method_follows_from_the_models(arguments: tuple[str, ...], method: str, edgecnn: Run, place: Path) -> None:
    result = edgecnn("explain", arguments[0], "red.png", "-o", "why", *arguments[1:], *FOREIGN)
    assert result.exit_code == 0, result.output
    (record,) = records_of(place / "why")
    assert (record["method"], record["label"]) == (method, "red")
    if record["against"]:
        assert record["against"]["method"] == method


def test_feature_maps_are_written_and_shown(edgecnn: Run, place: Path) -> None:
    import keras

    (layer,) = (item.name for item in keras.models.load_model(place / "model.keras").layers if "conv" in item.name)
    result = edgecnn("explain", "model.keras", "red.png", "-o", "why", "--features", layer, *FOREIGN)
    assert result.exit_code == 0, result.output
    (record,) = records_of(place / "why")
    assert [(grid["layer"], grid["channels"]) for grid in record["features"]] == [(layer, 3)]
    assert cv2.imread(str(place / "why" / f"red-{layer}.png")) is not None
    assert f"Feature maps of {layer}" in (place / "why" / "report.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (
            ("int8.tflite", "--method", "grad-cam"),
            "grad-cam looks into Keras models, and int8.tflite is none; take rise",
        ),
        (("model.keras", "--against", "int8.tflite", "--method", "cam"), "and int8.tflite is none"),
        (("int8.tflite", "--features", "conv"), "--features takes a Keras model"),
        (("int8.tflite", "--layer", "conv"), "--layer belongs to grad-cam"),
        (("int8.tflite", "--masks", "0"), "--masks"),
        (("int8.tflite", "--method", "magic"), "--method"),
    ],
)
def test_wrong_usage_exits_2_and_writes_nothing(
    arguments: tuple[str, ...], reason: str, edgecnn: Run, place: Path
) -> None:
    result = edgecnn("explain", arguments[0], "red.png", "-o", "why", *arguments[1:])
    assert result.exit_code == 2
    assert reason in " ".join(result.stderr.split())
    assert not (place / "why").exists()
    assert edgecnn("explain", "int8.tflite", "red.png").exit_code == 2


def test_pictures_that_cannot_be_read_are_skipped_and_told(
    edgecnn: Run, failure: Callable[..., str], place: Path
) -> None:
    result = edgecnn("explain", "int8.tflite", "text.png", "red.png", "none.png", "-o", "why", "--masks", 20)
    assert result.exit_code == 0, result.output
    assert [record["image"] for record in records_of(place / "why")] == ["red.png"]
    told = " ".join(result.stderr.split())
    assert "skipped text.png: expected a JPEG" in told
    assert "skipped none.png" in told
    nothing = failure("explain", "int8.tflite", "text.png", "none.png", "-o", "new")
    assert nothing.startswith("text.png: expected a JPEG")
    assert nothing.endswith("; none of the 2 images could be read")
    (place / "empty").mkdir()
    expected = "empty has no images; expected a picture, or a folder of pictures"
    assert failure("explain", "int8.tflite", "empty", "-o", "new") == expected


def test_bad_input_has_one_line_and_leaves_nothing(failure: Callable[..., str], place: Path) -> None:
    (place / "file").write_text("")
    assert failure("explain", "int8.tflite", "red.png", "-o", "file/why") == (
        f"cannot write anything into file/why: {place / 'file'} is no folder that can be written"
    )
    reason = failure("explain", "int8.tflite", "red.png", "-o", "why", "--target", "rde", "--masks", "20")
    assert reason == "int8.tflite has no class 'rde'; it has red, green, …"
    assert "conv9" in failure("explain", "model.keras", "red.png", "-o", "why", "--layer", "conv9", *FOREIGN)


def test_pictures_of_one_name_do_not_overwrite_each_other(edgecnn: Run, place: Path) -> None:
    (place / "a").mkdir()
    (place / "red.png").rename(place / "a" / "red.png")
    cv2.imwrite(str(place / "red.png"), np.zeros((8, 8, 3), np.uint8))
    assert (
        edgecnn("explain", "int8.tflite", "red.png", "a/red.png", "-o", "why", "--method", "occlusion").exit_code == 0
    )
    assert {path.name for path in (place / "why").glob("*.png")} == {"red.png", "red-2.png"}


def test_the_limit_is_spread_over_a_folder(edgecnn: Run, place: Path) -> None:
    result = edgecnn("explain", "int8.tflite", "data", "-o", "why", "--method", "occlusion", "--limit", 3)
    assert result.exit_code == 0, result.output
    found = [Path(record["image"]).parent.name for record in records_of(place / "why")]
    assert len(set(found)) == 2  # the first, the middle and the last of blue, green, red in two splits
    assert (place / "why" / "test-blue-blue0.png").is_file()


def test_without_jinja2_there_is_all_but_the_page(edgecnn: Run, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgecnn.errors import MissingExtraError
    from edgecnn.report import render

    def missing(*_: Any) -> str:
        raise MissingExtraError("Jinja2", "report")

    monkeypatch.setattr(render, "render", missing)
    result = edgecnn("explain", "int8.tflite", "red.png", "-o", "why", "--method", "occlusion")
    assert result.exit_code == 0, result.output
    assert {path.name for path in (place / "why").iterdir()} == {"red.png", "explain.json"}
    told = " ".join(result.stderr.split())
    assert "no page, because Jinja2 is not installed; type: pip install 'edgecnn[report]'" in told
