"""`edgecnn convert`: from a Keras model to a sealed `.tflite`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli.options import data_option, foreign_options, json_option, label_names, model_argument, read_spec
from edgecnn.cli.output import Progress, change, check_report, emit_json, note, paragraph, size, table, write_text

if TYPE_CHECKING:
    from edgecnn.convert.result import ConvertResult
    from edgecnn.data.dataset import Dataset


@click.command("convert")
@model_argument()
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The .tflite to write.")
@data_option()
@click.option(
    "--quantize",
    type=click.Choice(["float32", "float16", "dynamic", "int8", "int16x8"]),
    default="int8",
    show_default=True,
    help="Type of weights and activations.",
)
@click.option("--io", type=click.Choice(["int8", "uint8", "float32"]), help="Type of input and output tensor.")
@click.option(
    "--calibration-samples",
    type=click.IntRange(1),
    default=300,
    show_default=True,
    help="Training images for activation ranges.",
)
@click.option(
    "--accuracy-samples",
    type=click.IntRange(1),
    default=10_000,
    show_default=True,
    help="Measure on at most so many images.",
)
@click.option("--max-drop", type=click.FloatRange(0, 100), metavar="PP", help="Allowed loss of top-1, in points.")
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
    as_json: bool,
    **options: Any,
) -> None:
    """Convert a Keras MODEL to a small .tflite that carries its labels and preprocessing.

    MODEL is a .keras or .h5 file, a SavedModel folder, or a float .tflite. The images in DATA calibrate the
    quantization and measure what it costs; without class folders the agreement with the float model is
    measured instead. Exit code 3: done, but --max-drop was missed.

    \b
    Examples:
      edgecnn convert model.keras -o model.tflite --data photos/
      edgecnn convert model.h5 -o m.tflite --data cifar10.tar.gz --max-drop 1
      edgecnn convert model.h5 -o m.tflite --data photos/ \\
          --labels labels.txt --preprocess symmetric --report report/
    """
    spec, names = read_spec(preprocess), label_names(labels)
    from edgecnn.compress.quantize import IO_TYPES

    if options["io"] and options["io"] not in IO_TYPES[options["quantize"]]:
        allowed = " or ".join(IO_TYPES[options["quantize"]])
        raise click.BadParameter(f"{options['quantize']} takes {allowed}, got {options['io']}", param_hint="--io")
    if report:
        check_report(report)
    from edgecnn.convert.options import ConvertConfig
    from edgecnn.convert.pipeline import convert_model
    from edgecnn.data.dataset import open_dataset

    config = ConvertConfig(labels=names, preprocess=spec, **options)
    progress = Progress()
    progress.step("open data")
    with open_dataset(data, seed=config.seed) as dataset:
        result = convert_model(model, output, dataset, config, observer=progress)
        record = _write_report(result, dataset, report, progress) if report else result.to_dict()
    progress.close()
    if as_json:
        emit_json({key: value for key, value in record.items() if key != "examples"})
    else:
        _show(record)
    if not result.within_budget:
        note(
            f"Budget missed: top-1 fell by {record['accuracy']['drop_pp']:.2f} points, --max-drop allows "
            f"{config.max_drop:g}. {output} is kept."
        )
        ctx.exit(3)


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
    click.echo(f"{record['output']}: {size(record['size_bytes'])}, {record['quantize']}, {record['labels']} labels")
    sizes = record["float_size_bytes"], record["size_bytes"]
    rows = [("size", size(sizes[0]), size(sizes[1]), change(*sizes, "smaller", "larger"))]
    if accuracy["output"] is not None:
        gain = f"{0 - accuracy['drop_pp']:+.2f} pp"
        rows.append(("top-1", f"{accuracy['float']:.2%}", f"{accuracy['output']:.2%}", gain))
    if record.get("benchmark"):
        before, after = (timing["p50_ms"] for timing in record["benchmark"])
        rows.append(("latency p50", f"{before:.3f} ms", f"{after:.3f} ms", change(before, after, "faster", "slower")))
    table(rows, header=("", "float32", record["quantize"], ""), indent="  ")
    click.echo(f"  same label as float: {accuracy['agreement']:.2%} of {accuracy['samples']:,} images")
    paragraph(f"  preprocessing: {record['preprocess_spec']} ({record['preprocess_choice']['source']})")
    for text in record["notes"]:
        note(f"  note: {text}")
