"""The page that comes with a released model, and the page that lists them all."""

import gzip
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from tools.released_recipes import Recipe

Records = Mapping[str, Any]


def card(recipe: Recipe, records: Records, files: Mapping[str, bytes], machine: Mapping[str, Any]) -> str:
    """A model's card in Markdown.

    Args:
        records: what each step printed as JSON, by the step's name.
        files: content of the two `.tflite` files by name.
        machine: `edgecnn.measure.machine.fingerprint` of where it was trained.
    """
    train, evaluation = records["train"], records["evaluate"][1]
    low, high = evaluation["top1_ci95"]
    parts = [
        f"# {recipe.name}: {recipe.title}",
        f"An image classifier with {len(train['label_names'])} classes: {', '.join(train['label_names'])}. "
        f"Top-1 of the int8 model is {evaluation['top1']:.2%} (95 % interval {low:.2%} to {high:.2%}) on "
        f"{evaluation['samples']:,} pictures that it was not trained on. Labels and preprocessing are inside the file.",
        _code(f"edgecnn predict models/{recipe.name}/{recipe.bundles[1]} PICTURE.jpg"),
        "## Architecture",
        f"{recipe.architecture} {train['parameters']:,} parameters; input {train['preprocess_spec']}.",
        "## Data",
        recipe.pictures,
        _counts(train, evaluation),
        f"Licence: {recipe.licence}",
        "## Recipe",
        "DATA is the folder of the data.",
        _code(*(shown(recipe.steps[step]) for step in ("train", "float", "int8"))),
        _training(train, machine),
        "## Figures",
        _figures(recipe, records, files),
        _influence(train, evaluation["split"]),
        _timed_on(records["benchmark"]),
        "Per class, int8:",
        _per_class(evaluation["per_class"]),
        "## Limits",
        recipe.limits,
        "## Learning curves",
        "![Loss and accuracy by epoch](curves.png)",
    ]
    return "\n\n".join(parts) + "\n"


def overview(models: Sequence[Mapping[str, Any]]) -> str:
    """The page of all models: one row each from their entries of the manifest."""
    rows = [("model", "classifies", "top-1 float", "top-1 int8 (95 %)", "int8 file", "pictures measured")]
    for model in models:
        sizes = {file["name"]: file["size_bytes"] for file in model["files"]}
        full, small = model["float"], model["int8"]
        low, high = small["top1_ci95"]
        rows.append(
            (
                f"[{model['name']}]({model['name']}/README.md)",
                model["title"],
                f"{full['top1']:.2%}",
                f"{small['top1']:.2%} ({low:.2%} to {high:.2%})",
                f"{sizes[small['file']]:,} B",
                f"{model['samples']:,} ({model['split']})",
            )
        )
    total = sum(file["size_bytes"] for model in models for file in model["files"])
    parts = [
        "# Released models",
        "Each folder holds a float and an int8 `.tflite` with labels and preprocessing inside, the learning curves "
        "and a card: data and its licence, recipe, figures, limits. Read the card before you use a model: for some "
        "data the rights in the pictures were not cleared.",
        _table(rows),
        _code("edgecnn predict models/NAME/NAME-int8.tflite PICTURE.jpg"),
        f"{total:,} bytes in all; `manifest.json` has sizes and SHA-256 of every file. This page, the cards and the "
        "manifest are written by:",
        _code("python -m tools.released_models make NAME"),
    ]
    return "\n\n".join(parts) + "\n"


def shown(words: Sequence[str]) -> str:
    """A command as a user would type it."""
    return shlex.join(("edgecnn", *words))


def _counts(train: Mapping[str, Any], evaluation: Mapping[str, Any]) -> str:
    pictures, split = train["pictures"], evaluation["split"]
    counts = [f"{pictures['train']:,} were trained on"]
    if pictures["val"] and split != "val":
        counts.append(f"{pictures['val']:,} watched the training (val)")
    return f"Pictures: {', '.join(counts)}, {evaluation['samples']:,} are measured ({split})."


def _training(train: Mapping[str, Any], machine: Mapping[str, Any]) -> str:
    minutes = train["seconds"] / 60
    time = f"{minutes:.0f} minutes" if minutes >= 1 else f"{train['seconds']:.0f} seconds"
    names = ("edgecnn", "keras", "tensorflow", "jax", "torch", "ai-edge-quantizer", "ai-edge-litert")
    versions = ", ".join(f"{name} {train['versions'][name]}" for name in names if name in train["versions"])
    return (
        f"Epochs: {train['epochs']}, weights of epoch {train['kept_epoch']}; seed {train['options']['seed']}; {time} "
        f"with {train['device']} on {machine['cpu']} ({machine['architecture']}, {machine['cores']} cores). {versions}."
    )


def _figures(recipe: Recipe, records: Records, files: Mapping[str, bytes]) -> str:
    full, small = records["evaluate"]
    slow, fast = records["benchmark"]
    agreement = records["int8"]["accuracy"]["agreement"]
    sizes = [files[name] for name in recipe.bundles]

    def interval(record: Mapping[str, Any]) -> str:
        low, high = record["top1_ci95"]
        return f"{record['top1']:.2%} ({low:.2%} to {high:.2%})"

    rows = [
        ("", "float", "int8"),
        ("top-1 (95 % interval)", interval(full), interval(small)),
        *((f"{name}, macro", f"{full[key]:.4f}", f"{small[key]:.4f}") for name, key in _AVERAGES),
        ("same label as float", "", f"{agreement:.2%}"),
        ("file", *(f"{len(content):,} B" for content in sizes)),
        ("file, gzip", *(f"{len(gzip.compress(content, 9, mtime=0)):,} B" for content in sizes)),
        ("latency p50, one thread", f"{slow['p50_ms']:.3f} ms", f"{fast['p50_ms']:.3f} ms"),
        ("speed against float", "1.00", f"{slow['p50_ms'] / fast['p50_ms']:.2f}"),
    ]
    return _table(rows)


_AVERAGES = (("precision", "precision"), ("recall", "recall"), ("F1", "f1"))


def _influence(train: Mapping[str, Any], split: str) -> str:
    """Whether the measured pictures had a say in the training."""
    watched = bool(train["pictures"]["val"])
    chose = watched and (train["options"]["keep"] == "best" or train["options"]["patience"] > 0)
    if split == "val" and chose:
        return (
            "There is no test split: the val split that is measured here also chose the epoch, so the figures are a "
            "little too good."
        )
    if split == "val":
        return (
            "There is no test split, so the val split is measured. It had no influence on this training: the weights "
            "of the last epoch are kept, whatever val said."
        )
    return "The test split had no influence on the training" + ("; the val split chose the epoch." if chose else ".")


def _timed_on(benchmark: Sequence[Mapping[str, Any]]) -> str:
    machine = benchmark[1]["machine"]
    return (
        f"Times are of one inference on {machine['cpu']} ({machine['architecture']}), both models in turn. They are no "
        "times of an ARM board: type `edgecnn benchmark` there."
    )


def _per_class(classes: Sequence[Mapping[str, Any]]) -> str:
    rows = [("class", "precision", "recall", "F1", "pictures")]
    for item in classes:
        shares = (f"{item[key]:.4f}" for _, key in _AVERAGES)
        rows.append((item["label"], *shares, f"{item['support']:,}"))
    return _table(rows)


def _table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first row is the header, and columns of numbers are aligned to the right."""
    rule = ["---", *("---:" if cell[:1].isdigit() else "---" for cell in rows[1][1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:]))


def _code(*lines: str) -> str:
    return "```\n" + "\n".join(lines) + "\n```"
