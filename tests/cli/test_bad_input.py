"""Whatever is given that cannot be used: exit code 1, one line that says what and what to do, no file left behind."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.keras_models import write_colors

Failure = Callable[..., str]
NO_MODEL = "is no model: expected a Keras .keras or .h5 file, a SavedModel folder or a .tflite file"
# Commands that take a model, with what else they need; {} is the model.
WITH_MODEL = {
    "convert": "{} -o out.tflite --data data --preprocess raw",
    "evaluate": "{} --data data --labels labels.txt --preprocess raw",
    "compare": "{} int8.tflite --data data --labels labels.txt --preprocess raw",
    "robustness": "{} --data data --labels labels.txt --preprocess raw --corruptions none --attacks none",
    "benchmark": "{} --runs 1",
    "predict": "{} red.png --labels labels.txt --preprocess raw",
    "explain": "{} red.png -o why --labels labels.txt --preprocess raw",
    "camera": "{} --source flat --labels labels.txt --preprocess raw --events e.jsonl --record out.avi",
    "inspect": "{}",
}
WITH_DATA = {
    "convert": "convert float.tflite -o out.tflite --data",
    "evaluate": "evaluate int8.tflite --data",
    "compare": "compare int8.tflite int8.tflite --data",
    "robustness": "robustness int8.tflite --data",
}


def words(command: str, model: str) -> list[str]:
    return [command, *WITH_MODEL[command].format(model).split()]


@pytest.mark.parametrize("command", WITH_MODEL)
def test_a_file_that_is_no_model(command: str, failure: Failure, place: Path) -> None:
    assert failure(*words(command, "text.keras")) == f"text.keras {NO_MODEL}"
    assert failure(*words(command, "red.png")) == f"red.png {NO_MODEL}"
    assert failure(*words(command, "none.keras")) == "no such model: none.keras"
    assert failure(*words(command, "flat")) == "flat is no SavedModel: it has no saved_model.pb"
    (place / "empty.tflite").write_bytes(b"")
    assert failure(*words(command, "empty.tflite")) == f"empty.tflite {NO_MODEL}"
    whole = (place / "float.tflite").read_bytes()
    for length in (8, 100, len(whole) // 2, len(whole) - 40):
        (place / "part.tflite").write_bytes(whole[:length])
        assert failure(*words(command, "part.tflite"))
    for ending in (".keras", ".h5"):
        (place / f"part{ending}").write_bytes((place / "model.keras").read_bytes()[:900])
        assert f"part{ending} is a zip file" in failure(*words(command, f"part{ending}"))


@pytest.mark.parametrize("command", [command for command in WITH_MODEL if command != "benchmark"])
def test_a_model_of_any_size_without_a_size(command: str, failure: Failure) -> None:
    assert failure(*words(command, "any.keras")) == (
        "any.keras takes pictures of any size; say which with --preprocess size=WIDTHxHEIGHT"
    )


@pytest.mark.parametrize("command", WITH_DATA)
def test_data_that_is_none(command: str, failure: Failure, place: Path) -> None:
    (place / "empty").mkdir()
    (place / "texts" / "a").mkdir(parents=True)
    (place / "texts" / "a" / "note.txt").write_text("hello")
    (place / "one" / "train").mkdir(parents=True)
    (place / "data" / "train" / "red").rename(place / "one" / "train" / "red")
    (place / "part.zip").write_bytes(b"PK\x03\x04" + bytes(100))
    (place / "part.tar.gz").write_bytes(b"\x1f\x8b\x08" + bytes(100))
    for data, reason in {
        "nowhere": "expected a folder, an archive or one of digits, mnist, fashion_mnist, cifar10, cifar100; nowh",
        "empty": "empty has no images; expected one folder of images a class",
        "texts": "texts has no images; expected one folder of images a class",
        "one": "one has images of 1 class (red); expected one folder of images a class",
        "part.zip": "cannot read part.zip",
        "part.tar.gz": "cannot read part.tar.gz",
        "text.png": "cannot read text.png",
    }.items():
        assert reason in failure(*WITH_DATA[command].split(), data)


def test_data_without_class_folders_has_no_accuracy(failure: Failure) -> None:
    expected = "flat has no class folders; accuracy needs labelled images"
    assert failure("evaluate", "int8.tflite", "--data", "flat") == expected
    assert failure("evaluate", "int8.tflite", "--data", "flat", "--split", "train") == expected
    assert failure(
        "convert", "float.tflite", "-o", "out.tflite", "--data", "flat", "--preprocess", "raw", "--max-drop", "1"
    ) == ("--max-drop needs labelled images, and flat has no class folders")


@pytest.mark.parametrize("command", ["convert", "evaluate", "predict", "explain", "camera"])
def test_labels_that_do_not_fit(command: str, failure: Failure, place: Path) -> None:
    model = "int8.tflite" if command != "convert" else "float.tflite"
    arguments = [word for word in words(command, model) if word not in ("--labels", "labels.txt")]
    (place / "empty.txt").write_text("")
    (place / "binary.txt").write_bytes(bytes(range(256)))
    for labels, reason in {
        "two.txt": f"expected 3 labels for the 3 classes of {model}, got 2",
        "none.txt": "cannot read the label file none.txt: No such file or directory",
        "data": "cannot read the label file data: Is a directory",
        "empty.txt": "the label file empty.txt is empty; expected one label a line",
        "binary.txt": "expected a UTF-8 text with one label a line, got other bytes in binary.txt",
    }.items():
        assert failure(*arguments, "--labels", labels) == reason


def test_a_foreign_model_without_labels_or_preprocessing(failure: Failure) -> None:
    labels = "float.tflite carries no labels; give its 3 class names with --labels FILE"
    assert failure("predict", "float.tflite", "red.png", "--preprocess", "raw") == labels
    stated = "float.tflite does not say how its input is prepared; give --preprocess with one of raw, unit, symmetric, "
    assert failure("predict", "float.tflite", "red.png", "--labels", "labels.txt").startswith(stated)
    wrong = "float.tflite takes pictures of 8x8 with 3 channel(s), but the preprocessing gives 9x9 with 3"
    for spec in ("raw,size=9", "size=9,raw"):
        command = ("predict", "float.tflite", "red.png", "--labels", "labels.txt", "--preprocess", spec)
        assert failure(*command) == wrong
    assert "with 3 channel(s), but the preprocessing gives 8x8 with 1" in failure(*command[:-1], "raw,gray")


def test_pictures_that_are_none(failure: Failure, place: Path) -> None:
    (place / "empty.jpg").write_bytes(b"")
    whole = (place / "red.png").read_bytes()
    (place / "part.png").write_bytes(whole[: len(whole) // 2])
    for name, reason in {
        "text.png": "text.png: expected a JPEG, PNG, BMP or WebP image, got a file that begins with the bytes 68 65",
        "none.png": "none.png",
        "data": "data",
        "empty.jpg": "empty.jpg: ",
        "part.png": "part.png: the image is truncated",
        "model.keras": "model.keras: expected a JPEG, PNG, BMP or WebP image",
    }.items():
        assert failure("predict", "int8.tflite", name).startswith(reason)
        assert failure("benchmark", "int8.tflite", "--image", name).startswith(reason)


def test_an_output_that_cannot_be_written(failure: Failure, place: Path) -> None:
    convert = ("convert", "float.tflite", "--data", "data", "--preprocess", "raw", "-o")
    assert failure(*convert, "none/out.tflite") == "cannot write none/out.tflite: there is no folder none"
    assert failure(*convert, "data") == "cannot write data: it is a folder or a device; name a .tflite file"
    assert failure(*convert, "float.tflite") == "cannot write float.tflite: it is the model itself; name another file"
    assert failure(*convert, "out.tflite", "--report", "labels.txt/report") == (
        f"cannot write a report into labels.txt/report: {place / 'labels.txt'} is no folder that can be written"
    )
    assert "none/e.csv" in failure("evaluate", "int8.tflite", "--data", "data", "--csv", "none/e.csv")


def test_a_result_that_is_none(failure: Failure, place: Path) -> None:
    (place / "other.json").write_text('{"schema": "other/1"}')
    for name in ("none.json", "labels.txt", "red.png", "other.json", "data"):
        assert name in failure("report", name, "-o", "report.html")
    (place / "run.json").write_text("[]")
    assert "run.json" in failure("report", "run.json", "-o", "report.html")


def test_a_zip_of_pictures_is_no_model_and_a_model_no_data(failure: Failure, place: Path) -> None:
    write_colors(place / "more", {"": 3})
    with zipfile.ZipFile(place / "more.zip", "w") as file:
        for path in (place / "more").rglob("*.png"):
            file.write(path, path.relative_to(place))
    assert "more.zip is a zip file" in failure(*words("inspect", "more.zip"))
    assert "model.keras has no images" in failure("evaluate", "int8.tflite", "--data", "model.keras")


def test_what_is_refused_in_a_model_is_told_before_it_is_run(failure: Failure, place: Path) -> None:
    with zipfile.ZipFile(place / "lambda.keras", "w") as file:
        file.writestr("config.json", '{"class_name": "Lambda", "config": {"name": "code"}}')
        file.writestr("metadata.json", '{"keras_version": "3.0.0"}')
    for command in WITH_MODEL:
        assert failure(*words(command, "lambda.keras")) == (
            "lambda.keras carries Python code in a Lambda layer (code), which loading would run; "
            "if you trust the file, add --allow-unsafe"
        )
