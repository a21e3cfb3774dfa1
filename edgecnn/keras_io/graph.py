"""Copies of a loaded Keras 3 model: flat, for another input size, and without its classifier or its last activation."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from numpy.typing import NDArray

from edgecnn.errors import ModelError

# From a layer to the constructor arguments in which its copy differs, and the copy's weights.
Change = Callable[[Any], tuple[dict[str, Any], Sequence[NDArray[Any]]]]

# Layers that turn a feature map into a vector.
_POOLING: Final = ("GlobalAveragePooling2D", "GlobalMaxPooling2D", "Flatten")
_LOCAL_POOLING: Final = ("AveragePooling2D", "MaxPooling2D")
# Layers of a classifier between its last weights and its output.
_PASSING: Final = ("Dropout", "Softmax", "Activation", "Sigmoid", "Reshape", "Flatten", "Identity")
# Layers that leave the values of a vector as they are, outside of training.
_NEUTRAL: Final = ("Dropout", "Reshape", "Flatten", "Identity")
_SCORES: Final = ("softmax", "sigmoid")  # activations that turn logits into probabilities


def flat_copy(
    model: Any,
    shape: tuple[int, int, int] | None = None,
    *,
    reserved: tuple[str, ...] = (),
    change: Change | None = None,
    bypass: Mapping[str, int] | None = None,
) -> Any:
    """A Functional copy of a model with the same weights, models inside dissolved, every layer trainable.

    Layers take Keras' present dtype policy. Layer names stay where they are unique.

    Args:
        model: built Functional or Sequential model of one input and one output.
        shape: (height, width, channels) of the new input; None for the model's own.
        reserved: layer names that the copy must not use.
        change: how layers of the copy differ; None for not at all.
        bypass: layers that the copy leaves out, by name, and which of their inputs takes the place of the output.

    Raises:
        ModelError: its layers do not work for pictures of that size.
    """
    import keras

    own = tuple(model.inputs[0].shape[1:])
    image = keras.Input(shape or own, name="image")
    copies = _Copies({"image", *reserved}, change or _unchanged, bypass or {})
    try:
        output = copies.run(model, image)
    except ModelError:
        raise
    except Exception as exc:  # each layer raises its own for a size that it cannot take
        if shape is None or tuple(shape) == own:
            raise ModelError(f"the model {model.name!r} cannot be copied: {_first_line(exc)}") from exc
        raise ModelError(_wrong_size(own, shape)) from exc
    return keras.Model(image, output, name=model.name)


class _Copies:
    """Copies of layers, one for each original even where it is used several times."""

    def __init__(self, names: set[str], change: Change, bypass: Mapping[str, int]) -> None:
        self._names, self._change, self._bypass = names, change, bypass
        self._made: dict[int, Any] = {}

    def run(self, model: Any, tensor: Any) -> Any:
        """The output of a model's copied layers for a symbolic tensor."""
        import keras

        if isinstance(model, keras.Sequential):
            for layer in model.layers:
                tensor = self._call(layer, tensor)
            return tensor
        outputs = model._run_through_graph([tensor], operation_fn=lambda layer: partial(self._call, layer))
        (output,) = keras.tree.flatten(outputs)
        return output

    def _call(self, layer: Any, *tensors: Any, **options: Any) -> Any:
        import keras

        if isinstance(layer, keras.Model) and hasattr(layer, "layers") and len(layer.inputs) == len(layer.outputs) == 1:
            return self.run(layer, *keras.tree.flatten(tensors))
        if layer.name in self._bypass:
            return keras.tree.flatten(tensors)[self._bypass[layer.name]]
        if id(layer) in self._made:
            return self._made[id(layer)](*tensors, **options)
        arguments, weights = self._change(layer)
        copy = self._made[id(layer)] = self._copy(layer, arguments)
        result = copy(*tensors, **options)
        if isinstance(layer, keras.Layer):
            copy.trainable = True
            if [array.shape for array in weights] != [array.shape for array in copy.get_weights()]:
                raise ValueError(f"the weights of {layer.name!r} have another shape")
            copy.set_weights(weights)
            if isinstance(copy, keras.layers.Normalization):
                copy.finalize_state()
        return result

    def _copy(self, layer: Any, arguments: dict[str, Any]) -> Any:
        config = layer.get_config() | arguments
        name, number = layer.name, 1
        while name in self._names:
            name, number = f"{layer.name}_{number}", number + 1
        self._names.add(name)
        config["name"] = name
        if getattr(getattr(layer, "dtype_policy", None), "quantization_mode", None) is None:
            config.pop("dtype", None)
        return type(layer).from_config(config)


def _unchanged(layer: Any) -> tuple[dict[str, Any], Sequence[NDArray[Any]]]:
    return {}, getattr(layer, "get_weights", list)()


def features(flat: Any) -> Any:
    """A model without the classifier: up to the last feature map, or what the last weights of a dense network take.

    The layers are shared with the given model.

    Args:
        flat: made by `flat_copy`.

    Returns:
        A keras.Model to (batch, height, width, features) or (batch, features).
    """
    import keras

    made = _producers(flat)
    cut = output = flat.outputs[0]
    while (layer := made.get(id(output))) is not None and (before := _only_input(layer)) is not None:
        if type(layer).__name__ in _POOLING and len(before.shape) == 4 and before is not flat.inputs[0]:
            cut = _before_local_pooling(made, before)
        output = before
    body = keras.Model(flat.inputs[0], cut, name=flat.name)
    if (cut is flat.outputs[0] and len(cut.shape) == 2) or not body.weights:
        cut = _before_last_weights(made, flat.outputs[0])
        body = keras.Model(flat.inputs[0], cut, name=flat.name)
    return flat if cut is flat.outputs[0] else body


