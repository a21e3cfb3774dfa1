"""Pictures with their labels, a clip frame by frame, a live source."""

from collections.abc import Iterator
from typing import Any, Final

from edgecnn.report import charts, method
from edgecnn.report import numbers as n
from edgecnn.report.blocks import (
    Cell,
    Classified,
    Facts,
    Figure,
    Gallery,
    Grid,
    Part,
    Section,
    Shot,
    Table,
    Tile,
    Verdict,
    Words,
    text_cell,
)
from edgecnn.report.gallery import PICTURES

_LABELS: Final = 12  # most frequent labels that are drawn


def predictions(records: list[dict[str, Any]]) -> Section:
    """What `predict` records say."""
    cards = tuple(map(_classified, records))
    return Section("Predictions", n.noun(len(records), "image"), None, (), (Part("", (Grid(cards),)),))


def demo(record: dict[str, Any]) -> Section:
    """What a `demo` record says of its clip."""
    frames, line = record["frames"], charts.timeline(record["frames"])
    shown = n.spread([frame for frame in frames if frame["thumbnail"]], PICTURES)
    some = [] if len(shown) == len(frames) else [Words(f"{len(shown)} of {len(frames)} frames, evenly spaced.")]
    rows = tuple(
        (text_cell(str(frame["frame"])), text_cell(frame["label"]), Cell(frame["score"], n.percent(frame["score"])),
         text_cell(frame["truth"] or n.NONE))
        for frame in frames
    )  # fmt: skip
    table = Table("Frames", ("Frame", "Label", "Score", "True"), rows, texts=2)
    facts = tuple(method.clip_facts(record))
    return Section(
        title="Clip, frame by frame",
        subtitle="",
        verdict=judge_clip(record),
        tiles=(),
        parts=(
            *([Part("", (Grid((Figure(line),), look="full"),))] if line else []),
            *([Part("Frames", (*some, Gallery(tuple(map(_frame, shown)), table)))] if frames else []),
            *([Part("The run", (Facts(facts),))] if facts else []),
        ),
    )


def camera(record: dict[str, Any]) -> Section:
    """What a `camera` record says of a run."""
    spent = [record["stages"][key] for key in ("read_ms", "preprocess_ms", "invoke_ms", "postprocess_ms")]
    found: list[Any] = []
    pairs = (("frame to label", "p50_ms", "p90_ms"), ("age at the label", "age_p50_ms", "age_p90_ms"))
    known = [(name, record[p50], record[p90]) for name, p50, p90 in pairs if None not in (record[p50], record[p90])]
    if known:
        bars = [(name, p50, f"{n.milliseconds(p50)}, p90 {n.milliseconds(p90)}", "output") for name, p50, p90 in known]
        found.append(charts.bar_chart("Median, line to p90", bars, reaches=[p90 for _, _, p90 in known]))
    if None not in spent:
        found.append(charts.stage_chart("Work on a frame, medians", [("one frame", spent)], is_live=True))
    labels = sorted(record["labels"].items(), key=lambda item: -int(item[1]))
    rows = tuple((text_cell(label), Cell(number, n.count(number))) for label, number in labels)
    table = Table("Frames with each label", ("Label", "Frames"), rows) if rows else None
    counts = [(label, number, n.count(number), "plain") for label, number in labels[:_LABELS]]
    some = f", the {_LABELS} most frequent of {len(labels)}" if len(labels) > _LABELS else ""
    figures = [
        *map(Figure, found),
        *([Figure(charts.bar_chart(f"Frames with each label{some}", counts), table)] if counts else []),
    ]
    return Section(
        title=f"Camera: {n.file_name(record['source'])}" if record.get("source") else "Camera",
        subtitle=n.file_name(record["model"]) if record.get("model") else "",
        verdict=judge_camera(record),
        tiles=tuple(_camera_tiles(record)),
        parts=(
            *([Part("", (Grid(tuple(figures)),))] if figures else []),
            Part("How it was measured", (Facts(tuple(method.camera_facts(record))),)),
        ),
    )


