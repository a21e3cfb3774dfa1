import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from edgecnn.data.images import IMAGE_SUFFIXES, decode, read_image
from edgecnn.errors import ImageError

Pixels = NDArray[np.uint8]


def picture(height: int = 48, width: int = 64, seed: int = 0) -> Image.Image:
    """A smooth colour picture, which JPEG keeps well."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return Image.fromarray(np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8))


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def by_pillow(content: bytes) -> NDArray[np.int64]:
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    return np.asarray(image.convert("RGB"))[..., ::-1].astype(np.int64)


def difference(content: bytes) -> int:
    ours = decode(content)
    assert ours.dtype == np.uint8
    assert ours.flags.c_contiguous
    theirs = by_pillow(content)
    assert ours.shape == theirs.shape
    return int(np.abs(ours - theirs).max())


def rgba() -> Image.Image:
    image = picture()
    image.putalpha(picture(seed=1).convert("L"))
    return image


def with_thumbnail() -> bytes:
    """A JPEG whose EXIF holds a whole smaller JPEG."""
    small, exif = saved(picture(12, 16, 1), "JPEG"), b"Exif\0\0"
    main = saved(picture(), "JPEG")
    segment = struct.pack(">H", 2 + len(exif) + len(small)) + exif + small
    return main[:2] + b"\xff\xe1" + segment + main[2:]


FILES: dict[str, bytes] = {
    "jpeg": saved(picture(), "JPEG"),
    "progressive": saved(picture(), "JPEG", progressive=True),
    "restarts": saved(picture(), "JPEG", restart_marker_rows=1),
    "gray jpeg": saved(picture().convert("L"), "JPEG"),
    "cmyk": saved(picture().convert("CMYK"), "JPEG"),
    "thumbnail": with_thumbnail(),
    "png": saved(picture(), "PNG"),
    "gray png": saved(picture().convert("L"), "PNG"),
    "bmp": saved(picture(), "BMP"),
    "palette bmp": saved(picture().convert("P"), "BMP"),
    "webp": saved(picture(), "WEBP"),
    "lossless webp": saved(picture(), "WEBP", lossless=True),
    "extended webp": saved(rgba(), "WEBP"),
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = saved(picture(), kind, exif=exif)
    assert difference(content) <= 2
    assert decode(content).shape == ((48, 64, 3) if orientation < 5 else (64, 48, 3))


@pytest.mark.parametrize("name", ["jpeg", "progressive", "restarts", "gray jpeg", "webp", "extended webp"])
def test_lossy_files_equal_pillow(name: str) -> None:
    assert difference(FILES[name]) <= 2  # decoders may round differently


@pytest.mark.parametrize(
    ("kind", "modes"),
    [("PNG", "RGB RGBA L LA P 1"), ("BMP", "RGB RGBA L P 1"), ("WEBP", "RGB RGBA")],
)
def test_lossless_files_equal_pillow_and_alpha_is_dropped(kind: str, modes: str) -> None:
    for mode in modes.split():
        image = rgba() if mode == "RGBA" else picture().convert(mode)
        options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
        assert difference(saved(image, kind, **options)) == 0, mode


def test_transparent_palette_entries_keep_their_colour() -> None:
    assert difference(saved(picture().convert("P"), "PNG", transparency=3)) == 0


def test_run_length_bmp() -> None:
    rows = b"\x04\x01\x00\x00" + b"\x02\x00\x02\x01\x00\x01"  # bottom: 4 times 1; top: 2 times 0, 2 times 1
    palette = bytes([10, 20, 30, 0, 40, 50, 60, 0])
    header = struct.pack("<IiiHHIIiiII", 40, 4, 2, 1, 8, 1, len(rows), 0, 0, 2, 0)
    content = b"BM" + struct.pack("<IHHI", 62 + len(rows), 0, 0, 62) + header + palette + rows
    assert decode(content)[:, :, 0].tolist() == [[10, 10, 40, 40], [40, 40, 40, 40]]
    with pytest.raises(ImageError, match="truncated"):
        decode(content[:-1])


@pytest.mark.parametrize("name", ["PNG", "BMP", "JPEG"])
def test_gray_values_survive_the_way_through_colour(name: str) -> None:
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    content = saved(Image.fromarray(values), name)
    image = decode(content)
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    expected = np.asarray(Image.open(io.BytesIO(content)))
    np.testing.assert_array_equal(gray, expected)
    np.testing.assert_array_equal(image, np.stack([gray] * 3, axis=2))


def test_16_bit_keeps_the_high_byte() -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    gray = cv2.imencode(".png", values)[1].tobytes()
    np.testing.assert_array_equal(decode(gray), np.stack([(values >> 8).astype(np.uint8)] * 3, axis=2))
    colour = np.stack([values, values[::-1], values.T], axis=2)
    content = cv2.imencode(".png", colour)[1].tobytes()
    np.testing.assert_array_equal(decode(content), (colour >> 8).astype(np.uint8))


@pytest.mark.parametrize("transform", [0, 2], ids=["CMYK", "YCCK"])
def test_adobe_cmyk_equals_pillow(transform: int) -> None:
    content = bytearray(FILES["cmyk"])
    content[content.index(b"Adobe") + 11] = transform  # Pillow itself writes inverted CMYK, as Adobe does
    assert difference(bytes(content)) <= 2


def test_cmyk_without_adobe_marker_equals_pillow() -> None:
    content = FILES["cmyk"]
    start = content.index(b"Adobe") - 4
    (length,) = struct.unpack_from(">H", content, start + 2)
    plain = content[:start] + content[start + 2 + length :]
    assert b"Adobe" not in plain
    assert difference(plain) <= 2


@pytest.mark.parametrize("name", FILES)
def test_no_beginning_of_a_file_is_an_image(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = FILES[name]
    decode(content)
    # Some releases of OpenCV return half a picture, and all print to the terminal: they are not asked.
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("a truncated file was decoded"))
    for end in range(len(content)):
        with pytest.raises(ImageError) as caught:
            decode(content[:end])
        assert "\n" not in str(caught.value)


def test_thumbnail_is_not_taken_for_the_image() -> None:
    content = with_thumbnail()
    np.testing.assert_array_equal(decode(content), decode(FILES["jpeg"]))
    end = content.index(b"\xff\xd9") + 2
    assert end < len(content)
    with pytest.raises(ImageError, match="truncated"):
        decode(content[:end])


def test_an_end_marker_in_a_comment_between_scans_does_not_end_the_image() -> None:
    content = FILES["progressive"]
    comment = b"\xff\xfe\x00\x06..\xff\xd9"
    place = content.index(b"\xff\xc4", content.index(b"\xff\xda"))  # the tables of the second scan
    np.testing.assert_array_equal(decode(content[:place] + comment + content[place:]), decode(content))
    with pytest.raises(ImageError, match="end marker is missing"):
        decode(content[:place] + comment)


@pytest.mark.parametrize("name", ["jpeg", "progressive", "thumbnail", "png", "bmp", "webp"])
@pytest.mark.parametrize("tail", [b"\0", b"\r\n", b"\xff\xd8\xff\xe0 cut off", bytes(1000)])
def test_bytes_behind_the_image_do_no_harm(name: str, tail: bytes) -> None:
    np.testing.assert_array_equal(decode(FILES[name] + tail), decode(FILES[name]))


@pytest.mark.parametrize("stray", [b"\0", b"\x11\x22", b"\0\xff\xff", b"\xff\xff\xff"])
@pytest.mark.parametrize("marker", [b"\xff\xdb", b"\xff\xc0", b"\xff\xc4"])
def test_stray_bytes_between_segments_are_skipped(stray: bytes, marker: bytes) -> None:
    content = FILES["jpeg"]
    place = content.index(marker)
    np.testing.assert_array_equal(decode(content[:place] + stray + content[place:]), decode(content))


def test_a_bmp_has_the_size_it_states() -> None:
    content = FILES["bmp"]
    (size,) = struct.unpack_from("<I", content, 2)
    longer = content[:2] + struct.pack("<I", size + 4) + content[6:]
    np.testing.assert_array_equal(decode(longer + bytes(4)), decode(content))
    with pytest.raises(ImageError, match=f"truncated: expected {size + 4} bytes, got {size}"):
        decode(longer)
    np.testing.assert_array_equal(decode(content[:2] + bytes(4) + content[6:]), decode(content))  # some state none


def resized_jpeg(content: bytes, marker: bytes = b"\xff\xc0") -> bytes:
    frame = content.rindex(marker + b"\x00\x11\x08")
    return content[: frame + 5] + struct.pack(">HH", 20000, 20001) + content[frame + 9 :]


def resized_png(content: bytes) -> bytes:
    header = b"IHDR" + struct.pack(">II", 20001, 20000) + content[24:29]
    return content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]


def resized_bmp(content: bytes) -> bytes:
    palette = struct.pack("<iiHHI", 20001, -20000, 1, 8, 1)  # run lengths, where the file may be short
    return content[:18] + palette + content[34:]


def resized_webp(content: bytes) -> bytes:
    head, body = content[:20], content[20:]
    sizes = {
        b"VP8 ": lambda: body[:6] + struct.pack("<HH", 16001, 16000) + body[10:],
        b"VP8L": lambda: body[:1] + struct.pack("<I", 16000 | 15999 << 14) + body[5:],
        b"VP8X": lambda: body[:4] + (20000).to_bytes(3, "little") + (19999).to_bytes(3, "little") + body[10:],
    }
    return head + sizes[head[12:16]]()


@pytest.mark.parametrize(
    ("name", "resize", "size"),
    [
        ("jpeg", resized_jpeg, "20001x20000"),
        ("thumbnail", resized_jpeg, "20001x20000"),
        ("progressive", lambda content: resized_jpeg(content, b"\xff\xc2"), "20001x20000"),
        ("png", resized_png, "20001x20000"),
        ("bmp", resized_bmp, "20001x20000"),
        ("webp", resized_webp, "16001x16000"),
        ("lossless webp", resized_webp, "16001x16000"),
        ("extended webp", resized_webp, "20001x20000"),
    ],
)
def test_bombs_are_refused_before_decoding(
    name: str, resize: Callable[[bytes], bytes], size: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("a bomb was decoded"))
    with pytest.raises(ImageError, match=f"100000000 pixels, got {size}"):
        decode(resize(FILES[name]))


def test_a_small_frame_hidden_in_a_segment_does_not_cover_a_bomb() -> None:
    decoy = b"\xff\xc0\x00\x11\x08\x00\x10\x00\x10"
    bomb = resized_jpeg(FILES["jpeg"])
    for marker in (b"\xff\xe1", b"\xff\xfe", b"\xff\xdc"):
        with pytest.raises(ImageError, match="20001x20000"):
            decode(bomb[:2] + marker + struct.pack(">H", 2 + len(decoy)) + decoy + bomb[2:])


@pytest.mark.parametrize("name", FILES)
def test_max_pixels_is_the_largest_size_allowed(name: str) -> None:
    assert decode(FILES[name], max_pixels=48 * 64).shape == (48, 64, 3)
    with pytest.raises(ImageError, match="got 64x48"):
        decode(FILES[name], max_pixels=48 * 64 - 1)


def check_image_or_error(content: bytes) -> None:
    try:
        image = decode(content, max_pixels=1 << 20)
    except ImageError:
        return
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3
    assert image.shape[0] * image.shape[1] <= 1 << 20


@settings(deadline=None)
@given(
    st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"RIFF\x10\0\0\0WEBPVP8 "]),
    st.binary(max_size=200),
)
def test_random_bytes_give_an_error_at_most(magic: bytes, tail: bytes) -> None:
    check_image_or_error(magic + tail)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_damaged_files_give_an_image_or_an_error(name: str, data: st.DataObject) -> None:
    content = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(content) - 1) | st.integers(0, 200))
        content[place] = data.draw(st.integers(0, 255))
    check_image_or_error(bytes(content))


def test_any_wrong_byte_in_a_png_is_noticed() -> None:
    content = FILES["gray png"]
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 0x01
        with pytest.raises(ImageError):
            decode(bytes(damaged))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the image file is empty"),
        (saved(picture(), "GIF"), "got GIF; convert it first"),
        (saved(picture(), "TIFF"), "got TIFF; convert it first"),
        (b"MM\0*\0\0\0\x08", "got TIFF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "got HEIC"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "got AVIF"),
        (b"<html>404</html>", "expected a JPEG, PNG, BMP or WebP image, got a file that begins with the bytes 3c 68"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "begins with the bytes 52 49 46 46"),
        (b"\x89PNX\r\n\x1a\n", "begins with the bytes 89 50 4e 58"),
        (FILES["png"][:8] + FILES["png"][33:], "does not begin with its header"),
        (b"RIFF\x20\0\0\0WEBPJUNK" + bytes(30), "does not begin with VP8"),
        (b"\xff\xd8" + bytes(50), "no frame header"),
        (saved(Image.new("L", (3, 3)), "PNG").replace(b"IDAT", b"IDAX"), "checksum"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(content: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        decode(content)
    assert "\n" not in str(caught.value)


def test_read_image_takes_any_path(tmp_path: Path) -> None:
    path = tmp_path / "weiß ünd 猫 %d.bin"
    path.write_bytes(FILES["png"])
    np.testing.assert_array_equal(read_image(path), decode(FILES["png"]))
    np.testing.assert_array_equal(read_image(os.fspath(path)), decode(FILES["png"]))


def test_read_image_names_the_file(tmp_path: Path) -> None:
    missing, wrong = tmp_path / "missing.jpg", tmp_path / "wrong.jpg"
    wrong.write_bytes(b"no image")
    for path, message in [(missing, "No such file"), (wrong, "expected a JPEG"), (tmp_path, "directory")]:
        with pytest.raises(ImageError, match=message) as caught:
            read_image(path)
        assert str(caught.value).startswith(f"{path}: ")


def test_suffixes_are_lower_case_with_a_dot() -> None:
    assert {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".gif", ".tif", ".heic"} <= IMAGE_SUFFIXES
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in IMAGE_SUFFIXES)


@pytest.mark.shared_data
def test_real_photos_equal_pillow(shared_data: Path) -> None:
    photos = [path for path in sorted((shared_data / "photos").iterdir()) if path.suffix.lower() in IMAGE_SUFFIXES]
    assert photos
    for path in photos:
        theirs = by_pillow(path.read_bytes())
        apart = np.abs(read_image(path) - theirs)
        assert apart.max() <= 4, path.name
        assert apart.mean() < 0.1, path.name
