import gzip
import io
import random
import stat
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgecnn.data import store as store_module
from edgecnn.data.store import open_store
from edgecnn.errors import DataError

FILES = {
    "train/cat/1.jpg": b"one",
    "train/cat/2.jpg": bytes(range(256)) * 40,
    "train/größe 猫/3.png": b"three",
    "train/" + "long name " * 12 + "/" + "longer name " * 12 + ".png": b"long",
    "empty.txt": b"",
}
HIDDEN = ("train/.DS_Store", "__MACOSX/train/cat/._1.jpg", "train/cat/Thumbs.db", ".cache/1.jpg")


def write_folder(path: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def write_zip(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def write_tar(path: Path, files: dict[str, bytes], mode: str = "w", form: int = tarfile.PAX_FORMAT) -> None:
    with tarfile.open(path, mode, format=form) as archive:  # type: ignore[call-overload]  # the mode is no literal
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


WRITERS: dict[str, Callable[[Path, dict[str, bytes]], None]] = {
    "folder": write_folder,
    "data.zip": write_zip,
    "data.tar": write_tar,
    "gnu.tar": lambda path, files: write_tar(path, files, "w", tarfile.GNU_FORMAT),
    "data.tar.gz": lambda path, files: write_tar(path, files, "w:gz"),
    "data.tgz": lambda path, files: write_tar(path, files, "w:gz"),
    "data.tar.bz2": lambda path, files: write_tar(path, files, "w:bz2"),
    "data.tar.xz": lambda path, files: write_tar(path, files, "w:xz"),
}


def opening_fails(path: Path, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        open_store(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.fixture(params=WRITERS)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path: Path = tmp_path / request.param
    WRITERS[request.param](path, FILES | dict.fromkeys(HIDDEN, b"hidden"))
    return path


def test_all_kinds_hold_the_same(source: Path) -> None:
    with open_store(source) as store:
        assert store.names() == sorted(FILES)
        assert {name: store.read(name) for name in store.names()} == FILES
        assert store.left_out == ()


def test_several_threads_read_at_once(source: Path) -> None:
    def read_all(seed: int) -> bool:
        names = list(FILES) * 20
        random.Random(seed).shuffle(names)
        return all(store.read(name) == FILES[name] for name in names)

    with open_store(source) as store, ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read_all, range(16)))


def test_unknown_names_and_closed_stores(source: Path) -> None:
    store = open_store(source)
    with pytest.raises(DataError, match="holds no file 'train'"):
        store.read("train")
    store.close()
    if not source.is_dir():
        with pytest.raises(DataError, match=r"cannot read train/cat/1\.jpg"):
            store.read("train/cat/1.jpg")


@settings(deadline=None)
@given(st.dictionaries(st.text("abcä.", min_size=1, max_size=6), st.binary(max_size=2000), max_size=6))
def test_zip_and_tar_hold_the_same(files: dict[str, bytes]) -> None:
    files = {f"x{name}": content for name, content in files.items()}
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for kind in ("data.zip", "data.tar.gz", "data.tar"):
            WRITERS[kind](Path(folder, kind), files)
            with open_store(Path(folder, kind)) as store:
                found.append({name: store.read(name) for name in store.names()})
    assert found == [files] * 3


def test_nothing_is_left_in_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tar(tmp_path / "data.tar.gz", FILES, "w:gz")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    with open_store(tmp_path / "data.tar.gz") as store:
        assert store.read("train/cat/1.jpg") == b"one"
        assert list((tmp_path / "tmp").iterdir()) == []


def test_the_last_of_equal_names_counts(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "data.tar", "w") as archive:
        for content in (b"old", b"newer"):
            member = tarfile.TarInfo("./a/1.jpg")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    with open_store(tmp_path / "data.tar") as store:
        assert store.names() == ["a/1.jpg"]
        assert store.read("a/1.jpg") == b"newer"


def test_folders_are_listed(tmp_path: Path) -> None:
    (tmp_path / "data" / "cats" / "young").mkdir(parents=True)
    with tarfile.open(tmp_path / "data.tar", "w") as archive:
        archive.add(tmp_path / "data", "data")
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for name in ("data/", "data/cats/", "data/cats/young/"):
            archive.writestr(name, b"")
    for name, top in (("data.tar", "data/"), ("data.zip", "data/"), ("data", "")):
        with open_store(tmp_path / name) as store:
            assert set(store.folders) - {"data"} == {f"{top}cats", f"{top}cats/young"}


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (tarfile.SYMTYPE, "a link, which is not followed"),
        (tarfile.LNKTYPE, "a link, which is not followed"),
        (tarfile.CHRTYPE, "not a regular file"),
        (tarfile.BLKTYPE, "not a regular file"),
        (tarfile.FIFOTYPE, "not a regular file"),
    ],
)
def test_links_and_devices_in_a_tar_are_left_out(tmp_path: Path, kind: bytes, reason: str) -> None:
    member = tarfile.TarInfo("a/1.jpg")
    member.type, member.linkname = kind, "/etc/passwd"
    with tarfile.open(tmp_path / "data.tar", "w") as archive:
        archive.addfile(member)
    with open_store(tmp_path / "data.tar") as store:
        assert store.names() == []
        assert store.left_out == (("a/1.jpg", reason),)


