"""Which channels of a network can only be removed together, traced through its graph.

Every tensor carries one number a channel. A layer that makes channels gives them new numbers, a layer that works
channel by channel hands them on, and a layer that adds tensors makes their numbers one. Channels with the same number
are coupled: to remove one is to remove them in every layer that holds them. A number whose channels must stay is fixed.

After the idea of dependency groups: Fang et al., "DepGraph: Towards Any Structural Pruning", CVPR 2023.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]

# Layers and operations that treat every channel alike and for itself.
_PER_CHANNEL: Final = frozenset(
    """Activation ActivityRegularization AveragePooling2D Cropping2D Dropout ELU Elu GaussianDropout GaussianNoise Gelu
    GlobalAveragePooling2D GlobalMaxPooling2D HardSigmoid HardSilu Identity LeakyReLU LeakyRelu MaxPooling2D ReLU Relu
    Relu6 Selu Sigmoid Silu SpatialDropout2D Softplus Tanh UpSampling2D ZeroPadding2D""".split()
)
_ELEMENTWISE: Final = ("Add", "Subtract", "Multiply", "Maximum", "Minimum", "Average", "Divide", "TrueDivide")
_MULTIPLYING: Final = ("Conv2D", "DepthwiseConv2D", "Dense", "SeparableConv2D")
_OVER_CHANNELS: Final = ("softmax", "log_softmax", "sparsemax")  # activations in which channels compete
_FIXED: Final = 0  # the number of all channels that are known to stay from the start


@dataclass(frozen=True)
class Site:
    """One layer that has parameters for single channels.

    Attributes:
        layer: of the Keras model.
        inputs, outputs: numbers of its channels, (channels,).
        positions: places of its output at which it computes: height times width for a convolution; summed where a
            layer is used several times.
        axes: for each of its weight arrays, the numbers along each axis; None along an axis without channels.
    """

    layer: Any
    inputs: Ids
    outputs: Ids
    positions: int
    axes: tuple[tuple[Ids | None, ...], ...]

    def macs(self, keep: NDArray[np.bool_] | None = None) -> int:
        """Multiply-accumulates of one picture.

        Args:
            keep: by number, whether the channel stays; None for all.
        """
        if type(self.layer).__name__ not in _MULTIPLYING:
            return 0
        return self.positions * sum(self._kept(i, keep) for i, axes in enumerate(self.axes) if len(axes) > 1)

    def parameters(self, keep: NDArray[np.bool_] | None = None) -> int:
        """Elements of the layer's weights."""
        return sum(self._kept(i, keep) for i in range(len(self.axes)))

    def _kept(self, weight: int, keep: NDArray[np.bool_] | None) -> int:
        size = 1
        for length, ids in zip(self.layer.weights[weight].shape, self.axes[weight], strict=True):
            size *= int(length) if ids is None or keep is None else int(keep[ids].sum())
        return size


@dataclass(frozen=True)
class Group:
    """Coupled channels that live in the same layers, so that each is worth as much room as the others.

    Attributes:
        ids: their numbers, (channels,).
        layers: names of the layers that make or weigh them, in the order of the network.
        fixed: why none can be removed; "" where they can.
    """

    ids: Ids
    layers: tuple[str, ...]
    fixed: str


@dataclass(frozen=True)
class Coupling:
    """All channels of a network.

    Attributes:
        sites: layers with parameters, in the order of the network.
        groups: of coupled channels; every number is in one of them.
        count: numbers are 0 to count - 1.
        tensors: numbers of the channels of every layer's output, by the layer's name.
    """

    sites: tuple[Site, ...]
    groups: tuple[Group, ...]
    count: int
    tensors: dict[str, Ids]


def trace(model: Any) -> Coupling:
    """Find the coupled channels of a network.

    Args:
        model: made by `edgecnn.keras_io.graph.flat_copy`: Functional, one input, one output, channels last.
    """
    return _Tracer(model).coupling()


