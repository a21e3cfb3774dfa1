"""The evidence behind a conversion: full evaluation, latency and memory side by side, pictures to look at."""

from typing import Any

from edgecnn.convert.result import ConvertResult
from edgecnn.data.dataset import Dataset
from edgecnn.files import sha256_bytes
from edgecnn.measure.benchmark import benchmark, benchmark_record
from edgecnn.measure.examples import pick_examples
from edgecnn.measure.machine import fingerprint


def prove(result: ConvertResult, dataset: Dataset, *, runs: int = 200, threads: int = 1) -> dict[str, Any]:
    """The `convert` record with "evaluation", "benchmark" (float first), "examples" and "machine" added.

    Args:
        dataset: the one the conversion was measured on; pictures are read from it.
        runs: timed inferences a model, the two taking turns.
        threads: of the interpreter.
    """
    pair = [result.classifier(float_model=True, threads=threads), result.classifier(threads=threads)]
    timings = benchmark(pair, dataset.read(result.scores.samples[0]), runs=runs)
    record = result.to_dict()
    names = [f"{result.output.stem} ({kind})" for kind in ("float32", result.config.quantize)]
    record["benchmark"] = [
        benchmark_record(
            name,
            content,
            timing,
            size=result.preprocess.size,
            to=(names[0], threads),
            source=f"one image of {dataset.name}",
        )
        for name, content, timing in zip(names, (result.float_content, result.content), timings, strict=True)
    ]
    if len(result.scores.probabilities) > 1:
        record["examples"] = pick_examples(dataset, result.scores, result.labels)
    evaluations = result.evaluations()
    if evaluations:
        record["evaluation"] = {
            name: {"schema": "edgecnn.evaluate/1", "model": f"{result.output.name} ({name})", "data": dataset.name}
            | {"sha256": sha256_bytes(content), "split": result.accuracy["split"]}
            | evaluations[name]
            for name, content in (("float", result.float_content), ("output", result.content))
        }
    return record | {"machine": fingerprint()}