def logits(flat: Any) -> Any:
    """A classifier without its last softmax or sigmoid: to (batch, outputs).

    The layers are shared with the given model, which gives logits too if the activation stands in its last layer.

    Args:
        flat: made by `flat_copy`.
    """
    import keras

    layer, output = _last(flat)
    if type(layer).__name__ in ("Softmax", "Sigmoid", "Activation") and _activation(layer) in ("", *_SCORES):
        output = _only_input(layer)
    elif _activation(layer) in _SCORES:
        layer.activation = keras.activations.linear
    if len(output.shape) != 2:
        output = keras.layers.Reshape((-1,))(output)
    return flat if output is flat.outputs[0] else keras.Model(flat.inputs[0], output, name=flat.name)


def head(flat: Any) -> str:
    """What a classifier's last layer makes of its logits: "softmax" or "sigmoid"; "logits" for neither.

    Args:
        flat: made by `flat_copy`, before `logits` has changed it.
    """
    layer, _ = _last(flat)
    name = _activation(layer) or type(layer).__name__.lower()
    return name if name in _SCORES else "logits"


def averaged(flat: Any) -> tuple[Any, Any] | None:
    """The feature map that a classifier averages over the whole picture, and the one Dense layer that takes its means.

    Args:
        flat: made by `flat_copy` and `logits`.

    Returns:
        (symbolic tensor (batch, height, width, features), layer); None where the classifier is built in another way.
    """
    made = _producers(flat)
    tensor = _passed(made, flat.outputs[0])
    dense = made.get(id(tensor))
    if type(dense).__name__ != "Dense" or _activation(dense) != "linear":
        return None
    tensor = _passed(made, _only_input(dense))
    pooling = made[id(tensor)]
    before = _only_input(pooling)
    if before is None or len(before.shape) != 4:
        return None
    whole = type(pooling).__name__ == "AveragePooling2D" and tensor.shape[1:3] == (1, 1)
    whole = whole and tuple(pooling.pool_size) == tuple(before.shape[1:3])
    return (before, dense) if whole or type(pooling).__name__ == "GlobalAveragePooling2D" else None


def _last(flat: Any) -> tuple[Any, Any]:
    """The last layer that is no empty activation, and its output."""
    made = _producers(flat)
    output = flat.outputs[0]
    while type(layer := made[id(output)]).__name__ == "Activation" and _activation(layer) == "linear":
        output = _only_input(layer)
    return layer, output


def _passed(made: dict[int, Any], tensor: Any) -> Any:
    """The tensor that layers without effect on the values of a vector were given, back from their output."""
    while (layer := made.get(id(tensor))) is not None:
        empty = type(layer).__name__ == "Activation" and _activation(layer) == "linear"
        if not empty and type(layer).__name__ not in _NEUTRAL:
            break
        tensor = _only_input(layer)
    return tensor


def _before_local_pooling(made: dict[int, Any], tensor: Any) -> Any:
    """What a pooling over the whole map takes, where a classifier begins with one; else the tensor itself."""
    layer = made.get(id(tensor))
    if type(layer).__name__ not in _LOCAL_POOLING or tensor.shape[1:3] != (1, 1):
        return tensor
    return _only_input(layer)


def _before_last_weights(made: dict[int, Any], output: Any) -> Any:
    """What the last Dense takes; the output itself where the model does not end in one."""
    tensor = output
    while type(layer := made.get(id(tensor))).__name__ in _PASSING:
        tensor = _only_input(layer)
    if type(layer).__name__ != "Dense":
        return output
    tensor = _only_input(layer)
    while type(layer := made.get(id(tensor))).__name__ == "Dropout":
        tensor = _only_input(layer)
    return tensor


def _producers(flat: Any) -> dict[int, Any]:
    """The operation that made each tensor, by the tensor's id."""
    import keras

    return {id(tensor): layer for layer in flat.operations for tensor in keras.tree.flatten(layer.output)}


def _activation(layer: Any) -> str:
    """Name of a layer's activation; "" where it has none."""
    return str(getattr(getattr(layer, "activation", None), "__name__", ""))


def _only_input(layer: Any) -> Any:
    """The tensor that an operation takes; None where it takes none or several."""
    import keras

    if isinstance(layer, keras.layers.InputLayer):
        return None
    tensors = keras.tree.flatten(layer.input)
    return tensors[0] if len(tensors) == 1 else None


def _wrong_size(own: tuple[int | None, ...], shape: tuple[int, ...]) -> str:
    made_for, wanted = ("x".join(str(n or "?") for n in (s[1], s[0], s[2])) for s in (own, shape))
    return (
        f"the model works only for pictures of {made_for} (width x height x channels), got {wanted}; "
        "use its size, or a network that is convolutional up to its classifier"
    )


def _first_line(exc: Exception) -> str:
    return next((line.strip() for line in str(exc).splitlines() if line.strip()), type(exc).__name__)[:300]
