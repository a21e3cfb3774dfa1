"""What the stages before quantization bought, against the same model quantized without them."""

import gzip
from typing import Any, Final

from edgecnn.bundle.tflite import describe
from edgecnn.measure.benchmark import benchmark
from edgecnn.runtime.classifier import Classifier

_RUNS: Final = 200
_NOTICED: Final = 0.03  # smaller changes of size or latency are called none


def gains(plain: Classifier, plain_content: bytes, output: Classifier, content: bytes) -> dict[str, Any]:
    """Sizes and latencies side by side, and in words.

    Args:
        plain: the original, quantized as the output is.

    Returns:
        {"plain", "output"} of {"size_bytes", "gzip_bytes", "macs", "parameters", "sparsity", "p50_ms"} each, and
        {"words"}: one sentence for each of file, gzip and latency.
    """
    timings = benchmark([plain, output], runs=_RUNS, max_seconds=10)
    before, after = (
        _figures(model, timing.p50_ms) for model, timing in zip((plain_content, content), timings, strict=True)
    )
    words = [
        _sentence("file", before["size_bytes"], after["size_bytes"], "smaller", "larger"),
        _sentence("gzip", before["gzip_bytes"], after["gzip_bytes"], "smaller", "larger"),
        _sentence("latency", before["p50_ms"], after["p50_ms"], "faster", "slower"),
    ]
    return {"plain": before, "output": after, "words": words}


def _figures(content: bytes, latency: float) -> dict[str, Any]:
    info = describe(content)
    return {
        "size_bytes": len(content),
        "gzip_bytes": len(gzip.compress(content, 9)),
        "macs": info.macs,
        "parameters": info.parameters,
        "sparsity": round(info.sparsity, 6),
        "p50_ms": latency,
    }


def _sentence(what: str, before: float, after: float, better: str, worse: str) -> str:
    ratio = before / after
    if abs(ratio - 1) < _NOTICED:
        return f"{what}: no gain from pruning, clustering or training with int8"
    return f"{what}: {ratio:.2f} x {better}" if ratio > 1 else f"{what}: {1 / ratio:.2f} x {worse}, no gain"
