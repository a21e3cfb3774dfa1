"""`edgecnn inspect`: what a model file is and says about itself."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli.options import foreign_options, json_option, label_names, model_argument, model_content, read_spec
from edgecnn.cli.output import emit_json, size

if TYPE_CHECKING:
    from edgecnn.bundle.bundle import Bundle
    from edgecnn.bundle.card import Card
    from edgecnn.spec import Spec


@click.command("inspect")
@model_argument()
@foreign_options
@json_option
def command(model: Path, labels: Path | None, preprocess: str | None, allow_unsafe: bool, as_json: bool) -> None:
    """Show a model's inputs, outputs, operations, labels, preprocessing and where it came from.

    \b
    Examples:
      edgecnn inspect model.tflite
      edgecnn inspect model.keras --json
    """
    from edgecnn.bundle.architecture import architecture
    from edgecnn.bundle.bundle import open_bundle
    from edgecnn.bundle.tflite import describe
    from edgecnn.files import sha256_path

    spec, names = read_spec(preprocess), label_names(labels)
    content = model_content(model, spec, allow_unsafe=allow_unsafe)
    info, bundle = describe(content), open_bundle(content)
    card = bundle.card
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
        "macs": info.macs,
        "architecture": architecture(content),
        "sparsity": round(info.sparsity, 6),
        "labels": list(names or bundle.labels),
        "preprocess": _preprocess(content, bundle, spec, str(model)),
        "confidence": card.confidence.to_dict() if card and card.confidence else None,
        "reference": card.reference.to_dict() if card and card.reference else None,
        "provenance": _provenance(card) if card else {},
    }
    if as_json:
        emit_json(record)
    else:
        _show(record)


def _preprocess(content: bytes, bundle: "Bundle", spec: "Spec", name: str) -> dict[str, Any]:
    """What was stated, else what the file says, as far as it does."""
    if spec.states_normalization:
        from edgecnn.runtime.classifier import complete_preprocess
        from edgecnn.runtime.interpreter import Engine

        known = complete_preprocess(spec, bundle, Engine(content, size=spec.size), name)
    elif bundle.card:
        known = bundle.card.preprocess
    elif bundle.metadata and bundle.metadata.mean:
        return {"mean": list(bundle.metadata.mean), "std": list(bundle.metadata.std)}
    else:
        return {}
    return known.to_dict() | {"spec": known.spec}


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
    click.echo(f"  {'MACs':<12} {record['macs']:,} a picture")
    ops = ", ".join(f"{count} {name}" for name, count in record["ops"].items())
    for i, line in enumerate(_wrap(ops)):
        click.echo(f"  {'operations' if i == 0 else '':<12} {line}")
    labels = record["labels"]
    shown = ", ".join(labels[:10]) + (f", … ({len(labels)})" if len(labels) > 10 else "") if labels else "none inside"
    for i, line in enumerate(_wrap(shown)):
        click.echo(f"  {'labels' if i == 0 else '':<12} {line}")
    preprocess = record["preprocess"]
    stated = preprocess.get("spec") or "; ".join(f"{key} {value}" for key, value in preprocess.items())
    click.echo(f"  {'preprocess':<12} {stated or 'not stated in the file'}")
    if confidence := record["confidence"]:
        limit = confidence["unknown_below"]
        threshold = "" if limit is None else f", unknown below {limit:.1%}"
        found = f"{confidence['samples']:,} images ({confidence['split']})"
        click.echo(f"  {'confidence':<12} temperature {confidence['temperature']:.2f}{threshold}, {found}")
    if reference := record["reference"]:
        for i, line in enumerate(_reference_lines(reference)):
            click.echo(f"  {'reference' if i == 0 else '':<12} {line}")
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


def _reference_lines(reference: dict[str, Any]) -> list[str]:
    """What pictures and scores were like at conversion, without a tail of 5 % at either end."""
    from edgecnn.bundle.card import STATISTICS

    ranges = [f"{name} {reference[name][1]:.2f} to {reference[name][-2]:.2f}" for name in STATISTICS]
    return [*_wrap(", ".join(ranges)), f"5% to 95% of {reference['samples']:,} images ({reference['split']})"]


def _wrap(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 64, break_on_hyphens=False)
