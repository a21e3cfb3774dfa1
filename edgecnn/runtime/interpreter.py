"""The only file that imports a TFLite interpreter, and what the rest of edgecnn may know of one."""

from __future__ import annotations

import ctypes
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.errors import MissingExtraError, ModelError
from edgecnn.quantization import TensorType
from edgecnn.signature import check_signature

if TYPE_CHECKING:
    from numpy.typing import NDArray

# LiteRT, its predecessor for 32-bit boards, and TensorFlow's own copy; the first that imports is used.
_RUNTIMES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter", "tensorflow.lite")


class Engine:
    """A loaded TFLite model with one picture in and one score vector out, or as many of both as `batch`.

    Not thread-safe: every thread needs its own.

    Args:
        content: the whole `.tflite` file.
        threads: threads of the interpreter's kernels.
        size: (width, height) for models whose input size is dynamic.
        batch: pictures that one `invoke` computes; small models are faster per picture with several.
        keep_tensors: keep what is computed in between, for `tensor`; takes memory and is for analysis only.

    Attributes:
        height, width, channels: of the input tensor.
        classes: elements of the output vector.
        input_type, output_type: element types.
        input: (height, width, channels), mostly the interpreter's own memory: what is written there is the next input.
            An `invoke` may use it for other things, so write all of it every time.
        inputs: (batch, height, width, channels), of which `input` is the first.

    Raises:
        ModelError: not a TFLite model, not a classifier of single images, or one that cannot take several at once.
        MissingExtraError: no interpreter package is installed.
    """

    def __init__(
        self,
        content: bytes,
        *,
        threads: int = 1,
        size: tuple[int, int] | None = None,
        batch: int = 1,
        keep_tensors: bool = False,
    ) -> None:
        interpreter_class = _runtime()[1]
        try:
            self._interpreter: Any = (
                _keeping_interpreter(interpreter_class, content, threads)
                if keep_tensors
                else interpreter_class(model_content=content, num_threads=threads)
            )
            inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
            check_signature(_shapes(inputs), _shapes(outputs))
            self._input = inputs[0]["index"]
            self._output = outputs[0]["index"]
            self._resize(_shape(inputs[0]), size, batch)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as exc:
            raise ModelError(f"the TFLite runtime cannot load this model: {_first_line(exc)}") from exc
        details = self._interpreter.get_input_details()[0]
        _, self.height, self.width, self.channels = (int(n) for n in details["shape"])
        self.input_type = _tensor_type(details)
        details = self._interpreter.get_output_details()[0]
        self.output_type = _tensor_type(details)
        # Where shapes are computed while it runs, the interpreter moves its tensors: then both are copied by it.
        self._raw: NDArray[Any] | None = None
        self.inputs = np.zeros((1, self.height, self.width, self.channels), self.input_type.dtype)
        if _has_memory(self._interpreter, self._output):
            self._raw = _memory(self._interpreter, self._output)
            self.inputs = _memory(self._interpreter, self._input)
        if batch > 1 and (self._raw is None or len(self._raw) != batch):
            raise ModelError(f"this model cannot take {batch} pictures at once")
        self.classes = int(np.prod(details["shape"])) // batch
        if self._raw is not None:
            self._raw = self._raw.reshape(batch, self.classes)
        self.input = self.inputs[0]

    def _resize(self, shape: tuple[int, ...], size: tuple[int, int] | None, batch: int) -> None:
        if all(n > 0 for n in shape[1:]) and shape[0] in (1, -1) and batch == 1:
            return
        if not all(n > 0 for n in shape[1:3]) and size is None:
            raise ModelError("this model takes pictures of any size; say which with --preprocess size=WIDTHxHEIGHT")
        width, height = size or (shape[2], shape[1])
        self._interpreter.resize_tensor_input(self._input, [batch, height, width, shape[3]])

    def run(self, tensor: NDArray[Any]) -> NDArray[Any]:
        """One inference.

        Args:
            tensor: (height, width, channels) in the input tensor's dtype.

        Returns:
            (classes,) in the output tensor's dtype; a copy.

        Raises:
            ModelError: the runtime failed.
        """
        self.set_input(tensor)
        self.invoke()
        return self.output()

    def set_input(self, tensor: NDArray[Any]) -> None:
        """Copy a tensor (height, width, channels) into the model; with `invoke` and `output` the steps of `run`."""
        self._interpreter.set_tensor(self._input, tensor[None])  # checks shape and type too
        if self._raw is None:
            self.input[...] = tensor

    def output(self) -> NDArray[Any]:
        """A copy of the output (classes,) of the last `invoke`."""
        if self._raw is None:
            return np.asarray(self._interpreter.get_tensor(self._output)).reshape(-1)
        return np.asarray(self._raw[0].copy())

    def outputs(self) -> NDArray[Any]:
        """A copy of the outputs (batch, classes) of the last `invoke`."""
        return np.asarray(self.output()[None] if self._raw is None else self._raw.copy())

    def tensor(self, index: int) -> NDArray[Any]:
        """A copy of any tensor after the last `invoke`, with its batch dimension; needs `keep_tensors`."""
        return np.asarray(self._interpreter.get_tensor(index))

    def invoke(self) -> None:
        """Run the model on the tensor that is set.

        Raises:
            ModelError: the runtime failed.
        """
        try:
            if self._raw is None:
                self._interpreter.set_tensor(self._input, self.inputs)
            self._interpreter.invoke()
        except (ValueError, RuntimeError) as exc:
            raise ModelError(f"the TFLite runtime failed: {_first_line(exc)}") from exc


