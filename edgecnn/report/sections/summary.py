"""What all records together say of their models: one sentence, one table, accuracy against cost."""

from collections.abc import Iterator, Sequence
from typing import Any

from edgecnn.report import comparison as c
from edgecnn.report import numbers as n
from edgecnn.report import pareto
from edgecnn.report.blocks import Cell, Figure, Grid, Part, Section, Table, Verdict, Words, text_cell
from edgecnn.report.models import Accuracy, Model, belong_together, common_data, models_of
from edgecnn.report.schema import kind_of
from edgecnn.report.verdict import Clause, accuracy_clause, sentence, size_clause, speed_clause, worst

_SENTENCES = 4  # models that are each told against the one they were made from


def summary(records: Sequence[dict[str, Any]]) -> Section | None:
    """The page's opening, or None where no model is in more than one record."""
    models = models_of(records)
    if not belong_together(models):
        return None
    names, short = _names(models), _short_names(models)
    return Section(
        title="All together",
        subtitle="",
        verdict=judge_models(models, short, records),
        tiles=(),
        parts=(Part("", (_table(models, names), Words(_legend(models), is_small=True))), *_costs(models, short)),
    )


def judge_models(models: list[Model], names: list[str], records: Sequence[dict[str, Any]]) -> Verdict:
    """One model against the one it was made from; of more, the best of each kind. What was missed comes first."""
    pairs = [(model, _clauses(model, models, names)) for model in models if model.base]
    told = [(sentence(_name(model, models, names), clauses), clauses) for model, clauses in pairs if clauses]
    alarms = list(_alarms(records))
    if len(told) == 1 and len(models) == 2:
        headline, clauses = told[0]
        remarks: list[str] = []
        levels = [clause.level for clause in clauses]
    else:
        headline = _best(models, names)
        remarks = [text for text, _ in told[:_SENTENCES]]
        levels = ["plain"]
    if alarms:
        headline = f"{'; '.join(alarms)}. {headline}"
        levels.append("bad")
    return Verdict(worst(levels), headline, (*remarks, *_cautions(models, names)))


def _name(model: Model, models: list[Model], names: list[str]) -> str:
    return names[next(place for place, item in enumerate(models) if item is model)]


def _short_names(models: Sequence[Model]) -> list[str]:
    """What sentences and charts call the models: the words of conversions, or in what their names differ."""
    for found in ([model.word for model in models], n.tell_apart([model.name for model in models])):
        if all(found) and len(set(found)) == len(found):
            return found
    return _names(models)


def _names(models: Sequence[Model]) -> list[str]:
    """File names, told apart by their places where they repeat."""
    names = [model.name for model in models]
    return [f"{name} ({place})" if names.count(name) > 1 else name for place, name in enumerate(names, 1)]


def _clauses(model: Model, models: list[Model], names: list[str]) -> list[Clause]:
    """What became of a model's base, as far as both were measured alike."""
    base = model.base
    if base is None:
        return []
    data, name, found = common_data([base, model]), _name(base, models, names), []
    if data and data in base.accuracies and data in model.accuracies:
        found.append(accuracy_clause(base.accuracies[data].top1, model.accuracies[data].top1, name))
    if base.size and model.size:
        found.append(size_clause(base.size, model.size, name))
    times = _times(model)
    speed = speed_clause(*times, name) if times else None
    return [*found, *([speed] if speed else [])]


def _times(model: Model) -> tuple[float, float] | None:
    """Medians of the base and the model in milliseconds, if they were measured alike."""
    found = model.base.timed_with(model) if model.base else None
    return (found[0]["p50_ms"], found[1]["p50_ms"]) if found else None


def _timing(model: Model, models: list[Model]) -> dict[str, Any] | None:
    """The timing to show: of the run that most models were in."""
    alone = sum(bool(item.timings) for item in models)
    return model.proof if model.proof and alone < sum(bool(item.proof) for item in models) else model.timing