class _Tracer:
    """Walks through the graph once."""

    def __init__(self, model: Any) -> None:
        self._parent = [_FIXED]
        self._reasons: dict[int, str] = {_FIXED: "its channels are those of the picture"}
        self._tensors: dict[int, Ids] = {}
        self._uses: dict[int, list[tuple[Any, Ids, Ids, int]]] = {}
        self._named: dict[str, Ids] = {}
        for node in calls(model):
            self._visit(node)
        for tensor in model.outputs:
            self._fix(self._tensors[id(tensor)], "its channels are the output of the model")

    def coupling(self) -> Coupling:
        """The result, with numbers that are consecutive."""
        roots, numbers = np.unique([self._find(i) for i in range(len(self._parent))], return_inverse=True)
        reasons: dict[int, str] = {}
        for i, reason in self._reasons.items():
            reasons.setdefault(int(numbers[i]), reason)
        sites = []
        for uses in self._uses.values():
            layer, inputs, outputs, _ = uses[0]
            inputs, outputs = numbers[inputs], numbers[outputs]
            positions = sum(use[3] for use in uses)
            sites.append(Site(layer, inputs, outputs, positions, _axes(layer, inputs, outputs)))
        tensors = {name: numbers[ids] for name, ids in self._named.items()}
        return Coupling(tuple(sites), _groups(sites, len(roots), reasons), len(roots), tensors)

    def _visit(self, node: Any) -> None:
        layer = node.operation
        kind = type(layer).__name__
        given = [self._tensors[id(tensor)] for tensor in node.input_tensors]
        (output,) = node.output_tensors if len(node.output_tensors) == 1 else (None,)
        if output is None:
            for ids in given:
                self._fix(ids, f"{layer.name} ({kind}) has several outputs")
            self._tensors |= {id(tensor): self._fixed(tensor.shape[-1]) for tensor in node.output_tensors}
            return
        ids = self._outgoing(layer, kind, node, given, output)
        if _competes(layer):
            self._fix(ids, f"{layer.name} weighs its channels against each other")
        self._tensors[id(output)] = ids
        self._named[layer.name] = ids
        if getattr(layer, "weights", None) and given:
            positions = int(np.prod([n or 1 for n in output.shape[1:-1]]))
            self._use(layer, given[0], ids, positions)

    def _outgoing(self, layer: Any, kind: str, node: Any, given: list[Ids], output: Any) -> Ids:
        """Numbers of the channels of a layer's output."""
        if kind == "InputLayer":
            return self._fixed(output.shape[-1])
        first, channels = given[0], int(output.shape[-1])
        if id(layer) in self._uses and kind in ("Conv2D", "Dense", "SeparableConv2D"):  # used before: the same filters
            _, before, after, _ = self._uses[id(layer)][0]
            self._join(before, first)
            return after
        if kind == "Conv2D" and layer.groups > 1:
            return self._grouped(first, layer.groups, channels)
        if kind in ("Conv2D", "Dense", "SeparableConv2D"):
            return self._new(channels)
        if kind == "DepthwiseConv2D":
            return np.repeat(first, channels // len(first))
        if kind == "BatchNormalization" and layer.axis in (-1, len(output.shape) - 1):
            return first
        if kind == "PReLU" and layer.alpha.shape[-1] == channels:
            return first
        if kind == "Rescaling" and np.ndim(layer.scale) == np.ndim(layer.offset) == 0:
            return first
        if kind in _PER_CHANNEL:
            return first
        if kind in _ELEMENTWISE and (joined := self._elementwise(node, given)) is not None:
            return joined
        if kind == "Concatenate" and all(len(tensor.shape) == len(output.shape) for tensor in node.input_tensors):
            if layer.axis in (-1, len(output.shape) - 1):
                return np.concatenate(given)
            for ids in given[1:]:
                self._join(first, ids)
            return first
        if kind in ("Flatten", "Reshape") and (spread := _reshaped(node.input_tensors[0].shape, output.shape, first)):
            return np.tile(first, spread)
        for ids in given:
            self._fix(ids, f"{layer.name} ({kind}) may mix channels")
        return self._fixed(channels)

    def _elementwise(self, node: Any, given: list[Ids]) -> Ids | None:
        """Tensors of the same channels become one; a tensor of one channel serves all channels of the others."""
        constants = [np.asarray(value) for value in _constants(node)]
        if any(constant.ndim and constant.shape[-1] != 1 for constant in constants):
            return None
        widest = max(given, key=len)
        for ids in given:
            if len(ids) == len(widest):
                self._join(widest, ids)
            else:
                self._fix(ids, f"{node.operation.name} spreads its channel over others")
        return widest

    def _grouped(self, inputs: Ids, groups: int, channels: int) -> Ids:
        """A grouped convolution keeps as many channels in each of its groups."""
        if groups == len(inputs):  # depthwise, written otherwise
            return np.repeat(inputs, channels // groups)
        rows = inputs.reshape(groups, -1)
        for row in rows[1:]:
            self._join(rows[0], row)
        return np.tile(self._new(channels // groups), groups)

    def _use(self, layer: Any, inputs: Ids, outputs: Ids, positions: int) -> None:
        self._uses.setdefault(id(layer), []).append((layer, inputs, outputs, positions))

    def _new(self, channels: int) -> Ids:
        start = len(self._parent)
        self._parent.extend(range(start, start + channels))
        return np.arange(start, start + channels)

    def _fixed(self, channels: int) -> Ids:
        return np.full(channels, _FIXED)

    def _fix(self, ids: Ids, reason: str) -> None:
        for i in np.unique(ids):
            self._reasons.setdefault(int(i), reason)

    def _join(self, one: Ids, other: Ids) -> None:
        for a, b in zip(one, other, strict=True):
            self._parent[max(self._find(a), self._find(b))] = min(self._find(a), self._find(b))

    def _find(self, i: int) -> int:
        while self._parent[i] != i:
            self._parent[i] = self._parent[self._parent[i]]
            i = self._parent[i]
        return i


def calls(model: Any) -> Iterator[Any]:
    """Every call of a layer of a Functional model, each after those that it needs."""
    for depth in sorted(model._nodes_by_depth, reverse=True):
        yield from model._nodes_by_depth[depth]


def _constants(node: Any) -> list[Any]:
    """Arguments of an operation that are no tensors of the graph."""
    import keras

    arguments = keras.tree.flatten([node.arguments.args, node.arguments.kwargs])
    return [value for value in arguments if not isinstance(value, keras.KerasTensor) and value is not None]


def _competes(layer: Any) -> bool:
    activation = getattr(getattr(layer, "activation", None), "__name__", "")
    return activation in _OVER_CHANNELS or type(layer).__name__ in ("Softmax", "LogSoftmax")


def _reshaped(before: Sequence[int | None], after: Sequence[int | None], ids: Ids) -> int:
    """How often the channels repeat along the last axis after a reshape that keeps their order; 0 if it does not."""
    if None in (*before[1:], *after[1:]):
        return 0
    spread, rest = divmod(int(after[-1] or 0), len(ids))
    inner = np.prod([int(n or 1) for n in before[1:-1]])
    return spread if not rest and spread in (1, inner) else 0


def _axes(layer: Any, inputs: Ids, outputs: Ids) -> tuple[tuple[Ids | None, ...], ...]:
    """Numbers of the channels along each axis of each weight of a layer."""
    kind, shapes = type(layer).__name__, [tuple(weight.shape) for weight in layer.weights]
    if kind == "Conv2D":
        depthwise = layer.groups == len(inputs) > 1
        first: tuple[Ids | None, ...] = (None, None, None if depthwise else inputs[: shapes[0][2]], outputs)
        return first, *[(outputs,)] * (len(shapes) - 1)
    if kind == "DepthwiseConv2D":
        return (None, None, inputs, None), *[(outputs,)] * (len(shapes) - 1)
    if kind == "SeparableConv2D":
        middle = np.repeat(inputs, shapes[0][3])
        return (None, None, inputs, None), (None, None, middle, outputs), *[(outputs,)] * (len(shapes) - 2)
    if kind == "Dense":
        return (inputs, outputs), *[(outputs,)] * (len(shapes) - 1)
    last = {len(outputs): outputs}
    return tuple((*[None] * (len(shape) - 1), last.get(shape[-1])) if shape else () for shape in shapes)


def _groups(sites: Sequence[Site], count: int, reasons: dict[int, str]) -> tuple[Group, ...]:
    holders: list[dict[str, None]] = [{} for _ in range(count)]
    for site in sites:
        for i in np.unique(site.outputs):
            holders[i][site.layer.name] = None
    members: dict[tuple[tuple[str, ...], str], list[int]] = {}
    for i, names in enumerate(holders):
        members.setdefault((tuple(names), reasons.get(i, "")), []).append(i)
    return tuple(Group(np.array(ids), names, fixed) for (names, fixed), ids in members.items())
