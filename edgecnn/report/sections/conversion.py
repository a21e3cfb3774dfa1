"""One conversion: float against output."""

from collections.abc import Iterator
from typing import Any

from edgecnn.report import architecture, charts, compression, gallery, method, pareto, verdict
from edgecnn.report import comparison as c
from edgecnn.report import numbers as n
from edgecnn.report.blocks import (
    Beside,
    Card,
    Cell,
    Facts,
    Figure,
    Gains,
    Grid,
    Items,
    Part,
    Section,
    Table,
    Tile,
    Words,
    text_cell,
)
from edgecnn.report.sections.benchmark import latency_charts
from edgecnn.report.sections.quality import quality_parts
from edgecnn.report.sections.sensitivity import layer_parts


def conversion(record: dict[str, Any]) -> Section:
    """What a `convert` record says."""
    name, evaluation = c.short_name(record), record.get("evaluation")
    named = [("float", evaluation["float"]), (name, evaluation["output"])] if evaluation else []
    unknown = method.unknown(record)
    return Section(
        title=f"{n.file_name(record['model'])} → {name}",
        subtitle=_subtitle(record),
        verdict=verdict.judge_conversion(record),
        tiles=tuple(_tiles(record, name)),
        parts=(
            _comparison(record, name),
            *_costs(record, name),
            *_compression(record, name),
            *_ladder(record),
            *layer_parts(compression.layers_of(record)),
            *(quality_parts(named) if named else []),
            *_examples(record, name),
            *_architecture(record),
            Part("How it was made", tuple(_making(record))),
            Part("How it was measured", (Facts(tuple(method.conversion_facts(record))),)),
            *([Part("What is not known", (Card("", (Items(tuple(unknown)),)),))] if unknown else []),
        ),
    )


def _subtitle(record: dict[str, Any]) -> str:
    samples, split = record["accuracy"]["samples"], record["accuracy"]["split"]
    data = f"{n.noun(samples, 'image')}{f' of the {split} split' if split else ''}" if samples else "no images"
    return f"{n.file_name(record['output'])} · {record['io']} input and output · {data}"


def _tiles(record: dict[str, Any], name: str) -> Iterator[Tile]:
    """The few figures to remember."""
    cost = c.loss(record)
    if cost:
        notes = (f"float {n.percent(cost.before)}", n.points(-cost.points))
        yield Tile(f"Top-1, {name}", n.percent(cost.after), notes)
    agreement = record["accuracy"]["agreement"]
    if agreement is not None:
        yield Tile("Agreement", n.percent(agreement), ("of labels are the", "same as float's"))
    sizes = (record["float_size_bytes"], record["size_bytes"])
    yield Tile("File size", n.size(sizes[1]), (f"float {n.size(sizes[0])}", n.change(*sizes, "smaller", "larger")))
    if record.get("benchmark"):
        before, after = (benchmark["p50_ms"] for benchmark in record["benchmark"])
        notes = (f"float {n.milliseconds(before)}", n.change(before, after, "faster", "slower"))
        yield Tile("Inference, median", n.milliseconds(after), notes)
    allowed = c.allowed_loss(record)
    if allowed is not None:
        unchecked = cost is None and not record.get("ladder")
        value = "missed" if c.budget_is_missed(record) else "not checked" if unchecked else "met"
        yield Tile("Budget", value, (f"{n.allowance(allowed)} of top-1", "may be lost"))


def _comparison(record: dict[str, Any], name: str) -> Part:
    rows = tuple(
        (text_cell(row.metric), row.before, row.after, Cell(None, row.change, tone=c.tone(row.is_better)))
        for row in c.rows(record)
    )
    table = Table(f"Float against {name}", ("Metric", "float", name, "Change"), rows)
    figures = tuple(map(Figure, _charts(record, name)))
    return Part(table.title, (Beside(table, figures), Words(" ".join(_legend(record)), is_small=True)))


