"""Train and make the released models of models/, each by the commands that its card shows.

    python -m tools.released_models list
    python -m tools.released_models train NAME...   # the .keras, in build/models/NAME
    python -m tools.released_models make NAME...    # what is missing of: train, convert, measure; then models/NAME
    python -m tools.released_models manifest        # check models/ against its manifest and list it anew

Every step keeps what it printed and the SHA-256 of what it read. It runs again only when its command, its input or its
output has changed; an interrupted training goes on after its last finished epoch. Delete build/models/NAME to start
again. The data is looked for in EDGECNN_SHARED_DATA, else in ../shared/data beside the repository.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgecnn.files import sha256_bytes, sha256_path, write_atomic
from edgecnn.measure.machine import fingerprint
from tools.model_card import card, overview, shown
from tools.released_recipes import DATA, RECIPES, Recipe

ROOT = Path(__file__).parents[1]
MANIFEST = "manifest.json"


def main(arguments: Sequence[str] | None = None, recipes: Mapping[str, Recipe] = RECIPES) -> None:
    """Run a command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("command", choices=("list", "train", "make", "manifest"))
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument(
        "--data-folder",
        type=Path,
        default=Path(os.environ.get("EDGECNN_SHARED_DATA") or ROOT.parent / "shared" / "data"),
        help="What DATA stands for.",
    )
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "models", help="Where it is trained.")
    parser.add_argument("--models", type=Path, default=ROOT / "models", help="Where the released files lie.")
    options = parser.parse_args(arguments)
    if strange := [name for name in options.names if name not in recipes]:
        parser.error(f"expected names of {', '.join(recipes)}, got {', '.join(strange)}")
    if (options.command in ("train", "make")) != bool(options.names):
        parser.error("train and make take the names of models, list and manifest take none")
    data = options.data_folder.resolve()
    for name in options.names:
        work = options.work.resolve() / name
        if options.command == "train":
            run_step(recipes[name], "train", work, data)
        else:
            release(recipes[name], work, data, options.models)
    if options.command == "list":
        for recipe in recipes.values():
            print(f"{recipe.name}: {recipe.title}")
            for words in recipe.steps.values():
                print(f"  {shown(words)}")
    elif options.command != "train":
        list_models(options.models, recipes)


def run_step(recipe: Recipe, step: str, work: Path, data: Path) -> dict[str, Any]:
    """Do a step of a recipe unless it is done and nothing has changed since.

    Args:
        work: folder of the recipe's own; made if missing.
        data: the folder that DATA stands for.

    Returns:
        "record": what the command printed as JSON; "machine": the fingerprint of where it ran.

    Raises:
        SystemExit: an input is missing, or the command failed.
    """
    words = recipe.steps[step]
    output = words[words.index("-o") + 1] if "-o" in words else None
    inputs = {word: _place(word, work, data) for word in words if _is_file(word, recipe) and word != output}
    for path in inputs.values():
        if not path.exists():
            raise SystemExit(f"{recipe.name}: step {step} needs {path}; --data-folder says where the data is")
    stamp = {"command": list(words), "inputs": {word: sha256_path(path) for word, path in inputs.items()}}
    kept = work / f"{step}.json"
    known: dict[str, Any] = json.loads(kept.read_text("utf-8")) if kept.exists() else {}
    same = {name: known.get(name) for name in stamp} == stamp
    if same and "record" in known and (output is None or _has_hash(work / output, known["record"]["sha256"])):
        return known
    work.mkdir(parents=True, exist_ok=True)
    if step == "train" and output and not same:  # a checkpoint of other options or pictures
        shutil.rmtree((work / output).with_suffix(".training"), ignore_errors=True)
    _write_json(kept, stamp)
    done = stamp | {"record": _run(recipe, step, work, data), "machine": fingerprint()}
    _write_json(kept, done)
    return done


