"""Keras 2 model files for Keras 3, by rewriting the description inside them; the weights stay as they are.

Keras 3 reads most layers of Keras 2. What it does not read is rewritten here in terms of its own layers, so that the
loaded model is one of plain Keras 3 and needs nothing of edgecnn to be loaded again.
"""

import inspect
import json
import zipfile
from pathlib import Path
from typing import Any, Final

from edgecnn.errors import ModelError

_CALLS: Final = ("TFOpLambda", "SlicingOpLambda", "ClassMethod")  # TensorFlow functions that stand as layers
_FUNCTIONS: Final = {  # of one tensor: function of TensorFlow to activation of Keras
    "nn.relu": "relu",
    "nn.relu6": "relu6",
    "nn.silu": "silu",
    "nn.swish": "silu",
    "nn.softmax": "softmax",
    "math.sigmoid": "sigmoid",
    "math.tanh": "tanh",
}
_ARITHMETIC: Final = {
    "__operators__.add": "Add",
    "math.add": "Add",
    "math.subtract": "Subtract",
    "math.multiply": "Multiply",
    "math.truediv": "Divide",
    "math.divide": "Divide",
}
_NEUTRAL: Final = (None, False, 1, "stateful", "legacy_stateful")  # arguments that Keras 3 dropped, saying nothing
_TRAINING_ONLY: Final = ("_initializer", "_regularizer", "_constraint")
_NAME_KEYS: Final = ("input_layers", "output_layers")


def write_readable(source: Path, target: Path) -> None:
    """Copy a Keras 2 `.h5` or `.keras` so that Keras 3 reads it.

    Raises:
        ModelError: it calls a TensorFlow function that has no Keras layer.
    """
    if zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
            for name in old.namelist():
                content = old.read(name)
                if name == "config.json":
                    content = json.dumps({"module": "keras"} | _translated(json.loads(content))).encode()
                new.writestr(name, content)
        return
    import h5py

    target.write_bytes(source.read_bytes())
    with h5py.File(target, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        file.attrs["model_config"] = json.dumps(_translated(config))


def _translated(node: dict[str, Any]) -> dict[str, Any]:
    """A layer or model as Keras 2 describes it, with the models inside, as Keras 3 reads it."""
    kind, inbound = node["class_name"], node.get("inbound_nodes")
    config = node["config"]
    if isinstance(config, list):  # a Sequential before Keras 2.2
        config = {"name": node.get("name", "sequential"), "layers": config}
    if kind in _CALLS:
        kind, config, inbound = _as_layer(kind, config, inbound or [])
    elif "layers" in config:
        config = {key: _without_list(key, config[key]) for key in ("name", *_NAME_KEYS) if key in config} | {
            "layers": [_translated(layer) for layer in config["layers"]]
        }
        kind = "Model" if "input_layers" in config else "Sequential"
    else:
        config = _readable(kind, config)
    config["name"] = _name(config["name"])
    result = {"class_name": kind, "config": config, "name": config["name"]}
    return result if inbound is None else result | {"inbound_nodes": _named(inbound)}


def _readable(kind: str, config: dict[str, Any]) -> dict[str, Any]:
    """A layer's arguments without those that Keras 3 dropped."""
    import keras

    layer = getattr(keras.layers, kind, None)
    if layer is None:  # Keras says so itself, unless it is in a module that the user allowed
        return dict(config)
    known = _parameters(layer)
    kept = {
        key: value
        for key, value in config.items()
        if key in known
        or not (key.endswith(_TRAINING_ONLY) or any(type(value) is type(none) and value == none for none in _NEUTRAL))
    }
    kept.pop("dtype", None)  # Keras 2 writes policies that Keras 3 does not know
    kept.pop("trainable", None)  # not every layer of Keras 3 takes it; who trains decides it anew
    if isinstance(kept.get("axis"), list) and len(kept["axis"]) == 1:
        kept["axis"] = kept["axis"][0]
    return kept


def _parameters(layer: Any) -> set[str]:
    """Names that a layer's constructor takes, with those it hands on to its parents."""
    names = {"batch_input_shape", "name", "activity_regularizer"}
    for parent in layer.__mro__:
        code = getattr(parent.__dict__.get("__init__"), "__code__", None)
        if code is None:
            continue
        names |= set(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
        if not code.co_flags & inspect.CO_VARKEYWORDS:
            break
    return names


def _as_layer(kind: str, config: dict[str, Any], inbound: list[Any]) -> tuple[str, dict[str, Any], list[Any]]:
    """(class, arguments, inbound nodes) of the Keras layer that computes what a call of TensorFlow does."""
    function = config.get("function", kind)
    unknown = ModelError(
        f"it calls TensorFlow's {function!r}, which has no Keras layer; build the model with layers and save it again"
    )
    if len(inbound) != 1:
        raise unknown
    source, node, tensor, *rest = inbound[0] if isinstance(inbound[0][0], str) else inbound[0][0]
    arguments = {key: value for key, value in (rest[0] if rest else {}).items() if value is not None and key != "name"}
    name, plain = {"name": config["name"]}, [[[source, node, tensor, {}]]]
    operand = arguments.pop("y", None)
    if function in _ARITHMETIC and operand is not None and not arguments and source != "_CONSTANT_VALUE":
        if _is_tensor(operand):
            if _ARITHMETIC[function] == "Divide":
                raise unknown
            return _ARITHMETIC[function], name, [[[source, node, tensor, {}], [*operand, {}]]]
        if _is_constant(operand):
            return "Rescaling", name | _scale(_ARITHMETIC[function], operand), plain
    if function in _FUNCTIONS and operand is None and not arguments:
        return "Activation", name | {"activation": _FUNCTIONS[function]}, plain
    keepdims = arguments.pop("keepdims", False)
    if function == "math.reduce_mean" and arguments == {"axis": [1, 2]}:
        return "GlobalAveragePooling2D", name | {"keepdims": keepdims}, plain
    raise unknown


def _scale(operation: str, operand: Any) -> dict[str, Any]:
    """Arguments of the Rescaling that adds, subtracts, multiplies or divides by a number, or one a channel."""
    values = operand if isinstance(operand, list) else [operand]
    neutral = [0.0] * len(values)
    scale = {"Multiply": values, "Divide": [1 / value if value else 0.0 for value in values]}.get(operation)
    offset = {"Add": values, "Subtract": [-value for value in values]}.get(operation, neutral)
    scale = scale or [1.0] * len(values)
    return {
        "scale": scale if isinstance(operand, list) else scale[0],
        "offset": offset if isinstance(operand, list) else offset[0],
    }


def _is_tensor(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and isinstance(value[0], str)


def _is_constant(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return all(isinstance(number, int | float) for number in values)


def _without_list(key: str, value: Any) -> Any:
    """One input or output as itself: Keras 3 would hand a list of one on to the next layer."""
    if key not in _NAME_KEYS:
        return value
    return _named(value[0] if len(value) == 1 and isinstance(value[0], list) else value)


def _named(value: Any) -> Any:
    """References to tensors, [layer, node, index, …], with names that Keras 3 takes."""
    if isinstance(value, list):
        if len(value) >= 3 and isinstance(value[0], str):
            return [_name(value[0]), *value[1:]]
        return [_named(item) for item in value]
    return value


def _name(name: str) -> str:
    return name.replace("/", "_")
