"""`edgecnn demo`: the whole story on a machine without network."""

import json
from pathlib import Path

import click

from edgecnn.cli.output import Progress, check_report, size, write_text


@click.command("demo")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default="edgecnn-demo",
    show_default=True,
    metavar="DIR",
    help="Folder for everything the demo makes.",
)
def command(output: Path) -> None:
    """Train on digits, convert to int8, classify a clip, measure, and write a report. Offline, about a minute.

    \b
    Examples:
      edgecnn demo
      edgecnn demo --output /tmp/demo
    """
    from edgecnn.demo import run_demo
    from edgecnn.report.render import render

    check_report(output)
    progress = Progress()
    result = run_demo(output, observer=progress)
    progress.step("draw the report")
    report = output / "report.html"
    write_text(output / "results.json", json.dumps(result.records, indent=2, ensure_ascii=False))
    write_text(report, render(list(result.records), "html"))
    progress.close()
    record = result.records[0]
    accuracy, (before, after) = record["accuracy"], (timing["p50_ms"] for timing in record["benchmark"])
    best = result.prediction
    click.echo(f"{result.picture} is a {best.label} ({best.score:.1%}); it was drawn as a {result.truth}")
    click.echo(f"{result.clip}: {result.clip_accuracy:.0%} of its frames have the right label")
    click.echo(f"size      {size(record['float_size_bytes'])} float32, {size(record['size_bytes'])} int8")
    click.echo(f"accuracy  {accuracy['float']:.2%} float32, {accuracy['output']:.2%} int8")
    click.echo(f"latency   {before:.4f} ms float32, {after:.4f} ms int8")
    click.echo(f"Model:  {result.bundle}")
    click.echo(f"Report: {report}")
    click.echo(f"Next:   edgecnn predict {result.bundle} {result.picture}")
