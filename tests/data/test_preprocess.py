"""The way from a frame to the tensor, against plain float arithmetic and pictures made by hand."""

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecnn.config import COLORS, FITS, INTERPOLATIONS, NORMALIZATIONS, Preprocess, named_normalization
from edgecnn.data.preprocess import Preprocessor, lookup_table, real_range
from edgecnn.errors import ImageError
from edgecnn.quantization import TensorType

# Each kind with the colour argument it is passed with; None where there is nothing to say.
KINDS = {"gray": None, "gray1": None, "bgr": "bgr", "rgb": "rgb", "bgra": "bgr", "rgba": "rgb"}
TENSORS = (
    TensorType(),
    TensorType("uint8", 1.0, 0),
    TensorType("uint8", 1 / 255, 0),
    TensorType("uint8", 0.018658448, 114),
    TensorType("int8", 1.0, -128),
    TensorType("int8", 0.007843138, 0),
    TensorType("int8", 0.9383489, -128),
    TensorType("int16", 3.051851e-05, 0),
    TensorType("int16", 0.0078, -77),
)
ODD = ((-3.25, 127.5, 260.0), (0.3, 255.0, 77.7))


def picture(height: int, width: int) -> NDArray[np.uint8]:
    """RGB noise, without colours whose gray value lies so near a half that it depends on the arithmetic."""
    rng = np.random.default_rng([height, width])
    pool = rng.integers(0, 256, (2 * height * width, 3), np.uint8)
    gray = pool @ np.array([0.299, 0.587, 0.114])
    clear = pool[np.abs(gray % 1 - 0.5) > 0.05]
    return np.asarray(clear[: height * width].reshape(height, width, 3))


def frame_of(rgb: NDArray[np.uint8], kind: str) -> NDArray[np.uint8]:
    """The picture as a camera or file gives it; gray kinds hold its red."""
    if kind.startswith("gray"):
        return np.asarray(rgb[..., 0] if kind == "gray" else rgb[..., :1])
    frame = rgb if kind.startswith("rgb") else rgb[..., ::-1]
    noise = rgb[::-1, ::-1, :1]  # of no consequence, as alpha
    return np.asarray(np.concatenate([frame, noise], axis=2) if kind.endswith("a") else frame)


def plain(rgb: NDArray[np.uint8], kind: str, preprocess: Preprocess, tensor: TensorType) -> NDArray[Any]:
    """Colour, normalization and quantization in float64, value by value, for a picture of the right size."""
    source = rgb[..., [0, 0, 0]].astype(float) if kind.startswith("gray") else rgb.astype(float)
    if preprocess.color == "gray":
        pixels = np.round(source @ [[0.299], [0.587], [0.114]])
    else:
        pixels = source if preprocess.color == "rgb" else source[..., ::-1]
    real = (pixels - preprocess.mean) / preprocess.std
    if tensor.dtype == "float32":
        return np.asarray(real, np.float32)
    steps = real / tensor.scale
    rounded = np.where(steps < 0, np.ceil(steps - 0.5), np.floor(steps + 0.5)) + tensor.zero_point
    info = np.iinfo(tensor.dtype)
    return np.asarray(np.minimum(np.maximum(rounded, info.min), info.max), tensor.dtype)


def call(preprocessor: Preprocessor, frame: NDArray[np.uint8], kind: str) -> NDArray[Any]:
    color = KINDS[kind]
    return preprocessor(frame, color) if color else preprocessor(frame)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("color", COLORS)
@pytest.mark.parametrize("name", [*NORMALIZATIONS, "odd"])
def test_a_tensor_is_what_plain_arithmetic_gives(name: str, color: str, kind: str) -> None:
    mean, std = ODD if name == "odd" else named_normalization(name, color)
    if color == "gray":
        mean, std = mean[:1], std[:1]
    preprocess = Preprocess(24, 16, color, mean, std)
    rgb = picture(16, 24)
    for tensor in TENSORS:
        got = call(Preprocessor(preprocess, tensor), frame_of(rgb, kind), kind)
        assert (got.shape, got.dtype) == ((16, 24, preprocess.channels), np.dtype(tensor.dtype))
        assert got.flags.c_contiguous
        np.testing.assert_array_equal(got, plain(rgb, kind, preprocess, tensor), err_msg=str(tensor))


