"""Options of `edgecnn convert` about what is done to a Keras model before it is quantized."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from edgecnn.convert.stages import Stage

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--prune",
        type=click.Choice(["none", "magnitude", "channel", "blocks"]),
        default="none",
        show_default=True,
        help="channel, blocks: narrower layers or fewer, so faster; magnitude: a smaller gzip.",
    ),
    click.option(
        "--sparsity", type=click.FloatRange(0, 0.99), metavar="F", help="Share that is pruned.  [default: 0.5]"
    ),
    click.option(
        "--macs",
        type=click.FloatRange(0.01, 1),
        metavar="F",
        help="Share of the multiply-accumulates that may remain; with channel, instead of --sparsity.",
    ),
    click.option(
        "--importance",
        type=click.Choice(["magnitude", "batchnorm", "taylor"]),
        default="magnitude",
        show_default=True,
        help="Which channels are worth least.",
    ),
    click.option("--per-layer", is_flag=True, help="The same share of every layer, not the least important anywhere."),
    click.option(
        "--prune-steps", type=click.IntRange(1), default=1, show_default=True, help="Prune and train so often."
    ),
    click.option("--clusters", type=click.IntRange(2, 256), metavar="N", help="Only N different weights a layer."),
    click.option(
        "--finetune-epochs",
        type=click.IntRange(0),
        default=3,
        show_default=True,
        help="Training after --prune and --clusters.",
    ),
    click.option("--finetune-rate", type=float, default=1e-3, show_default=True, help="Its highest learning rate."),
    click.option(
        "--qat-epochs", type=click.IntRange(0), default=0, show_default=True, help="Train with the rounding of int8."
    ),
)


def stage_options(function: F) -> F:
    """Add the options to a command."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def stages_of(options: dict[str, Any]) -> "tuple[Stage, ...]":
    """Take the options out of a command's and turn them into stages.

    Raises:
        click.UsageError: an option without the one that it belongs to.
    """
    from edgecnn.convert.stages import BlockStage, ChannelStage, ClusterStage, MagnitudeStage, QatStage, Stage

    prune, sparsity, macs = (options.pop(name) for name in ("prune", "sparsity", "macs"))
    importance, everywhere = options.pop("importance"), options.pop("per_layer")
    steps, clusters = options.pop("prune_steps"), options.pop("clusters")
    epochs, rate, qat = (options.pop(name) for name in ("finetune_epochs", "finetune_rate", "qat_epochs"))
    if prune in ("none", "blocks") and sparsity is not None:
        raise click.UsageError("--sparsity needs --prune channel or --prune magnitude")
    if prune not in ("channel", "blocks") and macs is not None:
        raise click.UsageError("--macs needs --prune channel or --prune blocks")
    if sparsity is not None and macs is not None:
        raise click.UsageError("--sparsity and --macs state the same thing; give one of them")
    stages: list[Stage] = []
    if prune == "channel":
        stages.append(ChannelStage(epochs, rate, sparsity, macs, importance, everywhere, steps=steps))
    elif prune == "blocks":
        stages.append(BlockStage(epochs, rate, 0.5 if macs is None else macs))
    elif prune == "magnitude":
        stages.append(MagnitudeStage(epochs, rate, 0.5 if sparsity is None else sparsity))
    if clusters:
        stages.append(ClusterStage(epochs, rate, clusters))
    if qat:
        stages.append(QatStage(qat, rate / 10))
    return tuple(stages)


def config_option(function: F) -> F:
    """The recipe."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="RECIPE.toml",
        help="Take options and stages from a recipe; options that are typed count more.",
    )(function)
