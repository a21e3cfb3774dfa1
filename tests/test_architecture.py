"""The rules of the house, read from the source: who may import whom, who may print, how long a file may be."""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "edgecnn"

# Every module of the package, from the ground floor up. A module imports only from the lines above its own and from
# its own folder. A new module is one more word here; "folder:" stands for the folder's __init__.py too.
LEVELS = """
errors
config files quantization quiet signature
spec
bundle: architecture archive bundle card flatbuffer layers metadata pieces pooling probe tflite weights
data: builtin dataset images parallel preprocess statistics store
runtime: classifier head interpreter
keras_io: card classifier export gradients graph keras2 keras_ops load network perturb rebuild safety
measure: bootstrap calibration compare comparison confidence curves detect evaluate examples intervals match metrics
measure: benchmark board gate latency machine memory peak profile ratio reference score sustained
explain: crew explanation features gradients libraries maps occlusion rise
robust: answers attacks blur camera corruptions digital frost measure noise patch result samples severity threat
robust: transfer weather
compress.channels: blocks coupling gradients importance prune selection shrink
compress: bias equalize ladder quantize ranges recipe rounding sensitivity
report.shapes: about benchmark compare convert evaluate explain kinds live robustness train
report: axes blocks charts numbers plots results schema
report: architecture calibration classes comparison compression curves gallery method models pareto robustness
report: verdict
report.sections: about benchmark comparing conversion evaluation explanation live quality robustness
report.sections: sensitivity summary training
report: document html markdown render tables values
camera: camera capture drift figures folder frame labeller observation picamera reader smoothing source threads
sinks: annotate events recording uncertain window worker
web: access broadcast encoder facts server
train.nets: inception mobile parts plain pretrained residual
train: adversary architectures augment cache checkpoint cluster devices distill mix operations transfer
train: batches design finetune logs loop options result trainer
compress: int8_graph qat quantizers tfmot trained tune weights
convert: compression examine gains loading options pipeline proof quantizing recipe result samples stages
demo
cli: options output stages timings
cli: benchmark camera compare convert demo doctor evaluate explain inspect live main predict report robustness
cli: sensitivity train
__init__ __main__
"""

# Where a package may be imported: modules or folders. The longest name that fits an import counts.
ONLY_IN = {
    "ai_edge_litert": {"runtime.interpreter"},
    "ai_edge_litert.schema_py_generated": {
        *("bundle.flatbuffer", "bundle.pieces", "bundle.pooling", "bundle.probe", "bundle.tflite")
    },
    "ai_edge_quantizer": {"compress"},
    "aiohttp": {"web.server"},
    "click": {"cli"},
    "edgecnn.report": {"cli", "report"},
    "h5py": {"keras_io"},
    "jax": {"train.devices"},
    "jinja2": {"report"},
    "keras": {"compress.channels", "convert.compression", "data.builtin", "demo", "explain", "keras_io", "train"},
    "lime": {"explain.libraries"},
    "picamera2": {"camera.picamera"},
    "shap": {"explain.libraries"},
    "skimage": {"explain.libraries"},
    "sklearn": {"data.builtin", "demo"},
    "tensorflow": {
        *("compress.channels.gradients", "compress.qat", "compress.quantizers", "compress.tfmot", "compress.tune"),
        *("keras_io", "train.devices"),
    },
    "tensorflow.lite": {"runtime.interpreter"},
    "tensorflow_model_optimization": {"compress"},
    "tf_keras": {"compress", "keras_io"},
    "tflite_runtime": {"runtime.interpreter"},
    "torch": {"train.devices"},
}
# Names of other packages that belong to one module: the interpreter, the decoder, the way from pixels to a tensor.
USED_ONLY_IN = {
    "Interpreter": "runtime.interpreter",
    "imdecode": "data.images",
    "imread": "data.images",
    "LUT": "data.preprocess",
}
# What may be imported as soon as a module is. Everything else is slow or optional and waits for the call that needs it.
EAGER = {*sys.stdlib_module_names, "edgecnn", "numpy", "cv2", "click"}


@dataclass(frozen=True)
class Import:
    """One imported name: dotted, its line, and whether it is imported together with the module."""

    name: str
    line: int
    eager: bool


