"""`edgecnn report`: results as a page, Markdown, CSV or JSON."""

from pathlib import Path

import click

from edgecnn.cli.output import note, write_text


@click.command("report")
@click.argument("results", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="RUN.json...")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False), help="File to write.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["html", "md", "json", "csv"]),
    help="Default: by the output's ending, else html.",
)
def command(results: tuple[Path, ...], output: Path, form: str | None) -> None:
    """Turn JSON results of one or several runs into one report.

    The results of every command are taken. What belongs to one model, by the SHA-256 of its file, is told together.

    \b
    Examples:
      edgecnn compare float.tflite int8.tflite --data photos/ --json > flips.json
      edgecnn benchmark float.tflite int8.tflite --json > speed.json
      edgecnn report flips.json speed.json -o report.html
    """
    from edgecnn.report.render import render
    from edgecnn.report.results import read_results

    chosen = form or {".md": "md", ".json": "json", ".csv": "csv"}.get(output.suffix.lower(), "html")
    write_text(output, render(read_results(results), chosen))
    note(f"Wrote {output}")
