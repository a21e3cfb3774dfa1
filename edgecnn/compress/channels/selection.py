"""Which channels stay, so that a target is met."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgecnn.compress.channels.coupling import Coupling, Group
from edgecnn.errors import EdgecnnError

_LEAST = 0.1  # of a group's channels stays, however unimportant: an empty layer cuts the network
_HALVINGS = 40  # of the interval in which the threshold is looked for


@dataclass(frozen=True)
class Target:
    """How much is to be removed; one of the two.

    Attributes:
        sparsity: share of the removable channels, in [0, 1).
        macs: share of the multiply-accumulates that may remain, in (0, 1].

    Raises:
        EdgecnnError: none or both, or a value outside.
    """

    sparsity: float | None = None
    macs: float | None = None

    def __post_init__(self) -> None:
        if (self.sparsity is None) == (self.macs is None):
            raise EdgecnnError("expected either a sparsity or a share of multiply-accumulates as the target of pruning")
        if self.sparsity is not None and not 0 <= self.sparsity < 1:
            raise EdgecnnError(f"expected sparsity in [0, 1), got {self.sparsity:g}")
        if self.macs is not None and not 0 < self.macs <= 1:
            raise EdgecnnError(f"expected a share of multiply-accumulates in (0, 1], got {self.macs:g}")

    def after(self, done: float) -> "Target":
        """The target of a step on the way: `done` of it in [0, 1], in equal ratios."""
        if self.macs is not None:
            return Target(macs=self.macs**done)
        return Target(sparsity=1 - (1 - (self.sparsity or 0.0)) ** done)


def macs(coupling: Coupling, keep: NDArray[np.bool_] | None = None) -> int:
    """Multiply-accumulates of a network for one picture, with only some channels kept."""
    return sum(site.macs(keep) for site in coupling.sites)


def parameters(coupling: Coupling, keep: NDArray[np.bool_] | None = None) -> int:
    """Parameters of a network, with only some channels kept."""
    return sum(site.parameters(keep) for site in coupling.sites)


def select(
    coupling: Coupling,
    values: NDArray[np.float64],
    target: Target,
    *,
    everywhere: bool = False,
    multiple: int = 8,
    exact: bool = False,
) -> NDArray[np.bool_]:
    """Choose the channels that stay: the most important, as few as the target allows.

    Args:
        values: importance by number.
        everywhere: the same share of every group, instead of the least important channels wherever they are.
        multiple: groups keep a multiple of so many channels, which fill the lanes of a kernel. Groups that are not
            larger than four times that keep multiples of half or a quarter of it.
        exact: these too keep multiples of all of it, and groups that are not larger stay as they are.

    Returns:
        By number, whether the channel stays.

    Raises:
        EdgecnnError: the target cannot be reached.
    """
    order = _order(coupling, values, everywhere)
    multiples = {int(group.ids[0]): _multiple(len(group.ids), multiple, exact) for group in coupling.groups}
    free = [group for group in coupling.groups if not group.fixed]

    def cut(threshold: float) -> NDArray[np.bool_]:
        keep = np.ones(coupling.count, bool)
        for group in free:
            _keep_best(keep, group, values, int((order[group.ids] >= threshold).sum()), multiples)
        return keep

    low, high = 0.0, float(order.max()) + 1.0
    if not _reached(coupling, cut(high), target):
        smallest = macs(coupling, cut(high)) / macs(coupling)
        raise EdgecnnError(
            f"the target of pruning cannot be reached: at least {smallest:.0%} of the multiply-accumulates remain"
        )
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if _reached(coupling, cut(middle), target) else (middle, high)
    return _refilled(cut(high), coupling, free, values, target, multiples)


def _refilled(
    keep: NDArray[np.bool_],
    coupling: Coupling,
    groups: Sequence[Group],
    values: NDArray[np.float64],
    target: Target,
    multiples: dict[int, int],
) -> NDArray[np.bool_]:
    """Give channels back, the most important first, as long as the target stays reached: rounding took too many."""
    while True:
        better = []
        for group in groups:
            more = keep.copy()
            _keep_best(more, group, values, int(keep[group.ids].sum()) + 1, multiples)
            if (gained := more & ~keep).any() and _reached(coupling, more, target):
                better.append((float(values[gained].mean()), -int(group.ids[0]), more))
        if not better:
            return keep
        keep = max(better, key=lambda candidate: candidate[:2])[2]


def _order(coupling: Coupling, values: NDArray[np.float64], everywhere: bool) -> NDArray[np.float64]:
    """What is compared with the threshold: the importance, or the rank within the group."""
    if not everywhere:
        return values
    order = np.zeros_like(values)
    for group in coupling.groups:
        order[group.ids[np.argsort(values[group.ids], kind="stable")]] = np.arange(len(group.ids)) / len(group.ids)
    return order


def _multiple(size: int, multiple: int, exact: bool) -> int:
    """Of what the channels of a group of so many are a multiple."""
    while multiple > 1 and size < 4 * multiple and not exact:
        multiple //= 2
    return multiple


def _keep_best(
    keep: NDArray[np.bool_], group: Group, values: NDArray[np.float64], wanted: int, multiples: dict[int, int]
) -> None:
    """Keep the most important channels of a group, in a number that suits the kernels, and no others."""
    wanted, multiple = max(wanted, math.ceil(_LEAST * len(group.ids))), multiples[int(group.ids[0])]
    keep[group.ids] = False
    keep[group.ids[np.argsort(-values[group.ids], kind="stable")[: -(-wanted // multiple) * multiple]]] = True


def _reached(coupling: Coupling, keep: NDArray[np.bool_], target: Target) -> bool:
    if target.macs is not None:
        return macs(coupling, keep) <= target.macs * macs(coupling)
    removable = np.concatenate([group.ids for group in coupling.groups if not group.fixed] or [np.empty(0, int)])
    return bool((~keep[removable]).sum() >= (target.sparsity or 0.0) * len(removable))
