"""From options and pictures to a network: which architecture, which input, which weights to start from."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from edgecnn.config import NORMALIZATIONS, Preprocess
from edgecnn.data.dataset import Dataset, Sample, balanced, match_labels
from edgecnn.errors import DataError, ImageError, ModelError, PreprocessError
from edgecnn.keras_io.card import read_card
from edgecnn.keras_io.classifier import usual_color
from edgecnn.keras_io.network import image_shape
from edgecnn.spec import Spec
from edgecnn.train.adversary import attacked
from edgecnn.train.architectures import ARCHITECTURES, build_network
from edgecnn.train.distill import DistillationLoss, load_teacher, student_accuracy, with_teacher
from edgecnn.train.loop import Learner
from edgecnn.train.nets.parts import average_recent
from edgecnn.train.options import TrainConfig
from edgecnn.train.transfer import Backbone, freeze, load_backbone, transfer_network

_SMALL = 64  # pictures of at most so many pixels a side are taken as they are
_LOOKED_AT = 64  # pictures that tell size and colour
_IMAGENET_ARCH, _IMAGENET_SIDE = "mobilenetv2", 224
_DROPOUT = 0.2  # before a new classifier on trained features


@dataclass(frozen=True)
class Design:
    """What will be trained.

    Attributes:
        arch: name of the architecture, or of the file that it was taken from.
        preprocess: what is done to every picture.
        units: elements of the output, 1 for a sigmoid head.
        build: makes the network, pictures to logits.
        backbone: where it starts from trained weights.
    """

    arch: str
    preprocess: Preprocess
    units: int
    build: Callable[[], Any]
    backbone: Backbone | None = None

    @property
    def name(self) -> str:
        """Name of the Keras model: letters, digits and underscores."""
        return re.sub(r"\W+", "_", self.arch).strip("_") or "network"


def design(dataset: Dataset, samples: Sequence[Sample], config: TrainConfig) -> Design:
    """Decide everything that the options leave open.

    Args:
        samples: training pictures, some of which are looked at.

    Raises:
        DataError: a sigmoid head for more than two classes, or no picture can be read.
        ModelError: the architecture or the weights cannot be used.
        PreprocessError: the normalization of the weights is not known.
    """
    classes = len(dataset.classes)
    if config.head == "sigmoid" and classes != 2:
        raise DataError(f"a sigmoid head is for two classes, {dataset.name} has {classes}; leave out --head sigmoid")
    units = 1 if config.head == "sigmoid" else classes
    size, gray = _look(dataset, samples)
    if config.weights:
        return _from_weights(config, units)
    small = size is not None and max(size) <= _SMALL
    arch = config.arch or ("resnet8" if small else "mobilenetv2_035")
    if arch not in ARCHITECTURES:
        raise ModelError(f"expected an architecture of {', '.join(ARCHITECTURES)}, got {arch!r}")
    known = ARCHITECTURES[arch]
    width, height = size if small and size else (known.size, known.size)
    preprocess = config.preprocess.complete(
        config.preprocess.width or width,
        config.preprocess.height or height,
        config.preprocess.color or ("gray" if gray else "rgb"),
        known.normalization,
    )
    return Design(
        arch, preprocess, units, lambda: build_network(arch, _shape(preprocess), units, dropout=config.dropout)
    )


def _from_weights(config: TrainConfig, units: int) -> Design:
    """A design that starts from trained weights, and with what their file says about its input."""
    assert config.weights
    arch = config.arch or (_IMAGENET_ARCH if config.weights == "imagenet" else None)
    spec = config.preprocess
    size = (spec.height, spec.width) if spec.height and spec.width else None
    backbone = load_backbone(
        config.weights, arch, size=size, keep_head=config.keep_head, allow_unsafe=config.allow_unsafe
    )
    card = None if config.weights == "imagenet" else read_card(config.weights)
    if card:
        preprocess = spec.over(card.preprocess)
    else:
        if not spec.states_normalization and backbone.preprocess is None:
            raise PreprocessError(
                f"{backbone.name} does not say how its input is normalized; "
                f"give --preprocess with {', '.join(NORMALIZATIONS)} or mean=…,std=…"
            )
        height, width = size or backbone.size or (_IMAGENET_SIDE, _IMAGENET_SIDE)
        color = usual_color(backbone.channels, backbone.preprocess)
        preprocess = spec.complete(width, height, color, backbone.preprocess or "raw")
    dropout = _DROPOUT if config.dropout is None else config.dropout

    def build() -> Any:
        return transfer_network(backbone, _shape(preprocess), units, dropout=dropout)

    return Design(backbone.name, preprocess, units, build, backbone)


def _shape(preprocess: Preprocess) -> tuple[int, int, int]:
    return preprocess.height, preprocess.width, preprocess.channels


def learner(plan: Design, network: Any, labels: Sequence[str], config: TrainConfig) -> Learner:
    """The network with its loss, its teacher beside it, and what of it trains when.

    Raises:
        ModelError, DataError, PreprocessError: the teacher cannot be used.
    """
    taught = _taught(network, plan, labels, config) if config.teacher else None
    whole = lesson(network, config, taught)
    if config.attack != "none":
        steps = config.attack_steps if config.attack == "pgd" else 1
        hard = attacked(whole.model, plan.preprocess, epsilon=config.epsilon, steps=steps, seed=config.seed)
        whole = replace(whole, model=hard)
    backbone = plan.backbone
    if backbone is None or backbone.keeps_head:  # the whole model goes on
        return whole
    return replace(whole, freeze=lambda frozen: freeze(network, backbone, frozen=frozen))


def lesson(network: Any, config: TrainConfig, taught: Any = None) -> Learner:
    """The network with its loss: two logits for a sigmoid head, and batch normalization that follows the training.

    Args:
        network: pictures to logits.
        taught: made by `with_teacher` from the network; None without a teacher.
    """
    import keras

    average_recent(network)
    if taught is not None:
        loss = DistillationLoss(config.temperature, config.teacher_weight, label_smoothing=config.label_smoothing)
        return Learner(network, taught, loss, student_accuracy)
    model = network
    if network.outputs[0].shape[-1] == 1:  # the negative class has the logit 0: the softmax of both is the sigmoid
        logit = network.output
        both = keras.ops.concatenate([keras.ops.zeros_like(logit), logit], axis=-1)
        model = keras.Model(network.input, both)
    crossentropy = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=config.label_smoothing)
    return Learner(network, model, crossentropy, partial(keras.metrics.CategoricalAccuracy, name="accuracy"))


def _look(dataset: Dataset, samples: Sequence[Sample]) -> tuple[tuple[int, int] | None, bool]:
    """(width, height) that all pictures have, as far as looked at, and whether they are gray."""
    sizes, gray, reason = set(), True, ""
    for sample in balanced(samples, _LOOKED_AT):
        try:
            picture = dataset.read(sample)
        except ImageError as exc:
            reason = str(exc)
            continue
        sizes.add(picture.shape[1::-1])
        gray = gray and bool((picture[..., :1] == picture).all())
    if not sizes:
        raise DataError(f"none of the first images of {dataset.name} could be read: {reason}")
    return (sizes.pop() if len(sizes) == 1 else None), gray


def _taught(student: Any, plan: Design, labels: Sequence[str], config: TrainConfig) -> Any:
    """The student with its teacher beside it, whose answers are brought into the order of the labels."""
    assert config.teacher
    teacher = load_teacher(config.teacher, allow_unsafe=config.allow_unsafe)
    order = None
    if teacher.labels:
        known = match_labels(teacher.labels, labels)
        if strange := [name for i, name in enumerate(labels) if i not in known]:
            raise DataError(f"the teacher {teacher.name} does not know the class {strange[0]}; leave out --teacher")
        order = [known[i] for i in range(len(labels))]
    preprocess = teacher.preprocess
    if config.teacher_preprocess != Spec():
        height, width, channels = image_shape(teacher.model, teacher.name)
        spec = config.teacher_preprocess
        preprocess = spec.complete(width, height, usual_color(channels, spec.normalization))
    return with_teacher(student, teacher, plan.preprocess, preprocess, order=order)
