"""A Keras model that tells colours apart, and pictures for it."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from edgecnn.convert.options import ConvertConfig
from edgecnn.convert.pipeline import convert_model
from edgecnn.convert.result import ConvertResult
from edgecnn.data.dataset import open_dataset
from edgecnn.spec import parse_spec
from tests.keras_models import color_network, save, write_colors, write_flat


class Steps:
    """Hears the steps of a conversion."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.done: dict[str, list[tuple[int, int]]] = defaultdict(list)

    def step(self, name: str) -> None:
        self.names.append(name)

    def progress(self, done: int, total: int) -> None:
        self.done[self.names[-1]].append((done, total))


@pytest.fixture
def steps() -> Steps:
    """An observer that remembers."""
    return Steps()


@pytest.fixture(scope="session")
def colors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders blue, green and red: 12 pictures each to train on, 8 each to test on."""
    return write_colors(tmp_path_factory.mktemp("data") / "colors", {"train": 12, "test": 8})


@pytest.fixture(scope="session")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """21 pictures without class folders."""
    return write_flat(tmp_path_factory.mktemp("data") / "flat", 21)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .keras classifier of the three colours, which takes raw RGB pictures of 8x8."""
    import keras

    return save(color_network(keras), tmp_path_factory.mktemp("models") / "colors.keras")


@pytest.fixture(scope="session")
def convert() -> Any:
    """`convert_model` with a path of data and a SPEC in place of the objects."""

    def run(
        model: Path, output: Path, data: Path, *, spec: str = "raw", observer: Any = None, **options: Any
    ) -> ConvertResult:
        config = ConvertConfig(preprocess=parse_spec(spec), **options)
        with open_dataset(data, seed=config.seed) as dataset:
            return convert_model(model, output, dataset, config, observer=observer)

    return run
