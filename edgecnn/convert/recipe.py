"""Recipes: everything that a conversion was asked to do, as a TOML file that can be run again.

[convert]               # options of `edgecnn convert`
quantize = "int8"
seed = 0

[finetune]              # how the network learns again after a stage
batch_size = 64

[[stage]]               # what is done to the Keras model, in this order
technique = "channel"
macs = 0.5
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from edgecnn.config import Preprocess
from edgecnn.convert.options import ConvertConfig
from edgecnn.convert.stages import Schooling, read_stage
from edgecnn.errors import EdgecnnError
from edgecnn.spec import parse_spec
from edgecnn.train.augment import parse_augment

_TABLES: Final = ("convert", "finetune", "stage")
_ELSEWHERE: Final = ("stages", "schooling", "allow_unsafe")  # tables of their own; trust is not for a file to give


def read_recipe(path: Path) -> dict[str, Any]:
    """Arguments of `ConvertConfig` from a recipe.

    Raises:
        EdgecnnError: no TOML, or an option that is not known or cannot be.
    """
    tomllib = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except OSError as exc:
        raise EdgecnnError(f"cannot read the recipe {path}: {exc.strerror or exc}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise EdgecnnError(f"{path} is no recipe: {exc}") from exc
    try:
        return _arguments(tables)
    except (EdgecnnError, TypeError) as exc:
        raise EdgecnnError(f"{path}: {exc}") from exc


def write_recipe(config: ConvertConfig, preprocess: Preprocess) -> str:
    """A recipe that states everything, the preprocessing that was found included."""
    options = {key: getattr(config, key) for key in _options(ConvertConfig) if key not in _ELSEWHERE}
    options |= {"io": config.io_type, "preprocess": preprocess.spec}
    lines = ["[convert]", *_lines(options)]
    if config.stages:
        schooling = asdict(config.schooling)
        schooling["augment"] = config.schooling.augment and config.schooling.augment.spec
        lines += ["", "[finetune]", *_lines(schooling)]
    for stage in config.stages:
        lines += ["", "[[stage]]", *_lines(stage.to_dict())]
    return "\n".join(lines) + "\n"


def _arguments(tables: Mapping[str, Any]) -> dict[str, Any]:
    _known(tables, _TABLES, "tables")
    options, finetune = dict(tables.get("convert", {})), dict(tables.get("finetune", {}))
    _known(options, [key for key in _options(ConvertConfig) if key not in _ELSEWHERE], "options of [convert]")
    _known(finetune, _options(Schooling), "options of [finetune]")
    if "preprocess" in options:
        options["preprocess"] = parse_spec(options["preprocess"])
    if "augment" in finetune:
        finetune["augment"] = parse_augment(finetune["augment"])
    for key, value in options.items():
        if isinstance(value, list):
            options[key] = tuple(value)
    return options | {
        "schooling": replace(Schooling(), **finetune),
        "stages": tuple(read_stage(stage) for stage in tables.get("stage", [])),
    }


def _options(kind: type[Any]) -> list[str]:
    return [field.name for field in fields(kind)]


def _known(given: Mapping[str, Any], known: list[str] | tuple[str, ...], what: str) -> None:
    if strange := sorted(given.keys() - set(known)):
        raise EdgecnnError(f"expected {what} among {', '.join(known)}, got {strange[0]!r}")


def _lines(values: Mapping[str, Any]) -> list[str]:
    """Text, numbers, truth values and lists of them are written in TOML as they are in JSON, but for one character."""
    shown = {key: json.dumps(value, ensure_ascii=False) for key, value in values.items() if value is not None}
    return [f"{key} = {text}".replace("\x7f", "\\u007f") for key, text in shown.items()]
