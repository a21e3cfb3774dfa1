"""Image files to pixels: JPEG, PNG, BMP and WebP.

OpenCV does the decoding. What it leaves open is checked on the file's own structure first: it may return a
truncated file as half a picture, and it allocates whatever size a header claims.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from edgecnn.errors import ImageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_PIXELS: Final = 100_000_000
# What counts as an image when a folder is scanned. The second set is known but not decoded: such files become
# samples that fail with a reason, so that they are not missed silently.
IMAGE_SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp"} | {".gif", ".tif", ".tiff", ".heic", ".heif", ".avif"}
)

_SUPPORTED = "JPEG, PNG, BMP or WebP"
_OTHER_MAGIC = {b"GIF8": "GIF", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"II+\0": "TIFF", b"MM\0+": "TIFF"}
_OTHER_BRANDS = {b"avif": "AVIF", b"avis": "AVIF"} | dict.fromkeys(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "HEIC"
)

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_BMP_RUN_LENGTHS = (1, 2)
_END_OF_JPEG = b"\xff\xd9"
_FRAMES = frozenset(range(0xFFC0, 0xFFD0)) - {0xFFC4, 0xFFC8, 0xFFCC}  # SOFn, which holds the size
_ONE_SCAN_FRAMES = (0xFFC0, 0xFFC1)  # sequential: all channels in one scan
_SEGMENTS = frozenset((0xFFC4, 0xFFCC, 0xFFDB, 0xFFDC, 0xFFDD, 0xFFFE, *range(0xFFE0, 0xFFF0)))
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # in scans FF00 is a stuffed byte, FFD0 to FFD7 are restarts

_short = struct.Struct(">H").unpack_from
_two_shorts = struct.Struct(">HH").unpack_from
_long = struct.Struct(">I").unpack_from
_png_chunk = struct.Struct(">I4s").unpack_from


def decode(content: bytes, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode one JPEG, PNG, BMP or WebP file.

    EXIF orientation is applied, alpha is dropped, 16-bit values keep their high byte (as TensorFlow's
    decode_image does), CMYK is converted, of an animation the first frame counts. Gray is replicated to three
    channels, so that a conversion to gray gives back the same values.

    Args:
        content: the whole file.
        max_pixels: largest width times height that is decoded; the header is asked before any memory is taken.

    Returns:
        uint8 (height, width, 3) in BGR.

    Raises:
        ImageError: empty, no image, an unsupported format, truncated, damaged or too large.
    """
    check = _CHECKS.get(content[:2])
    if check is None:
        raise ImageError(_foreign(content))
    try:
        width, height = check(content)
        if not 0 < width * height <= max_pixels:
            raise ImageError(f"expected an image of 1 to {max_pixels} pixels, got {width}x{height}")
        image: NDArray[Any] | None = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except struct.error as exc:
        raise ImageError("the image is truncated: the file ends too early") from exc
    except cv2.error as exc:
        raise ImageError("the image is damaged, or of a kind that OpenCV cannot decode") from exc
    if image is None:
        raise ImageError("the image is damaged, or of a kind that OpenCV cannot decode")
    return image