def _legend(record: dict[str, Any]) -> Iterator[str]:
    """What the comparison table needs to be understood."""
    if c.loss(record):
        yield "Small figures are 95 % intervals; a change of accuracy is coloured when chance does not explain it."
    if record.get("benchmark"):
        yield "Frame to label is the sum of the medians of preprocessing, inference and postprocessing."


def _charts(record: dict[str, Any], name: str) -> Iterator[Any]:
    sizes = (("float", record["float_size_bytes"], "float"), (name, record["size_bytes"], "output"))
    yield charts.bar_chart("File size", [(label, size, n.size(size), role) for label, size, role in sizes])
    if record.get("benchmark"):
        yield from latency_charts(list(zip(("float", name), record["benchmark"], strict=True)), ["float", "output"])
    cost = c.loss(record)
    if cost:
        bounds = c.intervals(record)
        dots = [("float", cost.before, bounds["float"], "float"), (name, cost.after, bounds["output"], "output")]
        yield charts.dot_chart("Top-1 accuracy, 95 % interval", dots)


def _costs(record: dict[str, Any], name: str) -> Iterator[Part]:
    """Accuracy against latency and size, and how latencies spread."""
    cost, bounds, timings = c.loss(record), c.intervals(record), record.get("benchmark")
    sides = (("float", "float", "float_size_bytes"), (name, "output", "size_bytes"))
    found: list[Any] = []
    if cost:
        shares = (cost.before, cost.after)
        known = list(zip(sides, shares, timings or (None, None), strict=True))
        if timings:
            found.append(
                pareto.latency_chart(
                    [
                        pareto.Option(label, share, timing["p50_ms"], bounds[side], timing["p90_ms"], side)
                        for (label, side, _), share, timing in known
                    ]
                )
            )
        found.append(
            pareto.size_chart(
                [
                    pareto.Option(label, share, record[key], bounds[side], None, side)
                    for (label, side, key), share, _ in known
                ]
            )
        )
    if found:
        yield Part("Accuracy against cost", (Grid(tuple(map(Figure, found))),))
    distributions = [chart for (label, _, _), timing in zip(sides, timings or (), strict=False)
                     if (chart := charts.histogram(label, timing))]  # fmt: skip
    if distributions:
        yield Part("How latencies spread", (Grid(tuple(map(Figure, distributions))),))


def _compression(record: dict[str, Any], name: str) -> Iterator[Part]:
    stages = compression.stage_table(record)
    if not stages:
        return
    gains, figures = compression.gains(record), compression.gain_table(record)
    lead = [Words(f"What the stages before quantization changed, against {name} alone."), Gains(tuple(gains))]
    blocks = [*(lead if gains else []), stages, *compression.stage_details(record), *([figures] if figures else [])]
    yield Part("Compression", tuple(blocks))


def _ladder(record: dict[str, Any]) -> Iterator[Part]:
    table, chart = compression.ladder_table(record), compression.ladder_chart(record)
    if table:
        drawn = [Grid((Figure(chart),))] if chart else []
        yield Part("Accuracy ladder", (Words(compression.ladder_lead(record["ladder"])), table, *drawn))


def _examples(record: dict[str, Any], name: str) -> Iterator[Part]:
    keys = ("float", "output")
    pictures = [item for item in record.get("examples") or [] if item["thumbnail"]]
    shown = gallery.gallery(pictures, keys, ("float", name))
    if not shown:
        return
    flips = gallery.flips_of(pictures, keys)
    lead = "Both models gave the same label to every picture here."
    if flips:
        lead = (
            f"{flips} of the {n.noun(len(pictures), 'picture')} here got another label from {name} than from float; "
            "they come first and were picked for that, so this is no picture of the average."
        )
    some = f" Shown are {len(shown.shots)}." if len(pictures) > len(shown.shots) else ""
    yield Part("Examples", (Words(lead + some), shown))


def _architecture(record: dict[str, Any]) -> Iterator[Part]:
    known = record.get("architecture")
    if known:
        tables = filter(None, (architecture.operator_table(known), architecture.layer_table(known)))
        yield Part("The network", (Words(architecture.architecture_words(known)), *tables))


