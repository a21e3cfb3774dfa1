"""The base install: it must do without TensorFlow and every extra, and start fast."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import edgecnn

PACKAGE = Path(edgecnn.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
)

# Stands for a machine without these packages: the import system asks here first, and is told no.
BLOCK = """
import sys
BLOCKED = {"tensorflow", "keras", "tf_keras", "tensorflow_model_optimization", "ai_edge_quantizer",
           "h5py", "jinja2", "sklearn", "scipy", "PIL", "aiohttp"}
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
"""


def run(program: str, *arguments: str) -> str:
    """Standard output of a Python program in a process of its own."""
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PACKAGE.parent)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_block_blocks() -> None:
    program = BLOCK + "import edgecnn\ntry:\n    import tensorflow\nexcept ImportError as exc:\n    print(exc)"
    assert run(program) == "No module named 'tensorflow'\n"


def test_every_module_imports_with_the_base_install_alone() -> None:
    program = BLOCK + (
        "from importlib import import_module\n"
        "for name in sys.argv[1:]:\n"
        "    import_module(name)\n"
        "print(*sorted(BLOCKED & sys.modules.keys()))\n"
    )
    assert run(program, *MODULES) == "\n"


def test_predict_works_with_the_base_install_alone(tmp_path: Path) -> None:
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(7)
    model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")])
    frame = np.random.default_rng(7).integers(0, 256, (4, 4, 3), np.uint8)
    (tmp_path / "model.tflite").write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    (tmp_path / "labels.txt").write_text("ant\nbee\ncat\n")
    cv2.imwrite(str(tmp_path / "frame.png"), frame[:, :, ::-1])
    expected = dict(zip(("ant", "bee", "cat"), model.predict(frame[None] / 255, verbose=0)[0], strict=True))

    files = [str(tmp_path / name) for name in ("model.tflite", "frame.png")]
    options = ["--labels", str(tmp_path / "labels.txt"), "--preprocess", "unit,size=4", "--json"]
    program = BLOCK + "from edgecnn.cli.main import main\nmain()"
    [record] = json.loads(run(program, "predict", *files, *options))
    assert {item["label"]: item["score"] for item in record["predictions"]} == pytest.approx(expected, abs=1e-5)


def test_importing_every_module_leaves_the_process_as_it_was() -> None:
    program = (
        "import os, sys, warnings, cv2, click, numpy\n"
        "from importlib import import_module\n"
        "def state():\n"
        "    return dict(os.environ), list(warnings.filters), cv2.getNumThreads(), sys.path[:], numpy.geterr()\n"
        "before = state()\n"
        "for name in sys.argv[1:]:\n"
        "    import_module(name)\n"
        "print([now for old, now in zip(before, state()) if old != now])\n"
    )
    assert run(program, *MODULES) == "[]\n"


@pytest.mark.parametrize(
    "action",
    [
        "import edgecnn; dir(edgecnn)",
        "import runpy\nsys.argv = ['edgecnn', '--help']\nrunpy.run_module('edgecnn', run_name='__main__')",
    ],
    ids=["import", "help"],
)
def test_a_start_loads_nothing_heavy(action: str) -> None:
    program = (
        "import atexit, sys\n"
        "HEAVY = {'numpy', 'cv2', 'ai_edge_litert', 'ai_edge_quantizer', 'tensorflow', 'keras', 'jinja2', 'sklearn'}\n"
        "atexit.register(lambda: print('loaded:', *sorted(HEAVY & sys.modules.keys())))\n"
    ) + action
    assert run(program).splitlines()[-1] == "loaded:"


def test_public_names_are_there_when_asked_for() -> None:
    assert sorted(edgecnn.__all__) == sorted(set(edgecnn.__all__))
    assert set(edgecnn.__all__) <= set(dir(edgecnn))
    for name in edgecnn.__all__:
        assert getattr(edgecnn, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_here"):
        _ = edgecnn.nothing_here
