"""What the inputs and outputs of a single-image classifier look like, whatever file the model came from."""

from __future__ import annotations

from collections.abc import Mapping

from edgecnn.errors import ModelError

Shape = tuple[int, ...]  # -1 stands for a dimension that is not fixed


def check_signature(inputs: Mapping[str, Shape], outputs: Mapping[str, Shape]) -> tuple[Shape, int]:
    """Check that a model takes one picture and gives one vector of scores.

    Args:
        inputs, outputs: tensor name to shape with the batch dimension first, -1 where not fixed.

    Returns:
        ((height, width, channels), classes); height and width may be -1.

    Raises:
        ModelError: says which tensor does not fit, and why.
    """
    if len(inputs) != 1:
        raise ModelError(f"expected a model with one image input, got {len(inputs)} inputs ({_listed(inputs)})")
    if len(outputs) != 1:
        hint = "; this looks like a detector" if len(outputs) == 4 else ""
        raise ModelError(f"expected a model with one output of scores, got {len(outputs)} ({_listed(outputs)}){hint}")
    return _image_input(*next(iter(inputs.items()))), _score_output(*next(iter(outputs.items())))


def _image_input(name: str, shape: Shape) -> Shape:
    if len(shape) == 2:
        raise ModelError(
            f"expected an image input (batch, height, width, channels), got a flat vector {_text(shape)} in {name!r}; "
            "put a Reshape layer in front of the model"
        )
    if len(shape) != 4 or shape[3] not in (1, 3):
        hint = "; channels must come last" if len(shape) == 4 and shape[1] in (1, 3) else ""
        raise ModelError(
            f"expected an image input (batch, height, width, 1 or 3 channels), got {_text(shape)} in {name!r}{hint}"
        )
    return shape[1:]


def _score_output(name: str, shape: Shape) -> int:
    sizes = [n for n in shape[1:] if n != 1]
    if len(shape) < 2 or len(sizes) > 1 or -1 in sizes:
        raise ModelError(
            f"expected an output of class scores (batch, classes), got {_text(shape)} in {name!r}; "
            "detectors, segmenters and backbones without a head are no classifiers"
        )
    return sizes[0] if sizes else 1


def _listed(tensors: Mapping[str, Shape]) -> str:
    return ", ".join(f"{name} {_text(shape)}" for name, shape in tensors.items()) or "none"


def _text(shape: Shape) -> str:
    return "(" + ", ".join("?" if n < 0 else str(n) for n in shape) + ")"
