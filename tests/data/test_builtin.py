import gzip
import importlib.util
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.data.builtin import BUILTIN_NAMES, load_builtin
from edgecnn.data.dataset import SPLITS, open_dataset
from edgecnn.errors import DataError, MissingExtraError

ROOT = Path(__file__).parents[2]
CLASSES = {"mnist": 10, "fashion_mnist": 10, "cifar10": 10, "cifar100": 100}


class FakeKeras:
    """Stands in for Keras: small pictures, and a record of its logging switch."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, name: str, *, colour: bool = False, error: Exception | None = None
    ) -> None:
        self.interactive, self.interactive_while_loading = True, True
        self.error = error
        rng = np.random.default_rng(0)
        shape = (8, 8, 3) if colour else (8, 8)
        labels = np.arange(200) % CLASSES[name]
        self.parts = tuple(
            (rng.integers(0, 256, (len(part), *shape), np.uint8), part[:, None] if colour else part)
            for part in (labels, labels[:100])
        )
        keras, data = ModuleType("keras"), ModuleType(f"keras.datasets.{name}")
        keras.__dict__["config"] = SimpleNamespace(
            is_interactive_logging_enabled=lambda: self.interactive,
            disable_interactive_logging=lambda: setattr(self, "interactive", False),
            enable_interactive_logging=lambda: setattr(self, "interactive", True),
        )
        data.__dict__["load_data"] = self.load
        for module in (keras, ModuleType("keras.datasets"), data):
            monkeypatch.setitem(sys.modules, module.__name__, module)

    def load(self) -> tuple[tuple[NDArray[Any], NDArray[Any]], ...]:
        self.interactive_while_loading = self.interactive
        if self.error:
            raise self.error
        return self.parts


def test_digits_have_exact_values() -> None:
    from sklearn.datasets import load_digits

    values, labels = load_digits(return_X_y=True)
    dataset = open_dataset("digits")
    assert (dataset.name, dataset.classes) == ("digits", tuple("0123456789"))
    for split in SPLITS:
        for sample in dataset.split(split)[:30]:
            expected = [[round(v * 255 / 16) for v in row] for row in values[int(sample.name)].reshape(8, 8)]
            image = dataset.read(sample)
            assert image.dtype == np.uint8
            assert image.tolist() == [[[v, v, v] for v in row] for row in expected]
            assert sample.label == labels[int(sample.name)]


def test_digits_are_split_by_class() -> None:
    dataset = open_dataset("digits")
    everything = [sample for split in SPLITS for sample in dataset.split(split)]
    assert len(everything) == len(set(everything)) == 1797
    for split in ("val", "test"):
        sizes = Counter(sample.label for sample in dataset.split(split))
        assert all(17 <= sizes[label] <= 19 for label in range(10))
    assert open_dataset("digits").splits == dataset.splits
    assert open_dataset("digits", seed=1).splits != dataset.splits


@pytest.mark.parametrize("name", CLASSES)
def test_keras_data_sets(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    colour = name.startswith("cifar")
    keras = FakeKeras(monkeypatch, name, colour=colour)
    dataset = open_dataset(name)
    assert len(set(dataset.classes)) == CLASSES[name]
    sizes = {split: len(dataset.split(split)) for split in SPLITS}
    val = 100 if name == "cifar100" else 20  # at least one image a class
    assert sizes == {"train": 200 - val, "val": val, "test": 100}
    for split, part in (("train", 0), ("val", 0), ("test", 1)):
        images, labels = keras.parts[part]
        sample = dataset.split(split)[3]
        index = int(sample.name.rpartition("/")[2])
        assert sample.name.startswith("test/" if part else "train/")
        assert sample.label == labels.ravel()[index]
        expected = images[index][..., ::-1] if colour else np.stack([images[index]] * 3, axis=2)
        np.testing.assert_array_equal(dataset.read(sample), expected)
    assert (keras.interactive_while_loading, keras.interactive) == (False, True)


def test_class_names_are_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {}
    for name in CLASSES:
        FakeKeras(monkeypatch, name)
        names[name] = load_builtin(name)[0]
    assert (names["fashion_mnist"][0], names["fashion_mnist"][9]) == ("T-shirt/top", "Ankle boot")
    assert (names["cifar10"][0], names["cifar10"][9]) == ("airplane", "truck")
    assert list(names["cifar100"]) == sorted(names["cifar100"])
    assert (names["cifar100"][23], names["cifar100"][99]) == ("cloud", "worm")


@pytest.mark.parametrize("name", CLASSES)
def test_a_failed_download_says_what_goes_where(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    keras = FakeKeras(monkeypatch, name, error=Exception("URL fetch failure on ...: None --\n no network"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(DataError, match=f"cannot load {name} through Keras .*URL fetch failure") as caught:
        open_dataset(name)
    assert "\n" not in str(caught.value)
    assert f"put it at {tmp_path}/datasets/" in str(caught.value)
    assert keras.interactive


@pytest.mark.parametrize(("name", "package"), [("digits", "scikit-learn"), ("mnist", "Keras")])
def test_a_missing_package_gives_the_pip_line(name: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("sklearn", "sklearn.datasets", "keras"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"^{package} is not installed; type: pip install 'edgecnn\[train\]'$"):
        open_dataset(name)


def run_python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_digits_do_not_import_tensorflow() -> None:
    code = "import sys; from edgecnn.data.dataset import open_dataset; open_dataset('digits')\n"
    assert run_python(code + "print({'keras', 'tensorflow'} & sys.modules.keys())", PYTHONPATH=str(ROOT)) == "set()\n"


@pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="needs Keras")
def test_real_keras_reads_its_cache_silently(tmp_path: Path) -> None:
    folder = tmp_path / "datasets" / "fashion-mnist"
    folder.mkdir(parents=True)
    for part, count in (("train", 40), ("t10k", 20)):
        labels = bytes(i % 10 for i in range(count))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes(8) + labels))
        pixels = b"".join(bytes([label * 20]) * 784 for label in labels)
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(16) + pixels))
    code = (
        "from edgecnn.data.dataset import open_dataset\n"
        "data = open_dataset('fashion_mnist')\n"
        "assert all((data.read(s) == s.label * 20).all() for split in data.splits.values() for s in split)\n"
        "print({name: len(split) for name, split in data.splits.items()})"
    )
    printed = run_python(code, PYTHONPATH=str(ROOT), KERAS_HOME=str(tmp_path), TF_CPP_MIN_LOG_LEVEL="3")
    assert printed == "{'train': 30, 'val': 10, 'test': 20}\n"


def test_names() -> None:
    assert BUILTIN_NAMES == ("digits", "mnist", "fashion_mnist", "cifar10", "cifar100")
