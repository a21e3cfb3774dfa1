"""Transfer learning: the features that another training found, under a classifier of one's own."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edgecnn.errors import ModelError
from edgecnn.keras_io.classifier import known_normalization
from edgecnn.keras_io.graph import features, flat_copy, logits
from edgecnn.keras_io.network import image_shape, load_network
from edgecnn.quiet import quiet

# Layers of the classifier that `transfer_network` adds; a backbone's own layers never have these names.
HEAD: Final = ("pooled", "dropped", "logits")

# Architectures of keras.applications with ImageNet weights: its function, the normalization it needs, its options.
IMAGENET: Final[dict[str, tuple[str, str, dict[str, Any]]]] = {
    "densenet121": ("DenseNet121", "imagenet", {}),
    "efficientnetb0": ("EfficientNetB0", "raw", {}),
    "inceptionv3": ("InceptionV3", "symmetric", {}),
    "mobilenet": ("MobileNet", "symmetric", {}),
    "mobilenet_025": ("MobileNet", "symmetric", {"alpha": 0.25}),
    "mobilenetv2": ("MobileNetV2", "symmetric", {}),
    "mobilenetv2_035": ("MobileNetV2", "symmetric", {"alpha": 0.35}),
    "mobilenetv3": ("MobileNetV3Small", "raw", {"minimalistic": True}),
    "resnet50": ("ResNet50", "caffe", {}),
    "vgg16": ("VGG16", "caffe", {}),
}


@dataclass(frozen=True)
class Backbone:
    """A trained network to build on.

    Attributes:
        model: flat Keras model from float32 pictures (n, height, width, channels) to features (n, features) or
            (n, height, width, features); with `keeps_head` to logits (n, outputs).
        name: of the file, or "mobilenetv2 imagenet".
        size: (height, width) that it was made for; None where any will do. Most can be used at others too.
        channels: of its pictures, 1 or 3.
        preprocess: name of the normalization that it is known to need; None where the file does not say.
        outputs: of the classifier that the file came with; 0 where it had none.
        keeps_head: that classifier is still there.
    """

    model: Any
    name: str
    size: tuple[int, int] | None
    channels: int
    preprocess: str | None
    outputs: int = 0
    keeps_head: bool = False


def load_backbone(
    weights: str | Path,
    arch: str | None = None,
    *,
    size: tuple[int, int] | None = None,
    keep_head: bool = False,
    allow_unsafe: bool = False,
) -> Backbone:
    """Take the features of a Keras file, or of an architecture with its ImageNet weights.

    Args:
        weights: a `.keras` or `.h5` file, or "imagenet".
        arch: a name of `IMAGENET`; needed for "imagenet" only.
        size: (height, width) of the pictures to come; some ImageNet weights differ by it.
        keep_head: keep the file's classifier, to go on training it.

    Raises:
        ModelError: the file cannot be used, has no classifier to keep, or the weights are not on this machine and
            cannot be downloaded.
        UnsafeModelError: the file carries code and `allow_unsafe` is False.
        MissingExtraError: Keras is not installed.
    """
    if str(weights) == "imagenet":
        name = f"{arch} imagenet"
        loaded, normalization = _imagenet(arch, size)
    else:
        name = Path(weights).name
        loaded, normalization = load_network(weights, allow_unsafe=allow_unsafe), None
    height, width, channels = image_shape(loaded, name)
    flat = flat_copy(loaded, reserved=HEAD)
    body = features(flat)
    outputs = int(flat.outputs[0].shape[-1]) if body is not flat and _is_vector(flat.outputs[0].shape) else 0
    if keep_head and not outputs:
        raise ModelError(f"{name} has no classifier to keep; train a new one on its features")
    return Backbone(
        model=logits(flat) if keep_head else body,
        name=name,
        size=None if -1 in (height, width) else (height, width),
        channels=channels,
        preprocess=normalization or known_normalization(loaded, flat),
        outputs=outputs,
        keeps_head=keep_head,
    )


def transfer_network(backbone: Backbone, shape: tuple[int, int, int], units: int, *, dropout: float = 0.0) -> Any:
    """A network to logits for pictures of `shape` on a backbone: pooled features, dropout, one Dense layer.

    With the backbone's own classifier kept, that one.

    Args:
        shape: (height, width, channels).
        units: outputs wanted, 1 for a sigmoid head.
        dropout: share of the features that are dropped in training.

    Returns:
        A keras.Model with weights of its own: float32 (n, *shape) to float32 logits (n, units).

    Raises:
        ModelError: the backbone does not work for that shape, or its classifier has other outputs.
    """
    import keras

    if backbone.channels != shape[2]:
        raise ModelError(f"{backbone.name} takes pictures of {backbone.channels} channels, got {shape[2]}")
    if backbone.keeps_head and backbone.outputs != units:
        raise ModelError(
            f"the classifier of {backbone.name} has {backbone.outputs} outputs, {units} are wanted; do not keep it"
        )
    try:
        network = flat_copy(backbone.model, shape, reserved=HEAD)
    except ModelError as exc:
        raise ModelError(f"{backbone.name}: {exc}") from exc
    output = network.outputs[0]
    if backbone.keeps_head:
        if output.dtype == "float32":
            return network
        output = keras.layers.Activation("linear", dtype="float32", name=HEAD[2])(output)
        return keras.Model(network.inputs[0], output, name=network.name)
    if len(output.shape) == 4:
        output = keras.layers.GlobalAveragePooling2D(name=HEAD[0])(output)
    if dropout:
        output = keras.layers.Dropout(dropout, name=HEAD[1])(output)
    output = keras.layers.Dense(units, name=HEAD[2], dtype="float32")(output)
    return keras.Model(network.inputs[0], output, name=network.name)


def freeze(network: Any, backbone: Backbone, *, frozen: bool) -> None:
    """Choose what the next training changes; compile the network again afterwards.

    Args:
        network: made by `transfer_network` from `backbone`.
        frozen: True: only the classifier. False: everything but the BatchNormalization layers of the backbone,
            which stay in inference mode: small sets would ruin their statistics.
    """
    import keras

    head = [layer for layer in network.layers if layer.name in HEAD]
    if backbone.keeps_head:
        head = [layer for layer in network.layers if layer.weights][-1:]
    for layer in network.layers:
        if layer in head:
            layer.trainable = True
        else:
            layer.trainable = not frozen and not isinstance(layer, keras.layers.BatchNormalization)


def _is_vector(shape: tuple[int | None, ...]) -> bool:
    return sum(n != 1 for n in shape[1:]) <= 1


def _imagenet(arch: str | None, size: tuple[int, int] | None) -> tuple[Any, str]:
    """(model without classifier, normalization) of an architecture of keras.applications."""
    import keras

    if arch not in IMAGENET:
        raise ModelError(f"expected an architecture with ImageNet weights ({', '.join(IMAGENET)}), got {arch!r}")
    function, normalization, options = IMAGENET[arch]
    try:
        with quiet():
            model = getattr(keras.applications, function)(
                weights="imagenet", include_top=False, input_shape=(*(size or (224, 224)), 3), **options
            )
    except Exception as exc:  # Keras raises a bare Exception for a download, ValueError for a size
        address = re.search(r"https?://\S+/([\w.-]+)", str(exc))
        if address is None:
            raise ModelError(
                f"{arch} with ImageNet weights cannot be built: {' '.join(str(exc).split())[:300]}"
            ) from exc
        home = os.environ.get("KERAS_HOME") or os.path.join("~", ".keras")
        raise ModelError(
            f"the ImageNet weights of {arch} cannot be downloaded; put {address[0]} into "
            f"{os.path.join(home, 'models')}, or name a Keras file with --weights PATH"
        ) from exc
    return model, normalization
