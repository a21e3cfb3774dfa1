"""`edgecnn doctor`: what is installed, what is missing, what to type."""

import platform
from typing import Any

import click

from edgecnn.cli.options import json_option
from edgecnn.cli.output import emit_json, paragraph

# What each package is for, and the extra that brings it; "" is the base install.
_PARTS = (
    ("numpy", "numpy", "", "arrays"),
    ("opencv-python-headless", "cv2", "", "pictures"),
    ("ai-edge-litert", "ai_edge_litert", "", "runs .tflite models"),
    ("flatbuffers", "flatbuffers", "", "reads and writes model files"),
    ("ai-edge-quantizer", "ai_edge_quantizer", "quantize", "int8 and float16"),
    ("jinja2", "jinja2", "report", "HTML reports"),
    ("aiohttp", "aiohttp", "serve", "the camera's web page"),
    ("lime", "lime", "explain", "explanations by LIME"),
    ("shap", "shap", "explain", "explanations by SHAP"),
    ("tensorflow", "tensorflow", "train", "trains, loads and converts Keras models"),
    ("keras", "keras", "train", "Keras 3 models"),
    ("tf-keras", "tf_keras", "train", "Keras 2 models, most .h5 files"),
    ("matplotlib", "matplotlib", "train", "learning curves"),
    ("tensorboardX", "tensorboardX", "train", "TensorBoard logs"),
    ("scikit-learn", "sklearn", "train", "the digits data set"),
)


@click.command("doctor")
@json_option
def command(as_json: bool) -> None:
    """Tell what is installed, what is missing, and what to type. Exit code 1: this machine cannot run models.

    \b
    Examples:
      edgecnn doctor
    """
    from edgecnn.measure.machine import fingerprint

    parts = [_check(*part) for part in _PARTS]
    works, detail = _load_runtime()
    record = {
        "schema": "edgecnn.doctor/1",
        "packages": parts,
        "runtime": {"works": works, "detail": detail},
        "machine": fingerprint(),
    }
    if as_json:
        emit_json(record)
    else:
        _show(record)
    if not works:
        raise click.ClickException(f"no TFLite model can be run here: {detail}")


def _check(package: str, module: str, extra: str, purpose: str) -> dict[str, Any]:
    from importlib.metadata import PackageNotFoundError, version
    from importlib.util import find_spec

    try:
        found: str | None = version(package)
    except PackageNotFoundError:  # another distribution may bring the module, such as opencv-python
        found = "installed" if find_spec(module) else None
    return {"package": package, "version": found, "extra": extra, "purpose": purpose}


def _load_runtime() -> tuple[bool, str]:
    """Import the interpreter for real: an installed wheel can still miss a system library."""
    from edgecnn.errors import EdgecnnError

    try:
        from edgecnn.runtime.interpreter import runtime_version

        name, number = next(iter(runtime_version().items()))
    except (EdgecnnError, ImportError) as exc:
        return False, str(exc)
    return True, f"{name} {number}"


def _show(record: dict[str, Any]) -> None:
    machine = record["machine"]
    paragraph(f"{machine['cpu']}, {machine['cores']} cores, {machine['platform']}, Python {platform.python_version()}")
    rows = [(part["package"], part["version"] or "missing", part["purpose"]) for part in record["packages"]]
    width = max(len(row[0]) for row in rows), max(len(row[1]) for row in rows)
    for name, number, purpose in rows:
        click.echo(f"  {name:<{width[0]}}  {number:<{width[1]}}  {purpose}")
    missing = sorted({part["extra"] for part in record["packages"] if part["version"] is None} - {""})
    if any(part["version"] is None and not part["extra"] for part in record["packages"]):
        click.echo("Base packages are missing; type: pip install edgecnn")
    if "train" in missing:
        click.echo("Where Keras models are to be converted, type: pip install 'edgecnn[train]'")
    elif missing:
        click.echo(f"For what is missing, type: pip install 'edgecnn[{','.join(missing)}]'")
    else:
        click.echo("Everything is installed.")
