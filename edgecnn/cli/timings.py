"""What `edgecnn benchmark` shows of its records, within 80 columns."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from edgecnn.cli.output import note, paragraph, size, table

_OPERATORS: Final = 10  # of a profile, the slowest ones
_COLUMNS: Final = 80
_DISTURBED: Final = 0.05  # difference of the two ratios that is told
_ENOUGH: Final = 20  # rounds whose 5 % point says something


def show_benchmark(records: list[dict[str, Any]]) -> None:
    """Print the table of rows, what they were measured on, and the parts that were asked for."""
    names = _names([record["model"] for record in records])
    largest = max(record[key] for record in records for key in ("p99_ms", "first_ms"))
    places = 3 if largest < 1000 else 1
    rows = [
        (
            str(record["threads"]),
            *(f"{record[key]:.{places}f}" for key in ("p50_ms", "p90_ms", "p99_ms", "first_ms")),
            "?" if record["peak_rss_mb"] is None else f"{record['peak_rss_mb']:.0f} MB",
            *_ratio(record.get("ratio")),
        )
        for record in records
    ]
    header = ("threads", "p50", "p90", "p99", "first", "memory", "ratio", "95 %")
    shown = len(header) if len(rows) > 1 else header.index("ratio")
    _table(names, [row[:shown] for row in rows], header[:shown])
    click.echo()
    for text in _words(records[0], alone=len(records) == 1):
        paragraph(text)
    for record, name in zip(records, names, strict=True):
        title = f"{name}, {record['threads']} thread{'s' * (record['threads'] > 1)}"
        if record["warmup"]["runs"] and not record["warmup"]["steady"]:
            note(f"note: {title}: not steady after {record['warmup']['runs']} inferences of warm-up; see --warmup")
        ratio = record.get("ratio")
        if ratio and ratio["rounds"] >= _ENOUGH and abs(ratio["undisturbed"] / ratio["value"] - 1) > _DISTURBED:
            note(
                f"note: {title}: other work on this machine moved the ratio; by the 5 % points of the times, which it "
                f"hardly touches, it is {ratio['undisturbed']:.2f}"
            )
        if record.get("profile"):
            _show_profile(title, record)
        if record.get("sustained"):
            _show_sustained(title, record["sustained"])
    _show_gate(names, records)


def _names(models: Sequence[str]) -> list[str]:
    """File names, or paths where two files have the same name."""
    paths = Counter(Path(model).name for model in dict.fromkeys(models))
    return [Path(model).name if paths[Path(model).name] == 1 else model for model in models]


def _table(names: Sequence[str], rows: Sequence[Sequence[str]], header: Sequence[str]) -> None:
    """A table whose rows begin with a model's name; long names stand above it and a number in it."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    if max(len("model"), *map(len, names)) + sum(width + 2 for width in widths) > _COLUMNS:
        numbers = {name: str(number) for number, name in enumerate(dict.fromkeys(names), 1)}
        for name, number in numbers.items():
            paragraph(f"model {number}: {name}")
        names = [numbers[name] for name in names]
    table([(name, *row) for name, row in zip(names, rows, strict=True)], header=("model", *header))


def _ratio(ratio: dict[str, Any] | None) -> tuple[str, str]:
    if ratio is None:
        return "1.00", ""
    low, high = ratio["ci95"]
    return f"{ratio['value']:.2f}", f"{low:.2f} to {high:.2f}"


def _words(first: dict[str, Any], *, alone: bool) -> list[str]:
    """What the figures are, more of the first row, and the machine."""
    warmup, stages, machine = first["warmup"]["runs"], first["stages"], first["machine"]
    what = f"Milliseconds an inference over {first['runs']} runs after {warmup} of warm-up, on {first['input']}."
    if not alone:
        what += " Ratio: how many times faster than the first row, with its 95 % interval."
    where = f"{machine['cpu']}, {machine['cores']} cores, load {machine['load']}, {machine['platform']}"
    more = (
        f"{'Also' if alone else 'First row'}: min {first['min_ms']:.3f}, mean {first['mean_ms']:.3f}, "
        f"load {first['init_ms']:.3f}, preprocessing {stages['preprocess_ms']:.3f}, "
        f"sorting scores {stages['postprocess_ms']:.3f} ms"
    )
    if first["gmacs_per_s"]:
        more += f"; {first['macs'] / 1e6:,.1f} million MACs, {first['gmacs_per_s']:.1f} GMAC/s"
    return [what, more, where]


def _show_profile(title: str, record: dict[str, Any]) -> None:
    profile, peak = record["profile"], record.get("peak")
    operators = sorted(profile["operators"], key=lambda operator: -operator["ms"])
    click.echo()
    paragraph(f"{title}: {profile['total_ms']:.3f} ms in {len(operators)} operators")
    rows = [
        (
            operator["op"][:24],
            str(operator["index"]),
            f"{operator['ms']:.3f}",
            f"{operator['share']:.1%}",
            "" if operator["macs"] is None else f"{operator['macs'] / 1e6:.2f} M",
            _tail(operator["name"], 24),
        )
        for operator in operators[:_OPERATORS]
    ]
    table(rows, header=("operator", "index", "ms", "share", "MACs", "name"), indent="  ")
    if len(operators) > _OPERATORS:
        rest = sum(operator["share"] for operator in operators[_OPERATORS:])
        click.echo(f"  and {len(operators) - _OPERATORS} more with {rest:.1%}")
    if peak:
        cores = "a core" if record["threads"] == 1 else "as many cores"
        paragraph(
            f"  {record['gmacs_per_s']:.1f} GMAC/s, {peak['share']:.0%} of what {cores} can do: one reaches "
            f"{peak['gmacs_per_s']:.1f} in {peak['dtype']}"
        )
    paragraph(f"  measured by {profile['method']}")


def _tail(text: str, most: int) -> str:
    return text if len(text) <= most else "…" + text[1 - most :]


def _show_sustained(title: str, moments: list[dict[str, Any]]) -> None:
    click.echo()
    paragraph(f"{title}, without a pause, from frame to label:")

    def shown(value: float | None, unit: str, places: int = 0) -> str:
        return "?" if value is None else f"{value:.{places}f}{unit}"

    rows = [
        (
            f"{moment['seconds']:.0f} s",
            f"{moment['runs']:,}",
            f"{moment['p50_ms']:.3f}",
            f"{moment['p99_ms']:.3f}",
            shown(moment["temperature_c"], " °C", 1),
            shown(moment["clock_mhz"], " MHz"),
            {True: "yes", False: "no"}.get(moment["throttled"], "?"),
        )
        for moment in moments
    ]
    table(rows, header=("after", "runs", "p50", "p99", "temperature", "clock", "throttled"), indent="  ")


def _show_gate(names: Sequence[str], records: list[dict[str, Any]]) -> None:
    checks = [
        (name, record["threads"], check)
        for name, record in zip(names, records, strict=True)
        for check in record.get("gate", ())
    ]
    if not checks:
        return
    rows = [
        (
            str(threads),
            check["rule"],
            _figure(check["rule"], check["baseline"]),
            _figure(check["rule"], check["value"]),
            check["change"] or "?",
            "passed" if check["passed"] else "MISSED",
        )
        for _, threads, check in checks
    ]
    click.echo()
    _table([name for name, _, _ in checks], rows, ("threads", "fails on", "before", "now", "change", "gate"))


def _figure(rule: str, value: float | None) -> str:
    if value is None:
        return "?"
    if rule.startswith("top1"):
        return f"{value:.2%}"
    return size(round(value)) if rule.startswith("size") else f"{value:.3f}"
