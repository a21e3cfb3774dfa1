"""`Engine` on small models made by hand: what it reads from them, what it computes, and what it refuses."""

import gc
import importlib
import subprocess
import sys
import threading
import weakref
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgecnn.errors import MissingExtraError, ModelError
from edgecnn.quantization import TensorType
from edgecnn.quiet import quiet
from edgecnn.runtime.interpreter import Engine, runtime_version
from tests.models import Builder, build, linear, quantized

RNG = np.random.default_rng(5)
WEIGHTS = RNG.normal(size=(5, 2 * 3 * 3)).astype(np.float32)
BIAS = RNG.normal(size=5).astype(np.float32)
PICTURES = RNG.random((24, 3, 2, 3)).astype(np.float32)  # width 2, height 3


def softmax(scores: NDArray[Any]) -> NDArray[Any]:
    powers = np.exp(scores - scores.max())
    return np.asarray(powers / powers.sum())


@pytest.fixture(scope="module")
def model() -> bytes:
    return linear(WEIGHTS, BIAS, size=(2, 3))


def test_a_float_model(model: bytes) -> None:
    engine = Engine(model)
    assert (engine.width, engine.height, engine.channels, engine.classes) == (2, 3, 3, 5)
    assert engine.input_type == engine.output_type == TensorType()
    for picture in PICTURES:
        output = engine.run(picture)
        assert (output.shape, output.dtype) == ((5,), np.dtype(np.float32))
        np.testing.assert_allclose(output, softmax(WEIGHTS @ picture.ravel() + BIAS), atol=1e-6)


@pytest.mark.parametrize("io", ["int8", "uint8", "float32"])
def test_a_quantized_model(model: bytes, io: str) -> None:
    engine = Engine(quantized(model, PICTURES, io=io))
    assert (engine.input_type.dtype, engine.output_type.dtype) == (io, io)
    if io != "float32":
        low = int(np.iinfo(io).min)
        assert engine.input_type == TensorType(io, float(np.float32(1 / 255)), low)
        assert engine.output_type == TensorType(io, 1 / 256, low)  # what TFLite prescribes for a softmax
    for picture in PICTURES[:4]:
        output = engine.run(engine.input_type.quantize(picture))
        assert output.dtype == io
        np.testing.assert_allclose(
            engine.output_type.dequantize(output), softmax(WEIGHTS @ picture.ravel() + BIAS), atol=0.03
        )


def test_a_model_of_16_bits() -> None:
    weights = RNG.integers(-9, 9, (3, 48)).astype(np.int8)
    engine = Engine(build(io="int16", head="logits", weights=weights, scales=(1.0,)))
    assert engine.input_type == engine.output_type == TensorType("int16", 1.0, 0)
    picture = RNG.integers(-9, 9, (4, 4, 3)).astype(np.int16)
    np.testing.assert_array_equal(engine.run(picture), weights.astype(int) @ picture.ravel())


def test_a_gray_model_of_one_unit() -> None:
    engine = Engine(linear(np.ones((1, 16)), channels=1, head="logits"))
    assert (engine.width, engine.height, engine.channels, engine.classes) == (4, 4, 1, 1)
    assert engine.run(np.full((4, 4, 1), 0.5, np.float32)).tolist() == [8.0]


def test_a_dynamic_size_is_given() -> None:
    colors = RNG.normal(size=(5, 3)).astype(np.float32)
    model = linear(colors, size=None, head="logits")
    with pytest.raises(ModelError, match=r"takes pictures of any size; say which with --preprocess size=WIDTHxHEIGHT"):
        Engine(model)
    for width, height in ((2, 3), (9, 5), (1, 1)):
        engine = Engine(model, size=(width, height))
        assert (engine.width, engine.height, engine.channels, engine.classes) == (width, height, 3, 5)
        picture = RNG.random((height, width, 3)).astype(np.float32)
        np.testing.assert_allclose(engine.run(picture), colors @ picture.mean(axis=(0, 1)), atol=1e-5)


def test_a_fixed_size_stays(model: bytes) -> None:
    engine = Engine(model, size=(7, 7))
    assert (engine.width, engine.height) == (2, 3)