def judge_clip(record: dict[str, Any]) -> Verdict:
    """How many frames of a clip were right, where their labels are known."""
    frames = record["frames"]
    known = [frame for frame in frames if frame["truth"] is not None]
    right = sum(frame["label"] == frame["truth"] for frame in known)
    headline = f"{n.noun(len(frames), 'frame')} here; the true labels are not known."
    if known:
        which = "" if len(known) == len(frames) else " with a known label"
        headline = f"{n.count(right)} of the {n.noun(len(known), 'frame')} here{which} got the right label."
    summary = record.get("summary")
    return Verdict("plain", headline, (summary,) if isinstance(summary, str) and summary else ())


def judge_camera(record: dict[str, Any]) -> Verdict:
    """How fast frames were labelled, how old they were, and what went wrong."""
    headline = f"{n.noun(record['frames'], 'frame')} labelled"
    if record["fps"] is not None:
        headline += f", {n.significant(record['fps'])} a second"
    if record["age_p50_ms"] is not None:
        headline += f"; a label is {n.milliseconds(record['age_p50_ms'])} old when it is there (median)"
    remarks = [
        f"{n.noun(record['dropped'], 'frame')} came while inference ran and {_was(record['dropped'])} dropped."
        if record["dropped"]
        else "",
        f"{n.noun(record['skipped'], 'frame')} could not be decoded." if record["skipped"] else "",
        f"The source was lost and found again {n.noun(record['reconnects'], 'time')}." if record["reconnects"] else "",
        f"The board slowed itself down: {', '.join(record['throttled'])}." if record["throttled"] else "",
    ]
    drift = record.get("drift")
    if drift and drift["begun"]:
        lasted = ", ".join(f"{reason} for {n.seconds(seconds)}" for reason, seconds in drift["seconds"].items())
        remarks.append(f"What it saw was unlike the pictures at conversion {n.noun(drift['begun'], 'time')}: {lasted}.")
    level = "warn" if record["throttled"] or record["reconnects"] or (drift and drift["begun"]) else "plain"
    return Verdict(level, f"{headline}.", tuple(filter(None, remarks)))


def _camera_tiles(record: dict[str, Any]) -> Iterator[Tile]:
    yield Tile("Frames", n.count(record["frames"]), (f"in {n.seconds(record['seconds'])}",))
    if record["fps"] is not None:
        yield Tile("Frames a second", n.significant(record["fps"]), (f"{n.count(record['dropped'])} dropped",))
    for label, key in (("Frame to label", ""), ("Age of a label", "age_")):
        if record[f"{key}p50_ms"] is not None:
            yield Tile(
                label,
                n.milliseconds(record[f"{key}p50_ms"]),
                ("median", f"p90 {n.milliseconds(record[f'{key}p90_ms'])}"),
            )
    if record["hottest_c"] is not None:
        yield Tile("Hottest", f"{n.decimal(record['hottest_c'], 0)}{n.SPACE}°C", ())


def _classified(record: dict[str, Any]) -> Classified:
    name = n.file_name(record["image"])
    bars = [(item["label"], item["score"], n.percent(item["score"]), "plain") for item in record["predictions"]]
    rows = tuple(
        (text_cell(item["label"]), Cell(item["score"], n.percent(item["score"]))) for item in record["predictions"]
    )
    table = Table(f"Scores of {name}", (name, "Score"), rows)
    chart = charts.bar_chart(f"Scores of {name}", bars, top=1.0)
    return Classified(name, record.get("thumbnail"), n.milliseconds(record["latency_ms"]), chart, table)


def _frame(frame: dict[str, Any]) -> Shot:
    mark, sign, word = "same", "", ""
    if frame["truth"] is not None:
        is_right = frame["truth"] == frame["label"]
        mark, sign, word = ("same", "✓", "right") if is_right else ("broken", "✗", "wrong")
    lines = [(str(frame["frame"]), frame["label"], n.percent(frame["score"], 0))]
    if mark == "broken":
        lines.append(("true", frame["truth"], ""))
    return Shot(frame["thumbnail"], f"Frame {frame['frame']}", mark, sign, word, tuple(lines))


def _was(number: int) -> str:
    return "was" if number == 1 else "were"
