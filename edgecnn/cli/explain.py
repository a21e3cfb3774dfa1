"""`edgecnn explain`: why a model said so."""

import json
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from edgecnn.cli.options import foreign_options, json_option, label_names, model_argument, model_content, read_spec
from edgecnn.cli.output import Progress, check_folder, emit_json, note, paragraph, table, write_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgecnn.explain.explanation import Side
    from edgecnn.explain.gradients import Explained
    from edgecnn.spec import Spec

BLACK_BOX: Final = ("rise", "occlusion", "lime", "shap")
INSIDE: Final = ("grad-cam", "grad-cam++", "cam", "saliency", "integrated-gradients")
_SAMPLED: Final = {"rise": "masks", "lime": "samples", "shap": "samples"}
_PATH: Final = click.Path(path_type=Path)
_ROWS: Final = 20  # images that the terminal lists
_WIDTH: Final = 7  # of a model's name there


@click.command("explain")
@model_argument()
@click.argument("images", type=_PATH, nargs=-1, required=True, metavar="IMAGE...")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder for pictures, page and JSON.",
)
@click.option(
    "--method",
    type=click.Choice([*BLACK_BOX, *INSIDE]),
    metavar="NAME",
    help="Default: grad-cam for Keras models, else rise.",
)
@click.option("--against", type=_PATH, metavar="MODEL2", help="Explain the same class by a second model, and compare.")
@click.option("--target", metavar="LABEL", help="Class to explain; by default the one that MODEL names.")
@click.option(
    "--masks",
    type=click.IntRange(10),
    default=1000,
    show_default=True,
    metavar="N",
    help="Masks of rise, samples of lime and shap.",
)
@click.option("--layer", metavar="NAME", help="Keras layer that grad-cam looks at; by default the last feature map.")
@click.option("--features", metavar="LAYER,...", help="Show the feature maps of these Keras layers too.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of masks and samples.")
@click.option("--limit", type=click.IntRange(1), help="At most so many images, evenly spaced.")
@foreign_options
@json_option
def command(
    model: Path,
    images: tuple[Path, ...],
    output: Path,
    method: str | None,
    against: Path | None,
    target: str | None,
    masks: int,
    layer: str | None,
    features: str | None,
    seed: int,
    limit: int | None,
    labels: Path | None,
    preprocess: str | None,
    allow_unsafe: bool,
    as_json: bool,
) -> None:
    """Show which pixels a model's answer rests on.

    IMAGE is a picture, or a folder of them. rise and occlusion hide parts of a picture and watch the probability, so
    they take any model and run on the device. grad-cam, grad-cam++, cam, saliency and integrated-gradients look into
    a Keras model. lime and shap need the extra "explain".

    With --against both models are explained by one method, a Keras model and a .tflite by rise, and their maps are
    correlated. --labels and --preprocess are for a model that does not carry its own, as in compare. DIR gets a
    picture for each image, explain.json and, where Jinja2 is installed, report.html.

    \b
    Examples:
      edgecnn explain model.tflite cat.jpg -o why/
      edgecnn explain model.keras photos/ -o why/ --method grad-cam++ --limit 20
      edgecnn explain float.tflite photos/ -o why/ --against int8.tflite
    """
    models = [model, *([against] if against else [])]
    inside = [path.suffix.lower() in (".keras", ".h5", ".hdf5") and not path.is_dir() for path in models]
    chosen = method or ("grad-cam" if all(inside) else "rise")
    if chosen in INSIDE and not all(inside):
        raise click.UsageError(
            f"{chosen} looks into Keras models, and {models[inside.index(False)]} is none; take rise"
        )
    if features and not inside[0]:
        raise click.UsageError(f"--features takes a Keras model, and {model} is none")
    if layer and chosen not in ("grad-cam", "grad-cam++"):
        raise click.UsageError(f"--layer belongs to grad-cam and grad-cam++, not to {chosen}")
    check_folder(output)
    names, spec, progress = label_names(labels), read_spec(preprocess), Progress()
    pictures = _pictures(images, limit)
    progress.step("load")
    loaded = [_load(path, spec, chosen, allow_unsafe=allow_unsafe) for path in models]
    sides = []
    for path, (content, known) in zip(models, loaded, strict=True):
        own = known and not all(known for _, known in loaded)  # what is stated is for the other model
        stated = _Stated(None if own else names, None if own else spec, allow_unsafe)
        sides.append(_side(path, content, chosen, stated, samples=masks, seed=seed, layer=layer))
    grids = _Grids(model, features.split(","), _Stated(names, spec, allow_unsafe)) if features else None
    progress.step("explain")
    records, files, skipped = _explain(pictures, sides, target, grids, progress)
    progress.close()
    if chosen in _SAMPLED:
        records = [record | {"samples": masks, "seed": seed} for record in records]
    _write(output, records, files)
    if as_json:
        emit_json(records)
    else:
        _show(records)
    for text in dict.fromkeys(text for record in records for text in record["notes"]):
        note(f"  note: {text}")
    for reason in skipped:
        note(f"  skipped {reason}")


