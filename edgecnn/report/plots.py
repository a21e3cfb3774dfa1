"""Plots as PNG files, for those who want a picture and no page."""

import io
from collections.abc import Sequence
from typing import Any

from edgecnn.errors import MissingExtraError


def sensitivity_png(layers: Sequence[dict[str, Any]], title: str) -> bytes:
    """Bars of what each layer's quantization costs, the worst on top, as a PNG 1000 pixels wide.

    Args:
        layers: `edgecnn sensitivity` records, worst first; those that cannot be quantized alone are left out.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as exc:
        raise MissingExtraError("Matplotlib", "train-logs") from exc
    shown = [layer for layer in layers if not layer["reason"]][::-1]
    figure = Figure(figsize=(10, 1.6 + 0.26 * len(shown)), dpi=100, layout="constrained")
    axes = figure.subplots()
    changed = [100 * (1 - layer["agreement"]) for layer in shown]
    axes.barh([layer["layer"] for layer in shown], changed, color="#c2410c", height=0.7)
    for place, (layer, value) in enumerate(zip(shown, changed, strict=True)):
        axes.annotate(
            f"{value:.2f} %   {layer['output_sqnr_db']:.0f} dB",
            (value, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.set(title=title, xlabel="images that get another label when this layer alone is int8, in %")
    axes.margins(x=0.18, y=0.01)
    axes.set_xlim(left=0)
    axes.spines[["top", "right"]].set_visible(False)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()
