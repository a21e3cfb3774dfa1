"""Which layer hurts: the damage that quantizing one layer alone to int8 does, all others staying float.

A layer is quantized with its inputs, weights and output, as it would be in an int8 model with plain min-max ranges.
Damages of layers do not add up, but their order says where to look first, and what to keep in float.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgecnn.bundle.layers import Operation, operations, tensor_type
from edgecnn.bundle.tflite import first_signature
from edgecnn.compress.ranges import collect_extremes, divergence
from edgecnn.compress.recipe import apply, recipe_for, recipe_for_only, require_quantizer
from edgecnn.data.parallel import for_each, threads_for
from edgecnn.errors import ConversionError, ModelError
from edgecnn.quantization import TensorType
from edgecnn.runtime.head import Head
from edgecnn.runtime.interpreter import Engine

_INSIDE_SAMPLES: Final = 8  # pictures for which tensors inside the network are looked at
_BEST_SQNR: Final = 150.0  # dB, where there is no noise at all; float32 itself has about 144


@dataclass(frozen=True)
class LayerDamage:
    """What quantizing one layer alone does.

    Attributes:
        layer: its name in Keras.
        kinds: its operations, "CONV_2D" and so on.
        divergence: mean Kullback-Leibler divergence of the probabilities from the float model's, in nats.
        agreement: share of pictures that get the float model's label.
        output_sqnr_db: signal to quantization noise of the model's output (logits or probabilities) in decibels.
        layer_sqnr_db: the same of the layer's own output.
        top1_drop: loss of top-1 accuracy in percentage points; None without labels.
        reason: why the layer cannot be quantized alone; "" where it can. Then the numbers are those of no damage.
    """

    layer: str
    kinds: tuple[str, ...]
    divergence: float
    agreement: float
    output_sqnr_db: float
    layer_sqnr_db: float
    top1_drop: float | None
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """A record for JSON."""
        return asdict(self) | {"kinds": list(self.kinds)}


def sensitivity(
    content: bytes,
    *,
    head: str,
    tensors: Sequence[NDArray[np.float32]],
    input_range: tuple[float, float] = (0.0, 1.0),
    evaluate: Sequence[NDArray[np.float32]] | None = None,
    labels: NDArray[np.int64] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[LayerDamage]:
    """The damage of each layer, worst first: by divergence, then in the order of execution.

    Args:
        content: float `.tflite` with a signature.
        head: "softmax", "sigmoid" or "logits", as in `Head`.
        tensors: calibration inputs, float32 (height, width, channels) each.
        input_range: smallest and largest real value of the input tensor.
        evaluate: inputs on which damage is measured; the calibration inputs by default.
        labels: class index of each of `evaluate`.
        progress: called with (layers done, layers).

    Raises:
        ConversionError: no calibration inputs.
        MissingExtraError: ai-edge-quantizer is not installed.
    """
    require_quantizer()
    if not tensors:
        raise ConversionError("sensitivity needs calibration pictures, and none could be read")
    pictures = tensors if evaluate is None else evaluate
    extremes = collect_extremes(content, recipe_for("int8", "int8"), tensors)
    ranges = extremes.ranges(1.0, known={first_signature(content).input_tensor: input_range})
    layers: dict[str, list[Operation]] = {}
    for step in operations(content):
        layers.setdefault(step.layer, []).append(step)
    outputs = {name: steps[-1].outputs[0] for name, steps in layers.items()}
    before = _run(content, pictures)
    inside = _inside(content, pictures, list(outputs.values()))
    found = []
    for done, (name, steps) in enumerate(layers.items(), start=1):
        after, own, reason = before, inside[outputs[name]], ""
        try:
            alone = apply(content, recipe_for_only([step.scope for step in steps]), ranges)
            after, own = _run(alone, pictures), _inside(alone, pictures, [outputs[name]])[outputs[name]]
        except (ConversionError, ModelError) as exc:  # the quantizer or the runtime does not know the operation
            reason = str(exc)
        p, q = (Head(head, TensorType()).probabilities(raw) for raw in (before, after))
        top = p.argmax(axis=1), q.argmax(axis=1)
        right = None if labels is None else [float(np.mean(predicted == labels)) for predicted in top]
        found.append(
            LayerDamage(
                layer=name,
                kinds=tuple(step.kind for step in steps),
                divergence=max(0.0, divergence(p, q)),
                agreement=float(np.mean(top[0] == top[1])),
                output_sqnr_db=sqnr_db([before], [after]),
                layer_sqnr_db=sqnr_db(inside[outputs[name]], own),
                top1_drop=None if right is None else 100 * (right[0] - right[1]),
                reason=reason,
            )
        )
        if progress:
            progress(done, len(layers))
    return sorted(found, key=lambda damage: -damage.divergence)


def sqnr_db(signal: Sequence[NDArray[np.float32]], noisy: Sequence[NDArray[np.float32]]) -> float:
    """Signal to quantization noise ratio, 10 log10(sum of squares / sum of squared differences), at most 150 dB."""
    power = sum(float(np.square(one, dtype=np.float64).sum()) for one in signal)
    noise = sum(
        float(np.square(one.astype(np.float64) - other).sum()) for one, other in zip(signal, noisy, strict=True)
    )
    if noise == 0 or power == 0:
        return _BEST_SQNR if noise == 0 else 0.0
    return min(_BEST_SQNR, 10 * float(np.log10(power / noise)))


def _run(content: bytes, pictures: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Real outputs (pictures, units) of a model."""
    height, width, _ = pictures[0].shape
    engines = [Engine(content, size=(width, height)) for _ in range(threads_for(len(pictures)))]
    outputs = np.zeros((len(pictures), engines[0].classes), np.float32)

    def work(engine: Engine, i: int) -> None:
        outputs[i] = engine.output_type.dequantize(engine.run(engine.input_type.quantize(pictures[i])))

    for_each(len(pictures), [partial(work, engine) for engine in engines])
    return outputs


def _inside(
    content: bytes, pictures: Sequence[NDArray[np.float32]], indices: Sequence[int]
) -> dict[int, list[NDArray[np.float32]]]:
    """Real values of tensors for a few of the pictures; a layer has thousands of values in each."""
    height, width, _ = pictures[0].shape
    engine = Engine(content, threads=2, size=(width, height), keep_tensors=True)
    types = {index: tensor_type(content, index) for index in indices}
    values: dict[int, list[NDArray[np.float32]]] = {index: [] for index in indices}
    for picture in pictures[:_INSIDE_SAMPLES]:
        engine.run(engine.input_type.quantize(picture))
        for index in indices:
            values[index].append(types[index].dequantize(engine.tensor(index)))
    return values
