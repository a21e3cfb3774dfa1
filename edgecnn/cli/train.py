"""`edgecnn train`: from pictures to a `.keras` file that is ready for `edgecnn convert`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli.options import json_option, read_share, read_spec
from edgecnn.cli.output import Progress, duration, emit_json, note, paragraph, size
from edgecnn.errors import DataError, MissingExtraError

if TYPE_CHECKING:
    from edgecnn.train.result import TrainResult

BACKENDS = ("tensorflow", "jax", "torch")


def _list(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from edgecnn.train.architectures import ARCHITECTURES

        for name, architecture in ARCHITECTURES.items():
            paragraph(f"{name:<18} {architecture.title}")
        ctx.exit()


@click.command("train")
@click.argument("data")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The .keras to write.")
@click.option("--arch", metavar="NAME", help="Architecture: see --architectures.  [default: by image size]")
@click.option(
    "--architectures", is_flag=True, is_eager=True, expose_value=False, callback=_list, help="List them and stop."
)
@click.option("--input-size", type=click.IntRange(1, 4096), metavar="N", help="Side of the input in pixels.")
@click.option("--preprocess", metavar="SPEC", help="How pixels become numbers, as for convert.")
@click.option("--weights", metavar="imagenet|PATH", help="Start from these trained weights: transfer learning.")
@click.option("--keep-head", is_flag=True, help="Go on with the classifier of --weights too.")
@click.option("--head", type=click.Choice(["softmax", "sigmoid"]), default="softmax", show_default=True)
@click.option("--epochs", type=click.IntRange(1), default=20, show_default=True)
@click.option("--head-epochs", type=click.IntRange(0), help="First train a new head alone.  [default: a quarter]")
@click.option("--batch-size", type=click.IntRange(1), default=64, show_default=True)
@click.option("--optimizer", type=click.Choice(["adamw", "adam", "sgd"]), default="adamw", show_default=True)
@click.option("--learning-rate", type=float, metavar="F", help="Highest rate.  [default: 0.001; sgd 0.05]")
@click.option("--finetuning-rate", type=float, metavar="F", help="For trained weights.  [default: a tenth]")
@click.option("--schedule", type=click.Choice(["cosine", "constant"]), default="cosine", show_default=True)
@click.option("--warmup-epochs", type=float, default=1.0, show_default=True)
@click.option("--weight-decay", type=float, default=5e-4, show_default=True)
@click.option("--label-smoothing", type=float, default=0.0, show_default=True)
@click.option("--dropout", type=float, help="Before the classifier.  [default: the architecture's]")
@click.option(
    "--augment",
    metavar="none|light|strong",
    default="light",
    show_default=True,
    help="Changes to training images; refine as in light,flip=no.",
)
@click.option(
    "--attack",
    type=click.Choice(["none", "fgsm", "pgd"]),
    default="none",
    show_default=True,
    help="Adversarial training: learn from attacked images.",
)
@click.option("--epsilon", default="8/255", show_default=True, metavar="SHARE", help="Largest change by --attack.")
@click.option("--attack-steps", type=click.IntRange(1), default=7, show_default=True, help="Of --attack pgd.")
@click.option("--class-weights", type=click.Choice(["auto", "balanced", "none"]), default="auto", show_default=True)
@click.option("--patience", type=click.IntRange(0), default=0, help="Stop after so many epochs without progress.")
@click.option("--keep", type=click.Choice(["best", "last"]), default="best", show_default=True, help="Epoch to keep.")
@click.option("--train-on-val", is_flag=True, help="Train on the val split too; hold out the test split alone.")
@click.option("--teacher", type=click.Path(path_type=Path), metavar="MODEL", help="Distil from this Keras model.")
@click.option("--teacher-preprocess", metavar="SPEC", help="What the teacher needs, if its file does not say.")
@click.option("--temperature", type=float, default=4.0, show_default=True, help="Of distillation.")
@click.option("--teacher-weight", type=float, default=0.9, show_default=True, help="1 learns from it alone.")
@click.option("--mixed-precision", is_flag=True, help="Compute in 16 bits where the hardware is faster so.")
@click.option("--backend", type=click.Choice(BACKENDS), help="Engine of Keras.  [default: the first installed]")
@click.option("--hosts", metavar="A:PORT,B:PORT", help="Train on several hosts; the same command on each.")
@click.option("--host-index", type=click.IntRange(0), metavar="N", help="Which of --hosts this is, from 0.")
@click.option("--resume", is_flag=True, help="Go on after the last finished epoch of an interrupted training.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--allow-unsafe", is_flag=True, help="Load models that carry Python code. Only if you trust them.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    data: str,
    output: Path,
    input_size: int | None,
    preprocess: str | None,
    augment: str,
    epsilon: str,
    teacher: Path | None,
    teacher_preprocess: str | None,
    backend: str | None,
    hosts: str | None,
    host_index: int | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Train an image classifier on DATA and write it as a .keras file.

    DATA is a built-in name (digits, mnist, fashion_mnist, cifar10, cifar100), a folder with one sub-folder a
    class (optionally under train/, val/, test/), or a .zip / .tar / .tar.gz of one. The file carries its labels
    and preprocessing. Beside it, a folder that ends in .training has learning curves, a CSV, TensorBoard events
    and the checkpoint that --resume goes on from.

    \b
    Examples:
      edgecnn train photos/ -o model.keras
      edgecnn train cifar10 -o model.keras --arch resnet8 --epochs 100
      edgecnn train photos/ -o model.keras --weights backbone.keras --epochs 30
    """
    from dataclasses import replace

    from edgecnn.data.dataset import open_dataset
    from edgecnn.train.augment import parse_augment

    spec, teacher_spec = read_spec(preprocess), read_spec(teacher_preprocess)
    try:
        changes = parse_augment(augment)
    except DataError as exc:
        raise click.BadParameter(str(exc), param_hint="--augment") from exc
    prepare_environment(backend)
    from edgecnn.train.cluster import read_cluster
    from edgecnn.train.options import TrainConfig
    from edgecnn.train.trainer import train_model

    if input_size:
        spec = replace(spec, width=input_size, height=input_size)
    config = TrainConfig(
        preprocess=spec,
        augment=changes,
        epsilon=read_share(epsilon, "--epsilon"),
        teacher=str(teacher) if teacher else None,
        teacher_preprocess=teacher_spec,
        **options,
    )
    cluster = read_cluster(hosts, host_index, os.environ)
    progress = Progress(config.epochs)
    progress.step("open data")
    try:
        with open_dataset(data, seed=config.seed) as dataset:
            result = train_model(dataset, output, config, observer=progress, cluster=cluster)
    except KeyboardInterrupt:
        if not progress.trained:
            raise
        progress.close()
        note("Stopped. The same line with --resume goes on after the last epoch shown.")
        ctx.exit(130)
    progress.close()
    if as_json:
        emit_json(result.to_dict())
    else:
        _show(result, data)


