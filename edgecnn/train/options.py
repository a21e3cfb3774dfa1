"""What a training can be asked to do."""

from dataclasses import asdict, dataclass, field
from typing import Any, Final

from edgecnn.errors import EdgecnnError
from edgecnn.spec import Spec
from edgecnn.train.adversary import ATTACKS
from edgecnn.train.augment import PRESETS, Augment

# Optimizers and the learning rate that suits each for a batch of 128 pictures.
OPTIMIZERS: Final = {"adamw": 1e-3, "adam": 1e-3, "sgd": 0.05}
SCHEDULES: Final = ("cosine", "constant")
CLASS_WEIGHTS: Final = ("auto", "balanced", "none")
HEADS: Final = ("softmax", "sigmoid")
KEEP: Final = ("best", "last")
# "auto" weighs classes when the largest has so many times the pictures of the smallest.
UNBALANCED: Final = 1.5


@dataclass(frozen=True)
class TrainConfig:
    """Options of a training.

    Attributes:
        arch: a name of ARCHITECTURES; None takes one that suits the size of the pictures.
        weights: "imagenet", or a Keras model file to start from; None starts from random weights.
        keep_head: go on with the classifier of `weights` too, instead of a new one.
        teacher: a Keras model file whose answers are learned beside the labels.
        teacher_preprocess: a SPEC of what the teacher needs, where its file does not say.
        temperature, teacher_weight: of distillation; 1.0 learns from the teacher alone.
        preprocess: a SPEC; what it leaves open is taken from the architecture, the weights or the pictures.
        head: "softmax", or "sigmoid": one unit for two classes.
        epochs: passes over the training pictures, frozen ones included.
        head_epochs: the first so many epochs train a new head alone; None: a quarter of them with `weights`, else none.
        batch_size: pictures a step, of all hosts and devices together.
        optimizer, learning_rate: None takes the optimizer's own rate.
        finetuning_rate: learning rate of everything once `weights` train too; None takes a tenth of `learning_rate`.
        schedule: "cosine" down to zero, or "constant"; warmup_epochs: the rate rises from zero first.
        weight_decay: decoupled, on kernels only.
        label_smoothing: share of each label that is spread over all classes.
        dropout: rate before the classifier; None takes the architecture's.
        augment: what happens to training pictures.
        attack: pictures are attacked before they are learned from: "fgsm" from a random start, or "pgd"; or "none".
        epsilon: largest change of a pixel by the attack, as a share of its range.
        attack_steps: of "pgd".
        class_weights: "balanced" weighs each class by its rareness; "auto" does so for unbalanced data.
        patience: stop after so many epochs without a better validation accuracy; 0 never does.
        keep: which epoch's weights become the model, the "best" on the validation split or the "last".
        train_on_val: the validation split is trained on too, so that nothing but the test split is held out.
        mixed_precision: compute in 16 bits where the hardware is faster so.
        seed: of every choice and of the first weights.
        resume: go on with an interrupted training of the same options.
        cache_bytes: decoded pictures above this lie in a temporary file instead of memory.
        allow_unsafe: load models that carry code.

    Raises:
        EdgecnnError: a value that cannot be.
    """

    arch: str | None = None
    weights: str | None = None
    keep_head: bool = False
    teacher: str | None = None
    teacher_preprocess: Spec = field(default_factory=Spec)
    temperature: float = 4.0
    teacher_weight: float = 0.9
    preprocess: Spec = field(default_factory=Spec)
    head: str = "softmax"
    epochs: int = 20
    head_epochs: int | None = None
    batch_size: int = 64
    optimizer: str = "adamw"
    learning_rate: float | None = None
    finetuning_rate: float | None = None
    schedule: str = "cosine"
    warmup_epochs: float = 1.0
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    dropout: float | None = None
    augment: Augment = PRESETS["light"]
    attack: str = "none"
    epsilon: float = 8 / 255
    attack_steps: int = 7
    class_weights: str = "auto"
    patience: int = 0
    keep: str = "best"
    train_on_val: bool = False
    mixed_precision: bool = False
    seed: int = 0
    resume: bool = False
    cache_bytes: int = 1 << 30
    allow_unsafe: bool = False

    def __post_init__(self) -> None:
        for name, allowed in (
            ("optimizer", tuple(OPTIMIZERS)),
            ("schedule", SCHEDULES),
            ("attack", ATTACKS),
            ("class_weights", CLASS_WEIGHTS),
            ("head", HEADS),
            ("keep", KEEP),
        ):
            if getattr(self, name) not in allowed:
                raise EdgecnnError(f"expected {name} to be one of {', '.join(allowed)}, got {getattr(self, name)!r}")
        for name, low, high in (
            ("epochs", 1, 100_000),
            ("head_epochs", 0, self.epochs),
            ("batch_size", 1, 1 << 20),
            ("learning_rate", 1e-12, 100),
            ("finetuning_rate", 1e-12, 100),
            ("warmup_epochs", 0, self.epochs),
            ("weight_decay", 0, 1),
            ("label_smoothing", 0, 0.99),
            ("dropout", 0, 0.99),
            ("temperature", 0.01, 1000),
            ("teacher_weight", 0, 1),
            ("epsilon", 1 / 255, 1),
            ("attack_steps", 1, 1000),
            ("patience", 0, 100_000),
            ("cache_bytes", 0, 1 << 62),
        ):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise EdgecnnError(f"expected {name} from {low:g} to {high:g}, got {value:g}")
        if self.teacher and self.attack != "none":
            raise EdgecnnError("a teacher knows nothing of attacked pictures; leave out the teacher or the attack")
        if self.arch and self.weights not in (None, "imagenet"):
            raise EdgecnnError(f"the file {self.weights} has an architecture of its own; leave out arch={self.arch}")
        if self.keep_head and not self.weights:
            raise EdgecnnError("keep_head goes on with the classifier of a model file; give that file as weights")

    @property
    def frozen_epochs(self) -> int:
        """Epochs in which a new head trains alone."""
        if self.head_epochs is not None:
            return self.head_epochs
        return max(1, self.epochs // 4) if self.weights and not self.keep_head else 0

    @property
    def rate(self) -> float:
        """The highest learning rate of a network or head that starts from random weights."""
        return self.learning_rate or OPTIMIZERS[self.optimizer]

    @property
    def finetune_rate(self) -> float:
        """The highest learning rate of weights that were trained before."""
        return self.finetuning_rate or self.rate / 10

    def to_dict(self) -> dict[str, Any]:
        """JSON form: everything that has an influence on the result."""
        values = asdict(self)
        for name in ("resume", "cache_bytes", "allow_unsafe"):
            del values[name]
        return values | {"preprocess": asdict(self.preprocess), "augment": self.augment.spec}
