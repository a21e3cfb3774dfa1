"""`edgecnn convert`: from a Keras model to a sealed `.tflite`."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli.options import (
    calibration_option,
    data_option,
    foreign_options,
    json_option,
    label_names,
    model_argument,
    read_spec,
)
from edgecnn.cli.output import Progress, change, check_report, emit_json, note, paragraph, size, table, write_text
from edgecnn.cli.stages import config_option, stage_options, stages_of
from edgecnn.cli.train import prepare_environment
from edgecnn.errors import EdgecnnError

if TYPE_CHECKING:
    from edgecnn.convert.options import ConvertConfig
    from edgecnn.convert.result import ConvertResult
    from edgecnn.data.dataset import Dataset


@click.command("convert")
@model_argument()
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The .tflite to write.")
@data_option()
@click.option(
    "--quantize",
    type=click.Choice(["float32", "float16", "dynamic", "int8", "int16x8", "auto"]),
    default="int8",
    show_default=True,
    help="Type of weights and activations; auto: int8 with as much effort as --max-drop needs.",
)
@click.option("--io", type=click.Choice(["int8", "uint8", "float32"]), help="Type of input and output tensor.")
@calibration_option
@click.option(
    "--accuracy-samples",
    type=click.IntRange(1),
    default=10_000,
    show_default=True,
    help="Measure on at most so many images.",
)
@click.option("--max-drop", type=click.FloatRange(0, 100), metavar="PP", help="Allowed loss of top-1, in points.")
@click.option(
    "--calibrate-confidence",
    is_flag=True,
    help="Find a temperature for the scores, and a score below which it is unknown.",
)
@click.option(
    "--keep-right",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.95,
    show_default=True,
    metavar="F",
    help="With it: share of the right answers that must not become unknown.",
)
@click.option("--keep-float", multiple=True, metavar="LAYER", help="Leave this Keras layer in float; repeatable.")
@stage_options
@config_option
@foreign_options
@click.option("--report", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Write a report here.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of every choice of samples.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    model: Path,
    output: Path,
    data: str,
    labels: Path | None,
    preprocess: str | None,
    report: Path | None,
    config: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Convert a Keras MODEL to a small .tflite that carries its labels and preprocessing.

    MODEL is a .keras or .h5 file, a SavedModel folder, or a float .tflite. The images in DATA calibrate the
    quantization and measure what it costs; without class folders the agreement with the float model is
    measured instead. With --prune, --clusters or --qat-epochs a Keras model is made smaller first and learns
    again; the whole recipe is then written beside OUT. Exit code 3: done, but --max-drop was missed.

    With --calibrate-confidence, labelled images on which accuracy is not measured tell what the scores are worth:
    OUT then gives probabilities that mean what they say, and predict and camera name a class only where they are
    high enough.

    \b
    Examples:
      edgecnn convert model.keras -o model.tflite --data photos/
      edgecnn convert model.h5 -o m.tflite --data cifar10.tar.gz --max-drop 1
      edgecnn convert model.keras -o m.tflite --data photos/ --quantize auto
      edgecnn convert model.h5 -o m.tflite --data photos/ \\
          --labels labels.txt --preprocess symmetric --report report/
      edgecnn convert model.keras -o m.tflite --data photos/ \\
          --prune channel --macs 0.5 --finetune-epochs 10
      edgecnn convert model.keras -o m.tflite --data photos/ \\
          --calibrate-confidence
    """
    if report:
        check_report(report)
    wanted = _config(ctx, labels, preprocess, config, options)
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    prepare_environment(backend, training=bool(wanted.stages) or wanted.quantize == "auto")
    from edgecnn.convert.pipeline import convert_model
    from edgecnn.convert.recipe import write_recipe
    from edgecnn.data.dataset import open_dataset

    progress = Progress()
    progress.step("open data")
    with open_dataset(data, seed=wanted.seed) as dataset:
        result = convert_model(model, output, dataset, wanted, observer=progress)
        record = _write_report(result, dataset, report, progress) if report else result.to_dict()
    if wanted.stages or config:
        recipe = output.with_suffix(".recipe.toml")
        write_text(recipe, write_recipe(wanted, result.preprocess))
        record["recipe"] = str(recipe)
    progress.close()
    if as_json:
        emit_json({key: value for key, value in record.items() if key != "examples"})
    else:
        _show(record)
    if not result.within_budget:
        note(
            f"Budget missed: top-1 fell by {record['accuracy']['drop_pp']:.2f} points, --max-drop allows "
            f"{wanted.max_drop:g}. {output} is kept."
        )
        ctx.exit(3)


