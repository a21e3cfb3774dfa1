"""Which models several records are about: what is known of each, joined by the SHA-256 of its file."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgecnn.report import comparison as c
from edgecnn.report import numbers as n
from edgecnn.report.schema import kind_of

# Data that two accuracies can be compared on: labels, split, number of images.
Data = tuple[tuple[str, ...], str | None, int]


@dataclass(frozen=True)
class Accuracy:
    """Top-1 on some data, a share in [0, 1], with its 95 % interval."""

    top1: float
    bounds: tuple[float, float] | None


@dataclass
class Model:
    """What all records together say of one model.

    Attributes:
        hashes: SHA-256 of its file, and of the file it was exported from.
        base: the model that it was made from, or is compared with.
        word: what its conversion calls it: "float", "int8", …
        timings: its `benchmark` records; proof: the one that its conversion made.
        agreement: share of images with the base's label.
        sources: the records that know it: their kinds, and their places where each stands for itself.
    """

    name: str
    hashes: set[str]
    base: "Model | None" = None
    word: str = ""
    size: int | None = None
    gzip: int | None = None
    accuracies: dict[Data, Accuracy] = field(default_factory=dict)
    timings: list[dict[str, Any]] = field(default_factory=list)
    proof: dict[str, Any] | None = None
    agreement: float | None = None
    sources: set[tuple[str, int]] = field(default_factory=set)

    @property
    def timing(self) -> dict[str, Any] | None:
        """The `benchmark` record with the fewest threads; that of the conversion where there is no other."""
        return min(self.timings, key=lambda record: int(record["threads"]), default=self.proof)

    def timed_with(self, other: "Model") -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Its own timing and the other's, of one kind of run, as many threads and one processor; None without such.

        Models take turns inside a run; between runs the machine's mood changes.
        """
        for own in sorted(self.timings, key=lambda record: int(record["threads"])):
            for theirs in other.timings:
                if own["threads"] == theirs["threads"] and _processor(own) == _processor(theirs):
                    return own, theirs
        if self.proof and other.proof and _processor(self.proof) == _processor(other.proof):
            return self.proof, other.proof
        return None


def names_of(records: Sequence[dict[str, Any]]) -> list[str]:
    """File names; where they repeat, with the number of threads or the place in the list."""
    names = [n.file_name(record["model"]) for record in records]
    if len(set(names)) < len(names) and "threads" in records[0]:
        names = [f"{name}, {n.noun(item['threads'], 'thread')}" for name, item in zip(names, records, strict=True)]
    repeated = Counter(names)
    return [f"{name} ({place})" if repeated[name] > 1 else name for place, name in enumerate(names, 1)]


def short_names(records: Sequence[dict[str, Any]]) -> list[str]:
    """What charts call the models: the words in which their names differ, else as `names_of` does."""
    short = n.tell_apart([record["model"] for record in records])
    return short if len(set(short)) == len(records) else names_of(records)


def models_of(records: Iterable[dict[str, Any]]) -> list[Model]:
    """Every model of some records once: conversions first, then the others in their order."""
    models: list[Model] = []
    order = {"convert": 0, "compare": 1, "train": 2, "evaluate": 3, "benchmark": 4}
    known = [(kind_of(record), place, record) for place, record in enumerate(records)]
    for kind, place, record in sorted(known, key=lambda item: order.get(item[0], 9)):
        if kind == "convert":
            _add_conversion(models, record, place)
        elif kind == "compare":
            _add_comparison(models, record, place)
        elif kind in ("train", "evaluate"):
            found = record["evaluation"] | {"split": record["split"]} if kind == "train" else record
            model = _find(models, n.file_name(record["model"]), {record["sha256"]}, (kind, 0))
            _know(model, _data(found["labels"], found), found["top1"], c.top1_interval(found), first=kind == "evaluate")
        elif kind == "benchmark":
            model = _find(models, n.file_name(record["model"]), {record["sha256"]}, ("benchmark", 0))
            model.timings.append(record)
            model.size = model.size or record["size_bytes"]
    return models


def belong_together(models: Iterable[Model]) -> bool:
    """Whether some model is in more than one record, those of other threads or data not counted."""
    return any(len(model.sources) > 1 for model in models)


def common_data(models: Sequence[Model]) -> Data | None:
    """The data that most models were measured on, of several that with most images; None where none was."""
    counts = Counter(data for model in models for data in model.accuracies)
    return max(counts, key=lambda data: (counts[data], data[2]), default=None)


def _add_conversion(models: list[Model], record: dict[str, Any], place: int) -> None:
    evaluation, timings = record.get("evaluation") or {}, record.get("benchmark") or (None, None)
    bounds, accuracy = c.intervals(record), record["accuracy"]
    data = _data(record["label_names"], accuracy)
    pair = []
    for side, name, timing in (("float", record["model"], timings[0]), ("output", record["output"], timings[1])):
        own = record["sha256"] if side == "output" else record["model_sha256"]
        hashes = {own, *(item["sha256"] for item in (evaluation.get(side), timing) if item)}
        model = _find(models, n.file_name(name), hashes, ("convert", place))
        prefix = "" if side == "output" else "float_"
        model.word = model.word or ("float" if side == "float" else c.short_name(record))
        model.size, model.gzip = record[f"{prefix}size_bytes"], record[f"{prefix}gzip_bytes"]
        _know(model, data, accuracy[side], bounds[side])
        model.proof = model.proof or timing
        pair.append(model)
    _relate(pair[0], pair[1], accuracy["agreement"])


def _add_comparison(models: list[Model], record: dict[str, Any], place: int) -> None:
    pair = []
    for side in ("float", "quantized"):
        item = record[side]
        model = _find(models, n.file_name(item["model"]), {item["sha256"]}, ("compare", place))
        model.size = model.size or item["size_bytes"]
        stored = record[f"{side}_ci95"]
        _know(model, _data(record["labels"], record), record[f"{side}_top1"], tuple(stored) if stored else None)
        pair.append(model)
    _relate(pair[0], pair[1], record["agreement"])


def _processor(timing: dict[str, Any]) -> str:
    return n.plain(timing["machine"].get("cpu"))


def _find(models: list[Model], name: str, hashes: set[str], source: tuple[str, int]) -> Model:
    """The model with one of the hashes, or a new one."""
    model = next((model for model in models if model.hashes & hashes), None)
    if model is None:
        model = Model(name, set())
        models.append(model)
    model.hashes |= hashes
    model.sources.add(source)
    return model


def _data(labels: Sequence[str], record: dict[str, Any]) -> Data:
    return tuple(labels), record["split"], record["samples"]


def _know(
    model: Model, data: Data, top1: float | None, bounds: tuple[float, float] | None, *, first: bool = False
) -> None:
    """Keep an accuracy; `first` where it counts more than one that is known."""
    if top1 is not None and (first or data not in model.accuracies):
        model.accuracies[data] = Accuracy(top1, bounds)


def _relate(base: Model, model: Model, agreement: float | None) -> None:
    if model.base is None and model is not base and base.base is not model:
        model.base = base
        model.agreement = agreement