@pytest.mark.parametrize("color", COLORS)
def test_a_tensor_is_float_where_nothing_is_said(color: str) -> None:
    preprocessor = Preprocessor(Preprocess(6, 5, color))
    rgb = picture(5, 6)
    assert preprocessor.tensor == TensorType()
    np.testing.assert_array_equal(
        preprocessor(rgb[..., ::-1]), plain(rgb, "bgr", preprocessor.preprocess, TensorType())
    )


@given(
    st.sampled_from(["uint8", "int8"]),
    st.sampled_from(sorted(NORMALIZATIONS)),
    st.sampled_from(["rgb", "gray"]),
    st.data(),
)
def test_every_path_gives_what_the_table_says(dtype: str, name: str, color: str, data: st.DataObject) -> None:
    preprocess = Preprocess(16, 16, color, *named_normalization(name, color))
    low, high = real_range(preprocess)
    # the scale that spreads the pixels over all integers, where a shortcut may apply, and scales beside it
    scale = (high - low) / 255 * data.draw(st.sampled_from([1.0, 1.0 + 1e-7, 1.001, 0.94, 2.0]))
    zero_point = data.draw(st.integers(-2, 2)) + int(np.iinfo(dtype).min - round(low / scale))
    tensor = TensorType(dtype, scale, zero_point)
    frame = np.arange(256, dtype=np.uint8).reshape(16, 16)
    table = lookup_table(preprocess, tensor)
    expected = np.broadcast_to(table[0][frame], (16, 16, preprocess.channels))
    np.testing.assert_array_equal(Preprocessor(preprocess, tensor)(frame), expected)


@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_gray_to_colour_and_back_is_unchanged(color: str) -> None:
    gray = np.arange(256, dtype=np.uint8).reshape(16, 16)
    colored = Preprocessor(Preprocess(16, 16, color)).pixels(gray)
    np.testing.assert_array_equal(colored, np.repeat(gray[..., None], 3, axis=2))
    np.testing.assert_array_equal(Preprocessor(Preprocess(16, 16, "gray")).pixels(colored, color)[..., 0], gray)


def bilinear(frame: NDArray[np.uint8], height: int, width: int) -> NDArray[np.float64]:
    """Interpolation between pixel centres, without antialiasing."""
    result = frame.astype(float)
    for axis, size in enumerate((height, width)):
        whole = frame.shape[axis]
        place = np.clip((np.arange(size) + 0.5) * whole / size - 0.5, 0, whole - 1)
        first = np.floor(place).astype(int)
        share = np.expand_dims(place - first, tuple(i for i in range(frame.ndim) if i != axis))
        second = np.minimum(first + 1, whole - 1)
        result = (1 - share) * np.take(result, first, axis) + share * np.take(result, second, axis)
    return result


@pytest.mark.parametrize("size", [(5, 7), (29, 31), (13, 5), (26, 34), (1, 1)])
@pytest.mark.parametrize("kind", ["gray", "bgr", "bgra"])
def test_linear_is_bilinear(size: tuple[int, int], kind: str) -> None:
    frame = frame_of(picture(13, 17), kind)
    got = Preprocessor(Preprocess(size[1], size[0], "gray" if kind == "gray" else "bgr")).pixels(frame)
    expected = bilinear(frame[..., None] if frame.ndim == 2 else frame[..., :3], *size)
    assert np.abs(got - expected).max() <= 1  # OpenCV computes with 11 bits


