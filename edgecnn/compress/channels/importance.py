"""How much a network would miss each of its coupled channels.

Of all parameters that go with a channel, those that other layers use to read it included:

- "magnitude": the root of the sum of their squares (Li et al. 2017; over a whole group as in Fang et al. 2023);
- "batchnorm": the mean size of its batch normalization scales (Liu et al. 2017, "network slimming");
- "taylor": the root of the mean square, over batches, of the change of the loss that removing them would make to first
  order, the sum of parameter times gradient (Molchanov et al. 2019).

In a group, values are divided by their mean, so that groups can be compared.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.compress.channels.coupling import Coupling, Site
from edgecnn.errors import EdgecnnError

IMPORTANCE: Final = ("magnitude", "batchnorm", "taylor")

# From a batch (pictures, labels, weights of the loss) to the gradients of the weights of every site.
Gradients = Callable[[Any], Sequence[Sequence[NDArray[np.float32]]]]


def importance(
    coupling: Coupling, kind: str, gradients: Gradients | None = None, batches: Iterable[Any] = ()
) -> NDArray[np.float64]:
    """Importance of each coupled channel, (numbers,), 1 on average in every group.

    Args:
        gradients, batches: needed by "taylor".

    Raises:
        EdgecnnError: no such kind, "batchnorm" for a network without batch normalization, or no batches.
    """
    if kind == "magnitude":
        values = np.sqrt(_sums(coupling, [[weight**2 for weight in site_weights(site)] for site in coupling.sites]))
    elif kind == "batchnorm":
        values = _scales(coupling)
    elif kind == "taylor" and gradients:
        values = _taylor(coupling, gradients, batches)
    else:
        raise EdgecnnError(f"expected importance to be one of {', '.join(IMPORTANCE)}, got {kind!r}")
    for group in coupling.groups:
        mean = values[group.ids].mean()
        values[group.ids] = values[group.ids] / mean if mean > 0 else 1.0
    return values


def site_weights(site: Site) -> list[NDArray[np.float32]]:
    """Values of a layer's weights."""
    return [np.asarray(weight) for weight in site.layer.get_weights()]


def _sums(coupling: Coupling, arrays: Sequence[Sequence[NDArray[np.floating[Any]]]]) -> NDArray[np.float64]:
    """For each number, the sum of all elements of arrays like the sites' weights that go with its channels."""
    totals = np.zeros(coupling.count)
    for site, weights in zip(coupling.sites, arrays, strict=True):
        for array, axes in zip(weights, site.axes, strict=True):
            for axis, ids in enumerate(axes):
                if ids is not None:
                    others = tuple(i for i in range(array.ndim) if i != axis)
                    np.add.at(totals, ids, array.sum(axis=others, dtype=np.float64))
    return totals


def _scales(coupling: Coupling) -> NDArray[np.float64]:
    sizes, counts = np.zeros(coupling.count), np.zeros(coupling.count)
    for site in coupling.sites:
        if type(site.layer).__name__ == "BatchNormalization" and site.layer.scale:
            np.add.at(sizes, site.outputs, np.abs(np.asarray(site.layer.gamma)))
            np.add.at(counts, site.outputs, 1)
    if not counts.any():
        raise EdgecnnError(
            "importance batchnorm needs BatchNormalization layers with a scale; take magnitude or taylor"
        )
    # Channels without a scale of their own count as average ones.
    return np.where(counts > 0, sizes / np.maximum(counts, 1), sizes.sum() / counts.sum())


def _taylor(coupling: Coupling, gradients: Gradients, batches: Iterable[Any]) -> NDArray[np.float64]:
    squares, count = np.zeros(coupling.count), 0
    for batch in batches:
        products = [
            [weight * gradient for weight, gradient in zip(site_weights(site), of_site, strict=True)]
            for site, of_site in zip(coupling.sites, gradients(batch), strict=True)
        ]
        squares += _sums(coupling, products) ** 2
        count += 1
    if not count:
        raise EdgecnnError("importance taylor needs training pictures; take magnitude or batchnorm")
    return np.sqrt(squares / count)