def test_a_sparse_file_in_a_tar_is_left_out(tmp_path: Path) -> None:
    member = tarfile.TarInfo("a/1.jpg")
    content = b"1\n0\n3\n".ljust(512, b"\0") + b"one"  # one piece: 3 bytes from 0
    member.size = len(content)
    member.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "3"}
    with tarfile.open(tmp_path / "data.tar", "w") as archive:
        archive.addfile(member, io.BytesIO(content))
    with open_store(tmp_path / "data.tar") as store:
        assert store.left_out == (("a/1.jpg", "not a regular file"),)


def test_links_in_a_folder_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    write_folder(tmp_path / "data", {"a/1.jpg": b"one"})
    write_folder(tmp_path / "other", {"2.jpg": b"two"})
    (tmp_path / "data" / "a" / "link.jpg").symlink_to(tmp_path / "other" / "2.jpg")
    (tmp_path / "data" / "b").symlink_to(tmp_path / "other")
    (tmp_path / "data" / "loop").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    store = open_store(tmp_path / "data")
    assert {name: store.read(name) for name in store.names()} == {
        "a/1.jpg": b"one",
        "a/link.jpg": b"two",
        "b/2.jpg": b"two",
    }
    assert store.left_out == (
        ("gone.jpg", "a link to nothing"),
        ("loop", "a link to a folder that is read already"),
    )


def test_a_link_in_a_zip_is_left_out(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("a/1.jpg")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with open_store(tmp_path / "data.zip") as store:
        assert store.left_out == (("a/1.jpg", "a link, which is not followed"),)


def test_backslashes_in_a_zip_are_slashes(tmp_path: Path) -> None:
    write_zip(tmp_path / "data.zip", {"a\\1.jpg": b"one", "..\\2.jpg": b"evil"})
    with open_store(tmp_path / "data.zip") as store:
        assert store.names() == ["a/1.jpg"]
        assert store.read("a/1.jpg") == b"one"
        assert store.left_out == (("../2.jpg", "its name points outside of the archive"),)


@pytest.mark.parametrize("name", ["/etc/1.jpg", "../1.jpg", "a/../../1.jpg", "a/..", "C:/1.jpg", "a\n/1.jpg"])
@pytest.mark.parametrize("kind", ["data.zip", "data.tar"])
def test_names_that_point_outside_are_left_out(tmp_path: Path, kind: str, name: str) -> None:
    WRITERS[kind](tmp_path / kind, {name: b"evil", "a/1.jpg": b"good"})
    with open_store(tmp_path / kind) as store:
        assert store.names() == ["a/1.jpg"]
        ((left, reason),) = store.left_out
        assert "\n" not in left
        assert reason in ("its name points outside of the archive", "its name has control characters")


@pytest.mark.parametrize("kind", ["folder", "data.zip", "data.tar"])
def test_huge_files_are_left_out(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "MAX_FILE_BYTES", 1 << 20)
    WRITERS[kind](tmp_path / kind, {"a/1.jpg": bytes((1 << 20) + 1), "a/2.jpg": bytes(1 << 20)})
    with open_store(tmp_path / kind) as store:
        assert store.names() == ["a/2.jpg"]
        assert store.left_out == (("a/1.jpg", "larger than 1 MiB"),)


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    opening_fails(tmp_path / "missing.zip", "No such file")
    for name, content in [("a.zip", b""), ("a.tar", b"\x89PNG\r\n\x1a\n" + bytes(2000)), ("a.gz", gzip.compress(b"?"))]:
        (tmp_path / name).write_bytes(content)
        opening_fails(tmp_path / name, "expected a folder, .zip, .tar or .tar.gz, cannot read")


@pytest.mark.parametrize("kind", ["data.zip", "data.tar.gz", "data.tar.bz2", "data.tar.xz"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_archive_is_noticed(tmp_path: Path, kind: str, share: float) -> None:
    WRITERS[kind](tmp_path / kind, FILES)
    content = (tmp_path / kind).read_bytes()
    (tmp_path / kind).write_bytes(content[: int(len(content) * share)])
    opening_fails(tmp_path / kind, "expected a folder")


def test_a_truncated_plain_tar_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "data.tar"
    write_tar(path, {"1.jpg": bytes(700), "2.jpg": bytes(700)})
    content = path.read_bytes()
    for end in (100, 600, 1700, 1536 + 512 + 700):
        path.write_bytes(content[:end])
        opening_fails(path, "expected a folder")


def test_a_damaged_header_inside_a_tar_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "data.tar"
    write_tar(path, {"1.jpg": b"one", "2.jpg": b"two", "3.jpg": b"three"})
    content = bytearray(path.read_bytes())
    content[1024] ^= 1  # the second header
    path.write_bytes(content)
    opening_fails(path, "the header at byte 1024 is damaged")


def test_a_negative_size_does_not_walk_for_ever(tmp_path: Path) -> None:
    member = tarfile.TarInfo("2.jpg")
    header = bytearray(member.tobuf(tarfile.USTAR_FORMAT))
    header[124:136] = b"\xff" * 10 + b"\xfe\x00"  # -512 in base 256: the next header is this one
    checksum = sum(header[:148]) + sum(header[156:512]) + 8 * 32
    header[148:156] = b"%06o\0 " % checksum
    path = tmp_path / "data.tar"
    write_tar(path, {"1.jpg": b"one"})
    path.write_bytes(path.read_bytes()[:1024] + header + bytes(1024))
    opening_fails(path, "expected a folder")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["data.zip", "data.tar", "gnu.tar", "data.tar.gz"]), st.data())
def test_damaged_archives_are_read_or_refused(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    path = tmp_path / kind
    if not path.exists():
        WRITERS[kind](path, FILES)
    damaged = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged) - 1) | st.integers(len(damaged) - 900, len(damaged) - 1))
        damaged[max(0, place)] = data.draw(st.sampled_from([0, 0x80, 0xFF]) | st.integers(0, 255))
    (tmp_path / "damaged").write_bytes(damaged)
    with suppress(DataError), open_store(tmp_path / "damaged") as store:
        for name in store.names():
            with suppress(DataError):
                store.read(name)


