"""What a conversion can do to a Keras model before it is quantized: stages, in the order in which they run."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Final

from edgecnn.compress.channels.importance import IMPORTANCE
from edgecnn.errors import EdgecnnError
from edgecnn.train.augment import Augment


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        epochs: passes over the training pictures, in which the network learns from its labels and from the original.
        learning_rate: highest of those epochs.
    """

    technique: ClassVar[str] = ""
    title: ClassVar[str] = ""
    epochs: int = 3
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        for name, (low, high) in self._limits().items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise EdgecnnError(f"expected {name} from {low:g} to {high:g}, got {value:g}")

    def to_dict(self) -> dict[str, Any]:
        """JSON and TOML form, without what was left open."""
        return {"technique": self.technique} | {key: value for key, value in asdict(self).items() if value is not None}

    def _limits(self) -> dict[str, tuple[float, float]]:
        return {"epochs": (0, 100_000), "learning_rate": (1e-12, 100)}


@dataclass(frozen=True)
class BlockStage(Stage):
    """Take out residual blocks: fewer layers, none of them narrower.

    Attributes:
        macs: share of the multiply-accumulates that may remain.
    """

    technique: ClassVar[str] = "blocks"
    title: ClassVar[str] = "take out blocks"
    macs: float = 0.5

    def _limits(self) -> dict[str, tuple[float, float]]:
        return super()._limits() | {"macs": (0.01, 1.0)}


@dataclass(frozen=True)
class ChannelStage(Stage):
    """Remove channels: the network becomes a smaller plain one.

    Attributes:
        sparsity: share of the removable channels that goes; half of them where neither this nor `macs` is given.
        macs: share of the multiply-accumulates that may remain.
        importance: "magnitude", "batchnorm" or "taylor".
        everywhere: the same share of every layer, instead of the least important channels anywhere.
        multiple: layers keep a multiple of so many channels; small layers a half or a quarter of it.
        exact: small layers too keep a multiple of all of it: 16 fills the int8 kernels of most processors.
        steps: prune and train so often, each time a part of the way; the epochs are shared out.
    """

    technique: ClassVar[str] = "channel"
    title: ClassVar[str] = "prune channels"
    sparsity: float | None = None
    macs: float | None = None
    importance: str = "magnitude"
    everywhere: bool = False
    multiple: int = 8
    exact: bool = False
    steps: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sparsity is not None and self.macs is not None:
            raise EdgecnnError("expected sparsity or macs for channel pruning, got both")
        if self.importance not in IMPORTANCE:
            raise EdgecnnError(f"expected importance to be one of {', '.join(IMPORTANCE)}, got {self.importance!r}")

    def _limits(self) -> dict[str, tuple[float, float]]:
        own = {"sparsity": (0.0, 0.99), "macs": (0.01, 1.0), "multiple": (1, 1024), "steps": (1, 100)}
        return super()._limits() | own


@dataclass(frozen=True)
class MagnitudeStage(Stage):
    """Set the smallest weights to zero: a smaller gzip, no gain in latency.

    Attributes:
        sparsity: share of each layer's weights.
    """

    technique: ClassVar[str] = "magnitude"
    title: ClassVar[str] = "prune weights"
    sparsity: float = 0.5

    def _limits(self) -> dict[str, tuple[float, float]]:
        return super()._limits() | {"sparsity": (0.0, 0.99)}


@dataclass(frozen=True)
class ClusterStage(Stage):
    """Give each layer only so many different weights: a smaller gzip, no gain in latency.

    Attributes:
        clusters: different weights a layer.
    """

    technique: ClassVar[str] = "cluster"
    title: ClassVar[str] = "cluster weights"
    clusters: int = 16

    def _limits(self) -> dict[str, tuple[float, float]]:
        return super()._limits() | {"clusters": (2, 256)}


@dataclass(frozen=True)
class QatStage(Stage):
    """Train with the rounding of int8 in place; what earlier stages made zero or shared stays so."""

    technique: ClassVar[str] = "qat"
    title: ClassVar[str] = "train with int8"
    learning_rate: float = 1e-4


@dataclass(frozen=True)
class Schooling:
    """How a network learns again after a stage.

    Attributes:
        batch_size: pictures a step.
        optimizer: "adamw", "adam" or "sgd".
        augment: what happens to training pictures; None for what the file says it was trained with, else "light".
        teacher_weight: share of the original's answers in what is learned, 0 to 1; the labels are the rest.
        temperature: of those answers.
    """

    batch_size: int = 64
    optimizer: str = "adamw"
    augment: Augment | None = None
    teacher_weight: float = 0.5
    temperature: float = 4.0


STAGES: Final = {stage.technique: stage for stage in (BlockStage, ChannelStage, MagnitudeStage, ClusterStage, QatStage)}


def read_stage(values: Mapping[str, Any]) -> Stage:
    """A stage from its JSON or TOML form.

    Raises:
        EdgecnnError: an unknown technique or option, or a value that cannot be.
    """
    kind = STAGES.get(str(values.get("technique")))
    if kind is None:
        raise EdgecnnError(f"expected technique to be one of {', '.join(STAGES)}, got {values.get('technique')!r}")
    known = {field.name: field.type for field in fields(kind)}
    given = {key: value for key, value in values.items() if key != "technique"}
    if strange := sorted(given.keys() - known.keys()):
        raise EdgecnnError(f"expected options of {kind.technique} among {', '.join(known)}, got {strange[0]!r}")
    for key, value in given.items():
        name = getattr(known[key], "__name__", "float")  # what may be left open is a number
        wanted = {"int": int, "bool": bool, "str": str}.get(name, (int, float))
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            raise EdgecnnError(f"expected a value of type {name} for {key} of {kind.technique}, got {value!r}")
    return kind(**given)
