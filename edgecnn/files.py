"""Files written whole or not at all, and their hashes."""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Final

from edgecnn.errors import DataError

_PART: Final = (".edgecnn-", ".part")  # around the name of a file that is being written


def write_atomic(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Write `content` to `path` so that a reader sees the old file or the new one, never a part.

    Text is written as UTF-8. The temporary file lies in the same folder, because a rename is atomic
    only inside one file system. Devices and pipes, such as /dev/stdout, are written to.

    Raises:
        DataError: the folder is missing or cannot be written.
    """
    path = Path(path)
    payload = content.encode() if isinstance(content, str) else content
    if path.exists() and not path.is_file() and not path.is_dir():  # a device or pipe, which must not be replaced
        path.write_bytes(payload)
        return
    try:
        handle, temporary = tempfile.mkstemp(prefix=_PART[0], suffix=_PART[1], dir=path.parent)
    except OSError as exc:
        raise DataError(f"cannot write {path}: {exc.strerror or exc}") from exc
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException as exc:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(exc, OSError):
            raise DataError(f"cannot write {path}: {exc.strerror or exc}") from exc
        raise


def remove_parts(folder: Path) -> None:
    """Remove what processes that were killed while they wrote left in a folder that nobody writes to now."""
    for path in folder.glob("*".join(_PART)):
        path.unlink(missing_ok=True)


def _umask() -> int:
    """The process's umask; the system only tells it when it is set."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sha256_bytes(content: bytes) -> str:
    """Hexadecimal SHA-256 of `content`."""
    return hashlib.sha256(content).hexdigest()


def sha256_path(path: str | os.PathLike[str]) -> str:
    """Hexadecimal SHA-256 of a file, or of the relative names and SHA-256 of a folder's files in sorted order.

    Raises:
        DataError: it does not exist or cannot be read.
    """
    path = Path(path)
    try:
        if not path.is_dir():
            return _sha256_file(path).hex()
        digest = hashlib.sha256()
        for item in sorted(item for item in path.rglob("*") if item.is_file()):
            digest.update(os.fsencode(item.relative_to(path).as_posix()) + b"\0" + _sha256_file(item))
        return digest.hexdigest()
    except OSError as exc:
        raise DataError(f"cannot read {path}: {exc.strerror or exc}") from exc


def _sha256_file(path: Path) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.digest()
