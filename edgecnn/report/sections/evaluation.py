"""One or several models on labelled data."""

from typing import Any

from edgecnn.report import charts, method
from edgecnn.report import comparison as c
from edgecnn.report import numbers as n
from edgecnn.report.blocks import Facts, Figure, Grid, Part, Section, Verdict, Words
from edgecnn.report.models import names_of, short_names
from edgecnn.report.sections.quality import quality_legend, quality_parts, quality_table


def evaluations(records: list[dict[str, Any]]) -> Section:
    """What `evaluate` records say."""
    named = list(zip(names_of(records), records, strict=True))
    drawn = list(zip(short_names(records), records, strict=True))
    dots = [
        (name, record["top1"], c.top1_interval(record), "output")
        for name, record in drawn
        if record["top1"] is not None
    ]
    first = [quality_table(named, "Accuracy"), Words(quality_legend(named), is_small=True)]
    figures = [Figure(charts.dot_chart("Top-1 accuracy, 95 % interval", dots))] if len(dots) > 1 else []
    return Section(
        title="Evaluation" if len(records) > 1 else f"Evaluation of {named[0][0]}",
        subtitle="",
        verdict=judge_evaluations(records),
        tiles=(),
        parts=(
            Part("", (*first, *([Grid(tuple(figures))] if figures else []))),
            *quality_parts(drawn),
            Part("How it was measured", (Facts(tuple(method.evaluation_facts(records))),)),
        ),
    )


def judge_evaluations(records: list[dict[str, Any]]) -> Verdict:
    """What one or several evaluated models score, and whether the order can be chance."""
    scored = [record for record in records if record["top1"] is not None]
    if not scored:
        return Verdict("plain", "No accuracy was measured: the data had no labels.")
    best = max(scored, key=lambda record: float(record["top1"]))
    bounds = c.top1_interval(best)
    known = f" (95{n.SPACE}% interval {c.interval_text(bounds)})" if bounds else ""
    headline = (
        f"{n.file_name(best['model'])} is right on {n.percent(best['top1'])} of "
        f"{n.noun(best['samples'], 'image')}{known}."
    )
    remarks = []
    if len(scored) > 1:
        headline = f"Best of {len(scored)} models: {headline}"
        if len({(record["data"], record["split"], record["samples"]) for record in scored}) > 1:
            remarks.append("The models were evaluated on different data: their accuracies cannot be compared.")
        elif _order_may_be_chance(scored):
            remarks.append("The intervals of the first two overlap: which of them is better may be chance.")
    skipped = sum(record["skipped"] for record in records)
    if skipped:
        remarks.append(
            f"{n.noun(skipped, 'image')} could not be read and {'was' if skipped == 1 else 'were'} left out."
        )
    return Verdict("plain", headline, tuple(remarks))


def _order_may_be_chance(scored: list[dict[str, Any]]) -> bool:
    first, second = sorted(scored, key=lambda record: float(record["top1"]), reverse=True)[:2]
    upper, lower = c.top1_interval(first), c.top1_interval(second)
    return upper is not None and lower is not None and upper[0] <= lower[1]
