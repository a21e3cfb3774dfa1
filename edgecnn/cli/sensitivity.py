"""`edgecnn sensitivity`: what each layer's quantization costs."""

from pathlib import Path
from typing import Any

import click

from edgecnn.cli.options import (
    calibration_option,
    data_option,
    foreign_options,
    json_option,
    label_names,
    model_argument,
    model_content,
    read_spec,
)
from edgecnn.cli.output import Progress, emit_json, note, paragraph, table


@click.command("sensitivity")
@model_argument()
@data_option()
@click.option("--limit", type=click.IntRange(1), default=500, show_default=True, help="Measure on so many images.")
@calibration_option
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.png", help="Draw it as bars.")
@foreign_options
@json_option
def command(
    model: Path,
    data: str,
    limit: int,
    calibration_samples: int,
    plot: Path | None,
    labels: Path | None,
    preprocess: str | None,
    allow_unsafe: bool,
    as_json: bool,
) -> None:
    """Quantize one layer of MODEL at a time, and tell what that alone costs.

    MODEL is a Keras model or a float .tflite. Layers have the names that they have in Keras, worst first; the same
    names go to `edgecnn convert --keep-float`. SQNR is the signal to quantization noise ratio of the output.

    \b
    Examples:
      edgecnn sensitivity model.keras --data photos/
      edgecnn sensitivity model.keras --data photos/ --plot layers.png
    """
    from edgecnn.convert.examine import layer_sensitivity
    from edgecnn.data.dataset import open_dataset

    spec, names = read_spec(preprocess), label_names(labels)
    progress = Progress()
    progress.step("open data")
    with open_dataset(data) as dataset:
        progress.step("load")
        content = model_content(model, spec, allow_unsafe=allow_unsafe)
        progress.step("quantize layer by layer")
        record = layer_sensitivity(
            content,
            dataset,
            labels=names,
            spec=spec,
            name=str(model),
            limit=limit,
            calibration_samples=calibration_samples,
            progress=progress.progress,
        )
    progress.close()
    if plot:
        from edgecnn.files import write_atomic
        from edgecnn.report.plots import sensitivity_png

        write_atomic(plot, sensitivity_png(record["layers"], f"{model.name}: cost of int8, layer by layer"))
        note(f"Plot: {plot}")
    if as_json:
        emit_json(record)
    else:
        _show(record)


def _show(record: dict[str, Any]) -> None:
    labelled = record["float_top1"] is not None
    rows = [
        (
            _short(layer["layer"]),
            *(() if not labelled else (f"{0 - layer['top1_drop']:+.2f}",)),
            f"{layer['agreement']:.2%}",
            f"{layer['output_sqnr_db']:.1f} dB",
            f"{layer['layer_sqnr_db']:.1f} dB",
        )
        for layer in record["layers"]
        if not layer["reason"]
    ]
    table(rows, header=("layer", *(("top-1 pp",) if labelled else ()), "same label", "SQNR", "its own"))
    measured = f"{record['samples']:,} images" + (f", float top-1 {record['float_top1']:.2%}" if labelled else "")
    paragraph(f"Each layer alone in int8, the others float, on {measured}; worst first.")
    for image in record["skipped_images"]:
        note(f"  skipped {image['image']}: {image['reason']}")
    for layer in record["layers"]:
        if layer["reason"]:
            note(f"  {layer['layer']} stays float: {layer['reason']}")


def _short(name: str, most: int = 36) -> str:
    return name if len(name) <= most else f"{name[: most // 2 - 1]}…{name[-(most // 2) :]}"