def release(recipe: Recipe, work: Path, data: Path, models: Path) -> None:
    """Do all steps of a recipe, write its folder of `models` and enter it in the manifest."""
    results = {step: run_step(recipe, step, work, data) for step in recipe.steps}
    records = {step: result["record"] for step, result in results.items()}
    bundles = {name: (work / name).read_bytes() for name in recipe.bundles}
    page = card(recipe, records, bundles, results["train"]["machine"])
    curves = (work / f"{recipe.name}.training" / "curves.png").read_bytes()
    folder = models / recipe.name
    folder.mkdir(parents=True, exist_ok=True)
    files = {**bundles, "README.md": page.encode(), "curves.png": curves}
    for name, content in files.items():
        write_atomic(folder / name, content)
    entry = {
        "name": recipe.name,
        "title": recipe.title,
        "data": recipe.data,
        "split": records["evaluate"][1]["split"],
        "samples": records["evaluate"][1]["samples"],
        **{
            kind: {"file": name} | {key: measured[key] for key in ("top1", "top1_ci95")}
            for kind, name, measured in zip(("float", "int8"), recipe.bundles, records["evaluate"], strict=True)
        },
        "files": [
            {"name": name, "size_bytes": len(content), "sha256": sha256_bytes(content)}
            for name, content in sorted(files.items())
        ],
    }
    _write_manifest(models, [*(known for known in read_manifest(models) if known["name"] != recipe.name), entry])


def list_models(models: Path, recipes: Mapping[str, Recipe] = RECIPES) -> None:
    """Check every released file against the manifest, put the manifest in the recipes' order and write README.md.

    Raises:
        SystemExit: there is no model, or files and manifest differ.
    """
    entries = read_manifest(models)
    if not entries:
        raise SystemExit(f"{models} has no {MANIFEST}; make a model first")
    if wrong := differences(models, entries):
        raise SystemExit("\n".join([*wrong, "make these models again"]))
    order = {name: i for i, name in enumerate(recipes)}
    entries.sort(key=lambda entry: order.get(entry["name"], len(order)))
    _write_manifest(models, entries)
    write_atomic(models / "README.md", overview(entries))


def read_manifest(models: Path) -> list[dict[str, Any]]:
    """The manifest's entries, none where there is no manifest."""
    path = models / MANIFEST
    return list(json.loads(path.read_text("utf-8"))["models"]) if path.exists() else []


def differences(models: Path, entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Files that are missing, changed or not in the manifest, one line each."""
    wanted = {f"{entry['name']}/{file['name']}": file for entry in entries for file in entry["files"]}
    there = {path.relative_to(models).as_posix() for path in models.glob("*/*")}
    found = [f"{name} is missing" for name in sorted(wanted.keys() - there)]
    found += [f"{name} is not in {MANIFEST}" for name in sorted(there - wanted.keys())]
    for name in sorted(wanted.keys() & there):
        path = models / name
        if (path.stat().st_size, sha256_path(path)) != (wanted[name]["size_bytes"], wanted[name]["sha256"]):
            found.append(f"{name} is not the file of {MANIFEST}")
    return found


def _run(recipe: Recipe, step: str, work: Path, data: Path) -> Any:
    """The JSON that a step's command prints; its progress goes to the terminal."""
    words = recipe.steps[step]
    print(f"{recipe.name}: {shown(words)}", file=sys.stderr, flush=True)
    real = [str(_place(word, work, data)) if word.startswith(DATA) else word for word in words]
    command = [sys.executable, "-m", "edgecnn", *real, "--json", *(["--resume"] if step == "train" else [])]
    search = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        command, cwd=work, env=os.environ | {"PYTHONPATH": search}, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{recipe.name}: step {step} ended with exit code {done.returncode}")
    return json.loads(done.stdout)


def _is_file(word: str, recipe: Recipe) -> bool:
    return word.startswith(DATA) or word in (recipe.keras, *recipe.bundles)


def _place(word: str, work: Path, data: Path) -> Path:
    return data / word.removeprefix(DATA) if word.startswith(DATA) else work / word


def _has_hash(path: Path, sha256: str) -> bool:
    return path.exists() and sha256_path(path) == sha256


def _write_manifest(models: Path, entries: Sequence[Mapping[str, Any]]) -> None:
    _write_json(models / MANIFEST, {"schema": "edgecnn.models/1", "models": entries})


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    write_atomic(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