def test_a_fixed_batch_becomes_one(model: bytes) -> None:
    engine = Engine(linear(WEIGHTS, BIAS, size=(2, 3), batch=8))
    assert engine.classes == 5
    np.testing.assert_array_equal(engine.run(PICTURES[0]), Engine(model).run(PICTURES[0]))


def test_outputs_are_copies_and_inputs_are_copied(model: bytes) -> None:
    engine = Engine(model)
    picture = PICTURES[0].copy()
    first = engine.run(picture)
    kept = first.copy()
    second = engine.run(PICTURES[1])
    assert not np.array_equal(second, kept)
    np.testing.assert_array_equal(first, kept)
    engine.set_input(picture)
    picture[:] = 0
    engine.invoke()
    np.testing.assert_array_equal(engine.output(), kept)


@pytest.mark.parametrize("io", ["float32", "int8", "uint8"])
def test_what_is_written_into_the_input_is_what_is_run(model: bytes, io: str) -> None:
    content = model if io == "float32" else quantized(model, PICTURES, io=io)
    engine, other = Engine(content), Engine(content)
    memory = engine.input
    assert (memory.shape, memory.dtype, memory.flags.writeable) == ((3, 2, 3), np.dtype(io), True)
    for _ in range(20):
        for picture in PICTURES:
            tensor = engine.input_type.quantize(picture)
            memory[...] = tensor
            engine.invoke()
            np.testing.assert_array_equal(engine.output(), other.run(tensor))
    engine.set_input(engine.input_type.quantize(PICTURES[3]))
    np.testing.assert_array_equal(memory, engine.input_type.quantize(PICTURES[3]))


def test_the_input_outlives_the_engine(model: bytes) -> None:
    """Else writing there would write into what has become somebody else's memory."""
    engine = Engine(model)
    interpreter = weakref.ref(engine._interpreter)
    memory = engine.input
    view = memory[1:]
    del engine, memory
    gc.collect()
    assert interpreter() is not None
    others = [Engine(model) for _ in range(5)]
    view[...] = 7.0
    for other in others:
        np.testing.assert_array_equal(other.run(PICTURES[0]), others[0].run(PICTURES[0]))
    assert (view == 7.0).all()
    del view
    gc.collect()
    assert interpreter() is None


def test_the_input_is_copied_when_shapes_are_computed() -> None:
    """As TensorFlow converts a Flatten of any batch: what lies behind gets memory in a run, which moves the input."""
    content = computed_shape()
    engine, other = Engine(content), Engine(content)
    for picture in RNG.random((8, 4, 4, 3)).astype(np.float32):
        engine.input[...] = picture
        engine.invoke()
        np.testing.assert_allclose(engine.output(), picture.ravel()[:3] * 2, atol=1e-6)
        np.testing.assert_array_equal(engine.output(), other.run(picture))


def test_a_tensor_may_be_a_view(model: bytes) -> None:
    engine = Engine(model)
    big = RNG.random((6, 4, 6)).astype(np.float32)
    for view in (big[::2, ::2, ::2], big[:3, :2, :3][::-1, :, ::-1], np.asfortranarray(PICTURES[0])):
        np.testing.assert_array_equal(engine.run(view), engine.run(np.ascontiguousarray(view)))


def test_threads_of_the_kernels_change_nothing(model: bytes) -> None:
    for content in (model, quantized(model, PICTURES, io="float32")):
        np.testing.assert_allclose(
            Engine(content, threads=4).run(PICTURES[0]), Engine(content).run(PICTURES[0]), atol=1e-6
        )


def test_engines_work_side_by_side(model: bytes) -> None:
    expected = [Engine(model).run(picture) for picture in PICTURES]
    found: dict[int, list[NDArray[Any]]] = {}

    def work(number: int) -> None:
        engine = Engine(model)
        for _ in range(20):
            found[number] = [engine.run(picture) for picture in PICTURES]

    workers = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(found) == [0, 1, 2, 3]
    for outputs in found.values():
        np.testing.assert_array_equal(outputs, expected)


def test_tensors_in_between_can_be_kept(model: bytes) -> None:
    with quiet():
        engine = Engine(model, keep_tensors=True)
    engine.run(PICTURES[0])
    np.testing.assert_allclose(engine.tensor(3)[0], WEIGHTS @ PICTURES[0].ravel() + BIAS, atol=1e-5)


