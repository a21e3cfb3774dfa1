"""Latency of one or several models."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from edgecnn.report import charts, curves, method
from edgecnn.report import comparison as c
from edgecnn.report import numbers as n
from edgecnn.report.blocks import Card, Cell, Facts, Figure, Grid, Part, Section, Table, Verdict, Words, text_cell
from edgecnn.report.models import names_of, short_names
from edgecnn.report.shapes.benchmark import STAGES

_SAME: Final = 0.05  # share by which two latencies must differ to be called different
_OPERATORS: Final = 12  # of a profile; the others together are one row
_WINDOWS: Final = 24  # of a long run, in figures

# (name, record)
Named = Sequence[tuple[str, dict[str, Any]]]


def benchmarks(records: list[dict[str, Any]]) -> Section:
    """What `benchmark` records say."""
    named = list(zip(names_of(records), records, strict=True))
    drawn = list(zip(short_names(records), records, strict=True))
    distributions = [Figure(chart) for name, record in drawn if (chart := charts.histogram(name, record))]
    latency = [Figure(chart) for chart in latency_charts(drawn, ["output"] * len(drawn))]
    return Section(
        title="Benchmark" if len(records) > 1 else f"Benchmark of {named[0][0]}",
        subtitle="",
        verdict=judge_benchmarks(records),
        tiles=(),
        parts=(
            *_gate(named),
            Part("", (_latency_table(named), Words(_legend(records), is_small=True), Grid(tuple(latency)))),
            *([Part("How latencies spread", (Grid(tuple(distributions)),))] if distributions else []),
            *_work(named),
            *_profiles(drawn),
            *_sustained(drawn),
            Part("How it was measured", (Facts(tuple(method.benchmark_facts(records))),)),
        ),
    )


def judge_benchmarks(records: list[dict[str, Any]]) -> Verdict:
    """Which model is fastest, what was measured, and whether a gate was passed."""
    fastest = min(records, key=lambda record: float(record["p50_ms"]))
    slowest = max(records, key=lambda record: float(record["p50_ms"]))
    headline = (
        f"{n.file_name(fastest['model'])} takes {n.milliseconds(fastest['p50_ms'])} an inference "
        f"(median of {n.noun(fastest['runs'], 'run')}, {n.noun(fastest['threads'], 'thread')})."
    )
    factor = n.divide(slowest["p50_ms"], fastest["p50_ms"])
    if len(records) > 1 and factor and factor > 1 + _SAME:
        headline += f" {n.file_name(slowest['model'])} takes {n.ratio(factor)} as long."
    rules = [rule for record in records for rule in record.get("gate") or []]
    failed = [rule for rule in rules if not rule["passed"]]
    if failed:
        headline = f"GATE FAILED: {'; '.join(dict.fromkeys(rule['rule'] for rule in failed))}. {headline}"
    return Verdict("bad" if failed else "good" if rules else "plain", headline, tuple(_remarks(records, rules)))


def latency_charts(named: Named, roles: Sequence[str]) -> list[Any]:
    """Bars of the medians, and the stages of a frame where all were measured."""
    bars = [
        (name, record["p50_ms"], n.milliseconds(record["p50_ms"]), role)
        for (name, record), role in zip(named, roles, strict=True)
    ]
    reaches = [record["p90_ms"] for _, record in named]
    found: list[Any] = [charts.bar_chart("Inference: median, line to p90", bars, reaches=reaches)]
    stages = [(name, [record["stages"][key] for key in STAGES]) for name, record in named]
    known = [(name, parts) for name, parts in stages if None not in parts]
    return [*found, charts.stage_chart("Frame to label, medians", known)] if known else found


def _remarks(records: list[dict[str, Any]], rules: list[dict[str, Any]]) -> Iterator[str]:
    if rules and all(rule["passed"] for rule in rules):
        yield "The gate is passed."
    for record in records:
        ratio = record.get("ratio")
        if ratio and ratio["ci95"]:
            low, high = ratio["ci95"]
            chance = "; which is faster may be chance" if low <= 1 <= high else ""
            name = f"{n.file_name(record['model'])} with {n.noun(record['threads'], 'thread')}"
            span = f"95{n.SPACE}% interval {n.ratio(low)} to {n.ratio(high)}"
            yield f"{name} is {n.ratio(ratio['value'])} as fast as {n.file_name(ratio['to'])} ({span}{chance})."
            quiet = ratio.get("undisturbed")
            if quiet and ratio["value"] and abs(quiet / ratio["value"] - 1) > _SAME:
                yield (
                    f"Other work on the machine moved that ratio: by the 5{n.SPACE}% points of the times, which it "
                    f"hardly touches, it is {n.ratio(quiet)}."
                )
    if len({n.plain(record["machine"].get("cpu")) for record in records}) > 1:
        yield "The models were measured on different machines: their latencies cannot be compared."
    if any(record["warmup"]["steady"] is False for record in records if record.get("warmup")):
        yield "Latencies had not become steady before they were measured."
    if any(item["throttled"] for record in records for item in record.get("sustained") or []):
        yield "The machine slowed itself down during the long run."


def _latency_table(named: Named) -> Table:
    has_ratio = any(record.get("ratio") for _, record in named)
    rows = []
    for name, record in named:
        times = [Cell(record[key], n.milliseconds(record[key])) for key in ("p50_ms", "p90_ms", "p99_ms")]
        starts = [Cell(record[key], n.milliseconds(record[key])) for key in ("first_ms", "init_ms")]
        whole, memory = c.frame_to_label(record), record["peak_rss_mb"]
        rows.append(
            (
                text_cell(name),
                Cell(record["size_bytes"], n.size(record["size_bytes"])),
                Cell(record["threads"], str(record["threads"])),
                Cell(record["runs"], n.count(record["runs"])),
                *times,
                *([_ratio(record)] if has_ratio else []),
                *starts,
                Cell(whole, n.milliseconds(whole)),
                Cell(memory, n.megabytes(memory)),
            )
        )
    heads = ("Model", "Size", "Threads", "Runs", "p50", "p90", "p99", *(["Speed"] if has_ratio else []),
             "First", "Loading", "Frame to label", "Peak memory")  # fmt: skip
    return Table("Latency", heads, tuple(rows), look="dense")


def _ratio(record: dict[str, Any]) -> Cell:
    ratio = record.get("ratio")
    if not ratio:
        return text_cell(n.NONE)
    bounds = ratio["ci95"]
    note = f"{n.ratio(bounds[0])} to {n.ratio(bounds[1])}" if bounds else ""
    tone = "" if not bounds or bounds[0] <= 1 <= bounds[1] else "better" if bounds[0] > 1 else "worse"
    return Cell(ratio["value"], n.ratio(ratio["value"]), note, tone)


def _legend(records: Sequence[dict[str, Any]]) -> str:
    text = "Latencies are those of the inference alone; frame to label is the sum of the medians of its stages."
    ratio = next((record["ratio"] for record in records if record.get("ratio")), None)
    if ratio:
        base = f"{n.file_name(ratio['to'])} with {n.noun(ratio['to_threads'], 'thread')}"
        text += f" Speed is how many times as fast as {base}, with its 95{n.SPACE}% interval; models took turns."
    return text


def _gate(named: Named) -> Iterator[Part]:
    rows = [
        (
            text_cell(name),
            text_cell(rule["rule"]),
            Cell(None, "✓ kept" if rule["passed"] else "✗ FAILED", tone="better" if rule["passed"] else "worse"),
            *(Cell(rule[key], n.NONE if rule[key] is None else n.plain(rule[key])) for key in ("baseline", "value")),
            text_cell(rule["change"] or n.NONE),
        )
        for name, record in named
        for rule in record.get("gate") or []
    ]
    if rows:
        heads = ("Model", "Rule", "Result", "Baseline", "Now", "Change")
        yield Part("Gate", (Table("Gate", heads, tuple(rows), look="dense"),))


def _work(named: Named) -> Iterator[Part]:
    """Multiply-accumulates a second, against the most that the core can do."""
    rows = []
    for name, record in named:
        macs, speed, peak = record.get("macs"), record.get("gmacs_per_s"), record.get("peak")
        if macs is not None or speed is not None:
            rows.append(
                (
                    text_cell(name),
                    Cell(macs, n.NONE if macs is None else n.count(macs)),
                    Cell(speed, n.NONE if speed is None else n.significant(speed)),
                    Cell(peak["gmacs_per_s"], n.significant(peak["gmacs_per_s"]), peak["dtype"])
                    if peak
                    else text_cell(n.NONE),
                    Cell(peak["share"], n.percent(peak["share"], 0)) if peak else text_cell(n.NONE),
                )
            )
    if rows:
        heads = ("Model", "MACs", "GMAC/s", "Peak, GMAC/s", "Share of the peak")
        words = (
            "How well the processor is used: multiply-accumulates a second of this model, and of a large matrix "
            "product on the same machine."
        )
        yield Part("Work", (Words(words), Table("Work", heads, tuple(rows))))


def _profiles(named: Named) -> Iterator[Part]:
    profiled = [(name, record["profile"]) for name, record in named if (record.get("profile") or {}).get("operators")]
    if not profiled:
        return
    figures, tables = [], []
    for name, profile in profiled:
        totals: Counter[str] = Counter()
        for item in profile["operators"]:
            totals[item["op"]] += item["ms"]
        total = sum(totals.values()) or 1.0
        bars = [
            (op, ms, f"{n.milliseconds(ms)}, {n.percent(ms / total)}", "output") for op, ms in totals.most_common(8)
        ]
        figures.append(Figure(charts.bar_chart(f"Time by kind of operator, {name}", bars)))
        tables += [
            _operator_table(name, profile["operators"], total),
            Words(f"{name}: {profile['method']}.", is_small=True),
        ]
    yield Part("Operator by operator", (Grid(tuple(figures)), *tables))


def _operator_table(name: str, operators: list[dict[str, Any]], total: float) -> Table:
    """The slowest operators, the rest in one row."""
    ordered = sorted(operators, key=lambda item: -float(item["ms"]))
    longest = max(float(item["ms"]) for item in operators) or 1.0
    rows = []
    for item in ordered[:_OPERATORS]:
        speed = n.divide(item["macs"], 1e6 * item["ms"])
        rows.append(
            (
                text_cell(f"{item['index']} {item['op']}", item["name"]),
                Cell(item["ms"], n.milliseconds(item["ms"])),
                Cell(item["share"], n.percent(item["share"])),
                Cell(None, "", bar=min(1.0, item["ms"] / longest)),
                Cell(item["macs"], n.NONE if item["macs"] is None else n.count(item["macs"])),
                Cell(speed, n.NONE if not speed else n.significant(speed)),
            )
        )
    rest = ordered[_OPERATORS:]
    if rest:
        spent = sum(item["ms"] for item in rest)
        cells = (Cell(spent, n.milliseconds(spent)), Cell(spent / total, n.percent(spent / total)))
        bar = Cell(None, "", bar=min(1.0, spent / longest))
        rows.append((text_cell(f"{n.count(len(rest))} more"), *cells, bar, *(text_cell(n.NONE),) * 2))
    heads = ("Operator", "Time", "Share", "", "MACs", "GMAC/s")
    return Table(f"Operators of {name}, the slowest first", heads, tuple(rows), look="dense", caption=True)


def _sustained(named: Named) -> Iterator[Part]:
    cards, tables = [], []
    for name, record in named:
        windows = record.get("sustained") or []
        lines = curves.sustained_charts(name, windows)
        if lines:
            cards.append(Card("", tuple(map(Figure, lines))))
            tables.append(_window_table(name, windows))
    if cards:
        yield Part("A long run", (Grid(tuple(cards)), *tables))


def _window_table(name: str, windows: list[dict[str, Any]]) -> Table:
    rows = tuple(
        (
            Cell(item["seconds"], n.seconds(item["seconds"])),
            Cell(item["runs"], n.count(item["runs"])),
            *(Cell(item[key], n.milliseconds(item[key])) for key in ("p50_ms", "p99_ms")),
            Cell(item["temperature_c"], _unit(item["temperature_c"], "°C", 1)),
            Cell(item["clock_mhz"], _unit(item["clock_mhz"], "MHz", 0)),
            text_cell({True: "slowed down", False: "no", None: n.NONE}[item["throttled"]]),
        )
        for item in n.spread(windows, _WINDOWS)
    )
    heads = ("Time", "Runs", "p50", "p99", "Temperature", "Clock", "Throttled")
    return Table(f"The long run of {name} in figures", heads, rows, folded=True)


def _unit(value: float | None, unit: str, digits: int) -> str:
    return n.NONE if value is None else f"{n.decimal(value, digits)}{n.SPACE}{unit}"
