"""`Preprocessor.write`: into memory that is there, bit for bit what a preprocessing without any reuse gives."""

import tracemalloc
from itertools import product
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgecnn.config import COLORS, FITS, INTERPOLATIONS, NORMALIZATIONS, Preprocess
from edgecnn.data.preprocess import Preprocessor, lookup_table
from edgecnn.errors import ImageError
from edgecnn.quantization import TensorType

TENSORS = {
    "float": TensorType(),
    "uint8 as it is": TensorType("uint8", 1.0, 0),
    "int8, one bit": TensorType("int8", 1.0, -128),
    "int8": TensorType("int8", 0.94, -128),
    "int16": TensorType("int16", 0.0078, -77),
}
FLAGS = {"linear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA, "nearest": cv2.INTER_NEAREST}
CHANGES = {  # (channels, order of the frame, order of the tensor)
    (3, "bgr", "rgb"): cv2.COLOR_BGR2RGB,
    (3, "rgb", "bgr"): cv2.COLOR_RGB2BGR,
    (3, "bgr", "gray"): cv2.COLOR_BGR2GRAY,
    (3, "rgb", "gray"): cv2.COLOR_RGB2GRAY,
    (4, "bgr", "rgb"): cv2.COLOR_BGRA2RGB,
    (4, "rgb", "bgr"): cv2.COLOR_RGBA2BGR,
    (4, "bgr", "bgr"): cv2.COLOR_BGRA2BGR,
    (4, "rgb", "rgb"): cv2.COLOR_RGBA2RGB,
    (4, "bgr", "gray"): cv2.COLOR_BGRA2GRAY,
    (4, "rgb", "gray"): cv2.COLOR_RGBA2GRAY,
    (1, "gray", "rgb"): cv2.COLOR_GRAY2RGB,
    (1, "gray", "bgr"): cv2.COLOR_GRAY2BGR,
}


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(shape).integers(0, 256, shape, np.uint8)


def frames() -> dict[str, NDArray[np.uint8]]:
    """Frames of every layout; the tensors are 11 wide and 8 high."""
    big = noise(40, 60, 4)
    return {
        "bgr": noise(30, 50, 3),
        "of the right size": noise(8, 11, 3),
        "with alpha": noise(21, 9, 4),
        "gray": noise(17, 33),
        "gray of the right size, with an axis": noise(8, 11, 1),
        "region": big[5:25, 7:40, :3],
        "region of the right size": big[3:11, 20:31, :3],
        "region of a gray one": noise(30, 40)[4:20, 9:33],
        "mirrored": noise(16, 22, 3)[:, ::-1],
        "smaller": noise(3, 4, 3),
        "one pixel": noise(1, 1, 3),
    }


def plain(frame: NDArray[np.uint8], color: str, want: Preprocess, tensor: TensorType) -> NDArray[Any]:
    """The same steps, each with a result of its own."""
    frame = np.ascontiguousarray(frame)
    height, width = frame.shape[:2]
    if want.fit == "center-crop":
        inner_width = min(width, max(1, round(height * want.width / want.height)))
        inner_height = min(height, max(1, round(width * want.height / want.width)))
        top, left = (height - inner_height) // 2, (width - inner_width) // 2
        frame = np.ascontiguousarray(frame[top : top + inner_height, left : left + inner_width])
    size = (want.width, want.height)
    if want.fit == "letterbox":
        factor = min(want.width / width, want.height / height)
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
    picture = scaled(frame, size, want.interpolation)
    channels = picture.shape[2] if picture.ndim == 3 else 1
    change = CHANGES.get((channels, "gray" if channels == 1 else color, want.color))
    picture = picture if change is None else np.asarray(cv2.cvtColor(picture, change))
    left, top = (want.width - size[0]) // 2, (want.height - size[1]) // 2
    bottom, right = want.height - size[1] - top, want.width - size[0] - left
    bordered = cv2.copyMakeBorder(picture, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0))
    table = lookup_table(want, tensor)
    return np.asarray(cv2.LUT(np.asarray(bordered), table)).reshape(want.height, want.width, want.channels)


