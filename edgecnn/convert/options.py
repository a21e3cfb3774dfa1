"""What a conversion can be asked to do."""

from dataclasses import dataclass, field

from edgecnn.compress.quantize import IO_TYPES, default_io
from edgecnn.errors import EdgecnnError
from edgecnn.spec import Spec


@dataclass(frozen=True)
class ConvertConfig:
    """Options of a conversion.

    Attributes:
        quantize: "float32", "float16", "dynamic", "int8" or "int16x8".
        io: type of the input and output tensor; None takes the kind's own (int8 for int8, else float32).
        calibration_samples: training pictures for activation ranges, balanced over classes.
        accuracy_samples: at most so many pictures are measured, balanced over classes.
        max_drop: allowed loss of top-1 accuracy in percentage points; None for no limit.
        labels: class names in output order; None takes the model's own or the data's class folders.
        preprocess: a SPEC; what it leaves open is taken from the model or found with the data.
        seed: of every choice of samples.
        allow_unsafe: load models that carry code.

    Raises:
        EdgecnnError: a value that cannot be.
    """

    quantize: str = "int8"
    io: str | None = None
    calibration_samples: int = 300
    accuracy_samples: int = 10_000
    max_drop: float | None = None
    labels: tuple[str, ...] | None = None
    preprocess: Spec = field(default_factory=Spec)
    seed: int = 0
    allow_unsafe: bool = False

    def __post_init__(self) -> None:
        if self.quantize not in IO_TYPES:
            raise EdgecnnError(f"expected quantize to be one of {', '.join(IO_TYPES)}, got {self.quantize!r}")
        if self.io is not None and self.io not in IO_TYPES[self.quantize]:
            allowed = " or ".join(IO_TYPES[self.quantize])
            raise EdgecnnError(f"a {self.quantize} model has {allowed} input and output, got io={self.io!r}")
        for name in ("calibration_samples", "accuracy_samples"):
            if getattr(self, name) < 1:
                raise EdgecnnError(f"expected {name} of at least 1, got {getattr(self, name)}")
        if self.max_drop is not None and not 0 <= self.max_drop <= 100:
            raise EdgecnnError(f"expected max_drop in percentage points from 0 to 100, got {self.max_drop}")

    @property
    def io_type(self) -> str:
        """The input and output type asked for, or the kind's own."""
        return self.io or default_io(self.quantize)