def _config(
    ctx: click.Context, labels: Path | None, preprocess: str | None, recipe: Path | None, options: dict[str, Any]
) -> "ConvertConfig":
    """Options of the recipe, and over them those that were typed."""
    from click.core import ParameterSource

    from edgecnn.convert.options import ConvertConfig
    from edgecnn.convert.recipe import read_recipe

    typed = {name for name in ctx.params if ctx.get_parameter_source(name) not in (ParameterSource.DEFAULT, None)}
    given = read_recipe(recipe) if recipe else {}
    stages = stages_of(options)
    for name, value in options.items():
        if name in typed or name not in given:
            given[name] = value
    if labels:
        given["labels"] = label_names(labels)
    if preprocess:
        given["preprocess"] = read_spec(preprocess)
    if stages:
        given["stages"] = stages
    if "keep_right" in typed and not given["calibrate_confidence"]:
        raise click.UsageError("--keep-right needs --calibrate-confidence")
    try:
        return ConvertConfig(**given)
    except EdgecnnError as exc:
        raise click.UsageError(str(exc)) from exc


def _write_report(result: "ConvertResult", dataset: "Dataset", folder: Path, progress: Progress) -> dict[str, Any]:
    from edgecnn.convert.proof import prove
    from edgecnn.report.render import render

    progress.step("measure latency and draw the report")
    record = prove(result, dataset)
    page = render([record], "html")
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "convert.json", json.dumps(record, indent=2, ensure_ascii=False))
    write_text(folder / "report.html", page)
    progress.close()
    note(f"Report: {folder / 'report.html'}")
    return record


def _show(record: dict[str, Any]) -> None:
    accuracy = record["accuracy"]
    kind = "int8" if record["quantize"] == "auto" else record["quantize"]
    click.echo(f"{record['output']}: {size(record['size_bytes'])}, {kind}, {record['labels']} labels")
    sizes = record["float_size_bytes"], record["size_bytes"]
    rows = [("size", size(sizes[0]), size(sizes[1]), change(*sizes, "smaller", "larger"))]
    if accuracy["output"] is not None:
        gain = f"{0 - accuracy['drop_pp']:+.2f} pp"
        rows.append(("top-1", f"{accuracy['float']:.2%}", f"{accuracy['output']:.2%}", gain))
    if record.get("benchmark"):
        before, after = (timing["p50_ms"] for timing in record["benchmark"])
        rows.append(("latency p50", f"{before:.3f} ms", f"{after:.3f} ms", change(before, after, "faster", "slower")))
    table(rows, header=("", "float32", kind, ""), indent="  ")
    click.echo(f"  same label as float: {accuracy['agreement']:.2%} of {accuracy['samples']:,} images")
    paragraph(f"  preprocessing: {record['preprocess_spec']} ({record['preprocess_choice']['source']})")
    if record["confidence"]:
        _show_confidence(record["confidence"])
    for stage in record["stages"]:
        _show_stage(stage)
    for sentence in record["gains"]["words"] if record["gains"] else ():
        paragraph(f"  against int8 alone: {sentence}")
    if record["ladder"]:
        _show_ladder(record["ladder"])
    for text in record["notes"]:
        note(f"  note: {text}")


def _show_confidence(confidence: dict[str, Any]) -> None:
    paragraph(
        f"  confidence: temperature {confidence['temperature']:g}; calibration error {confidence['ece_before']:.2%} "
        f"before, {confidence['ece_after']:.2%} after, on {confidence['samples']:,} images ({confidence['split']})"
    )
    if confidence["unknown_below"] is not None:
        paragraph(
            f"  unknown below {confidence['unknown_below']:.2%}: {confidence['kept_right']:.2%} of the right answers "
            "keep their label"
        )


def _show_ladder(ladder: dict[str, Any]) -> None:
    click.echo(f"  ladder: top-1 may fall by {ladder['max_drop']:g} points, with its 95 % interval")
    rows = []
    for number, rung in enumerate(ladder["rungs"]):
        if rung["failed"]:
            rows.append((f"  {rung['name']}", "none", "", "", "", ""))
            continue
        drop = rung["drop"]
        taken = "taken" if number == ladder["taken"] else ""
        spread = f"{0 - drop['high']:+.2f} to {0 - drop['low']:+.2f}"
        figures = f"{0 - drop['points']:+.2f} pp", spread, size(rung["size_bytes"]), f"{rung['p50_ms']:.3f} ms"
        rows.append((f"  {rung['name']}", *figures, taken))
    table(rows, header=("  rung", "top-1", "95 %", "size", "p50", ""), indent="  ")
    for rung in ladder["rungs"]:
        paragraph(f"    {rung['name']}: {rung['failed'] or rung['detail']}")
    for skipped in ladder["skipped"]:
        paragraph(f"    {skipped['rung']} was not tried: {skipped['reason']}")


def _show_stage(stage: dict[str, Any]) -> None:
    if stage["technique"] in ("blocks", "channel"):
        before, after = stage["macs_before"], stage["macs"]
        what = "channels" if stage["technique"] == "channel" else f"{len(stage['dropped'])} blocks taken out"
        paragraph(f"  {what}: {before / after:.2f} x fewer multiply-accumulates, {before:,} to {after:,}")
        for group in stage.get("groups", []):
            if group["reason"]:
                paragraph(f"  channels of {group['layers'][0]} stay: {group['reason']}")
    elif layer := stage.get("against_trained", {}).get("first_layer"):
        note(f"  note: the file differs from the trained model, first in layer {layer}")