def _making(record: dict[str, Any]) -> Iterator[Any]:
    cards = [_preprocessing(record)]
    calibration = _calibration(record)
    if calibration:
        cards.append(Card("Calibration of int8 ranges", (Figure(calibration),)))
    confidence = record.get("confidence")
    if confidence:
        cards.append(Card("Confidence", (Words(_confidence(confidence)),)))
    yield Grid(tuple(cards))
    if record["steps"]:
        yield _steps(record["steps"])
    lists = [
        Card(title, (Items(tuple(items), is_code=is_code),))
        for title, items, is_code in (
            ("Layers kept in float", record["layers_kept_float"], True),
            ("Notes", record["notes"], False),
        )
        if items
    ]
    if lists:
        yield Grid(tuple(lists))


def _preprocessing(record: dict[str, Any]) -> Card:
    choice, spec = record["preprocess_choice"], record["preprocess_spec"]
    blocks: list[Any] = [
        Items((spec,), is_code=True),
        Words(f"Source: {choice['source']}. {choice['detail']}", is_small=True),
    ]
    bars, rows = [], []
    for item in choice["candidates"]:
        role, text = "best" if item["spec"] == spec else "plain", n.percent(item["accuracy"])
        bars.append((item["spec"], item["accuracy"] or 0.0, text, role))
        rows.append((text_cell(item["spec"]), Cell(item["accuracy"], text)))
    if bars:
        title = "Accuracy of each candidate"
        chart = charts.bar_chart(title, bars, top=1.0)
        blocks.append(Figure(chart, Table(title, ("Candidate", "Accuracy"), tuple(rows))))
    return Card("Preprocessing", tuple(blocks))


def _calibration(record: dict[str, Any]) -> charts.BarChart | None:
    calibration = record["calibration"]
    if not calibration or not calibration["candidates"]:
        return None
    bars = []
    for item in calibration["candidates"]:
        chosen = all(calibration[key] == value for key, value in item.items() if key in calibration)
        value = item["divergence"]
        text = n.NONE if value is None else n.significant(value)
        bars.append((_candidate(item), max(0.0, value or 0.0), text, "best" if chosen else "plain"))
    return charts.bar_chart("Divergence from float by quantile of ranges; less is better", bars)


def _candidate(item: dict[str, Any]) -> str:
    quantile = item["range_quantile"]
    words = ["all" if quantile is None or quantile == 1 else f"{100 * quantile:g}{n.SPACE}%"]
    if item.get("weights") is not None:
        words.append(f"{item['weights']} weights")
    if item.get("bias_correction") is not None:
        words.append("biases corrected" if item["bias_correction"] else "biases as they are")
    return ", ".join(words)


def _confidence(confidence: dict[str, Any]) -> str:
    """Temperature scaling in words."""
    split = f" of the {confidence['split']} split" if confidence["split"] else ""
    text = (
        f"Scores are divided by a temperature of {n.decimal(confidence['temperature'], 3)}, chosen on "
        f"{n.noun(confidence['samples'], 'image')}{split}: their expected calibration error goes from "
        f"{n.decimal(100 * confidence['ece_before'])} to {n.decimal(100 * confidence['ece_after'])} points."
    )
    if confidence["unknown_below"] is not None:
        kept = confidence["kept_right"]
        right = "" if kept is None else f"; {n.percent(kept)} of the images that it labels rightly keep their label"
        text += f" Below a score of {n.percent(confidence['unknown_below'])} the label is “unknown”{right}."
    return text


def _steps(steps: list[dict[str, Any]]) -> Table:
    longest = max((step["seconds"] for step in steps), default=0.0) or 1.0
    rows = tuple(
        (
            text_cell(step["name"]),
            text_cell(step["detail"]),
            Cell(None, "", bar=step["seconds"] / longest),
            Cell(step["seconds"], n.seconds(step["seconds"])),
        )
        for step in steps
    )
    title = f"Steps, {n.seconds(sum(step['seconds'] for step in steps))} in all"
    return Table(title, ("Step", "What came of it", "", "Time"), rows, texts=2, caption=True)
