"""What `edgecnn predict`, `camera` and `demo` say of pictures, a live source and a clip."""

from typing import Any, Final

from edgecnn.report.shapes.kinds import Each, Maybe

PREDICT: Final[dict[str, Any]] = {
    "schema": "text",
    "image": "text",
    "predictions": [{"label": "text", "index": "count", "score": "share"}],
    "latency_ms": Maybe("amount"),
    "unknown?": "flag",
    "thumbnail?": Maybe("picture"),
}
CAMERA: Final[dict[str, Any]] = {
    "schema": "text",
    "source?": "text",
    "model?": "text",
    "frames": "count",
    "fps": Maybe("amount"),
    "seconds": "amount",
    "p50_ms": Maybe("amount"),
    "p90_ms": Maybe("amount"),
    "age_p50_ms": Maybe("amount"),
    "age_p90_ms": Maybe("amount"),
    "stages": {name: Maybe("amount") for name in ("read_ms", "preprocess_ms", "invoke_ms", "postprocess_ms")},
    "labels": Each("count"),
    "dropped": "count",
    "skipped": "count",
    "reconnects": "count",
    "threads": "count",
    "temperature_c": Maybe("number"),
    "hottest_c": Maybe("number"),
    "throttled": Maybe(["text"]),
    "drift?": Maybe({"begun": "count", "seconds": Each("amount"), "now": Maybe("text")}),
    "saved?": "count",
    "full?": "flag",
    "left_out?": "count",
}
DEMO: Final[dict[str, Any]] = {
    "schema": "text",
    "frames": [
        {
            "frame": "count",
            "label": "text",
            "score": "share",
            "truth": Maybe("text"),
            "thumbnail": Maybe("picture"),
        }
    ],
    "clip?": "any",
    "summary?": "any",
}
