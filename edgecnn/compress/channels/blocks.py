"""Residual blocks taken out whole: what is left of a network computes less without its layers becoming narrower.

A layer of few channels does not fill the kernels of an int8 runtime, and costs more than its multiply-accumulates say.
A layer that is gone costs nothing. A block can go where its shortcut is the identity: the sum gives what it was given.
After Wu et al., "BlockDrop", CVPR 2018, but for all pictures alike and for good; the measured loss gives the order.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edgecnn.compress.channels.coupling import calls, trace
from edgecnn.compress.channels.selection import macs, parameters
from edgecnn.errors import EdgecnnError
from edgecnn.keras_io.graph import flat_copy


@dataclass(frozen=True)
class Block:
    """A branch around which there is a shortcut without layers.

    Attributes:
        join: name of the layer that adds both.
        shortcut: which of its inputs is the shortcut.
        layers: names of the layers of the branch that have weights, in the order of the network.
    """

    join: str
    shortcut: int
    layers: tuple[str, ...]


@dataclass(frozen=True)
class DroppedBlock:
    """What was taken out.

    Attributes:
        layers: names of its layers that had weights.
        macs: multiply-accumulates that it took for one picture.
        loss: of the network right after it was taken out, and all before it.
    """

    layers: tuple[str, ...]
    macs: int
    loss: float


@dataclass(frozen=True)
class Shortened:
    """A network of fewer layers.

    Attributes:
        model: plain Keras model.
        dropped: in the order in which blocks were taken out.
        macs, parameters: (before, after), for one picture.
    """

    model: Any
    dropped: tuple[DroppedBlock, ...]
    macs: tuple[int, int]
    parameters: tuple[int, int]


def residual_blocks(model: Any) -> list[Block]:
    """The blocks of a network that can be taken out, in its order.

    Args:
        model: made by `edgecnn.keras_io.graph.flat_copy`.
    """
    order = list(calls(model))
    made = {id(tensor): node for node in order for tensor in node.output_tensors}
    return [block for node in order if (block := _block(node, order, made))]


def drop_blocks(model: Any, share: float, loss: Callable[[Any], float]) -> Shortened:
    """Take out blocks until the target is met, each time the one whose absence raises the loss least for what it saves.

    Args:
        model: built Keras 3 model of one image input and one output; it is left as it is.
        share: of the multiply-accumulates that may remain, in (0, 1].
        loss: of a network, on pictures that it is trained on; a number that is smaller for a better one.

    Raises:
        EdgecnnError: the network has no such block, or too few.
        ModelError: the model cannot be copied.
    """
    network = flat_copy(model)
    first = trace(network)
    before, left, dropped = macs(first), macs(first), []
    known = loss(network)
    while left > share * before:
        candidates = []
        for block in residual_blocks(network):
            shorter = flat_copy(network, bypass={block.join: block.shortcut})
            rest = macs(trace(shorter))
            if rest < left:
                candidates.append((shorter, block, rest, loss(shorter)))
        if not candidates:
            raise EdgecnnError(
                f"expected to keep {share:.0%} of the multiply-accumulates, {left / before:.0%} remain without all "
                "blocks that have a shortcut; give a larger share, and prune channels after that"
            )
        saved = left
        network, block, left, after = min(candidates, key=lambda found: (found[3] - known) / (saved - found[2]))
        dropped.append(DroppedBlock(block.layers, saved - left, after))
        known = after
    return Shortened(network, tuple(dropped), (before, left), (parameters(first), parameters(trace(network))))


def _block(join: Any, order: Sequence[Any], made: dict[int, Any]) -> Block | None:
    """The block that ends in a sum, if one of its two inputs comes from the other alone."""
    given = join.input_tensors
    if type(join.operation).__name__ != "Add" or len(given) != 2 or given[0].shape != given[1].shape:
        return None
    for shortcut in (0, 1):
        branch = _between(given[1 - shortcut], given[shortcut], made)
        layers = tuple(n.operation.name for n in order if id(n) in branch and getattr(n.operation, "weights", None))
        if layers:
            return Block(join.operation.name, shortcut, layers)
    return None


def _between(end: Any, start: Any, made: dict[int, Any]) -> set[int]:
    """Identities of the calls that lead from one tensor to another; none where other tensors lead there too."""
    found: set[int] = set()
    waiting = [end]
    while waiting:
        tensor = waiting.pop()
        call = made[id(tensor)]
        if tensor is start or id(call) in found:
            continue
        if not call.input_tensors:  # the picture
            return set()
        found.add(id(call))
        waiting += call.input_tensors
    return found
