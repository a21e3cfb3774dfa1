"""A network without some of its channels: smaller layers of the same kinds, with the weights that are left."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.compress.channels.coupling import Coupling
from edgecnn.keras_io.graph import flat_copy


def shrink(model: Any, coupling: Coupling, keep: NDArray[np.bool_]) -> Any:
    """Remove channels for good.

    Args:
        model: the network that `coupling` was traced from.
        keep: by number, whether the channel stays.

    Returns:
        A plain keras.Model of smaller layers with the same names; no masks and no layers of our own.
    """
    sites = {site.layer.name: site for site in coupling.sites}

    def change(layer: Any) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        if not (site := sites.get(layer.name)):
            weights = layer.get_weights() if hasattr(layer, "get_weights") else []
            return _reshape(layer, coupling, keep), weights
        weights = []
        for weight, axes in zip(layer.get_weights(), site.axes, strict=True):
            for axis, ids in enumerate(axes):
                if ids is not None:
                    weight = np.compress(keep[ids], weight, axis)
            weights.append(weight)
        kept = int(keep[site.outputs].sum())
        kind = type(layer).__name__
        if kind == "Dense":
            return {"units": kept}, weights
        if kind == "SeparableConv2D":
            return {"filters": kept}, weights
        if kind == "Conv2D":
            depthwise = layer.groups == len(site.inputs) > 1
            return {"filters": kept} | ({"groups": int(keep[site.inputs].sum())} if depthwise else {}), weights
        return {}, weights

    return flat_copy(model, change=change)


def _reshape(layer: Any, coupling: Coupling, keep: NDArray[np.bool_]) -> dict[str, Any]:
    """What a Reshape must say about the channels that are left."""
    if type(layer).__name__ != "Reshape" or (ids := coupling.tensors.get(layer.name)) is None:
        return {}
    *others, last = layer.target_shape
    return {"target_shape": (*others, last if last == -1 else int(keep[ids].sum()))}
