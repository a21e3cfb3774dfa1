"""Channel pruning: a network becomes a smaller plain one, in steps, and learns again after each."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from edgecnn.compress.channels.coupling import Coupling, trace
from edgecnn.compress.channels.importance import IMPORTANCE, Gradients, importance
from edgecnn.compress.channels.selection import Target, macs, parameters, select
from edgecnn.compress.channels.shrink import shrink
from edgecnn.errors import EdgecnnError
from edgecnn.keras_io.graph import flat_copy

# Trains a network after a step, from 1, of so many; gives the trained network back.
Finetune = Callable[[Any, int, int], Any]


@dataclass(frozen=True)
class ChannelConfig:
    """How channels are pruned.

    Attributes:
        target: how much is removed.
        importance: "magnitude", "batchnorm" or "taylor".
        everywhere: the same share of every group of coupled channels, instead of the least important ones anywhere.
        multiple: layers keep a multiple of so many channels; small layers a half or a quarter of it.
        exact: small layers too keep a multiple of all of it.
        steps: prune and train so often, each time a part of the way.

    Raises:
        EdgecnnError: a value that cannot be.
    """

    target: Target = field(default_factory=lambda: Target(sparsity=0.5))
    importance: str = "magnitude"
    everywhere: bool = False
    multiple: int = 8
    exact: bool = False
    steps: int = 1

    def __post_init__(self) -> None:
        if self.importance not in IMPORTANCE:
            raise EdgecnnError(f"expected importance to be one of {', '.join(IMPORTANCE)}, got {self.importance!r}")
        if self.multiple < 1 or self.steps < 1:
            raise EdgecnnError(f"expected multiple and steps of at least 1, got {self.multiple} and {self.steps}")


@dataclass(frozen=True)
class GroupChange:
    """What became of one group of coupled channels.

    Attributes:
        layers: names of the layers that make or weigh them.
        before, after: number of channels.
        reason: why none could be removed; "" where they could.
    """

    layers: tuple[str, ...]
    before: int
    after: int
    reason: str


@dataclass(frozen=True)
class Pruned:
    """A smaller network.

    Attributes:
        model: plain Keras model.
        groups: every group of the original.
        macs, parameters: (before, after), for one picture.
    """

    model: Any
    groups: tuple[GroupChange, ...]
    macs: tuple[int, int]
    parameters: tuple[int, int]


def prune_channels(
    model: Any,
    config: ChannelConfig | None = None,
    *,
    finetune: Finetune | None = None,
    gradients: Callable[[Any, Coupling], Gradients] | None = None,
    batches: Iterable[Any] = (),
) -> Pruned:
    """Remove channels from a network.

    Args:
        model: built Keras 3 model of one image input and one output; it is left as it is.
        finetune: called after every step; None leaves the weights as they are.
        gradients: from a network and its coupling to a function for its gradients; importance "taylor" needs it.
        batches: of training pictures for "taylor", iterated once a step.

    Raises:
        EdgecnnError: the target cannot be reached, or the importance needs what is missing.
        ModelError: the model cannot be copied.
    """
    config = config or ChannelConfig()
    network = flat_copy(model)
    first = coupling = trace(network)
    if not _removable(first):
        reasons = sorted({group.fixed for group in first.groups if group.layers})
        raise EdgecnnError(f"no channel of this model can be removed: {'; '.join(reasons)}")
    for step in range(1, config.steps + 1):
        goal = _remaining(config.target.after(step / config.steps), first, coupling)
        function = gradients(network, coupling) if gradients else None
        values = importance(coupling, config.importance, function, batches)
        keep = select(
            coupling, values, goal, everywhere=config.everywhere, multiple=config.multiple, exact=config.exact
        )
        network = shrink(network, coupling, keep)
        if finetune:
            network = flat_copy(finetune(network, step, config.steps))
        coupling = trace(network)
    left = {site.layer.name: len(site.outputs) for site in coupling.sites}
    return Pruned(
        network,
        _changes(first, coupling, left),
        (macs(first), macs(coupling)),
        (parameters(first), parameters(coupling)),
    )


def _removable(coupling: Coupling) -> int:
    return sum(len(group.ids) for group in coupling.groups if not group.fixed)


def _remaining(goal: Target, first: Coupling, now: Coupling) -> Target:
    """A target for the original network, for what is left of it."""
    if goal.macs is not None:
        return Target(macs=min(1.0, goal.macs * macs(first) / macs(now)))
    stay = (1 - (goal.sparsity or 0.0)) * _removable(first)
    return Target(sparsity=max(0.0, 1 - stay / _removable(now)))


def _changes(first: Coupling, last: Coupling, left: dict[str, int]) -> tuple[GroupChange, ...]:
    after = {group.layers: len(group.ids) for group in last.groups}
    return tuple(
        GroupChange(group.layers, len(group.ids), after[group.layers], group.fixed)
        for group in first.groups
        if group.layers
    )