def _best(models: list[Model], names: list[str]) -> str:
    """Which model is the most accurate, the fastest, the smallest."""
    data, found = common_data(models), []
    scored = [(model.accuracies[data].top1, name) for model, name in zip(models, names, strict=True)
              if data and data in model.accuracies]  # fmt: skip
    timed = [
        (timing["p50_ms"], name)
        for model, name in zip(models, names, strict=True)
        if (timing := _timing(model, models))
    ]
    sized = [(model.size, name) for model, name in zip(models, names, strict=True) if model.size]
    if len(models) == 1:
        words = [f"is right on {n.percent(top1)}" for top1, _ in scored]
        words += [f"takes {n.milliseconds(p50)} an inference" for p50, _ in timed]
        words += [f"has {n.size(size)}" for size, _ in sized]
        return f"{names[0]} {', '.join(words)}." if words else f"{names[0]}."
    if scored:
        top1, name = max(scored, key=lambda item: item[0])
        found.append(f"{name} is the most accurate ({n.percent(top1)})")
    if timed:
        p50, name = min(timed, key=lambda item: float(item[0]))
        found.append(f"{name} the fastest ({n.milliseconds(p50)})")
    if sized:
        size, name = min(sized, key=lambda item: int(item[0]))
        found.append(f"{name} the smallest ({n.size(size)})")
    return f"Of {n.noun(len(models), 'model')} {', '.join(found)}." if found else f"{n.noun(len(models), 'model')}."


