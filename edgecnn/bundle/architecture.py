"""A summary of what a model is made of, layer by layer: what the report shows of it."""

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from edgecnn.bundle.layers import operations
from edgecnn.bundle.tflite import describe, work


def architecture(content: bytes) -> dict[str, Any]:
    """Layers by their names in Keras, in the order of execution, and operators by their number.

    Args:
        content: a `.tflite`.

    Returns:
        {"input": [height, width, channels], "parameters", "macs", "operators": [{"op", "count", "macs"}], the most work
        first, "layers": [{"name", "op", "output": shape without the batch, "parameters", "macs"}]}.

    Raises:
        ModelError: no TFLite model, or a damaged one.
    """
    info = describe(content)
    layers = list(_layers(content))
    counts, macs = Counter(layer["op"] for layer in layers), Counter[str]()
    for layer in layers:
        macs[layer["op"]] += layer["macs"]
    return {
        "input": list(info.inputs[0].shape[1:]),
        "parameters": info.parameters,
        "macs": info.macs,
        "operators": [
            {"op": op, "count": count, "macs": macs[op]}
            for op, count in sorted(counts.items(), key=lambda item: (-macs[item[0]], -item[1], item[0]))
        ],
        "layers": layers,
    }


def _layers(content: bytes) -> Iterator[dict[str, Any]]:
    """Operators that follow each other and belong to one layer, as one row; its kind is that with the most work."""
    steps = (step for step in zip(operations(content), work(content), strict=True) if not step[1].is_constant)
    for name, group in groupby(steps, key=lambda step: step[0].layer):
        members = list(group)
        heaviest = max(members, key=lambda step: step[1].macs)
        yield {
            "name": name,
            "op": heaviest[0].kind,
            "output": [max(0, n) for n in members[-1][1].output[1:]],
            "parameters": sum(each.parameters for _, each in members),
            "macs": sum(each.macs for _, each in members),
        }
