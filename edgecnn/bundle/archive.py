"""The parts of a `.tflite` file: a flatbuffer, and a zip archive behind it, here read and written without `zipfile`.

A cold process must show its first label soon, and importing `zipfile` costs more than everything else that
opening a bundle does. Layout of the records: PKWARE's APPNOTE.TXT, sections 4.3.7, 4.3.12 and 4.3.16.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import Final, NamedTuple

from edgecnn.errors import BundleError, ModelError

IDENTIFIER: Final = b"TFL3"

_LOCAL: Final = struct.Struct("<4s5H3L2H")
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
_END: Final = struct.Struct("<4s4H2LH")
_LONGEST_COMMENT: Final = 0xFFFF
_LARGEST_MEMBER: Final = 16 << 20  # labels and cards are small; more is an attack or damage

_VERSION: Final = 20  # 2.0, what stored members need at most
_MADE_BY: Final = 3 << 8 | _VERSION  # 3: Unix, so that the mode below counts
_DATE: Final = 1 << 5 | 1  # 1980-01-01, the first day zip knows
_MODE: Final = 0o100644 << 16
_STORED, _DEFLATED = 0, 8
_ENCRYPTED: Final = 1


def check_identifier(content: bytes) -> None:
    """Check that `content` begins as TFLite models do.

    Raises:
        ModelError: it does not.
    """
    if content[4:8] != IDENTIFIER:
        raise ModelError(f"expected a TFLite model (bytes 4 to 8 are {IDENTIFIER!r}), got {content[4:8]!r}")


class Member(NamedTuple):
    """One file of an archive; `offset` is that of its local header, from the start of the whole file."""

    method: int
    crc: int
    packed: int
    size: int
    offset: int


class Archive:
    """The archive at the end of a `.tflite` file.

    Attributes:
        start: where the archive begins, which is where the flatbuffer ends.
        members: name to place, in the archive's order; empty when there is no archive.

    Raises:
        ModelError: `content` is no TFLite model.
        BundleError: there is an archive, but it is damaged.
    """

    def __init__(self, content: bytes) -> None:
        check_identifier(content)
        self._content = content
        self.members: dict[str, Member] = {}
        self.start = len(content)
        end = _find_end(content)
        if end is not None:
            try:
                self._read_directory(end)
            except (struct.error, ValueError) as exc:
                raise BundleError(f"the zip archive at the end of the model is damaged: {exc}") from exc

    def read(self, name: str) -> bytes:
        """Content of one member.

        Raises:
            BundleError: no such member, or it is damaged.
        """
        if name not in self.members:
            raise BundleError(f"expected the file {name} inside the bundle, found {', '.join(self.members) or 'none'}")
        try:
            return self._unpack(self.members[name])
        except (struct.error, zlib.error, ValueError) as exc:
            raise BundleError(f"the file {name} inside the bundle is damaged: {exc}") from exc

    def _read_directory(self, end: int) -> None:
        _, _, _, _, count, size, offset, _ = _END.unpack_from(self._content, end)
        # offsets count from the file's start, or from the archive's where somebody joined two files
        shift = end - size - offset
        if shift < 0:
            raise ValueError("its directory lies outside the file")
        place = offset + shift
        self.start = place
        for _ in range(count):
            fields = _CENTRAL.unpack_from(self._content, place)
            signature, _, _, flags, method, _, _, crc, packed, unpacked, *lengths, _, _, _, local = fields
            name_end = place + _CENTRAL.size + lengths[0]
            if signature != b"PK\1\2" or name_end > end:
                raise ValueError("its directory is cut off")
            name = self._content[place + _CENTRAL.size : name_end].decode()
            if name in self.members or flags & _ENCRYPTED:
                raise ValueError(f"{name!r} is encrypted or listed twice")
            self.members[name] = Member(method, crc, packed, unpacked, local + shift)
            self.start = min(self.start, local + shift)
            place = name_end + sum(lengths[1:])

    def _unpack(self, member: Member) -> bytes:
        signature, *_, name_length, extra_length = _LOCAL.unpack_from(self._content, member.offset)
        start = member.offset + _LOCAL.size + name_length + extra_length
        packed = self._content[start : start + member.packed]
        if signature != b"PK\3\4" or len(packed) != member.packed or member.size > _LARGEST_MEMBER:
            raise ValueError("it is cut off, or too large")
        if member.method == _DEFLATED:
            packed = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, member.size + 1)
        elif member.method != _STORED:
            raise ValueError(f"compression method {member.method} is not supported")
        if len(packed) != member.size or zlib.crc32(packed) != member.crc:
            raise ValueError("its checksum is wrong")
        return packed


def append_archive(model: bytes, files: Mapping[str, bytes]) -> bytes:
    """`model` with a zip archive of stored `files` behind it; equal input gives equal bytes.

    Names must be ASCII. Offsets count from the start of the result, so that zip tools read it without a warning.
    """
    result, directory = bytearray(model), bytearray()
    for name, data in files.items():
        common = (0, _STORED, 0, _DATE, zlib.crc32(data), len(data), len(data), len(name), 0)
        directory += _CENTRAL.pack(b"PK\1\2", _MADE_BY, _VERSION, *common, 0, 0, 0, _MODE, len(result)) + name.encode()
        result += _LOCAL.pack(b"PK\3\4", _VERSION, *common) + name.encode() + data
    end = _END.pack(b"PK\5\6", 0, 0, len(files), len(files), len(directory), len(result), 0)
    return bytes(result + directory + end)


def _find_end(content: bytes) -> int | None:
    """Offset of the end record, which is the last thing in the file but for a comment of known length."""
    stop = len(content)
    while (place := content.rfind(b"PK\5\6", max(0, len(content) - _END.size - _LONGEST_COMMENT), stop)) >= 0:
        if place + _END.size <= len(content):
            comment: int = _END.unpack_from(content, place)[-1]
            if place + _END.size + comment == len(content):
                return place
        stop = place + 3
    return None