class Runner:
    """A loaded TFLite model of any inputs and outputs, for analysis; pictures are classified by an `Engine`.

    Not thread-safe: every thread needs its own.

    Args:
        content: the whole `.tflite` file; its shapes are fixed.
        threads: threads of the interpreter's kernels.

    Attributes:
        inputs, outputs: tensors with their batch dimension, in the model's order, in the interpreter's own memory: what
            is written to an input is used by the next `invoke`, which may put other things there. An output whose shape
            is computed while the model runs is left out.
        delegated: whether a delegate (XNNPACK, the only one that joins unasked) runs operators of the model; None where
            the runtime does not tell.

    Raises:
        ModelError: no TFLite model, or one that the runtime cannot run.
        MissingExtraError: no interpreter package is installed.
    """

    def __init__(self, content: bytes, *, threads: int = 1) -> None:
        try:
            self._interpreter: Any = _runtime()[1](model_content=content, num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as exc:
            raise ModelError(f"the TFLite runtime cannot load this model: {_first_line(exc)}") from exc
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        self.inputs, self.outputs = (
            [
                _memory(self._interpreter, item["index"])
                for item in details
                if _has_memory(self._interpreter, item["index"])
            ]
            for details in (inputs, outputs)
        )
        steps = getattr(self._interpreter, "_get_ops_details", lambda: None)()
        self.delegated = None if steps is None else any("DELEGATE" in step["op_name"].upper() for step in steps)

    def invoke(self) -> None:
        """Run the model on what its inputs hold.

        Raises:
            ModelError: the runtime failed.
        """
        try:
            self._interpreter.invoke()
        except (ValueError, RuntimeError) as exc:
            raise ModelError(f"the TFLite runtime failed: {_first_line(exc)}") from exc


def runtime_version() -> dict[str, str]:
    """Name and version of the interpreter package in use, as {"ai-edge-litert": "2.3.0"}."""
    from importlib.metadata import PackageNotFoundError, version

    name = _runtime()[0].partition(".")[0].replace("_", "-")
    try:
        return {name: version(name)}
    except PackageNotFoundError:
        return {name: "unknown"}


def _runtime() -> tuple[str, Any]:
    for name in _RUNTIMES:
        try:
            return name, import_module(name).Interpreter
        except ImportError:
            continue
    raise MissingExtraError("a TFLite runtime (ai-edge-litert)", "")


def _keeping_interpreter(interpreter_class: Any, content: bytes, threads: int) -> Any:
    from edgecnn.quiet import quiet  # the runtime warns that this is for debugging; analysis is

    with quiet():
        return interpreter_class(model_content=content, num_threads=threads, experimental_preserve_all_tensors=True)


def _has_memory(interpreter: Any, index: int) -> bool:
    try:
        interpreter.tensor(index)()
    except ValueError:  # no data yet
        return False
    return True


def _memory(interpreter: Any, index: int) -> NDArray[Any]:
    """A tensor's own memory, which stays where it is once all tensors are placed.

    The interpreter refuses to run while the array it hands out is alive, so this one is made from its address. It
    keeps the interpreter alive.
    """
    tensor = interpreter.tensor(index)()
    buffer = (ctypes.c_uint8 * tensor.nbytes).from_address(tensor.ctypes.data)
    buffer.owner = interpreter
    return np.frombuffer(buffer, tensor.dtype).reshape(tensor.shape)


def _shapes(tensors: list[dict[str, Any]]) -> dict[str, tuple[int, ...]]:
    """Shapes by name; an index tells tensors of one name, or without any, apart."""
    shapes: dict[str, tuple[int, ...]] = {}
    for item in tensors:
        name = str(item["name"])
        shapes[f"{name}#{item['index']}" if name in shapes else name] = _shape(item)
    return shapes


def _shape(details: dict[str, Any]) -> tuple[int, ...]:
    """Shape with -1 for dynamic dimensions; old runtimes have no signature shape."""
    signature = details.get("shape_signature", ())
    return tuple(int(n) for n in (signature if len(signature) else details["shape"]))


def _tensor_type(details: dict[str, Any]) -> TensorType:
    dtype = np.dtype(details["dtype"]).name
    if dtype not in ("float32", "int8", "uint8", "int16"):
        raise ModelError(f"expected a tensor of float32, int8, uint8 or int16, got {dtype}")
    scale, zero_point = details["quantization"]
    if dtype != "float32" and scale == 0:
        raise ModelError(f"the model's {dtype} tensor {details['name']!r} has no quantization scale")
    return TensorType(dtype, float(scale), int(zero_point))


def _first_line(exc: Exception) -> str:
    return str(exc).strip().split("\n")[0]
