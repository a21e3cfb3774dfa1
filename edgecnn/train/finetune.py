"""Training of a network that is there already: what compression does after it has changed one."""

from pathlib import Path
from typing import Any

from edgecnn.config import Preprocess
from edgecnn.files import sha256_bytes
from edgecnn.train import checkpoint, loop
from edgecnn.train.batches import Batches
from edgecnn.train.checkpoint import EpochRecord, State
from edgecnn.train.design import lesson
from edgecnn.train.devices import start
from edgecnn.train.distill import Teacher, with_teacher
from edgecnn.train.loop import Observer
from edgecnn.train.options import TrainConfig


def finetune(
    network: Any,
    batches: Batches,
    preprocess: Preprocess,
    config: TrainConfig,
    *,
    parent: Any = None,
    kept: Path | None = None,
    observer: Observer | None = None,
) -> tuple[EpochRecord, ...]:
    """Train a network in place, from its labels and from the network that it came from.

    Args:
        network: keras.Model from normalized pictures to logits (n, classes), or (n, 1) of a sigmoid.
        batches: training pictures, in the network's preprocessing.
        config: of the epochs; what it says about architecture, weights and teacher files is not looked at.
        parent: keras.Model of the same pictures and classes whose answers are learned; None learns from labels alone.
        kept: file for the state after every epoch; a call with the same arguments goes on from it.

    Returns:
        The epochs.

    Raises:
        DataError: the state cannot be written.
        ModelError: the parent is of other classes.
    """
    import keras

    observer = observer or loop.Silent()
    devices = start(None)
    identity = config.to_dict() | {"weights_sha256": _digest(network), "batches": len(batches)}
    keras.utils.set_random_seed(config.seed)
    taught = None
    if parent is not None:
        outputs = max(2, int(parent.outputs[0].shape[-1]))
        taught = with_teacher(network, Teacher(parent, "the original", outputs, preprocess), preprocess)
    learner = lesson(network, config, taught)
    state = checkpoint.left_by(kept, identity)

    def save(state: State) -> None:
        if kept:
            checkpoint.save(kept, state, identity)

    if state.finished:
        checkpoint.assign(network.variables, state.network)
    else:
        loop.run(learner, batches, None, config, state=state, save=save, observer=observer, devices=devices)
    return tuple(state.history)


def _digest(network: Any) -> str:
    return sha256_bytes(b"".join(array.tobytes() for array in network.get_weights()))
