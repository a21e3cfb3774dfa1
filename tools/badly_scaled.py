"""Make a float model bad for int8 without changing what it computes: a trial for the accuracy ladder.

    python -m tools.badly_scaled float.tflite bad.tflite --decades 3
    edgecnn convert bad.tflite -o rescued.tflite --data DATA --quantize auto --max-drop 1

Every channel between two layers is divided by its own power of ten, and the weights that read it are multiplied by the
same number. Networks get such channels from training with batch normalization, only not so many.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgecnn.bundle.bundle import open_bundle, seal
from edgecnn.compress.equalize import channel_pairs, rescale
from edgecnn.files import write_atomic
from edgecnn.runtime.classifier import read_model


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", type=Path, help="Float .tflite, its labels and preprocessing stay.")
    parser.add_argument("output", type=Path)
    parser.add_argument("--decades", type=float, default=3.0, help="Powers of ten, up and down.")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    content = read_model(options.model)
    changed, pairs = badly_scaled(content, options.decades, options.seed)
    write_atomic(options.output, changed)
    print(f"{options.output}: channels between {pairs} pairs of layers, each times up to 1e±{options.decades:g}")


def badly_scaled(content: bytes, decades: float, seed: int) -> tuple[bytes, int]:
    """The model with its channels scaled apart, and between how many pairs of layers.

    Args:
        content: float `.tflite`, sealed or not.
        decades: largest power of ten, either way.
    """
    random = np.random.default_rng(seed)
    pairs, _ = channel_pairs(content)
    scales = [10.0 ** random.uniform(-decades, decades, pair.channels) for pair in pairs]
    changed, bundle = rescale(content, pairs, scales), open_bundle(content)
    if bundle.card:
        changed = seal(changed, labels=bundle.labels, preprocess=bundle.card.preprocess, card=bundle.card)
    return changed, len(pairs)


if __name__ == "__main__":
    main()
