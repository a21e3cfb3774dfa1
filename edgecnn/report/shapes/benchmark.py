"""What `edgecnn benchmark` says of one model with one number of threads."""

from typing import Any, Final

from edgecnn.report.shapes.kinds import Maybe

STAGES: Final = ("preprocess_ms", "invoke_ms", "postprocess_ms")
_PROFILE: Final = {
    "total_ms": "amount",
    "method": "text",
    "operators": [
        {"index": "count", "op": "text", "name": "text", "ms": "amount", "share": "share", "macs": Maybe("count")}
    ],
}
_SUSTAINED: Final = [
    {
        "seconds": "amount",
        "runs": "count",
        "p50_ms": "amount",
        "p99_ms": "amount",
        "temperature_c": Maybe("number"),
        "clock_mhz": Maybe("amount"),
        "throttled": Maybe("flag"),
    }
]
_GATE: Final = [
    {
        "rule": "text",
        "baseline": Maybe("number"),
        "value": Maybe("number"),
        "change": Maybe("text"),
        "passed": "flag",
    }
]
BENCHMARK: Final[dict[str, Any]] = {
    "schema": "text",
    "model": "text",
    "sha256": "text",
    "size_bytes": "count",
    "threads": "count",
    "runs": "count",
    "init_ms": Maybe("amount"),
    "first_ms": Maybe("amount"),
    "min_ms": "amount",
    "p50_ms": "amount",
    "p90_ms": "amount",
    "p99_ms": "amount",
    "mean_ms": "amount",
    "peak_rss_mb": Maybe("amount"),
    "stages": {name: Maybe("amount") for name in STAGES},
    "machine": "table",
    "versions": "table",
    "histogram?": Maybe([("amount", "count")]),
    "warmup?": Maybe({"runs": "count", "steady": "flag"}),
    "input?": Maybe("text"),
    "ratio?": Maybe(
        {
            "to": "text",
            "to_threads": "count",
            "value": "amount",
            "ci95": Maybe(("amount", "amount")),
            "undisturbed?": "amount",
            "rounds": "count",
        }
    ),
    "macs?": Maybe("count"),
    "gmacs_per_s?": Maybe("amount"),
    "peak?": Maybe({"gmacs_per_s": "amount", "share": "amount", "dtype": "text"}),
    "profile?": Maybe(_PROFILE),
    "sustained?": Maybe(_SUSTAINED),
    "top1?": Maybe("share"),
    "gate?": Maybe(_GATE),
}