def read_image(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Read and decode one file, whatever characters its path has.

    Returns:
        uint8 (height, width, 3) in BGR; see `decode`.

    Raises:
        ImageError: the file cannot be read or decoded; the message begins with the path.
    """
    try:
        with open(path, "rb") as file:
            return decode(file.read())
    except OSError as exc:
        raise ImageError(f"{path}: cannot be read: {exc.strerror or exc}") from exc
    except ImageError as exc:
        raise ImageError(f"{path}: {exc}") from exc


def _foreign(content: bytes) -> str:
    if not content:
        return "the image file is empty"
    name = _OTHER_MAGIC.get(content[:4])
    if content[4:8] == b"ftyp":
        name = _OTHER_BRANDS.get(content[8:12])
    if name:
        return f"expected a {_SUPPORTED} image, got {name}; convert it first"
    return f"expected a {_SUPPORTED} image, got a file that begins with the bytes {content[:8].hex(' ')}"


def _check_jpeg(content: bytes) -> tuple[int, int]:
    """Width and height from the frame header; a complete file has an end marker behind its scans."""
    position = 2
    marker, length = _two_shorts(content, position)
    while marker not in _FRAMES:
        if marker in _SEGMENTS:
            position += 2 + length
        else:  # fill bytes or stray bytes: go on at the next marker, as libjpeg does
            found = _MARKER.search(content, position + 1)
            if found is None:
                raise ImageError("the JPEG is truncated: it has no frame header")
            position = found.start()
        marker, length = _two_shorts(content, position)
    height, width = _two_shorts(content, position + 5)
    # Enough for a file of one scan: no FFD9 occurs inside it, and OpenCV refuses a file without any.
    if marker not in _ONE_SCAN_FRAMES or not content.endswith(_END_OF_JPEG):
        _find_end_of_jpeg(content, position + 2 + length)
    return width, height


def _find_end_of_jpeg(content: bytes, position: int) -> None:
    """Walk the segments and scans behind the frame header; an end marker inside a segment is a thumbnail's."""
    while found := _MARKER.search(content, position):
        position = found.end()
        if found[0] == _END_OF_JPEG:
            return
        position += _short(content, position)[0]
    raise ImageError("the JPEG is truncated: its end marker is missing")


def _check_png(content: bytes) -> tuple[int, int]:
    """Width and height from IHDR; a complete file has whole chunks up to IEND."""
    if content[:8] != _PNG_MAGIC:
        raise ImageError(_foreign(content))
    view = memoryview(content)
    position, kind = 8, b""
    while kind != b"IEND":
        length, kind = _png_chunk(content, position)
        end = position + 8 + length
        (checksum,) = _long(content, end)
        if not kind[0] & 0x20 and checksum != zlib.crc32(view[position + 4 : end]):  # capital letter: critical chunk
            raise ImageError("the PNG is damaged: a checksum is wrong")
        position = end + 4
    if content[12:16] != b"IHDR":
        raise ImageError("the PNG is damaged: it does not begin with its header")
    width, height = struct.unpack_from(">II", content, 16)
    return width, height


def _check_bmp(content: bytes) -> tuple[int, int]:
    """Width and height from the header; a complete file has its stated size and room for all its pixels."""
    size, data, header = struct.unpack_from("<I4xII", content, 2)
    if header == 12:  # OS/2
        width, height, depth = struct.unpack_from("<HH2xH", content, 18)
        compression = 0
    else:
        width, height, depth, compression = struct.unpack_from("<ii2xHI", content, 18)
    needed = size
    if compression not in _BMP_RUN_LENGTHS:
        needed = max(size, data + (width * depth + 31) // 32 * 4 * abs(height))
    if len(content) < needed:
        raise ImageError(f"the BMP is truncated: expected {needed} bytes, got {len(content)}")
    return width, abs(height)  # a negative height says that the top row comes first


def _check_webp(content: bytes) -> tuple[int, int]:
    """Width and height from the first chunk; a complete file has its stated size."""
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP":
        raise ImageError(_foreign(content))
    size, kind = struct.unpack_from("<I4x4s", content, 4)
    if len(content) < size + 8:
        raise ImageError(f"the WebP is truncated: expected {size + 8} bytes, got {len(content)}")
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", content, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        return int.from_bytes(content[24:27], "little") + 1, int.from_bytes(content[27:30], "little") + 1
    raise ImageError("the WebP is damaged: it does not begin with VP8, VP8L or VP8X")


# By the first two bytes; each function holds the rest of the magic itself.
_CHECKS: Final[dict[bytes, Callable[[bytes], tuple[int, int]]]] = {
    b"\xff\xd8": _check_jpeg,
    b"\x89P": _check_png,
    b"BM": _check_bmp,
    b"RI": _check_webp,
}