def prepare_environment(backend: str | None, *, training: bool = True) -> None:
    """What Keras and TensorFlow read when they are imported: the backend, and oneDNN's kernels.

    With those a network trains twice as fast, but sums in an order of their own.

    Raises:
        MissingExtraError: no backend is installed.
    """
    from importlib.util import find_spec

    chosen = backend or os.environ.get("KERAS_BACKEND") or next((name for name in BACKENDS if find_spec(name)), "")
    if not chosen:
        raise MissingExtraError("TensorFlow, JAX or PyTorch", "train")
    os.environ["KERAS_BACKEND"] = chosen
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1" if training else "0")


def _show(result: "TrainResult", data: str) -> None:
    evaluation = result.evaluation
    click.echo(f"{result.output}: {size(result.size_bytes)}, {result.parameters:,} parameters, {result.design.arch}")
    low, high = evaluation.top1_ci95
    rows = [
        ("top-1", f"{evaluation.top1:.2%}  (95 %: {low:.2%} to {high:.2%})"),
        ("precision", f"{evaluation.precision:.4f}"),
        ("recall", f"{evaluation.recall:.4f}"),
        ("F1", f"{evaluation.f1:.4f}"),
    ]
    for name, value in rows:
        click.echo(f"  {name:<10} {value}")
    paragraph(f"  measured on {evaluation.samples:,} images of the {result.split} split")
    if robust := result.robust:
        paragraph(
            f"  under PGD-{robust.steps} at {255 * robust.epsilon:g}/255: {robust.top1:.2%} of {robust.samples:,} "
            f"images, {robust.clean:.2%} without"
        )
    paragraph(f"  weights of epoch {result.kept_epoch} of {len(result.history)}, {duration(result.seconds)} in all")
    paragraph(f"  preprocessing: {result.design.preprocess.spec}")
    click.echo(f"  learning curves: {result.folder / 'curves.png'}")
    for text in result.notes:
        note(f"  note: {text}")
    for name, reason in evaluation.skipped:
        note(f"  skipped {name}: {reason}")
    click.echo(f"Next: edgecnn convert {result.output} -o {result.output.with_suffix('.tflite')} --data {data}")
