"""Without an extra, a command that needs it prints the exact line to type, and the others work as before."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Runs command lines one after the other where some packages cannot be imported.
PROGRAM = """
import json, sys
from click.testing import CliRunner
missing, commands = json.loads(sys.argv[1])
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
from edgecnn.cli.main import cli
results = [CliRunner().invoke(cli, command.split()) for command in commands]
print(json.dumps([[result.exit_code, result.stderr] for result in results]))
"""
CONVERT = "-o out.tflite --data data --preprocess raw"
WORKS = [
    "predict int8.tflite red.png",
    "evaluate int8.tflite --data data",
    "compare int8.tflite int8.tflite --data data",
    "robustness int8.tflite --data data --severities 3",
    "benchmark int8.tflite --runs 2 --profile",
    "inspect int8.tflite",
    "camera int8.tflite --source flat --max-frames 2",
    "doctor",
]


def run(place: Path, missing: list[str], commands: list[str]) -> list[tuple[int, str]]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps([missing, commands])],
        capture_output=True,
        text=True,
        check=False,
        cwd=place,
        env={"PYTHONPATH": str(ROOT)},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return [(code, err) for code, err in json.loads(done.stdout.splitlines()[-1])]


@pytest.mark.parametrize(
    ("missing", "commands", "line"),
    [
        (
            "lime",
            ["explain int8.tflite red.png -o why --method lime"],
            "lime is not installed; type: pip install 'edgecnn[explain]'",
        ),
        (
            "shap",
            ["explain int8.tflite red.png -o why --method shap"],
            "shap is not installed; type: pip install 'edgecnn[explain]'",
        ),
        (
            "tensorflow",
            [f"convert model.keras {CONVERT}", f"convert folder {CONVERT}", "inspect model.keras",
             "explain model.keras red.png -o why --method rise"],
            "TensorFlow is not installed; type: pip install 'edgecnn[train]'",
        ),
        (
            "tensorboardX",
            ["train data -o m.keras --epochs 1"],
            "Matplotlib or tensorboardX is not installed; type: pip install 'edgecnn[train]'",
        ),
        (
            "h5py",
            [f"convert old.h5 {CONVERT}"],
            "h5py, which reads .h5 models, is not installed; type: pip install 'edgecnn[train]'",
        ),
        (
            "ai_edge_quantizer",
            [f"convert float.tflite {CONVERT} --quantize {kind}" for kind in ("int8", "float16", "dynamic", "int16x8")],
            "ai-edge-quantizer is not installed; type: pip install 'edgecnn[quantize]'",
        ),
        (
            "jinja2",
            ["report run.json -o report.html", f"convert float.tflite {CONVERT} --report report", "demo --output demo"],
            "Jinja2 is not installed; type: pip install 'edgecnn[report]'",
        ),
        (
            "sklearn",
            ["evaluate int8.tflite --data digits"],
            "scikit-learn is not installed; type: pip install 'edgecnn[train]'",
        ),
        (
            "aiohttp",
            ["camera int8.tflite --source flat --serve 127.0.0.1:0 --events e.jsonl --record out.avi"],
            "aiohttp is not installed; type: pip install 'edgecnn[serve]'",
        ),
        (
            "keras",
            ["evaluate int8.tflite --data mnist", "train data -o m.keras"],
            "Keras is not installed; type: pip install 'edgecnn[train]'",
        ),
    ],
    ids="lime shap tensorflow tensorboardX h5py ai_edge_quantizer jinja2 sklearn aiohttp keras".split(),
)  # fmt: skip
def test_the_line_to_type(missing: str, commands: list[str], line: str, place: Path) -> None:
    (place / "folder").mkdir()
    (place / "folder" / "saved_model.pb").write_bytes(b"")
    (place / "old.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(600))
    (place / "run.json").write_text('{"schema": "edgecnn.predict/1", "image": "a", "predictions": [], "latency_ms": 1}')
    others = ["report run.json -o report.md", f"convert float.tflite {CONVERT} --quantize float32"]
    names = set(place.iterdir())
    results = run(place, [missing], [*commands, *WORKS])
    for code, err in results[: len(commands)]:
        assert (code, err.splitlines()[-1]) == (1, f"Error: {line}")
        assert "Traceback" not in err
    assert [code for code, _ in results[len(commands) :]] == [0] * len(WORKS)
    assert set(place.iterdir()) == names
    assert [code for code, _ in run(place, [missing], others)] == [0, 0]