def test_a_damaged_zip_member_names_itself(tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("1.jpg", b"content of one")
        archive.writestr("2.jpg", b"content of two")
    path.write_bytes(path.read_bytes().replace(b"of one", b"of 0ne"))
    with open_store(path) as store:
        assert store.read("2.jpg") == b"content of two"
        with pytest.raises(DataError, match=r"cannot read 1\.jpg in .*data\.zip: Bad CRC"):
            store.read("1.jpg")


def test_an_unknown_compression_names_the_member(tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    write_zip(path, {"1.jpg": b"one"})
    content = bytearray(path.read_bytes())
    for start, offset in ((content.index(b"PK\3\4"), 8), (content.index(b"PK\1\2"), 10)):
        struct.pack_into("<H", content, start + offset, 99)
    path.write_bytes(content)
    with open_store(path) as store, pytest.raises(DataError, match=r"cannot read 1\.jpg .*compression"):
        store.read("1.jpg")


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    write_zip(path, {"1.jpg": b"one"})
    content = bytearray(path.read_bytes())
    for start, offset in ((content.index(b"PK\3\4"), 6), (content.index(b"PK\1\2"), 8)):
        content[start + offset] |= 1
    path.write_bytes(content)
    opening_fails(path, "is encrypted")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("size", [10, 1 << 20])
def test_a_full_disk_is_said_in_one_line(tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "data.tar.gz"
    write_tar(path, {"1.jpg": random.Random(0).randbytes(size)}, "w:gz")
    monkeypatch.setattr(tempfile, "TemporaryFile", partial(open, "/dev/full", "w+b"))
    opening_fails(path, "no space left in .* set TMPDIR")


def test_a_file_that_vanishes_is_an_error(tmp_path: Path) -> None:
    write_folder(tmp_path / "data", {"a/1.jpg": b"one"})
    store = open_store(tmp_path / "data")
    (tmp_path / "data" / "a" / "1.jpg").unlink()
    with pytest.raises(DataError, match=r"cannot read a/1\.jpg .*No such file"):
        store.read("a/1.jpg")


def test_a_tar_that_gets_shorter_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "data.tar"
    write_tar(path, {"1.jpg": bytes(9000)})
    with open_store(path) as store:
        path.write_bytes(path.read_bytes()[:5000])
        with pytest.raises(DataError, match=r"cannot read 1\.jpg .* ends inside it"):
            store.read("1.jpg")


@pytest.mark.shared_data
def test_a_real_archive(shared_data: Path) -> None:
    with open_store(shared_data / "trashnet.tar.gz") as store:
        names = store.names()
        assert len(names) == 1246
        with tarfile.open(shared_data / "trashnet.tar.gz") as archive:
            for name in random.Random(0).sample(names, 5):
                file = archive.extractfile(name)
                assert file is not None
                assert store.read(name) == file.read()
