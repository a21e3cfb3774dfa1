"""The sections of a report in their order, whatever its format."""

from collections.abc import Sequence
from typing import Any

from edgecnn.report import numbers as n
from edgecnn.report.blocks import Section
from edgecnn.report.schema import kind_of
from edgecnn.report.sections.about import inspected, installation
from edgecnn.report.sections.benchmark import benchmarks
from edgecnn.report.sections.comparing import comparison
from edgecnn.report.sections.conversion import conversion
from edgecnn.report.sections.evaluation import evaluations
from edgecnn.report.sections.explanation import explanations
from edgecnn.report.sections.live import camera, demo, predictions
from edgecnn.report.sections.robustness import robustness
from edgecnn.report.sections.sensitivity import sensitivity
from edgecnn.report.sections.summary import summary
from edgecnn.report.sections.training import training


def sections_of(records: Sequence[dict[str, Any]]) -> list[Section]:
    """A summary where several records are of the same models; then one section a record, or one for all of a kind.

    Texts hold no character that a format could not show.
    """
    records = n.printable(list(records))
    kinds: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        kinds.setdefault(kind_of(record), []).append(record)
    opening = summary(records)
    found = [opening] if opening else []
    found += [training(record) for record in kinds.get("train", [])]
    found += [conversion(record) for record in kinds.get("convert", [])]
    found += [comparison(record) for record in kinds.get("compare", [])]
    found += [sensitivity(record) for record in kinds.get("sensitivity", [])]
    found += [evaluations(kinds["evaluate"])] if "evaluate" in kinds else []
    found += [benchmarks(kinds["benchmark"])] if "benchmark" in kinds else []
    found += [explanations(kinds["explain"])] if "explain" in kinds else []
    found += [robustness(record) for record in kinds.get("robustness", [])]
    found += [camera(record) for record in kinds.get("camera", [])]
    found += [predictions(kinds["predict"])] if "predict" in kinds else []
    found += [demo(record) for record in kinds.get("demo", [])]
    found += [inspected(record) for record in kinds.get("inspect", [])]
    return found + [installation(record) for record in kinds.get("doctor", [])]
