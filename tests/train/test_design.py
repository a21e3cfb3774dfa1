"""What is decided where the options say nothing: architecture, size, colour, normalization, the order of a teacher."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgecnn.config import Preprocess
from edgecnn.data.dataset import open_dataset
from edgecnn.errors import DataError, PreprocessError
from edgecnn.keras_io.card import KerasCard, with_card
from edgecnn.spec import parse_spec
from edgecnn.train.design import Design, design, learner
from edgecnn.train.options import TrainConfig
from tests.keras_models import COLORS, network, save, write_colors


def decide(data: Path, **options: Any) -> Design:
    with open_dataset(data) as dataset:
        return design(dataset, dataset.split("train"), TrainConfig(**options))


def write_noise(folder: Path, sizes: list[tuple[int, int]], *, gray: bool) -> Path:
    """Pictures of noise of these (height, width), in two classes."""
    random = np.random.default_rng(1)
    for label in "ab":
        (folder / "train" / label).mkdir(parents=True)
        for i, size in enumerate(sizes):
            picture = random.integers(0, 256, size if gray else (*size, 3), np.uint8)
            cv2.imwrite(str(folder / "train" / label / f"{i}.png"), picture)
    return folder


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Keras model of 6x8 colour pictures in three classes that says nothing about itself."""
    import keras

    return save(network(keras), tmp_path_factory.mktemp("foreign") / "foreign.keras")


@pytest.fixture(scope="module")
def carded(foreign: Path) -> Path:
    """The same with a card; its labels are in another order than the class folders."""
    path = foreign.with_name("carded.keras")
    card = KerasCard(("red", "green", "blue"), Preprocess(6, 8, "rgb", (127.5,), (127.5,)), {})
    path.write_bytes(with_card(foreign.read_bytes(), card))
    return path


def test_small_pictures_of_one_size_are_taken_as_they_are(tmp_path: Path) -> None:
    plan = decide(write_noise(tmp_path / "small", [(20, 30)] * 3, gray=True))
    assert (plan.arch, plan.preprocess.spec, plan.units) == ("resnet8", "symmetric,size=30x20,gray,stretch", 2)


def test_large_pictures_are_brought_to_the_size_of_the_network(tmp_path: Path) -> None:
    plan = decide(write_noise(tmp_path / "large", [(90, 80), (70, 99)], gray=False))
    assert (plan.arch, plan.preprocess.spec) == ("mobilenetv2_035", "symmetric,size=224x224,rgb,stretch")


def test_what_is_stated_counts(colors: Path) -> None:
    plan = decide(colors, arch="lenet5", preprocess=parse_spec("imagenet,size=20x16,bgr,center-crop"))
    assert plan.preprocess == parse_spec("imagenet,size=20x16,bgr,center-crop").complete(1, 1, "rgb")


def test_a_file_that_says_how_its_input_is_prepared_is_believed(carded: Path, colors: Path) -> None:
    plan = decide(colors, weights=str(carded))
    assert plan.preprocess == Preprocess(6, 8, "rgb", (127.5,), (127.5,))
    assert plan.build().output_shape == (None, 3)


def test_a_file_that_does_not_say_needs_a_spec(foreign: Path, colors: Path) -> None:
    with pytest.raises(PreprocessError, match=r"foreign\.keras does not say how its input is normalized; give --prep"):
        decide(colors, weights=str(foreign))
    plan = decide(colors, weights=str(foreign), preprocess=parse_spec("unit"))
    assert plan.preprocess.spec == "unit,size=6x8,rgb,stretch"


def test_the_answers_of_a_teacher_are_brought_into_the_order_of_the_classes(carded: Path, colors: Path) -> None:
    import keras

    plan = decide(colors, arch="lenet5", teacher=str(carded))
    student = plan.build()
    taught = learner(plan, student, COLORS, TrainConfig(teacher=str(carded)))
    pixels = np.random.default_rng(1).integers(0, 256, (4, 8, 6, 3)).astype(np.float32)
    pictures = np.stack([cv2.resize(picture, (12, 10)) for picture in pixels])
    answers = np.asarray(taught.model(pictures / 255))
    assert answers.shape == (4, 2, 3)
    assert answers[:, 0] == pytest.approx(np.asarray(student(pictures / 255)), abs=1e-5)
    shrunk = keras.ops.image.resize(pictures, (8, 6), interpolation="bilinear", antialias=False)
    expected = np.asarray(keras.saving.load_model(carded)(shrunk / 127.5 - 1))[:, ::-1]
    powers = np.exp(answers[:, 1])
    assert powers / powers.sum(axis=1, keepdims=True) == pytest.approx(expected, abs=1e-3)


def test_a_teacher_of_other_classes_is_refused(carded: Path, tmp_path: Path) -> None:
    data = write_noise(tmp_path / "data", [(9, 9)], gray=False)
    (data / "train" / "a").rename(data / "train" / "red")
    plan = decide(data, arch="lenet5", teacher=str(carded))
    with pytest.raises(DataError, match=r"the teacher carded\.keras does not know the class b; leave out --teacher"):
        learner(plan, plan.build(), ("b", "red"), TrainConfig(teacher=str(carded)))


def test_pictures_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    data = write_colors(tmp_path / "data", {"train": 1})
    for path in data.glob("train/*/*"):
        path.write_bytes(b"no picture")
    with pytest.raises(DataError, match="none of the first images of data could be read"):
        decide(data)
