"""What `edgecnn explain` says of a picture: which pixels speak for a class, by one model or two."""

from typing import Any, Final

from edgecnn.report.shapes.kinds import Maybe

# "mass" is the share of what speaks for the class in the best tenth of the pixels; "map" at most 32 x 32 pixels of it,
# stretched to [0, 1]; "size" the height and width of the model's input.
_SIDE: Final = {
    "model": "text",
    "sha256": "text",
    "label": "text",
    "index": "count",
    "score": "share",
    "method": "text",
    "size": ("count", "count"),
    "mass": "share",
    "map": [["share"]],
    "overlay": "picture",
    "seconds": "amount",
}
_AGAINST: Final = _SIDE | {"correlation": Maybe("number"), "rank_correlation": Maybe("number")}
_FEATURES: Final = {"layer": "text", "shown": "count", "channels": "count", "picture": "picture"}
EXPLAIN: Final[dict[str, Any]] = {
    "schema": "text",
    "image": "text",
    **_SIDE,
    "picture?": Maybe("picture"),
    "against": Maybe(_AGAINST),
    "features?": Maybe([_FEATURES]),
    "samples?": "count",
    "seed?": "count",
    "notes": ["text"],
}
