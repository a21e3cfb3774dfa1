"""`edgecnn benchmark`: latency and memory on this machine."""

from pathlib import Path
from typing import Any

import click

from edgecnn.cli.options import foreign_options, json_option, label_names, model_argument, model_content, read_spec
from edgecnn.cli.output import emit_json, paragraph, table


class ThreadList(click.ParamType[tuple[int, ...]]):
    """Comma separated numbers of threads, as in 1,2,4."""

    name = "N,N,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Parse and check."""
        if isinstance(value, tuple):
            return value
        parts = str(value).split(",")
        if not all(part.strip().isdecimal() and 1 <= int(part) <= 64 for part in parts):
            self.fail(f"expected numbers of threads from 1 to 64 such as 1,2,4, got {value!r}", param, ctx)
        return tuple(int(part) for part in parts)


@click.command("benchmark")
@model_argument(many=True)
@click.option("--threads", type=ThreadList(), default="1", show_default=True, help="Numbers of threads to try.")
@click.option("--runs", type=click.IntRange(1), default=200, show_default=True, help="Timed inferences a model.")
@click.option("--warmup", type=click.IntRange(0), default=20, show_default=True, help="Inferences before them.")
@click.option("--image", type=click.Path(path_type=Path), help="Picture to run on; default 1280x720 of noise.")
@foreign_options
@json_option
def command(
    models: tuple[Path, ...],
    threads: tuple[int, ...],
    runs: int,
    warmup: int,
    image: Path | None,
    labels: Path | None,
    preprocess: str | None,
    allow_unsafe: bool,
    as_json: bool,
) -> None:
    """Time models on this machine, several of them in turn (A B A B ...).

    Times are one inference; preprocessing and sorting of scores are listed beside it.

    \b
    Examples:
      edgecnn benchmark model.tflite
      edgecnn benchmark float.tflite int8.tflite --threads 1,2,4
    """
    from edgecnn.data.images import read_image
    from edgecnn.measure.benchmark import benchmark, benchmark_record, timing_classifier

    spec, names = read_spec(preprocess), label_names(labels)
    frame = read_image(image) if image else None
    contents = [model_content(model, spec, allow_unsafe=allow_unsafe) for model in models]
    records = []
    for count in threads:
        ready = [timing_classifier(content, labels=names, spec=spec, threads=count) for content in contents]
        timings = benchmark(ready, frame, runs=runs, warmup=warmup)
        for model, content, classifier, timing in zip(models, contents, ready, timings, strict=True):
            records.append(benchmark_record(str(model), content, timing, size=classifier.preprocess.size))
    if as_json:
        emit_json(records)
        return
    _show(records)


def _show(records: list[dict[str, Any]]) -> None:
    first = records[0]
    header = ("model", "threads", "p50", "p90", "min", "first", "memory", "ratio")
    rows = [
        (
            Path(record["model"]).name,
            str(record["threads"]),
            *(f"{record[key]:.3f}" for key in ("p50_ms", "p90_ms", "min_ms", "first_ms")),
            "?" if record["peak_rss_mb"] is None else f"{record['peak_rss_mb']:.0f} MB",
            f"{first['p50_ms'] / record['p50_ms']:.2f}",
        )
        for record in records
    ]
    table(rows, header=header)
    stages = first["stages"]
    click.echo()
    paragraph(
        f"Milliseconds an inference over {first['runs']} runs; ratio: speed against the first row. Around it, first "
        f"row: preprocessing {stages['preprocess_ms']:.3f} ms, sorting scores {stages['postprocess_ms']:.3f} ms."
    )
    machine = first["machine"]
    paragraph(f"{machine['cpu']}, {machine['cores']} cores, load {machine['load']}, {machine['platform']}")
