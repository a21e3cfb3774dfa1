"""Files written whole or not at all, and hashes that tell files and folders apart."""

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.errors import DataError
from edgecnn.files import remove_parts, sha256_bytes, sha256_path, write_atomic


@pytest.mark.parametrize(("content", "stored"), [(b"\0\xff\r\n", b"\0\xff\r\n"), ("é\n", b"\xc3\xa9\n"), (b"", b"")])
def test_content_is_written_as_it_is(tmp_path: Path, content: bytes | str, stored: bytes) -> None:
    path = tmp_path / "out.bin"
    path.write_bytes(b"an older and longer content")
    write_atomic(path, content)
    assert path.read_bytes() == stored
    write_atomic(str(path), content)
    assert os.listdir(tmp_path) == ["out.bin"]


@pytest.fixture
def umask() -> Iterator[int]:
    old = os.umask(0o022)
    yield 0o022
    os.umask(old)


def test_permissions_are_those_of_any_new_file(tmp_path: Path, umask: int) -> None:
    write_atomic(tmp_path / "out", b"x")
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o666 & ~umask
    assert os.umask(umask) == umask  # and the process keeps its own


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
) -> None:
    def fail(*_: object) -> None:
        raise error

    path = tmp_path / "out.tflite"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, step, fail)
    with pytest.raises((DataError, KeyboardInterrupt)) as caught:
        write_atomic(path, b"new")
    if isinstance(error, OSError):
        assert str(caught.value) == f"cannot write {path}: No space left on device"
        assert caught.value.__cause__ is error
    else:
        assert caught.value is error
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out.tflite"]


def test_text_that_is_no_unicode_touches_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write_atomic(tmp_path / "out", "\ud800")
    assert os.listdir(tmp_path) == []


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^cannot write .*missing/out: No such file or directory$"):
        write_atomic(tmp_path / "missing" / "out", b"x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match=r"^cannot write .*folder: Is a directory$"):
        write_atomic(tmp_path / "folder", b"x")
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(DataError, match=r"^cannot write .*file/out: Not a directory$"):
        write_atomic(tmp_path / "file" / "out", b"x")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_names_may_be_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 122 + ".tflite")  # 251 of 255 bytes
    write_atomic(path, b"x")
    assert [item.read_bytes() for item in tmp_path.iterdir()] == [b"x"]


def test_readers_see_the_old_or_the_new_content(tmp_path: Path) -> None:
    path, sizes = tmp_path / "out", (1 << 18, 1 << 16)
    write_atomic(path, bytes(sizes[0]))
    seen, stop = set(), threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.add(len(path.read_bytes()))

    reader = threading.Thread(target=read)
    reader.start()
    for i in range(40):
        write_atomic(path, bytes(sizes[i % 2]))
    stop.set()
    reader.join()
    assert seen <= {*sizes}


def test_hash_of_bytes_and_of_a_file(tmp_path: Path) -> None:
    # FIPS 180-4, the example of one block
    assert sha256_bytes(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    content = os.urandom((1 << 20) + 1)  # more than is read at once
    (tmp_path / "file").write_bytes(content)
    assert sha256_path(tmp_path / "file") == sha256_path(str(tmp_path / "file")) == sha256_bytes(content)
    assert sha256_bytes(content) == hashlib.sha256(content).hexdigest()


def fill(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


FILES = {"model.pb": b"graph", "variables/data": b"weights", "variables/index": b""}


def test_equal_folders_have_equal_hashes(tmp_path: Path) -> None:
    first = fill(tmp_path / "first", FILES)
    second = fill(tmp_path / "second", dict(reversed(FILES.items())))
    assert sha256_path(first) == sha256_path(second)
    assert sha256_path(first) != sha256_path(tmp_path)


@pytest.mark.parametrize(
    "files",
    [
        FILES | {"model.pb": b"grapH"},
        FILES | {"more": b""},
        {"model.pb": b"graph", "variables/data": b"weights"},
        {"model.pb": b"graph", "variables/data2": b"weights", "variables/index": b""},
        {"model.pb": b"graph", "variables/data": b"", "variables/index": b"weights"},
        {"model.pb": b"graph", "data": b"weights", "variables/index": b""},
        {"model.pb": b"graphvariables/data\0weights", "variables/index": b""},
    ],
)
def test_any_change_in_a_folder_changes_its_hash(tmp_path: Path, files: dict[str, bytes]) -> None:
    assert sha256_path(fill(tmp_path / "a", FILES)) != sha256_path(fill(tmp_path / "b", files))


@given(st.binary(max_size=20))
def test_a_boundary_between_files_is_part_of_the_hash(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    root = tmp_path_factory.mktemp("folders")
    one = fill(root / "one", {"a": b"b\0" + content})
    two = fill(root / "two", {"a": b"", "b": content})
    assert sha256_path(one) != sha256_path(two)


def test_names_that_are_no_unicode_have_a_hash_too(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff.bin")).write_bytes(b"x")
    assert len(sha256_path(tmp_path)) == 64


def test_what_does_not_exist_has_no_hash(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^cannot read .*missing: No such file or directory$"):
        sha256_path(tmp_path / "missing")


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_atomic(pipe, "text")
        assert os.read(reader, 10) == b"text"
    finally:
        os.close(reader)
    assert pipe.is_fifo()


def test_parts_of_killed_writers_are_removed_and_nothing_else(tmp_path: Path) -> None:
    names = ("a.txt", ".edgecnn-notes", "b.part", ".edgecnn-x1.part")
    for name in names:
        (tmp_path / name).write_text(name)
    remove_parts(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".edgecnn-notes", "a.txt", "b.part"]
    remove_parts(tmp_path / "none")