def test_area_is_the_mean() -> None:
    frame = picture(12, 20)
    got = Preprocessor(Preprocess(5, 4, "rgb", interpolation="area")).pixels(frame, "rgb")
    assert np.abs(got - frame.reshape(4, 3, 5, 4, 3).mean(axis=(1, 3))).max() <= 0.51


def test_nearest_repeats_pixels() -> None:
    frame = picture(3, 4)
    got = Preprocessor(Preprocess(20, 9, "rgb", interpolation="nearest")).pixels(frame, "rgb")
    np.testing.assert_array_equal(got, frame.repeat(3, axis=0).repeat(5, axis=1))


@pytest.mark.parametrize("size", [(4, 5), (16, 30), (3, 7)])
def test_corner_lays_corners_on_corners(size: tuple[int, int]) -> None:
    rows, columns = np.mgrid[0:8, 0:10]
    frame = (8 * rows + 4 * columns + 20).astype(np.uint8)  # bilinear interpolation keeps a plane
    got = Preprocessor(Preprocess(size[1], size[0], "gray", interpolation="corner")).pixels(frame)[..., 0]
    y, x = (np.minimum(np.arange(n) * whole / n, whole - 1) for n, whole in zip(size, frame.shape, strict=True))
    assert np.abs(got - (8 * y[:, None] + 4 * x[None] + 20)).max() <= 0.5 + (8 + 4) / 64  # positions are 1/32 apart


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("fit", FITS)
def test_a_picture_of_the_right_size_is_left_alone(fit: str, interpolation: str) -> None:
    frame = picture(6, 9)
    preprocessor = Preprocessor(Preprocess(9, 6, fit=fit, interpolation=interpolation))
    np.testing.assert_array_equal(preprocessor.pixels(frame, "rgb"), frame)


@pytest.mark.parametrize(
    ("shape", "size", "box"),  # (height, width) of the frame, (width, height) of the tensor; rows and columns kept
    [
        ((4, 8), (4, 4), (slice(0, 4), slice(2, 6))),
        ((8, 4), (4, 4), (slice(2, 6), slice(0, 4))),
        ((5, 8), (4, 4), (slice(0, 5), slice(1, 6))),
        ((10, 10), (6, 3), (slice(2, 7), slice(0, 10))),
        ((10, 10), (3, 6), (slice(0, 10), slice(2, 7))),
        ((9, 16), (16, 9), (slice(0, 9), slice(0, 16))),
        ((720, 1280), (224, 224), (slice(0, 720), slice(280, 1000))),
        ((1, 9), (4, 4), (slice(0, 1), slice(4, 5))),
        ((9, 1), (8, 1), (slice(4, 5), slice(0, 1))),
        ((2, 3), (1, 1000), (slice(0, 2), slice(1, 2))),
    ],
)
@pytest.mark.parametrize("interpolation", ["linear", "nearest"])
def test_center_crop_takes_the_middle(
    shape: tuple[int, int], size: tuple[int, int], box: tuple[slice, slice], interpolation: str
) -> None:
    frame = picture(*shape)
    crop = Preprocessor(Preprocess(*size, fit="center-crop", interpolation=interpolation))
    stretch = Preprocessor(Preprocess(*size, interpolation=interpolation))
    np.testing.assert_array_equal(crop.pixels(frame), stretch.pixels(np.ascontiguousarray(frame[box])))


