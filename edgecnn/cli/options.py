"""Options that several commands share, and what they turn into."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edgecnn.errors import PreprocessError

if TYPE_CHECKING:
    from edgecnn.spec import Spec

Command = TypeVar("Command", bound=Callable[..., Any])

_PATH = click.Path(path_type=Path)


def model_argument(*, many: bool = False) -> Callable[[Command], Command]:
    """MODEL, or MODEL… ."""
    return click.argument("models" if many else "model", type=_PATH, nargs=-1 if many else 1, required=True)


def data_option(*, required: bool = True) -> Callable[[Command], Command]:
    """--data DATA."""
    return click.option(
        "--data",
        required=required,
        metavar="DATA",
        help="Built-in name (digits, mnist, fashion_mnist, cifar10, cifar100), folder with one sub-folder a class "
        "(optionally under train/, val/, test/), or a .zip / .tar / .tar.gz of one.",
    )


def foreign_options(command: Command) -> Command:
    """--labels, --preprocess, --allow-unsafe: what a model that edgecnn did not make needs."""
    for option in (
        click.option("--labels", type=_PATH, metavar="FILE", help="Class names in output order, one a line."),
        click.option(
            "--preprocess",
            metavar="SPEC",
            help="How pixels become numbers: raw, unit, symmetric, imagenet, caffe, mean=…,std=… or auto; plus "
            "size=WxH, rgb|bgr|gray, stretch|center-crop|letterbox. Comma separated.",
        ),
        click.option(
            "--allow-unsafe", is_flag=True, help="Load models that carry Python code. Only if you trust them."
        ),
    ):
        command = option(command)
    return command


def calibration_option(command: Command) -> Command:
    """--calibration-samples N."""
    return click.option(
        "--calibration-samples",
        type=click.IntRange(1),
        default=300,
        show_default=True,
        help="Training images for activation ranges.",
    )(command)


def json_option(command: Command) -> Command:
    """--json."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")(command)


def threads_option(command: Command) -> Command:
    """--threads N."""
    return click.option(
        "--threads", type=click.IntRange(1, 64), default=1, show_default=True, help="Threads of the interpreter."
    )(command)


def read_spec(text: str | None) -> "Spec":
    """The SPEC of --preprocess as a usage error when it cannot be read."""
    from edgecnn.spec import Spec, parse_spec

    try:
        return parse_spec(text) if text else Spec()
    except PreprocessError as exc:
        raise click.BadParameter(str(exc), param_hint="--preprocess") from exc


def label_names(path: Path | None) -> tuple[str, ...] | None:
    """The names in the file of --labels, None where it was not given."""
    from edgecnn.data.dataset import read_labels

    return read_labels(path) if path else None


def model_content(model: Path, spec: "Spec", *, allow_unsafe: bool) -> bytes:
    """A model as `.tflite` content; only a Keras model or SavedModel loads TensorFlow."""
    from edgecnn.runtime.classifier import read_model

    if model.is_file():
        content = read_model(model)
        if content[4:8] == b"TFL3":
            return content
    from edgecnn.convert.loading import load_float

    return load_float(model, spec, allow_unsafe=allow_unsafe)


def read_share(text: str, option: str) -> float:
    """A share of a pixel's 255 levels as typed: "8/255" or "0.03".

    Raises:
        click.BadParameter: it is not from 1/255 to 1.
    """
    first, slash, second = text.partition("/")
    try:
        value = float(first) / (float(second) if slash else 1.0)
    except (ValueError, ZeroDivisionError):
        value = 0.0
    if not 1 / 255 - 1e-9 <= value <= 1:
        raise click.BadParameter(
            f"expected a share from 1/255 to 1, such as 8/255 or 0.03, got {text!r}", param_hint=option
        )
    return value