def scaled(frame: NDArray[np.uint8], size: tuple[int, int], interpolation: str) -> NDArray[np.uint8]:
    if (frame.shape[1], frame.shape[0]) == size:
        return frame
    if interpolation != "corner":
        return np.asarray(cv2.resize(frame, size, interpolation=FLAGS[interpolation]), np.uint8)
    x, y = (np.rint(np.arange(n) * (whole / n) * 32) / 32 for n, whole in zip(size, frame.shape[1::-1], strict=True))
    columns, rows = (part.astype(np.float32) for part in np.meshgrid(x, y))
    places, fractions = cv2.convertMaps(columns, rows, cv2.CV_16SC2)
    return np.asarray(cv2.remap(frame, places, fractions, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("color", COLORS)
def test_what_is_written_is_what_fresh_memory_would_hold(color: str, fit: str, interpolation: str) -> None:
    normalizations = [((0.0,), (1.0,))] if color == "gray" else [((0.0,), (1.0,)), NORMALIZATIONS["imagenet"]]
    for (mean, std), (name, tensor) in product(normalizations, TENSORS.items()):
        want = Preprocess(11, 8, color, mean, std, fit=fit, interpolation=interpolation)
        preprocessor = Preprocessor(want, tensor)
        memory = np.full((8, 11, want.channels), 77, tensor.dtype)
        for order in ("bgr", "rgb"):
            for layout, frame in frames().items():  # one after the other, so that sizes and kinds change too
                before = frame.copy()
                preprocessor.write(frame, memory, order)
                message = f"{layout} in {order}, {name}"
                np.testing.assert_array_equal(memory, plain(frame, order, want, tensor), err_msg=message)
                np.testing.assert_array_equal(preprocessor(frame, order), memory, err_msg=message)
                np.testing.assert_array_equal(frame, before, err_msg=message)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("color", COLORS)
@pytest.mark.parametrize("name", [*TENSORS, "int8, halves meet", "uint8, halves meet"])
def test_the_pixels_behind_a_tensor(name: str, color: str, fit: str) -> None:
    meet = "meet" in name  # symmetric: pixels 127 and 128 become one value, since zero lies between them
    tensor = (
        TENSORS[name] if not meet else TensorType(name[:-13], float(np.float32(2 / 255)), -1 if name[0] == "i" else 127)
    )
    mean, std = ((127.5,), (127.5,)) if meet else ((0.0,), (1.0,))
    prepare = Preprocessor(Preprocess(11, 8, color, mean, std, fit=fit), tensor)
    assert (prepare._shortcut is not None and prepare._shortcut[0]) == meet
    for frame in frames().values():
        pixels = prepare.pixels(frame)
        found = prepare.written(prepare(frame)).astype(int)
        if fit == "letterbox":  # that the rest is bars, other tests say
            assert prepare._place is not None
            pixels = pixels[prepare._place]
        np.testing.assert_array_equal(found, pixels - (pixels.astype(int) >= 128) * meet)


def test_a_call_gives_memory_of_its_own() -> None:
    for tensor in TENSORS.values():
        preprocessor = Preprocessor(Preprocess(8, 8), tensor)
        first = preprocessor(noise(20, 30, 3))
        kept = first.copy()
        preprocessor(noise(30, 20, 3))
        preprocessor.pixels(noise(8, 8, 3))
        np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("roi", [False, True])
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("fit", FITS)
def test_frames_of_one_size_allocate_nothing_of_their_size(fit: str, interpolation: str, roi: bool) -> None:
    frame = noise(720, 1280, 3)
    frame = frame[100:700, 100:1100] if roi else frame
    for color, tensor in product(("rgb", "bgr", "gray"), TENSORS.values()):
        want = Preprocess(128, 128, color, fit=fit, interpolation=interpolation)
        preprocessor = Preprocessor(want, tensor)
        memory = np.empty((128, 128, want.channels), tensor.dtype)
        preprocessor.write(frame, memory)
        tracemalloc.start()
        try:
            for _ in range(3):
                preprocessor.write(frame, memory)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 8_000, (color, tensor)  # the smallest picture on the way has 16,384 bytes


def test_a_frame_that_is_refused_leaves_the_preprocessor_usable() -> None:
    preprocessor = Preprocessor(Preprocess(8, 8), TensorType("int8", 0.94, -128))
    memory = np.zeros((8, 8, 3), np.int8)
    with pytest.raises(ImageError):
        preprocessor.write(np.zeros((4, 4, 2), np.uint8), memory)
    assert not memory.any()
    preprocessor.write(noise(20, 30, 3), memory)
    np.testing.assert_array_equal(memory, preprocessor(noise(20, 30, 3)))


@pytest.mark.parametrize(
    ("normalization", "tensor", "shortcut"),
    [
        ((0.0, 255.0), TensorType("int8", 1 / 255, -128), (False, True)),
        ((0.0, 1.0), TensorType("uint8", 1.0, 0), (False, False)),
        ((127.5, 127.5), TensorType("int8", float(np.float32(2 / 255)), -1), (True, True)),
        ((127.5, 127.5), TensorType("uint8", float(np.float32(2 / 255)), 127), (True, False)),
        ((0.0, 1.0), TensorType("int8", 0.94, -128), None),
        ((127.5, 127.5), TensorType(), None),
    ],
)
def test_common_quantizations_need_no_table(
    normalization: tuple[float, float], tensor: TensorType, shortcut: tuple[bool, bool] | None
) -> None:
    mean, std = normalization
    assert Preprocessor(Preprocess(4, 4, mean=(mean,), std=(std,)), tensor)._shortcut == shortcut