def computed_shape() -> bytes:
    """A picture of any batch, made flat as TensorFlow does it: its shape is computed when the model runs."""
    model = Builder(names=True)
    picture = model.tensor("in", (1, 4, 4, 3))
    first, second = (model.tensor(str(n), (1,), dtype="int32", data=np.array([n], np.int32).tobytes()) for n in (0, 1))
    size = model.tensor("size", (), dtype="int32", data=np.array(48, np.int32).tobytes())
    shape, batch = model.tensor("shape", (4,), dtype="int32"), model.tensor("batch", (), dtype="int32")
    model.operator("SHAPE", [picture], shape, options("Shape", outType=schema.TensorType.INT32))
    model.operator("STRIDED_SLICE", [shape, first, second, second], batch, options("StridedSlice", shrinkAxisMask=1))
    wanted, flat = model.tensor("wanted", (2,), dtype="int32"), model.tensor("flat", (1, 48))
    model.operator("PACK", [batch, size], wanted, options("Pack", valuesCount=2))
    model.operator("RESHAPE", [picture, wanted], flat, schema.ReshapeOptionsT())
    weights = model.tensor("weights", (3, 48), data=(2 * np.eye(3, 48, dtype=np.float32)).tobytes())
    result = model.tensor("out", (1, 3))
    model.operator("FULLY_CONNECTED", [flat, weights, -1], result, schema.FullyConnectedOptionsT())
    return model.pack([picture], [result])


def options(operator: str, **values: int) -> Any:
    result = getattr(schema, f"{operator}OptionsT")()
    for name, value in values.items():
        setattr(result, name, value)
    return result


def two_inputs() -> bytes:
    model = Builder(names=True)
    pictures = [model.tensor(name, (1, 4, 4, 3)) for name in ("left", "right")]
    total = model.tensor("sum", (1, 4, 4, 3))
    model.operator("ADD", pictures, total)
    return model.pack(pictures, [total])


def of_shapes(picture: tuple[int, ...], scores: tuple[int, ...]) -> bytes:
    model = Builder(names=True)
    source, result = model.tensor("in", picture), model.tensor("out", scores)
    model.operator("LOGISTIC", [source], result)
    return model.pack([source], [result])


def cast(dtype: str) -> bytes:
    """A model that gives the mean colour as whole numbers without a scale."""
    model = Builder(names=True)
    picture, mean = model.tensor("in", (1, 4, 4, 3)), model.tensor("mean", (1, 3))
    axes = model.tensor("axes", (2,), dtype="int32", data=np.array([1, 2], np.int32).tobytes())
    model.operator("MEAN", [picture, axes], mean, schema.ReducerOptionsT())
    result = model.tensor("whole", (1, 3), dtype=dtype)
    options = schema.CastOptionsT()
    options.inDataType, options.outDataType = schema.TensorType.FLOAT32, getattr(schema.TensorType, dtype.upper())
    model.operator("CAST", [mean], result, options)
    return model.pack([picture], [result])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot load this model: "),
        (b"not a model", "cannot load this model: "),
        (b'{"json": 1}' * 99, "cannot load this model: "),
        (b"\0\0\0\0TFL3" + bytes(400), "cannot load this model: "),
        (build()[:-200], "cannot load this model: "),
        (build(custom="Foo"), "cannot load this model: Encountered unresolved custom op: Foo"),
        (two_inputs(), r"one image input, got 2 inputs \(left \(\?, 4, 4, 3\), right "),
        (build(outputs=2), r"one output of scores, got 2 \(softmax \(\?, 3\), dense \(\?, 3\)\)"),
        (build(outputs=2, names=False), "one output of scores, got 2 "),
        (of_shapes((1, 4, 4, 3), (1, 4, 4, 3)), r"\(batch, classes\), got \(\?, 4, 4, 3\) in 'out'; detectors"),
        (of_shapes((1, 48), (1, 48)), r"got a flat vector \(\?, 48\) in 'in'"),
        (of_shapes((1, 3, 8, 8), (1, 3)), "channels must come last"),
        (cast("int32"), "expected a tensor of float32, int8, uint8 or int16, got int32"),
        (cast("int8"), "the model's int8 tensor 'whole' has no quantization scale"),
        (build(channels=2), r"1 or 3 channels\), got \(\?, 4, 4, 2\)"),
    ],
)
def test_what_is_no_classifier_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        Engine(content)
    assert "\n" not in str(caught.value)
    assert str(caught.value).rstrip(": ") == str(caught.value)  # and a reason stands behind the colon


