"""Conversions that fail: they say why, and leave no output behind and an old one as it was."""

import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgecnn.convert import loading, pipeline, quantizing
from edgecnn.errors import ConversionError, DataError, ParityError, PreprocessError
from tests.keras_models import COLORS, write_flat

Convert = Callable[..., Any]


def test_a_conversion_that_loses_the_weights_is_caught(
    convert: Convert, model: Path, colors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export, load = vars(loading)["export_float"], vars(loading)["load_source"]

    def broken(_: Any, **size: int) -> Any:
        twin = load(model)
        twin.owner.set_weights([np.zeros_like(array) for array in twin.owner.get_weights()])
        return export(twin, **size)

    monkeypatch.setattr(loading, "export_float", broken)
    output = tmp_path / "out.tflite"
    output.write_text("old")
    with pytest.raises(ParityError, match=r"colors.keras: output \d of sample \d is 0.333333, Keras gives [01]"):
        convert(model, output, colors)
    assert output.read_text() == "old"


@pytest.mark.parametrize(
    ("module", "step"),
    [
        (quantizing, "quantize"),
        (pipeline, "score"),
        (pipeline, "seal"),
        (loading, "sha256_path"),
        (pipeline, "write_atomic"),
    ],
)
@pytest.mark.parametrize("old", [b"", b"old"])
def test_whatever_fails_the_old_output_stays(
    module: Any,
    step: str,
    old: bytes,
    convert: Convert,
    model: Path,
    colors: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise ConversionError(f"{step} failed")

    output = tmp_path / "out.tflite"
    if old:
        output.write_bytes(old)
    monkeypatch.setattr(module, step, fail)
    with pytest.raises(ConversionError, match=f"{step} failed"):
        convert(model, output, colors)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == ([old] if old else [])


def test_a_full_disk_leaves_the_old_output(convert: Convert, model: Path, colors: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.tflite"
    output.write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # a larger file fails as on a full disk
    try:
        with pytest.raises(DataError, match=r"cannot write .*out.tflite: File too large"):
            convert(model, output, colors)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_a_folder_that_may_not_be_written(
    steps: Any, convert: Convert, model: Path, colors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if Path("/proc/version").is_file():  # no user may make files there, not even root
        with pytest.raises(DataError, match=r"cannot write /proc/out\.tflite: "):
            convert(model, Path("/proc/out.tflite"), colors)
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    with pytest.raises(DataError, match=r"cannot write .*: you may not write into the folder "):
        convert(model, tmp_path / "out.tflite", colors, observer=steps)
    assert steps.names == []


def test_what_is_bound_to_fail_is_told_before_the_work(
    steps: Any, convert: Convert, model: Path, colors: Path, flat: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.keras"
    own.write_bytes(model.read_bytes())
    link = tmp_path / "link.tflite"
    link.symlink_to(own)
    one = write_flat(tmp_path / "one", 1)
    cases: list[tuple[Path, Path, Path, dict[str, Any], str]] = [
        (model, tmp_path / "none" / "out.tflite", colors, {}, "there is no folder .*none"),
        (model, own / "out.tflite", colors, {}, "there is no folder .*own.keras"),
        (model, tmp_path, colors, {}, "it is a folder or a device"),
        (model, Path(os.devnull), colors, {}, "it is a folder or a device"),
        (own, own, colors, {}, "it is the model itself; name another file"),
        (own, link, colors, {}, "it is the model itself; name another file"),
        (model, tmp_path / "out.tflite", flat, {"max_drop": 1.0}, "--max-drop needs labelled images, and flat has no"),
        (model, tmp_path / "out.tflite", one, {"labels": COLORS}, r"one has 1 image\(s\); half calibrate, the rest"),
    ]
    for path, output, data, options, reason in cases:
        steps.names.clear()
        with pytest.raises(DataError, match=reason):
            convert(path, output, data, observer=steps, **options)
        assert set(steps.names) <= ({"load", "convert to float .tflite"} if data == one else set())
    assert own.read_bytes() == model.read_bytes()
    assert Path(os.devnull).is_char_device()
    assert sorted(os.listdir(tmp_path)) == ["link.tflite", "one", "own.keras"]


def test_pictures_that_cannot_be_read_are_counted_and_named(
    convert: Convert, model: Path, colors: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(colors, data)
    for name in ("train/red/red0.png", "train/blue/blue1.png", "test/red/red3.png", "test/green/green2.png"):
        (data / name).write_bytes(b"no picture")
    for spec in ("raw", "auto"):
        result = convert(model, tmp_path / "out.tflite", data, spec=spec)
        assert result.accuracy["samples"] == 22
        assert sorted(name for name, _ in result.scores.skipped) == ["test/green/green2.png", "test/red/red3.png"]
        assert [note.split(":")[1].strip() for note in result.notes if "calibration skipped" in note] != []
        assert "images skipped because they cannot be read: 2" in result.notes
    for path in data.rglob("*.png"):
        path.write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"none of the 33 calibration images of data could be read"):
        convert(model, tmp_path / "out.tflite", data)


def test_pictures_that_tell_nothing_give_no_guess(convert: Convert, model: Path, tmp_path: Path) -> None:
    data, random = tmp_path / "data", np.random.default_rng(0)
    for color in COLORS:
        (data / color).mkdir(parents=True)
        for i in range(20):
            cv2.imwrite(str(data / color / f"{i}.png"), random.integers(0, 256, (8, 8, 3), np.uint8))
    with pytest.raises(PreprocessError, match="auto found no preprocessing that beats chance on data"):
        convert(model, tmp_path / "out.tflite", data, spec="auto")