@pytest.mark.parametrize(
    ("shape", "size", "inner"),  # rows and columns of the tensor that the picture fills
    [
        ((4, 8), (8, 8), (slice(2, 6), slice(0, 8))),
        ((8, 4), (8, 8), (slice(0, 8), slice(2, 6))),
        ((2, 4), (5, 4), (slice(1, 3), slice(0, 5))),  # 2.5 rows are 2, and the odd row of the bars is below
        ((1, 2), (8, 8), (slice(2, 6), slice(0, 8))),
        ((720, 1280), (224, 224), (slice(49, 175), slice(0, 224))),
        ((3, 4), (8, 6), (slice(0, 6), slice(0, 8))),
        ((1, 1000), (4, 4), (slice(1, 2), slice(0, 4))),
        ((1000, 1), (4, 4), (slice(0, 4), slice(1, 2))),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_letterbox_shows_all_between_black_bars(
    shape: tuple[int, int], size: tuple[int, int], inner: tuple[slice, slice], kind: str
) -> None:
    frame = frame_of(np.maximum(picture(*shape), 1), kind)  # no black inside
    preprocess = Preprocess(*size, "rgb", *NORMALIZATIONS["imagenet"], fit="letterbox")
    got = call(Preprocessor(preprocess), frame, kind)
    rows, columns = inner
    filled = Preprocess(columns.stop - columns.start, rows.stop - rows.start, "rgb", *NORMALIZATIONS["imagenet"])
    expected = np.broadcast_to(-np.divide(*NORMALIZATIONS["imagenet"]), got.shape).astype(np.float32)
    expected[inner] = call(Preprocessor(filled), frame, kind)
    np.testing.assert_array_equal(got, expected)
    prepare = Preprocessor(preprocess)
    color = "rgb" if kind.startswith("rgb") else "bgr"
    assert prepare.written(prepare(frame, color)).shape == expected[inner].shape


sides = st.integers(1, 40)


@given(
    st.tuples(sides, sides), st.tuples(sides, sides), st.sampled_from(FITS), st.sampled_from(INTERPOLATIONS),
    st.sampled_from(sorted(KINDS)), st.sampled_from(COLORS),
)  # fmt: skip
def test_one_colour_stays_one_colour(
    shape: tuple[int, int], size: tuple[int, int], fit: str, interpolation: str, kind: str, color: str
) -> None:
    frame = frame_of(np.full((*shape, 3), (200, 100, 50), np.uint8), kind)
    want = Preprocess(*size, color, fit=fit, interpolation=interpolation)
    got = Preprocessor(want).pixels(frame, KINDS[kind] or "bgr")
    assert got.shape == (size[1], size[0], want.channels)
    full = [200] * want.channels if kind.startswith("gray") else [200, 100, 50]
    if color == "bgr":
        full = full[::-1]
    elif color == "gray" and not kind.startswith("gray"):
        full = [124]  # 0.299 * 200 + 0.587 * 100 + 0.114 * 50 = 124.2
    wanted = {tuple(full)} | ({(0,) * want.channels} if fit == "letterbox" else set())
    found = {tuple(pixel) for pixel in got.reshape(-1, want.channels).tolist()}
    assert tuple(full) in found
    assert found <= wanted


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 40_000), (40_000, 1), (2, 33_000), (300, 2)])
def test_frames_of_extreme_shape(shape: tuple[int, int], fit: str, interpolation: str) -> None:
    preprocessor, frame = (
        Preprocessor(Preprocess(4, 4, fit=fit, interpolation=interpolation)),
        np.full(shape, 77, np.uint8),
    )
    if interpolation == "corner" and fit != "center-crop" and max(shape) > 32_766:  # cv2.remap's limit
        with pytest.raises(ImageError, match=rf"at most 32766 pixels a side .* got {shape[1]}x{shape[0]}; shrink it"):
            preprocessor.pixels(frame)
        return
    got = preprocessor.pixels(frame)
    assert got.shape == (4, 4, 3)
    assert set(np.unique(got)) <= ({0, 77} if fit == "letterbox" else {77})
    assert 77 in got


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("size", [(6, 8), (3, 5), (7, 7)])
@pytest.mark.parametrize("fit", FITS)
def test_views_are_as_good_as_copies(fit: str, size: tuple[int, int], interpolation: str) -> None:
    big = picture(16, 24)
    views = {
        "every second": big[::2, ::4],
        "upside down": big[:8, :6][::-1],
        "mirrored": big[:8, :6][:, ::-1],
        "channels swapped": big[:8, :6, ::-1],
        "transposed": big[:6, :8].transpose(1, 0, 2),
        "one channel": big[:8, :6, 1],
        "broadcast": np.broadcast_to(np.uint8(7), (8, 6, 3)),
        "fortran": np.asfortranarray(big[:8, :6]),
    }
    for tensor in (TensorType(), TensorType("uint8", 1.0, 0), TensorType("int8", 1.0, -128)):
        preprocessor = Preprocessor(Preprocess(*size, fit=fit, interpolation=interpolation), tensor)
        for name, view in views.items():
            copy = view.copy(order="C")
            np.testing.assert_array_equal(preprocessor(view), preprocessor(copy), err_msg=name)