def test_damaged_files_are_errors_and_no_crash() -> None:
    """In a process of its own, which a crash would end."""
    program = """
import numpy as np
from edgecnn.errors import ModelError
from edgecnn.runtime.interpreter import Engine
from tests.models import build
content = build()
for seed in range(150):
    rng = np.random.default_rng(seed)
    damaged = bytearray(content[: rng.integers(len(content)) if seed % 3 == 0 else None])
    for _ in range(rng.integers(1, 6)):
        damaged[rng.integers(len(damaged))] = rng.integers(256)
    try:
        engine = Engine(bytes(damaged))
        engine.run(np.zeros((engine.height, engine.width, engine.channels), engine.input_type.dtype))
    except ModelError as exc:
        assert "\\n" not in str(exc), exc
print("done")
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_a_failing_run_is_an_error(model: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("node 3 failed to invoke\nand more")

    engine = Engine(model)
    monkeypatch.setattr(engine._interpreter, "invoke", fail)
    with pytest.raises(ModelError, match=r"^the TFLite runtime failed: node 3 failed to invoke$"):
        engine.run(PICTURES[0])


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """Make packages look as if they were not installed."""
    real = importlib.import_module

    def importing(name: str, package: str | None = None) -> Any:
        if name.split(".")[0] in packages:
            raise ModuleNotFoundError(name)
        return real(name, package)

    monkeypatch.setattr("edgecnn.runtime.interpreter.import_module", importing)


def test_the_runtime_in_use_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert runtime_version() == {"ai-edge-litert": version("ai-edge-litert")}
    without(monkeypatch, "ai_edge_litert")
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", SimpleNamespace(Interpreter=None))
    monkeypatch.setitem(sys.modules, "tflite_runtime", SimpleNamespace())
    with pytest.raises(PackageNotFoundError):
        version("tflite-runtime")
    assert runtime_version() == {"tflite-runtime": "unknown"}


def test_without_any_runtime_the_line_to_type_is_said(model: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "ai_edge_litert", "tflite_runtime", "tensorflow")
    with pytest.raises(MissingExtraError, match=r"TFLite runtime .* is not installed; type: pip install edgecnn"):
        Engine(model)


def test_an_older_runtime_without_signature_shapes_works(model: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    from ai_edge_litert.interpreter import Interpreter

    class Older:
        """Hides what tflite-runtime 2.14 has not."""

        def __init__(self, **options: Any) -> None:
            self._inside = Interpreter(**options)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inside, name)

        def get_input_details(self) -> list[dict[str, Any]]:
            return [item | {"shape_signature": []} for item in self._inside.get_input_details()]

        def get_output_details(self) -> list[dict[str, Any]]:
            return [{k: v for k, v in i.items() if k != "shape_signature"} for i in self._inside.get_output_details()]

    expected = Engine(model).run(PICTURES[0])
    without(monkeypatch, "ai_edge_litert")
    monkeypatch.setitem(sys.modules, "tflite_runtime", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", SimpleNamespace(Interpreter=Older))
    np.testing.assert_array_equal(Engine(model).run(PICTURES[0]), expected)


@pytest.mark.parametrize("io", ["float32", "int8"])
def test_several_pictures_in_one_run_give_what_each_gives_alone(model: bytes, io: str) -> None:
    content = model if io == "float32" else quantized(model, PICTURES, io=io)
    alone, together = Engine(content), Engine(content, batch=6)
    assert (together.inputs.shape, together.classes) == ((6, 3, 2, 3), 5)
    tensors = PICTURES[:6] if io == "float32" else alone.input_type.quantize(PICTURES[:6])
    for row, tensor in zip(together.inputs, tensors, strict=True):
        row[...] = tensor
    together.invoke()
    np.testing.assert_array_equal(together.outputs(), [alone.run(tensor) for tensor in tensors])
    np.testing.assert_array_equal(together.output(), together.outputs()[0])
    assert alone.outputs().shape == (1, 5)


def test_a_model_that_cannot_take_several_pictures_says_so() -> None:
    with pytest.raises(ModelError, match="4 pictures at once"):
        Engine(computed_shape(), batch=4)
