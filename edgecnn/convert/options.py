"""What a conversion can be asked to do."""

from dataclasses import dataclass, field
from typing import Final

from edgecnn.compress.quantize import IO_TYPES, STATIC
from edgecnn.convert.stages import STAGES, QatStage, Schooling, Stage
from edgecnn.errors import EdgecnnError
from edgecnn.spec import Spec

# Kinds of quantization with their types of input and output; the first is the default.
KINDS: Final = IO_TYPES | {"auto": IO_TYPES["int8"]}
CALIBRATED: Final = (*STATIC, "auto")
_BUDGET: Final = 1.0  # points of top-1 for "auto" where none are stated


@dataclass(frozen=True)
class ConvertConfig:
    """Options of a conversion.

    Attributes:
        quantize: "float32", "float16", "dynamic", "int8", "int16x8", or "auto": int8 with as much effort as `max_drop`
            needs.
        io: type of the input and output tensor; None takes the kind's own (int8 for int8, else float32).
        calibration_samples: training pictures for activation ranges, balanced over classes.
        accuracy_samples: at most so many pictures are measured, balanced over classes.
        max_drop: allowed loss of top-1 accuracy in percentage points; None for no limit.
        keep_float: names of Keras layers that stay in float.
        calibrate_confidence: find the temperature of the scores, and the score below which a picture is unknown.
        keep_right: share of the rightly labelled pictures that must keep their label then.
        labels: class names in output order; None takes the model's own or the data's class folders.
        preprocess: a SPEC; what it leaves open is taken from the model or found with the data.
        stages: what is done to the Keras model before it is quantized, in order.
        schooling: how it learns again after each.
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
    keep_float: tuple[str, ...] = ()
    calibrate_confidence: bool = False
    keep_right: float = 0.95
    labels: tuple[str, ...] | None = None
    preprocess: Spec = field(default_factory=Spec)
    stages: tuple[Stage, ...] = ()
    schooling: Schooling = field(default_factory=Schooling)
    seed: int = 0
    allow_unsafe: bool = False

    def __post_init__(self) -> None:
        if self.quantize not in KINDS:
            raise EdgecnnError(f"expected quantize to be one of {', '.join(KINDS)}, got {self.quantize!r}")
        if self.io is not None and self.io not in KINDS[self.quantize]:
            allowed = " or ".join(KINDS[self.quantize])
            raise EdgecnnError(f"a {self.quantize} model has {allowed} input and output, got io={self.io!r}")
        for name in ("calibration_samples", "accuracy_samples"):
            if getattr(self, name) < 1:
                raise EdgecnnError(f"expected {name} of at least 1, got {getattr(self, name)}")
        if self.keep_float and self.quantize in ("auto", "float32"):
            raise EdgecnnError(f"keep_float is for models that get quantized as they are told, not for {self.quantize}")
        ranks = [list(STAGES).index(stage.technique) for stage in self.stages]
        if ranks != sorted(ranks):
            raise EdgecnnError(f"expected stages in the order {', '.join(STAGES)}: each would undo those after it")
        if ranks and self.stages[-1].technique == "qat" and self.quantize not in ("int8", "auto"):
            raise EdgecnnError(f"training with int8 gives an int8 model, got quantize={self.quantize}")
        if self.max_drop is not None and not 0 <= self.max_drop <= 100:
            raise EdgecnnError(f"expected max_drop in percentage points from 0 to 100, got {self.max_drop}")
        if not 0 < self.keep_right <= 1:
            raise EdgecnnError(f"expected keep_right above 0 and up to 1, got {self.keep_right}")

    @property
    def io_type(self) -> str:
        """The input and output type asked for, or the kind's own."""
        return self.io or KINDS[self.quantize][0]

    @property
    def budget(self) -> float:
        """Points of top-1 that may be lost when the ladder decides."""
        return _BUDGET if self.max_drop is None else self.max_drop

    @property
    def first_stages(self) -> tuple[Stage, ...]:
        """Stages that run before quantization; with "auto", training with int8 is the last rung of the ladder."""
        return self.stages[:-1] if self._trains_last else self.stages

    @property
    def last_rung(self) -> Stage:
        """How the ladder trains with int8."""
        return self.stages[-1] if self._trains_last else QatStage()

    @property
    def _trains_last(self) -> bool:
        return self.quantize == "auto" and bool(self.stages) and isinstance(self.stages[-1], QatStage)
