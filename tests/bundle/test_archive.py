"""The archive behind the flatbuffer, against Python's own zipfile."""

import io
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.bundle.archive import Archive, append_archive
from edgecnn.errors import BundleError, ModelError

MODEL = b"\x1c\0\0\0TFL3" + bytes(range(64))
FILES = {"labels.txt": b"cat\ndog\n", "edgecnn.json": b"{}\n"}

names = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/\\"), min_size=1, max_size=20)


def with_zip(
    files: dict[str, bytes], *, method: int = zipfile.ZIP_STORED, comment: bytes = b"", gap: bytes = b""
) -> bytes:
    """What another tool writes: zipfile's append mode, or, with a `gap`, an archive made apart and joined."""
    file = io.BytesIO(b"" if gap else MODEL)
    with zipfile.ZipFile(file, "a", method) as archive:
        archive.comment = comment
        for name, data in files.items():
            archive.writestr(name, data)
    return MODEL + gap + file.getvalue() if gap else file.getvalue()


@given(st.dictionaries(names, st.binary(max_size=200), max_size=4), st.binary(max_size=100))
def test_what_is_appended_is_read_back_by_us_and_by_zipfile(files: dict[str, bytes], weights: bytes) -> None:
    sealed = append_archive(MODEL + weights, files)
    ours = Archive(sealed)
    assert ours.start == len(MODEL + weights)
    assert {name: ours.read(name) for name in ours.members} == files
    with zipfile.ZipFile(io.BytesIO(sealed)) as theirs:
        assert theirs.testzip() is None
        assert {name: theirs.read(name) for name in theirs.namelist()} == files


def test_zipfile_sees_stored_readable_files_of_the_first_zip_day() -> None:
    with zipfile.ZipFile(io.BytesIO(append_archive(MODEL, FILES))) as archive:
        for info in archive.infolist():
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
            assert info.compress_type == zipfile.ZIP_STORED
            assert info.external_attr >> 16 == 0o100644
            assert info.extra == info.comment == b""


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("comment", [b"", b"made elsewhere", b"PK\5\6" + bytes(30)])
@pytest.mark.parametrize("gap", [b"", b"gap"])
def test_archives_of_other_tools_are_read(method: int, comment: bytes, gap: bytes) -> None:
    archive = Archive(with_zip({"a.txt": b"a" * 500, "b.txt": b""}, method=method, comment=comment, gap=gap))
    assert archive.start == len(MODEL + gap)
    assert archive.read("a.txt") == b"a" * 500
    assert archive.read("b.txt") == b""


@pytest.mark.parametrize("content", [MODEL, MODEL + b"PK\5\6", MODEL + b"PK\5\6" + bytes(40), MODEL + b"PK\1\2PK\3\4"])
def test_a_model_without_an_archive_has_no_members(content: bytes) -> None:
    archive = Archive(content)
    assert archive.members == {}
    assert archive.start == len(content)
    with pytest.raises(BundleError, match=r"expected the file labels\.txt inside the bundle, found none"):
        archive.read("labels.txt")


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"no model at all", MODEL[:6]])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(ModelError, match="expected a TFLite model"):
        Archive(content)


def damaged(position: int, data: bytes) -> bytes:
    content = bytearray(append_archive(MODEL, FILES))
    start = position if position >= 0 else len(content) + position
    content[start : start + len(data)] = data
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (damaged(-10, b"\xff\xff\xff\0"), "directory lies outside the file"),
        (damaged(-22 - 58, b"PK\0\0"), "directory is cut off"),
        (damaged(-22 - 58 + 28, b"\xff\xff"), "directory is cut off"),
        (damaged(-22 - 58 + 8, b"\1"), "encrypted or listed twice"),
        (append_archive(MODEL, FILES).replace(b"edgecnn.json", b"labels.txt\0\0"), None),
        (with_zip(FILES).replace(b"labels.txt", b"\xff" * 10), "can't decode"),
    ],
)
def test_a_damaged_directory_is_one_clear_error(content: bytes, message: str | None) -> None:
    if message is None:  # another name is no damage
        assert "labels.txt\0\0" in Archive(content).members
        return
    with pytest.raises(BundleError, match=f"zip archive at the end of the model is damaged: .*{message}"):
        Archive(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (damaged(len(MODEL) + 40, b"x"), "checksum is wrong"),
        (damaged(len(MODEL), b"PK\0\0"), "cut off"),
        (damaged(-22 - 58 - 56 + 10, struct.pack("<H", 12)), "compression method 12 is not supported"),
        (damaged(-22 - 58 - 56 + 10, struct.pack("<H", 8)), "is damaged"),
        (damaged(-22 - 58 - 56 + 20, b"\xff\xff\xff\0"), "cut off"),
        (damaged(-22 - 58 - 56 + 24, b"\xff\xff\xff\x7f"), "too large"),
    ],
)
def test_a_damaged_member_is_one_clear_error(content: bytes, message: str) -> None:
    with pytest.raises(BundleError, match=rf"labels\.txt inside the bundle is damaged: .*{message}|{message}"):
        Archive(content).read("labels.txt")


def test_a_packed_member_cannot_grow_past_its_stated_size() -> None:
    content = with_zip({"labels.txt": bytes(1 << 20)}, method=zipfile.ZIP_DEFLATED)
    stated = content.replace(struct.pack("<L", 1 << 20), struct.pack("<L", 100))
    with pytest.raises(BundleError, match="checksum is wrong"):
        Archive(stated).read("labels.txt")


@given(st.data())
def test_any_damage_gives_the_content_or_a_clear_error(data: st.DataObject) -> None:
    content = bytearray(append_archive(MODEL, FILES))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(8, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(8, len(content)))]
    message = ""
    try:
        archive = Archive(bytes(content))
        read = {name: archive.read(name) for name in archive.members}
    except BundleError as exc:
        message = str(exc)
    else:
        assert set(read.values()) <= set(FILES.values())
    assert "\n" not in message