@dataclass(frozen=True)
class _Stated:
    """What the options say of a model."""

    labels: tuple[str, ...] | None
    spec: "Spec | None"
    allow_unsafe: bool

    def load_explained(self, model: Path) -> "Explained":
        """A Keras model to look into."""
        from edgecnn.explain.gradients import load_explained

        return load_explained(model, preprocess=self.spec, labels=self.labels, allow_unsafe=self.allow_unsafe)


class _Grids:
    """Draws the feature maps of some layers of a Keras model."""

    def __init__(self, model: Path, layers: Sequence[str], stated: _Stated) -> None:
        self._explained = stated.load_explained(model)
        self._layers = [layer.strip() for layer in layers]

    def draw(self, frame: "NDArray[np.uint8]") -> tuple[list[dict[str, Any]], dict[str, "NDArray[np.uint8]"]]:
        """What a record says of the maps of a frame, and the pictures by the ends of their files' names."""
        from edgecnn.explain.features import feature_maps
        from edgecnn.measure.examples import thumbnail

        told, drawn = [], {}
        for grid in feature_maps(self._explained, frame, self._layers):
            picture = thumbnail(grid.picture, max(grid.picture.shape))
            told.append({"layer": grid.layer, "shown": grid.shown, "channels": grid.channels, "picture": picture})
            drawn[f"-{_plain(grid.layer)}"] = grid.picture
        return told, drawn


def _load(model: Path, spec: "Spec", method: str, *, allow_unsafe: bool) -> tuple[bytes, bool]:
    """A model's `.tflite` content, empty where it is looked into; and whether it carries labels and preprocessing."""
    if method in INSIDE:
        from edgecnn.keras_io.card import read_card

        return b"", model.is_file() and read_card(model) is not None
    from edgecnn.bundle.bundle import open_bundle

    content = model_content(model, spec, allow_unsafe=allow_unsafe)
    return content, open_bundle(content).card is not None


def _side(
    model: Path, content: bytes, method: str, stated: _Stated, *, samples: int, seed: int, layer: str | None
) -> "Side":
    from edgecnn.explain.crew import Crew
    from edgecnn.explain.explanation import BlackBox, Explainer, Inside, Side
    from edgecnn.files import sha256_path
    from edgecnn.runtime.classifier import Classifier

    explainer: Explainer
    if method in INSIDE:
        explainer = Inside(stated.load_explained(model), method, layer)
    else:
        classifier = Classifier(content, labels=stated.labels, preprocess=stated.spec, name=str(model))
        explainer = BlackBox(Crew(classifier), method, samples, seed)
    return Side(str(model), sha256_path(model), explainer)


def _explain(
    pictures: dict[str, Path], sides: "Sequence[Side]", target: str | None, grids: _Grids | None, progress: Progress
) -> tuple[list[dict[str, Any]], dict[str, bytes], list[str]]:
    """Records, the content of the pictures to write by file name, and what could not be read."""
    from edgecnn.data.images import read_image
    from edgecnn.errors import DataError, ImageError
    from edgecnn.explain.explanation import explain_picture

    records: list[dict[str, Any]] = []
    files: dict[str, bytes] = {}
    skipped: list[str] = []
    for done, (name, path) in enumerate(pictures.items(), 1):
        try:
            frame = read_image(path)
        except ImageError as exc:
            skipped.append(str(exc))
            continue
        bar = progress.progress if len(pictures) == 1 else None
        record, found = explain_picture(sides, frame, target=target, progress=bar)
        drawn = dict(zip(("", "-against"), (item.overlay() for item in found), strict=False))
        if grids:
            record["features"], more = grids.draw(frame)
            drawn |= more
        records.append({"schema": "edgecnn.explain/1", "image": str(path)} | record)
        files |= {f"{name}{end}.png": _png(picture) for end, picture in drawn.items()}
        if not bar:
            progress.progress(done, len(pictures))
    if not records:
        others = f"; none of the {len(skipped)} images could be read" if len(skipped) > 1 else ""
        raise DataError(skipped[0] + others)
    return records, files, skipped


