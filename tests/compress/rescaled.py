"""The small network with channels scaled apart: the same function, bad for int8."""

import numpy as np

from edgecnn.bundle.weights import biases_of, weighted_layers, with_layers


def rescaled(network: bytes, seed: int, decades: float) -> bytes:
    """The network of conftest; each channel between its layers times up to 10 to the power of +-`decades`."""
    random = np.random.default_rng(seed)
    (conv, deep, dense), (b1, b2, b3) = weighted_layers(network), biases_of(network)
    s, t = (10 ** random.uniform(-decades, decades, 8) for _ in range(2))
    values = [
        (conv.weights * s.reshape(-1, 1, 1, 1), b1 * s),
        (deep.weights / s * t, b2 * t),
        (dense.weights / t, b3),
    ]
    return with_layers(network, [(np.asarray(w, np.float32), np.asarray(b, np.float32)) for w, b in values])
