"""edgecnn's benchmark against the benchmark in LiteRT's own wheel, and against itself.

    python -m tools.benchmark_reference MODEL... [--alternations 10] [--runs 200] [--warmup 50]
    python -m tools.benchmark_reference FLOAT INT8 --repeat 5

The first line times each model with both, in turn, and prints the ratio of their medians (edgecnn's over LiteRT's).
Both measure in a process of their own that does nothing else: where a process puts a model in memory changes small
models by some percent for as long as it lives, so only several processes of each tell. LiteRT's tool
(`ai_edge_litert.tools.benchmark_litert_model`) runs `CompiledModel.run_by_name` again and again on one random input
and takes the median; it rounds its results to 0.01 ms, which is left out here. edgecnn's is
`edgecnn.measure.benchmark.benchmark`, the call behind the command. The interval is a bootstrap over pairs of processes.

The second line runs `edgecnn benchmark FLOAT INT8` N times, in processes of their own, and prints the spread of the
ratio between the two.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from typing import Any

import numpy as np

from edgecnn.measure.ratio import speed_ratio

REFERENCE = """
import ai_edge_litert.tools.benchmark_litert_model as tool
tool.round = lambda value, digits: value  # or the medians of small models were whole hundredths of a millisecond
tool.main()
"""

OURS = """
import json, sys
from edgecnn.measure.benchmark import benchmark, timing_classifier
from edgecnn.runtime.classifier import read_model
threads, runs, warmup, *models = sys.argv[1:]
classifiers = [timing_classifier(read_model(model), threads=int(threads)) for model in models]
timings = benchmark(classifiers, runs=int(runs), warmup=int(warmup), max_seconds=60.0)
print(json.dumps([{"p50_ms": t.p50_ms, "ratio": t.ratio and t.ratio.to_dict()} for t in timings]))
"""


def reference_p50(model: str, *, threads: int, runs: int, warmup: int) -> float:
    """Milliseconds of an inference, median, by LiteRT's tool in a new process."""
    with tempfile.TemporaryDirectory() as folder:
        result = os.path.join(folder, "result.json")
        options = {"model": model, "num_threads": threads, "num_runs": runs, "warmup_runs": warmup}
        _run(REFERENCE, *(f"--{name}={value}" for name, value in options.items()), f"--result_json={result}")
        with open(result, encoding="utf-8") as file:
            return float(json.load(file)["latency"]["median_ms"])


def our_timings(*models: str, threads: int, runs: int, warmup: int) -> list[dict[str, Any]]:
    """{"p50_ms", "ratio"} of each model by edgecnn in a new process; the ratio is to the first model."""
    lines = _run(OURS, str(threads), str(runs), str(warmup), *models).splitlines()
    return list(json.loads(lines[-1]))


def _run(program: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"the measuring process failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    return done.stdout


def compare(model: str, alternations: int, *, threads: int, runs: int, warmup: int) -> float:
    """Time a model with both tools in turn, who goes first changing each time; print and return the ratio."""
    ours, theirs = [], []
    for number in range(alternations):
        for turn in (number, number + 1):
            if turn % 2:
                theirs.append(reference_p50(model, threads=threads, runs=runs, warmup=warmup))
            else:
                ours.append(our_timings(model, threads=threads, runs=runs, warmup=warmup)[0]["p50_ms"])
    ratio = speed_ratio(np.array(ours), np.array(theirs))
    low, high = ratio.ci95
    print(
        f"{os.path.basename(model)}: edgecnn {statistics.median(ours):.4f} ms, LiteRT {statistics.median(theirs):.4f} "
        f"ms, ratio {ratio.value:.4f} (95 %: {low:.4f} to {high:.4f}, {alternations} processes each)",
        flush=True,
    )
    return ratio.value


def repeat(models: list[str], times: int, *, threads: int, runs: int, warmup: int) -> float:
    """Measure how many times faster the second model is than the first, again and again; print and return the spread.

    Returns:
        Largest undisturbed ratio over smallest, minus 1.
    """
    ratios: list[float] = []
    quiet: list[float] = []
    for number in range(1, times + 1):
        first, second = our_timings(*models, threads=threads, runs=runs, warmup=warmup)
        ratio, times_ms = second["ratio"], f"{first['p50_ms']:.4f} ms, {second['p50_ms']:.4f} ms"
        ratios.append(float(ratio["value"]))
        low, high = ratio["ci95"]
        quiet.append(float(ratio["undisturbed"]))
        text = f"ratio {ratios[-1]:.4f} ({low:.4f} to {high:.4f}), undisturbed {quiet[-1]:.4f}"
        print(f"run {number}: {times_ms}, {text}", flush=True)
    for name, found in (("ratio", ratios), ("undisturbed", quiet)):
        spread = max(found) / min(found) - 1
        print(f"{name} {min(found):.4f} to {max(found):.4f}: spread {spread:.2%} over {times} runs")
    return spread


def main(arguments: list[str] | None = None) -> None:
    """Compare with LiteRT's tool, or repeat a ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--alternations", type=int, default=10, help="processes of each tool a model")
    parser.add_argument("--repeat", type=int, help="repeat the ratio of two models so often instead")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=200, help="timed inferences a process")
    parser.add_argument("--warmup", type=int, default=50, help="inferences before them")
    given = parser.parse_args(arguments)
    options = {"threads": given.threads, "runs": given.runs, "warmup": given.warmup}
    if given.repeat:
        if len(given.models) != 2:
            parser.error("--repeat takes two models, FLOAT INT8")
        repeat(given.models, given.repeat, **options)
        return
    for model in given.models:
        compare(model, given.alternations, **options)


if __name__ == "__main__":
    main()