def _pictures(images: Sequence[Path], limit: int | None) -> dict[str, Path]:
    """Pictures, and those in folders, by names that no two of them share."""
    import numpy as np

    from edgecnn.data.images import IMAGE_SUFFIXES
    from edgecnn.errors import DataError
    from edgecnn.measure.examples import spread

    named: list[tuple[str, Path]] = []
    for image in images:
        if not image.is_dir():
            named.append((image.stem, image))
            continue
        inside = sorted(path for path in image.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
        if not inside:
            raise DataError(f"{image} has no images; expected a picture, or a folder of pictures")
        named += [("-".join(path.relative_to(image).with_suffix("").parts), path) for path in inside]
    pictures: dict[str, Path] = {}
    for place in spread(np.arange(len(named)), limit or len(named)):
        name, path = named[place]
        free = (f"{_plain(name)}-{number}" if number > 1 else _plain(name) for number in count(1))
        pictures[next(name for name in free if name not in pictures)] = path
    return pictures


def _plain(name: str) -> str:
    """A name that any file system takes."""
    return re.sub(r"[^\w.+-]+", "_", name)


def _png(picture: "NDArray[np.uint8]") -> bytes:
    import cv2

    return bytes(cv2.imencode(".png", picture)[1].tobytes())


def _write(folder: Path, records: list[dict[str, Any]], files: dict[str, bytes]) -> None:
    from edgecnn.errors import MissingExtraError
    from edgecnn.files import write_atomic
    from edgecnn.report.render import render

    missing, page = "", ""
    try:
        page = render(records, "html")
    except MissingExtraError as exc:
        missing = f"; no page, because {exc}"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_atomic(folder / name, content)
    write_text(folder / "explain.json", json.dumps(records, ensure_ascii=False))
    if page:
        write_text(folder / "report.html", page)
    pictures = "1 picture" if len(files) == 1 else f"{len(files)} pictures"
    note(f"Wrote {pictures}, explain.json{' and report.html' if page else ''} to {folder}{missing}")


def _show(records: list[dict[str, Any]]) -> None:
    from edgecnn.report.numbers import tell_apart

    first, other = records[0], records[0]["against"]
    sampled = f", {first['samples']:,} {_SAMPLED[first['method']]}" if "samples" in first else ""
    models = [first["model"], *([other["model"]] if other else [])]
    paragraph(f"{' and '.join(models)} by {first['method']}{sampled}")
    rows = [
        (
            _short(Path(record["image"]).name, 20),
            _short(record["label"], 14),
            f"{record['score']:.1%}",
            *((f"{record['against']['score']:.1%}", *_correlations(record["against"])) if other else ()),
            f"{record['mass']:.0%}",
        )
        for record in records[:_ROWS]
    ]
    names = [re.sub(r"\.\w+$", "", name) for name in tell_apart(models)] if other else ["score"]
    if len(set(names)) < len(models) or max(map(len, names)) > _WIDTH:
        names = ["first", "second"]
    table(rows, header=("image", "class", *names, *(("maps", "ranks") if other else ()), "focus"), indent="  ")
    if len(records) > _ROWS:
        paragraph(f"  and {len(records) - _ROWS:,} more in explain.json")
    if other:
        values = [
            record["against"]["correlation"] for record in records if record["against"]["correlation"] is not None
        ]
        median = f"; median {statistics.median(values):.3f}" if len(values) > 1 else ""
        paragraph(f"  maps, ranks: correlation of both maps, and of the ranks of their pixels{median}")
    paragraph("  focus: share of what speaks for the class in a tenth of the pixels; an even map has 10 %")


def _correlations(against: dict[str, Any]) -> tuple[str, str]:
    values = against["correlation"], against["rank_correlation"]
    first, second = ("-" if value is None else f"{value:.3f}" for value in values)
    return first, second


def _short(name: str, width: int) -> str:
    return name if len(name) <= width else f"{name[: (width - 1) // 2]}…{name[-(width // 2) :]}"