def module_name(path: Path) -> str:
    """data.images for edgecnn/data/images.py, data for edgecnn/data/__init__.py."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


TREES = {module_name(path): ast.parse(path.read_text("utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


def levels() -> dict[str, int]:
    """Level of each module in the table; 0 is the ground."""
    table: dict[str, int] = {}
    for level, line in enumerate(LEVELS.strip().splitlines()):
        folder, colon, names = line.rpartition(":")
        table |= {f"{folder}.{name}" if colon else name: level for name in names.split()}
        table |= {folder: level} if colon else {}
    return table


def dotted(node: ast.AST) -> str:
    """`a.b.c` as text; "" for what is no plain dotted name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (base := dotted(node.value)):
        return f"{base}.{node.attr}"
    return ""


def walk(node: ast.AST, eager: bool = True) -> Iterator[tuple[ast.AST, bool]]:
    """Every node of a module, and whether an import of the module runs it; without its `if __name__ == "__main__":`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "__name__ == '__main__'":
            continue
        later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        never = isinstance(child, ast.If) and dotted(child.test).endswith("TYPE_CHECKING")
        yield child, eager
        yield from walk(child, eager and not later and not never)


def imports(tree: ast.Module, module: str) -> list[Import]:
    """Everything a module imports, in functions and for type checks too.

    A string that names a module counts: `import_module` takes such.
    """
    found: list[Import] = []
    for node, eager in walk(tree):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, node.lineno, eager) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            folder = ["edgecnn", *module.split(".")][: -node.level] if node.level else []
            base = [*folder, node.module] if node.module else folder
            found += [Import(".".join([*base, alias.name]), node.lineno, eager) for alias in node.names]
        elif isinstance(node, ast.Constant) and re.fullmatch(r"\w+(\.\w+)+", str(node.value)):
            name = str(node.value)
            if rule(name) or name.removeprefix("edgecnn.") in TREES.keys() - {module}:
                found.append(Import(name, node.lineno, False))
    return found


def rule(name: str) -> str | None:
    """The longest key of ONLY_IN that a dotted name is or lies in."""
    return max((key for key in ONLY_IN if lies_in(name, key)), key=len, default=None)


def lies_in(name: str, place: str) -> bool:
    return name == place or name.startswith(place + ".")


def target(name: str) -> str | None:
    """The module of edgecnn that an imported name is or lies in; None for other packages."""
    first, *inner = name.split(".")
    while inner and ".".join(inner) not in TREES:
        inner.pop()
    return (".".join(inner) or "__init__") if first == "edgecnn" else None


def prints(tree: ast.Module) -> list[int]:
    """Lines that write to the terminal."""
    streams = {"sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__"}
    return [
        node.lineno
        for node, _ in walk(tree)
        if (isinstance(node, ast.Name) and node.id == "print")
        or (isinstance(node, ast.Attribute) and dotted(node) in streams)
        or (isinstance(node, ast.ImportFrom) and streams & {f"{node.module}.{alias.name}" for alias in node.names})
    ]


def side_effects(tree: ast.Module) -> list[int]:
    """Lines that change something outside the module as soon as it is imported.

    A bare call is there for its effect; only the methods of the module's own objects may be called so. An assignment
    or deletion may not reach into what was imported.
    """
    imported = {
        (alias.asname or alias.name).split(".")[0]
        for node, eager in walk(tree)
        if eager and isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    lines = []
    for node, eager in walk(tree):
        if not eager:
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            owner, dot, _ = dotted(node.value.func).partition(".")
            if not dot or owner in imported:
                lines.append(node.lineno)
        if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            owner = dotted(node if isinstance(node, ast.Attribute) else node.value).partition(".")[0]
            if owner in imported:
                lines.append(node.lineno)
    return lines


def test_every_module_is_in_the_table() -> None:
    table = levels()
    assert sorted(TREES.keys() - table.keys()) == [], "modules without a level: add them to LEVELS"
    assert sorted(table.keys() - TREES.keys()) == [], "LEVELS names modules that do not exist"


def test_imports_point_down() -> None:
    table = levels()
    wrong = []
    for module, tree in TREES.items():
        for item in imports(tree, module):
            wanted = target(item.name)
            if wanted not in table or module not in table or item.name == "edgecnn.__version__":
                continue
            same_folder = module.split(".")[0] == wanted.split(".")[0]
            if table[wanted] >= table[module] and not same_folder:
                wrong.append(f"{module}:{item.line} imports {item.name}, which is not below it")
    assert not wrong, "\n".join(wrong)


def test_imports_have_no_cycle() -> None:
    graph = {
        module: {wanted for item in imports(tree, module) if (wanted := target(item.name)) not in (None, "__init__")}
        for module, tree in TREES.items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the cycle


def test_packages_are_imported_only_where_they_belong() -> None:
    wrong = []
    for module, tree in TREES.items():
        for item in imports(tree, module):
            places = ONLY_IN.get(rule(item.name) or "")
            if places is not None and not any(lies_in(module, place) for place in places):
                wrong.append(f"{module}:{item.line} imports {item.name}, allowed in {', '.join(sorted(places))}")
    assert not wrong, "\n".join(wrong)


def test_one_module_runs_models_one_decodes_one_makes_tensors() -> None:
    wrong = []
    for module, tree in TREES.items():
        for node, _ in walk(tree):
            name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
            if USED_ONLY_IN.get(name, module) != module:
                wrong.append(f"{module} uses {name}, which belongs to {USED_ONLY_IN[name]}")
    assert not wrong, "\n".join(wrong)


def test_slow_packages_wait_for_the_call_that_needs_them() -> None:
    wrong = [
        f"{module}:{item.line} imports {item.name}"
        for module, tree in TREES.items()
        for item in imports(tree, module)
        if item.eager and item.name.split(".")[0] not in EAGER
    ]
    assert not wrong, "\n".join(wrong)


def test_only_the_command_line_prints() -> None:
    wrong = [
        f"{module}:{line}" for module, tree in TREES.items() if not lies_in(module, "cli") for line in prints(tree)
    ]
    assert not wrong, "\n".join(wrong)


def test_importing_a_module_changes_nothing_else() -> None:
    wrong = [f"{module}:{line}" for module, tree in TREES.items() for line in side_effects(tree)]
    assert not wrong, "\n".join(wrong)


def test_files_are_short_and_named_for_what_they_hold() -> None:
    folders = ("edgecnn", "tests", "tools", "camera_demo")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text("utf-8").splitlines()) for path in files}
    assert {path: length for path, length in lengths.items() if length > 400} == {}
    assert [path for path in lengths if path.endswith("utils.py")] == []


@pytest.mark.parametrize(
    ("source", "name", "eager"),
    [
        ("import keras.layers", "keras.layers", True),
        ("from tensorflow import keras", "tensorflow.keras", True),
        ("def f():\n    import keras", "keras", False),
        ("if TYPE_CHECKING:\n    import keras", "keras", False),
        ("try:\n    import keras\nexcept ImportError:\n    pass", "keras", True),
        ("class A:\n    import keras", "keras", True),
        ("from .images import read", "edgecnn.data.images.read", True),
        ("from . import images", "edgecnn.data.images", True),
        ("from ..errors import DataError", "edgecnn.errors.DataError", True),
        ("f = lambda: import_module('edgecnn.errors')", "edgecnn.errors", False),
        ("NAMES = ('tflite_runtime.interpreter',)", "tflite_runtime.interpreter", False),
    ],
)
def test_every_form_of_import_is_seen(source: str, name: str, eager: bool) -> None:
    found = imports(ast.parse(source), "data.dataset")
    assert [(item.name, item.eager) for item in found] == [(name, eager)]


@pytest.mark.parametrize(
    "source",
    [
        "print('x')",
        "def f(write=print): ...",
        "import sys\nsys.stdout.write('x')",
        "from sys import stderr",
    ],
)
def test_every_form_of_printing_is_seen(source: str) -> None:
    assert prints(ast.parse(source)) != []


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.environ['A'] = 'b'",
        "import os\ndel os.environ['A']",
        "import os\nos.environ.setdefault('A', 'b')",
        "from os import environ\nenviron['A'] = 'b'",
        "import warnings\nif True:\n    warnings.simplefilter('ignore')",
        "import cv2\ncv2.setNumThreads(1)",
        "import cv2\nclass A:\n    cv2.setNumThreads(1)",
        "import numpy as np\nnp.random.seed(1)",
        "def start(): ...\nstart()",
    ],
)
def test_every_form_of_side_effect_is_seen(source: str) -> None:
    assert side_effects(ast.parse(source)) != []


@pytest.mark.parametrize(
    "source",
    [
        "import os\ndef f():\n    os.environ['A'] = 'b'",
        "import os\nHOME = os.environ.get('HOME')",
        "import click\n@click.group()\ndef cli(): ...\n@cli.command()\ndef a(): ...",
        "NAMES = []\nNAMES.append('a')",
        "if __name__ == '__main__':\n    main()",
    ],
)
def test_what_changes_only_the_module_is_no_side_effect(source: str) -> None:
    assert side_effects(ast.parse(source)) == []
