"""Files of a folder, a .zip or a .tar (plain, gzip, bzip2, xz) behind one interface.

Archives are read where they lie and never extracted, so no name in them can touch another file. A compressed
tar is decompressed once into an anonymous temporary file, because its members cannot be reached otherwise.
"""

import bz2
import errno
import gzip
import lzma
import os
import re
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Generic, TypeVar

from edgecnn.errors import DataError

MAX_FILE_BYTES: Final = 1 << 30

_DECOMPRESSORS: Final[dict[bytes, Callable[[IO[bytes]], Any]]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
}
_COPY_BYTES: Final = 1 << 18  # twice as fast as 1 MiB, which leaves the processor's cache
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# What the standard library raises on files and archives that cannot be read or are damaged.
_UNREADABLE = (
    OSError, EOFError, ValueError, OverflowError, RuntimeError, zlib.error, lzma.LZMAError,
    tarfile.TarError, zipfile.BadZipFile,
)  # fmt: skip
_OUTSIDE = re.compile(r"/|[A-Za-z]:/|(?:.*/)?\.\.(?:/|$)")
_HIDDEN = re.compile(r"(?:.*/)?(?:\.|__MACOSX(?:/|$)|Thumbs\.db$)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

# Device and FIFO types are not in here and count as what they are, no regular files.
_TAR_KINDS = {
    tarfile.DIRTYPE: stat.S_IFDIR,
    tarfile.SYMTYPE: stat.S_IFLNK,
    tarfile.LNKTYPE: stat.S_IFLNK,
} | dict.fromkeys((tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE), stat.S_IFREG)

_Entry = TypeVar("_Entry")


class _Index(Generic[_Entry]):
    """What a folder or archive holds: where each usable file lies, and what is left out and why."""

    def __init__(self) -> None:
        self.files: dict[str, _Entry] = {}
        self.folders: list[str] = []
        self.left_out: list[tuple[str, str]] = []

    def add(self, name: str, kind: int, size: int, entry: _Entry) -> None:
        """Take one member in; `kind` is its file type as in stat.S_IFMT."""
        name = name.removeprefix("./")
        reason = ""
        if _CONTROL.search(name):
            name, reason = ascii(name), "its name has control characters"
        elif _OUTSIDE.match(name):
            reason = "its name points outside of the archive"
        elif _HIDDEN.match(name) or not name:
            return
        elif kind == stat.S_IFDIR:
            self.folders.append(name.rstrip("/"))
            return
        elif kind == stat.S_IFLNK:
            reason = "a link, which is not followed"
        elif kind != stat.S_IFREG:
            reason = "not a regular file"
        elif size > MAX_FILE_BYTES:
            reason = f"larger than {MAX_FILE_BYTES >> 20} MiB"
        if reason:
            self.left_out.append((name, reason))
        else:
            self.files[name] = entry


# The index, and the function that reads what stands behind one of its entries.
_Source = tuple[_Index[Any], Callable[[Any], bytes]]


class Store:
    """Named files to read; several threads may read at once. Made by `open_store`, and a context manager.

    Attributes:
        path: the folder or archive.
        folders: names of the folders that it lists; an archive may leave them unlisted.
        left_out: (name, reason) of links, devices, names that point outside and the like.
    """

    def __init__(self, path: Path, source: _Source, resources: ExitStack) -> None:
        index, self._read = source
        self.path = path
        self.folders = tuple(sorted(index.folders))
        self.left_out = tuple(sorted(index.left_out))
        self._files = index.files
        self._resources = resources

    def names(self) -> list[str]:
        """Names of all regular files that are not hidden: relative, with "/", sorted."""
        return sorted(self._files)

    def read(self, name: str) -> bytes:
        """Content of the file `name`.

        Raises:
            DataError: there is no such file, or it is damaged or unreadable.
        """
        if name not in self._files:
            raise DataError(f"{self.path} holds no file {name!r}")
        try:
            return self._read(self._files[name])
        except _UNREADABLE as exc:
            raise DataError(f"cannot read {name} in {self.path}: {_reason(exc)}") from exc

    def close(self) -> None:
        """Close the archive; nothing can be read afterwards."""
        self._resources.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_store(path: str | os.PathLike[str]) -> Store:
    """Open a folder, .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz; its content decides, not its suffix.

    Left out without a word: hidden files, `__MACOSX` and `Thumbs.db`. Links in an archive are not followed.

    Raises:
        DataError: nothing is there, it is no such archive, it is damaged or encrypted, or the disk is too full to
            decompress it.
    """
    path = Path(path)
    try:
        with ExitStack() as resources:
            if path.is_dir():
                return Store(path, _folder(path), resources.pop_all())
            file: IO[bytes] = resources.enter_context(path.open("rb"))
            magic = file.read(6)
            file.seek(0)
            if magic.startswith(b"PK"):
                return Store(path, _zip(file, path), resources.pop_all())
            decompress = next((_DECOMPRESSORS[start] for start in _DECOMPRESSORS if magic.startswith(start)), None)
            if decompress:
                temporary = resources.enter_context(tempfile.TemporaryFile())
                shutil.copyfileobj(decompress(file), temporary, _COPY_BYTES)
                temporary.seek(0)
                file = temporary
            return Store(path, _tar(file), resources.pop_all())
    except _UNREADABLE as exc:
        if isinstance(exc, OSError) and exc.errno in _NO_SPACE:
            place = tempfile.gettempdir()
            raise DataError(f"no space left in {place} to decompress {path}; set TMPDIR to a larger place") from exc
        raise DataError(f"expected a folder, .zip, .tar or .tar.gz, cannot read {path}: {_reason(exc)}") from exc


def _folder(root: Path) -> _Source:
    """A folder on disk. Its links are its owner's and are followed: data sets are often made of them."""
    index: _Index[str] = _Index()
    waiting, seen = [""], {os.path.realpath(root)}
    while waiting:
        folder = waiting.pop()
        with os.scandir(root / folder) as items:
            for item in items:
                name = folder + item.name
                try:
                    status = item.stat()
                except OSError:
                    index.left_out.append((name, "a link to nothing"))
                    continue
                place = os.path.realpath(item.path) if stat.S_ISDIR(status.st_mode) else ""
                if place in seen:
                    index.left_out.append((name, "a link to a folder that is read already"))
                    continue
                index.add(name, stat.S_IFMT(status.st_mode), status.st_size, item.path)
                if place and not _HIDDEN.match(name):
                    seen.add(place)
                    waiting.append(name + "/")
    return index, lambda path: Path(path).read_bytes()


def _zip(file: IO[bytes], path: Path) -> _Source:
    # Given a file instead of a path, zipfile never closes it, and its reads are safe from several threads.
    archive = zipfile.ZipFile(file)
    index: _Index[zipfile.ZipInfo] = _Index()
    for member in archive.infolist():
        name = member.filename.replace("\\", "/")
        kind = stat.S_IFDIR if name.endswith("/") else stat.S_IFMT(member.external_attr >> 16) or stat.S_IFREG
        index.add(name, kind, member.file_size, member)
    if any(member.flag_bits & 1 for member in index.files.values()):
        raise DataError(f"{path} is encrypted; unpack it with its password and use the folder")
    return index, archive.read


def _tar(file: IO[bytes]) -> _Source:
    index: _Index[tuple[int, int]] = _Index()
    end = -1
    with tarfile.open(fileobj=file, mode="r:") as archive:  # leaves `file` open
        for member in archive:
            if archive.offset <= end:  # a negative size leads backwards, for ever
                raise tarfile.ReadError(f"the member at byte {member.offset} has a wrong size")
            end = archive.offset
            kind = 0 if member.issparse() else _TAR_KINDS.get(member.type, 0)
            index.add(member.name, kind, member.size, (member.offset_data, member.size))
        file.seek(archive.offset)
    if any(file.read(tarfile.BLOCKSIZE)):  # a damaged header ends the walk like the end does
        raise tarfile.ReadError(f"the header at byte {archive.offset} is damaged")

    def read(place: tuple[int, int]) -> bytes:
        offset, size = place
        content = os.pread(file.fileno(), size, offset)
        if len(content) < size:
            raise EOFError("the archive ends inside it")
        return content

    return index, read


def _reason(exc: BaseException) -> str:
    """The cause in one line, without the path that OSError repeats."""
    text = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
    return " ".join(text.split()) or type(exc).__name__
