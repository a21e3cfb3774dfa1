"""The networks that can be trained, by the name a user types."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from edgecnn.errors import ModelError
from edgecnn.train.nets.inception import inception
from edgecnn.train.nets.mobile import efficientnet_lite0
from edgecnn.train.nets.plain import alexnet, cifar10_cnn, image_cnn, lenet5, lenet5_caffe, lenet300, mnist_cnn, vgg
from edgecnn.train.nets.pretrained import application
from edgecnn.train.nets.residual import densenet, resnet


@dataclass(frozen=True)
class Architecture:
    """A network by name.

    Attributes:
        name: what the user types.
        title: its name in the field and where it comes from.
        size: side of its pictures in pixels where the user states none.
        normalization: word of a SPEC; how its pictures are normalized where the user states nothing.
        dropout: its own rate of dropout.
        build: makes the keras.Model that gives logits: (shape (height, width, channels), units, *, dropout).
    """

    name: str
    title: str
    size: int
    normalization: str
    dropout: float
    build: Callable[..., Any]


ARCHITECTURES: Final[dict[str, Architecture]] = {
    item.name: item
    for item in (
        Architecture("lenet300", "LeNet-300-100 (LeCun et al. 1998)", 28, "unit", 0.0, lenet300),
        Architecture("lenet5", "LeNet-5 (LeCun et al. 1998)", 28, "unit", 0.0, lenet5),
        Architecture(
            "lenet5_caffe", "LeNet-5 of Caffe: conv 20-50, dense 500 (Jia et al. 2014)", 28, "unit", 0.0, lenet5_caffe
        ),
        Architecture("mnist_cnn", "MNIST CNN: conv 32, dense 128 (Keras examples)", 28, "unit", 0.5, mnist_cnn),
        Architecture(
            "cifar10_cnn", "CIFAR-10 CNN: conv 32-64-64, dense 64 (TensorFlow tutorial)", 32, "unit", 0.0, cifar10_cnn
        ),
        Architecture(
            "image_cnn", "Image-folder CNN: conv 32-64-128, dense 512 (introductions)", 150, "unit", 0.5, image_cnn
        ),
        Architecture("alexnet", "AlexNet (Krizhevsky et al. 2012)", 224, "symmetric", 0.5, alexnet),
        Architecture(
            "vgg", "VGG-11 with batch normalization, for small pictures (Simonyan, Zisserman 2015)",
            32, "symmetric", 0.5, vgg,
        ),
        Architecture(
            "vgg16", "VGG-16 (Simonyan, Zisserman 2015)",
            224, "imagenet", 0.5, partial(application, network="VGG16"),
        ),
        Architecture(
            "inception", "Small Inception, for small pictures (Zhang et al. 2017)", 32, "symmetric", 0.0, inception
        ),
        Architecture(
            "inceptionv3", "Inception-v3 (Szegedy et al. 2016)",
            299, "symmetric", 0.2, partial(application, network="InceptionV3", smallest=75),
        ),
        Architecture(
            "resnet8", "ResNet-8 (He et al. 2016, MLPerf Tiny)", 32, "symmetric", 0.0, partial(resnet, blocks=1)
        ),
        Architecture("resnet20", "ResNet-20 (He et al. 2016)", 32, "symmetric", 0.0, partial(resnet, blocks=3)),
        Architecture("resnet56", "ResNet-56 (He et al. 2016)", 32, "symmetric", 0.0, partial(resnet, blocks=9)),
        Architecture(
            "resnet50", "ResNet-50 (He et al. 2016)", 224, "imagenet", 0.0, partial(application, network="ResNet50")
        ),
        Architecture(
            "densenet", "DenseNet-BC-40, growth 12, for small pictures (Huang et al. 2017)",
            32, "symmetric", 0.0, partial(densenet, depth=40, growth=12),
        ),
        Architecture(
            "densenet121", "DenseNet-121 (Huang et al. 2017)",
            224, "imagenet", 0.0, partial(application, network="DenseNet121"),
        ),
        Architecture(
            "mobilenet", "MobileNetV1 (Howard et al. 2017)",
            224, "symmetric", 0.001, partial(application, network="MobileNet"),
        ),
        Architecture(
            "mobilenet_025", "MobileNetV1, a quarter of the width (Howard et al. 2017)",
            96, "symmetric", 0.001, partial(application, network="MobileNet", alpha=0.25),
        ),
        Architecture(
            "mobilenetv2", "MobileNetV2 (Sandler et al. 2018)",
            224, "symmetric", 0.2, partial(application, network="MobileNetV2"),
        ),
        Architecture(
            "mobilenetv2_035", "MobileNetV2, 0.35 of the width (Sandler et al. 2018)",
            224, "symmetric", 0.2, partial(application, network="MobileNetV2", alpha=0.35),
        ),
        # Minimalistic: ReLU alone. Squeeze-and-excitation and hard swish lose accuracy in 8 bits and are slow there.
        Architecture(
            "mobilenetv3", "MobileNetV3-Small, minimalistic (Howard et al. 2019)", 224, "symmetric", 0.2,
            partial(application, network="MobileNetV3Small", minimalistic=True, include_preprocessing=False),
        ),
        Architecture(
            "efficientnetb0", "EfficientNet-B0 (Tan, Le 2019)",
            224, "imagenet", 0.2, partial(application, network="EfficientNetB0"),
        ),
        Architecture(
            "efficientnet_lite0", "EfficientNet-Lite0 (Liu 2020)", 224, "symmetric", 0.2, efficientnet_lite0
        ),
    )
}  # fmt: skip


def build_network(name: str, shape: tuple[int, int, int], units: int, *, dropout: float | None = None) -> Any:
    """A network with fresh weights, drawn by Keras' global seed.

    Args:
        name: one of ARCHITECTURES.
        shape: (height, width, channels) of its pictures.
        units: of its last layer.
        dropout: rate before the last layer, and of what other dropout the network has; None is its own rate.

    Returns:
        A keras.Model from float32 (batch, height, width, channels) to float32 logits (batch, units).

    Raises:
        ModelError: no such network, or a shape or number of units that no network takes.
    """
    if name not in ARCHITECTURES:
        raise ModelError(f"expected a network of {', '.join(ARCHITECTURES)}; got {name!r}")
    height, width, channels = shape
    if height < 1 or width < 1 or channels not in (1, 3) or units < 1:
        raise ModelError(
            f"expected pictures of at least 1x1 pixels with 1 or 3 channels and at least 1 unit, got {width}x{height} "
            f"with {channels} channels and {units} units"
        )
    architecture = ARCHITECTURES[name]
    return architecture.build(shape, units, dropout=architecture.dropout if dropout is None else dropout)