def _alarms(records: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Budgets and gates that were missed."""
    for record in records:
        kind = kind_of(record)
        if kind == "convert" and c.budget_is_missed(record):
            yield f"BUDGET MISSED by {n.file_name(record['output'])}"
        if kind == "compare" and not record["within_budget"]:
            yield f"BUDGET MISSED by {n.file_name(record['quantized']['model'])}"
        if kind == "benchmark" and not all(rule["passed"] for rule in record.get("gate") or []):
            yield f"GATE FAILED by {n.file_name(record['model'])}"


def _cautions(models: list[Model], names: list[str]) -> Iterator[str]:
    data = common_data(models)
    others = sum(bool(model.accuracies) and data not in model.accuracies for model in models)
    if others:
        yield "Not all models were measured on the same images: only accuracies on the same ones can be compared."
    machines = {n.plain(timing["machine"].get("cpu")) for model in models if (timing := _timing(model, models))}
    if len(machines) > 1:
        yield "Not all models were timed on the same machine: only latencies of the same one can be compared."
    for model, name in zip(models, names, strict=True):
        if model.base and data in model.accuracies and data in model.base.accuracies and model.agreement is not None:
            points = 100 * (model.accuracies[data].top1 - model.base.accuracies[data].top1)
            spread = c.noise(model.agreement, data[2] if data else 0)
            if spread is not None:
                told = "more than" if abs(points) > spread else "within"
                yield (
                    f"{name}: the change of top-1 of {n.points(points)} is {told} what chance explains "
                    f"(±{spread:.2f}, 95{n.SPACE}%)."
                )


def _table(models: list[Model], names: list[str]) -> Table:
    data = common_data(models)
    columns = {
        "Top-1": [_accuracy(model, data) for model in models],
        "Change": [_change(model) for model in models],
        "Same label": [_share(model.agreement) for model in models],
        "File size": [_size(model.size, model.base.size if model.base else None) for model in models],
        "gzip": [_size(model.gzip, model.base.gzip if model.base else None) for model in models],
        "Inference p50": [_latency(_timing(model, models)) for model in models],
        "Speed-up": [_speed(model) for model in models],
        "Peak memory": [_memory(_timing(model, models)) for model in models],
    }
    kept = {head: cells for head, cells in columns.items() if any(cell.text != n.NONE for cell in cells)}
    heads = [text_cell(name, _against(model, models, names)) for model, name in zip(models, names, strict=True)]
    rows = tuple(zip(heads, *kept.values(), strict=True)) if kept else tuple((head,) for head in heads)
    return Table("All models", ("Model", *kept), rows, look="dense")


def _against(model: Model, models: list[Model], names: list[str]) -> str:
    return f"against {_name(model.base, models, names)}" if model.base else ""


def _accuracy(model: Model, data: Any) -> Cell:
    known: Accuracy | None = model.accuracies.get(data) or next(iter(model.accuracies.values()), None)
    if known is None:
        return text_cell(n.NONE)
    other = "" if data in model.accuracies else "other images"
    return Cell(known.top1, n.percent(known.top1, 2), c.interval_text(known.bounds) or other)


def _change(model: Model) -> Cell:
    base = model.base
    data = common_data([base, model]) if base else None
    if base is None or data not in base.accuracies or data not in model.accuracies:
        return text_cell(n.NONE)
    points = 100 * (model.accuracies[data].top1 - base.accuracies[data].top1)
    spread = c.noise(model.agreement, data[2]) if data else None
    is_better = None if spread is None or abs(points) <= spread else points > 0
    return Cell(points, n.points(points), tone=c.tone(is_better))


def _share(value: float | None) -> Cell:
    return Cell(value, n.percent(value, 2)) if value is not None else text_cell(n.NONE)


def _size(value: int | None, before: int | None) -> Cell:
    if value is None:
        return text_cell(n.NONE)
    change = n.change(before, value, "smaller", "larger") if before else ""
    return Cell(value, n.size(value), "" if change == n.NONE else change)


def _latency(timing: dict[str, Any] | None) -> Cell:
    if timing is None:
        return text_cell(n.NONE)
    return Cell(timing["p50_ms"], n.milliseconds(timing["p50_ms"]), n.noun(timing["threads"], "thread"))


def _speed(model: Model) -> Cell:
    times = _times(model)
    factor = n.divide(*times) if times else None
    if times is None or not factor:
        return text_cell(n.NONE)
    is_better = None if abs(factor - 1) < 0.03 else factor > 1
    return Cell(factor, n.change(*times, "faster", "slower"), tone=c.tone(is_better))


def _memory(timing: dict[str, Any] | None) -> Cell:
    value = timing["peak_rss_mb"] if timing else None
    return Cell(value, n.megabytes(value)) if value is not None else text_cell(n.NONE)


def _legend(models: list[Model]) -> str:
    data = common_data(models)
    text = "Models are the same where the SHA-256 of their files is."
    if data:
        split = f" of the {data[1]} split" if data[1] else ""
        text = f"Top-1 of {n.noun(data[2], 'image')}{split}, with its 95{n.SPACE}% interval. {text}"
    return text


def _costs(models: list[Model], names: list[str]) -> Iterator[Part]:
    """Accuracy against latency and size, of the models that were measured on the same images."""
    data = common_data(models)
    known = [
        (model, name, model.accuracies[data])
        for model, name in zip(models, names, strict=True)
        if data in model.accuracies
    ]
    bases = [model.base for model in models]

    def option(model: Model, name: str, accuracy: Accuracy, cost: float, reach: float | None) -> pareto.Option:
        role = "float" if model in bases else "output"
        return pareto.Option(name, accuracy.top1, cost, accuracy.bounds, reach, role)

    timed = [
        option(model, name, accuracy, timing["p50_ms"], timing["p90_ms"])
        for model, name, accuracy in known
        if (timing := _timing(model, models))
    ]
    sized = [option(model, name, accuracy, model.size, None) for model, name, accuracy in known if model.size]
    drawn = [chart for chart in (pareto.latency_chart(timed), pareto.size_chart(sized)) if chart]
    if drawn:
        words = (
            "Upright lines are 95 % intervals of accuracy, lines to the right reach to the 90th percentile of latency. "
            "No model beats those on the stepped line in both."
        )
        yield Part("Accuracy against cost", (Grid(tuple(map(Figure, drawn))), Words(words, is_small=True)))
