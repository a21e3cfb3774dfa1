"""`edgecnn inspect`: what a model file is and says about itself."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli.options import json_option, model_argument, model_content
from edgecnn.cli.output import emit_json, size

if TYPE_CHECKING:
    from edgecnn.bundle.card import Card


@click.command("inspect")
@model_argument()
@click.option("--allow-unsafe", is_flag=True, help="Load models that carry Python code. Only if you trust them.")
@json_option
def command(model: Path, allow_unsafe: bool, as_json: bool) -> None:
    """Show a model's inputs, outputs, operations, labels, preprocessing and where it came from.

    \b
    Examples:
      edgecnn inspect model.tflite
      edgecnn inspect model.keras --json
    """
    from edgecnn.bundle.bundle import open_bundle
    from edgecnn.bundle.tflite import describe
    from edgecnn.files import sha256_path
    from edgecnn.spec import Spec

    content = model_content(model, Spec(), allow_unsafe=allow_unsafe)
    info, bundle = describe(content), open_bundle(content)
    card = bundle.card
    preprocess = card.preprocess.to_dict() | {"spec": card.preprocess.spec} if card else _foreign(bundle.metadata)
    record = {
        "schema": "edgecnn.inspect/1",
        "path": str(model),
        "sha256": sha256_path(model),
        "size_bytes": model.stat().st_size if model.is_file() else len(content),
        "inputs": [_tensor(item) for item in info.inputs],
        "outputs": [_tensor(item) for item in info.outputs],
        "ops": info.ops,
        "head": card.head if card else info.head,
        "parameters": info.parameters,
        "sparsity": round(info.sparsity, 6),
        "labels": list(bundle.labels),
        "preprocess": preprocess,
        "provenance": _provenance(card) if card else {},
    }
    if as_json:
        emit_json(record)
    else:
        _show(record)


def _foreign(metadata: Any) -> dict[str, Any]:
    if metadata is None or not metadata.mean:
        return {}
    return {"mean": list(metadata.mean), "std": list(metadata.std)}


def _provenance(card: "Card") -> dict[str, Any]:
    return {name: getattr(card, name) for name in ("source", "recipe", "versions", "calibration", "accuracy")}


def _tensor(item: Any) -> dict[str, Any]:
    return {
        "name": item.name,
        "shape": list(item.shape),
        "dtype": item.dtype,
        "scale": item.scale,
        "zero_point": item.zero_point,
    }


def _show(record: dict[str, Any]) -> None:
    click.echo(f"{record['path']}  {size(record['size_bytes'])}  sha256 {record['sha256'][:16]}…")
    for kind in ("inputs", "outputs"):
        for tensor in record[kind]:
            shape = "x".join("?" if n < 0 else str(n) for n in tensor["shape"])
            step = f"  scale {tensor['scale']:.6g}, zero point {tensor['zero_point']}" if tensor["scale"] else ""
            click.echo(f"  {kind[:-1]:<12} {shape} {tensor['dtype']}{step}")
    click.echo(f"  {'head':<12} {record['head']}")
    click.echo(f"  {'parameters':<12} {record['parameters']:,} ({record['sparsity']:.1%} zeros)")
    ops = ", ".join(f"{count} {name}" for name, count in record["ops"].items())
    for i, line in enumerate(_wrap(ops)):
        click.echo(f"  {'operations' if i == 0 else '':<12} {line}")
    labels = record["labels"]
    shown = ", ".join(labels[:10]) + (f", … ({len(labels)})" if len(labels) > 10 else "") if labels else "none inside"
    for i, line in enumerate(_wrap(shown)):
        click.echo(f"  {'labels' if i == 0 else '':<12} {line}")
    preprocess = record["preprocess"]
    click.echo(f"  {'preprocess':<12} {preprocess.get('spec') or preprocess or 'not stated in the file'}")
    provenance = record["provenance"]
    if not provenance:
        click.echo(f"  {'provenance':<12} not made by edgecnn")
        return
    source, accuracy = provenance["source"], provenance["accuracy"] or {}
    click.echo(f"  {'made from':<12} {source['name']} ({source['kind']}), sha256 {source['sha256'][:16]}…")
    if accuracy.get("output") is not None:
        measured = f"top-1 {accuracy['output']:.2%}, float {accuracy['float']:.2%}, on {accuracy['samples']:,} images"
        click.echo(f"  {'accuracy':<12} {measured}")
    elif accuracy:
        click.echo(f"  {'agreement':<12} {accuracy['agreement']:.2%} with float on {accuracy['samples']:,} images")
    made = ", ".join(f"{name} {number}" for name, number in provenance["versions"].items())
    for i, line in enumerate(_wrap(made)):
        click.echo(f"  {'made with' if i == 0 else '':<12} {line}")


def _wrap(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 64, break_on_hyphens=False)