@pytest.mark.parametrize("tensor", TENSORS)
def test_frames_are_not_changed(tensor: TensorType) -> None:
    for size in ((6, 8), (3, 3)):
        frame = picture(8, 6)
        frame.flags.writeable = False
        Preprocessor(Preprocess(*size, "rgb", fit="letterbox"), tensor)(frame, "rgb")
        np.testing.assert_array_equal(frame, picture(8, 6))


@pytest.mark.parametrize(
    ("frame", "color"),
    [
        (np.zeros((4, 4, 3), np.float32), "bgr"),
        (np.zeros((4, 4, 3), np.int8), "bgr"),
        (np.zeros((4, 4, 3), np.uint16), "rgb"),
        (np.zeros((4, 4, 3), bool), "rgb"),
        (np.zeros((4, 4, 2), np.uint8), "bgr"),
        (np.zeros((4, 4, 5), np.uint8), "bgr"),
        (np.zeros((1, 4, 4, 3), np.uint8), "bgr"),
        (np.zeros(16, np.uint8), "bgr"),
        (np.zeros((), np.uint8), "bgr"),
        (np.zeros((0, 4, 3), np.uint8), "bgr"),
        (np.zeros((4, 0), np.uint8), "bgr"),
        (np.zeros((4, 4, 3), np.uint8), "gray"),
        (np.zeros((4, 4, 4), np.uint8), "bgra"),
    ],
)
@pytest.mark.parametrize("size", [4, 8])
def test_what_is_no_frame_is_refused(frame: Any, color: str, size: int) -> None:
    with pytest.raises(ImageError, match=r"expected a uint8 frame of shape .* got ") as caught:
        Preprocessor(Preprocess(size, size))(frame, color)
    assert "\n" not in str(caught.value)
    assert f"{frame.dtype} {frame.shape} in {color!r}" in str(caught.value)


def test_the_table_has_a_column_a_channel_only_where_they_differ() -> None:
    assert lookup_table(Preprocess(4, 4), TensorType()).shape == (1, 256, 1)
    assert lookup_table(Preprocess(4, 4, std=(1.0, 2.0, 3.0)), TensorType("int8", 1.0, 0)).shape == (1, 256, 3)


def test_real_range() -> None:
    assert real_range(Preprocess(4, 4)) == (0.0, 255.0)
    assert real_range(Preprocess(4, 4, "rgb", *NORMALIZATIONS["symmetric"])) == (-1.0, 1.0)
    # the published extremes of torchvision's normalization: red 0 and blue 255
    low, high = real_range(Preprocess(4, 4, "rgb", *NORMALIZATIONS["imagenet"]))
    assert (low, high) == pytest.approx((-0.485 / 0.229, (1 - 0.406) / 0.225), rel=1e-6)


def test_opencv_swaps_and_reads_as_the_names_say() -> None:
    """What `bgr` means is OpenCV's own reading of a file."""
    red = np.zeros((2, 2, 3), np.uint8)
    red[..., 2] = 255
    decoded = cv2.imdecode(cv2.imencode(".png", red)[1], cv2.IMREAD_COLOR)
    assert Preprocessor(Preprocess(2, 2, "rgb")).pixels(np.asarray(decoded, np.uint8))[0, 0].tolist() == [255, 0, 0]
