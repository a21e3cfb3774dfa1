"""Networks that are one chain of layers: the first ones, and those of well-known introductions."""

from typing import Any, Final

from edgecnn.train.nets.parts import (
    classifier,
    convolution,
    dense,
    dropped,
    flat,
    max_pool,
    mean,
    normalized,
    picture,
    relu,
    smaller_side,
)

_LENET_SIDE: Final = 32  # the paper's pictures: digits of 28 pixels with a border
_ALEXNET_SIDE: Final = 128  # from here on its first layer may divide both sides by 8
_VGG_A: Final = ((64,), (128,), (256, 256), (512, 512), (512, 512))


def lenet300(shape: tuple[int, int, int], units: int, *, dropout: float) -> Any:
    """Two hidden layers of 300 and 100 units, no convolution."""
    image = picture(shape)
    return classifier(image, dense(dense(flat(image), 300), 100), units, dropout)


def lenet5(shape: tuple[int, int, int], units: int, *, dropout: float) -> Any:
    """LeNet-5's layers with ReLU and maximum pooling in place of tanh and averages.

    Pictures smaller than the paper's 32 pixels are padded by the first layer, so that 28 and 32 give the same network.
    """
    image = picture(shape)
    padding = "same" if smaller_side(image) < _LENET_SIDE else "valid"
    x = max_pool(relu(convolution(image, 6, 5, padding=padding)))
    x = max_pool(relu(convolution(x, 16, 5, padding="valid")))
    return classifier(image, dense(dense(flat(x), 120), 84), units, dropout)


def lenet5_caffe(shape: tuple[int, int, int], units: int, *, dropout: float) -> Any:
    """The wider LeNet-5 of Caffe's examples, on which papers about pruning report: convolutions without activations."""
    image = picture(shape)
    x = max_pool(convolution(image, 20, 5, padding="valid"))
    x = max_pool(convolution(x, 50, 5, padding="valid"))
    return classifier(image, dense(flat(x), 500), units, dropout)


def mnist_cnn(shape: tuple[int, int, int], units: int, *, dropout: float) -> Any:
    """One convolution and one hidden layer; half of `dropout` behind the pooling, all before the logits."""
    image = picture(shape)
    x = dropped(max_pool(relu(convolution(image, 32, 3, padding="valid"))), dropout / 2)
    return classifier(image, dense(flat(x), 128), units, dropout)


def cifar10_cnn(shape: tuple[int, int, int], units: int, *, dropout: float) -> Any:
    """Three convolutions, two poolings between them."""
    image = picture(shape)
    x = max_pool(relu(convolution(image, 32, 3, padding="valid")))
    x = max_pool(relu(convolution(x, 64, 3, padding="valid")))
    x = relu(convolution(x, 64, 3, padding="valid"))
    return classifier(image, dense(flat(x), 64), units, dropout)


def image_cnn(shape: tuple[int, int, int], units: int, *, dropout: float) -> Any:
    """Three convolutions, a pooling behind each, and a wide hidden layer."""
    x = image = picture(shape)
    for filters in (32, 64, 128):
        x = max_pool(relu(convolution(x, filters, 3, padding="valid")))
    return classifier(image, dense(flat(x), 512), units, dropout)


def alexnet(shape: tuple[int, int, int], units: int, *, dropout: float) -> Any:
    """AlexNet on one device, batch normalization in place of its local response normalization.

    Pictures of at least 128 pixels get the paper's layers. Smaller ones get a first convolution of 5x5 that keeps
    their size, in place of 11x11 with strides of 4, and hidden layers of 1024 units in place of 4096. `dropout` stands
    before each of the last two dense layers and the logits' own.
    """
    image = picture(shape)
    large = smaller_side(image) >= _ALEXNET_SIDE
    x = convolution(image, 96, 11, strides=4) if large else convolution(image, 96, 5)
    x = max_pool(normalized(x, "relu"), 3)
    x = max_pool(normalized(convolution(x, 256, 5), "relu"), 3)
    for filters in (384, 384, 256):
        x = relu(convolution(x, filters, 3))
    hidden = 4096 if large else 1024
    x = dense(dropped(flat(max_pool(x, 3)), dropout), hidden)
    return classifier(image, dense(dropped(x, dropout), hidden), units, dropout)


def vgg(shape: tuple[int, int, int], units: int, *, dropout: float) -> Any:
    """The eight convolutions of VGG-11 with batch normalization; the mean of the last map replaces its dense layers."""
    x = image = picture(shape)
    for stage in _VGG_A:
        for filters in stage:
            x = normalized(convolution(x, filters, 3, bias=False), "relu")
        x = max_pool(x)
    return classifier(image, mean(x), units, dropout)
