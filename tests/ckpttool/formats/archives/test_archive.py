"""What the strict zip reader accepts, and that it refuses everything else with its rule."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from types import ModuleType
from typing import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpttool.files.sources import FileSource
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError
from ckpttool.formats.archives import archive, zip_headers
from ckpttool.formats.archives.archive import Archive, Member, read_archive, read_member
from tests.builders import zips
from tests.builders.memory import MemorySource
from tests.builders.repository import FIXTURES

GENUINE = [
    path for path in sorted(FIXTURES.glob("torch-*/*.pth")) if path.read_bytes()[:2] == b"PK"
]


def parse(data: bytes) -> Archive:
    return read_archive(MemorySource(data))


@pytest.mark.parametrize("path", GENUINE, ids=lambda p: f"{p.parent.name}-{p.name}")
def test_a_genuine_archive_reads_as_zipfile_reads_it(path: Path) -> None:
    source = FileSource(str(path))
    found = read_archive(source)
    with zipfile.ZipFile(str(path)) as expected:
        assert list(found.members) == expected.namelist()
        for name, member in found.members.items():
            assert read_member(source, member, 1 << 20) == expected.read(name)
    assert found.has_checksums
    source.close()


def test_there_are_genuine_archives_to_read() -> None:
    assert len(GENUINE) >= 4


def test_members_come_with_place_size_and_checksum() -> None:
    data = zips.archive()
    found = parse(data)
    member = found.members["archive/data/0"]
    assert data[member.offset : member.offset + member.size] == bytes(range(32))
    assert member.crc32 == zlib.crc32(bytes(range(32)))
    assert [m.name for m in found.members.values()] == [i.name.decode() for i in zips.MEMBERS]


def in_memory_zipfile() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", b"x")
        with archive.open("archive/data/0", "w", force_zip64=True) as member:
            member.write(b"y")
    return stream.getvalue()


def streamed_zipfile() -> bytes:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise io.UnsupportedOperation

    stream = Pipe()
    with zipfile.ZipFile(stream, "w") as archive, archive.open("a/data/0", "w") as member:
        member.write(b"y")
    return stream.getvalue()


def beyond_four_gigabytes(local: tuple[int, int]) -> bytes:
    """A member whose sizes stand in zip64 fields, though it is small."""
    data = b"12345678"
    saturated = {"packed": 2**32 - 1, "size": 2**32 - 1}
    descriptor = b"PK\x07\x08" + struct.pack("<IQQ", zlib.crc32(data), 8, 8)
    item = zips.Item(
        b"archive/data/0",
        data,
        local_extra=struct.pack("<HHQQ", 1, 16, *local),
        central=saturated,
        central_extra=struct.pack("<HHQQ", 1, 16, 8, 8),
    )
    good = zips.archive(item)
    short = struct.pack("<4sIII", b"PK\x07\x08", zlib.crc32(data), 8, 8)
    return _moved(good.replace(short, descriptor), 8)


def _moved(data: bytes, by: int) -> bytes:
    """Mend the end records after ``by`` bytes were put in before the directory."""
    mended = bytearray(data)
    for place, code in ((-98 + 48, "<Q"), (-42 + 8, "<Q"), (-22 + 16, "<I")):
        at = len(mended) + place
        (value,) = struct.unpack_from(code, mended, at)
        struct.pack_into(code, mended, at, value + by)
    return bytes(mended)


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(lambda: zips.archive(zip64=False), id="without-zip64"),
        pytest.param(in_memory_zipfile, id="zipfile"),
        pytest.param(streamed_zipfile, id="zipfile-to-a-pipe"),
        pytest.param(lambda: beyond_four_gigabytes((8, 0)), id="zip64-as-torch-writes-it"),
        pytest.param(lambda: beyond_four_gigabytes((8, 8)), id="zip64-sizes"),
        pytest.param(lambda: beyond_four_gigabytes((0, 0)), id="zip64-sizes-to-come"),
        pytest.param(lambda: zips.archive(end={"offset": 2**32 - 1}), id="saturated-end-record"),
        pytest.param(
            lambda: zips.archive(zips.Item("модель/data.pkl".encode(), b"x")), id="other-script"
        ),
        pytest.param(
            lambda: zips.archive(zips.Item(b"a/b", b"x", central={"external": 0o100644 << 16})),
            id="regular-file-attributes",
        ),
    ],
)
def test_an_unusual_but_unambiguous_archive_is_read(build: Callable[[], bytes]) -> None:
    data = build()
    source = MemorySource(data)
    with zipfile.ZipFile(io.BytesIO(data)) as expected:
        for name, member in read_archive(source).members.items():
            assert read_member(source, member, 100) == expected.read(name)


@pytest.mark.parametrize(("build", "code"), zips.DEFECTS.values(), ids=list(zips.DEFECTS))
def test_a_defect_is_refused_with_its_rule(build: Callable[[], bytes], code: str) -> None:
    with pytest.raises(CkpttoolError) as caught:
        parse(build())
    assert caught.value.rule is not None
    assert (caught.value.rule.code, "\n" in str(caught.value)) == (code, False)


def test_cut_anywhere_it_is_refused() -> None:
    data = zips.archive()
    for length in range(len(data)):
        with pytest.raises(MalformedError):
            parse(data[:length])


def test_a_changed_byte_fails_the_checksum() -> None:
    data = zips.archive()
    member = parse(data).members["archive/data/0"]
    damaged = bytearray(data)
    damaged[member.offset] ^= 1
    with pytest.raises(MalformedError) as caught:
        read_member(MemorySource(bytes(damaged)), member, 100)
    assert caught.value.rule == rules.CHECKSUM


PACKED = zlib.compress(b"def forward(self): pass", 9)[2:-4]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        pytest.param(b"\xff" * 8, "invalid block type", id="no-deflated-bytes"),
        pytest.param(PACKED[:-1], "another number of bytes", id="cut"),
        pytest.param(PACKED + b"x", "another number of bytes", id="more-bytes-behind"),
    ],
)
def test_code_that_cannot_be_inflated_is_refused(data: bytes, found: str) -> None:
    full = {"size": 23, "packed": len(data), "crc": zlib.crc32(b"def forward(self): pass")}
    both = {"method": 8, **full}
    item = zips.Item(b"a/code/m.py", data, flags=0x0800, local=both, central=both)
    source = MemorySource(zips.archive(item))
    (member,) = read_archive(source, code=True).members.values()
    with pytest.raises(MalformedError) as caught:
        read_member(source, member, 100)
    assert caught.value.rule is rules.ZIP_METHOD
    assert found in str(caught.value.found)


def test_a_member_over_the_limit_is_refused_before_reading() -> None:
    with pytest.raises(MalformedError) as caught:
        read_member(MemorySource(b""), Member("a/data.pkl", 0, 101, 0), 100)
    assert caught.value.rule == rules.LIMIT


def test_without_checksums_members_are_read_unchecked() -> None:
    none = {"crc": 0}
    items = [item._replace(central=none, descriptor=none) for item in zips.MEMBERS]
    source = MemorySource(zips.archive(*items))
    found = read_archive(source)
    assert not found.has_checksums
    assert read_member(source, found.members["archive/version"], 10) == b"3\n"


def test_small_and_large_members_are_found_through_every_window() -> None:
    sizes = [0, 1, 5_000, 20_000, 3, 300_000, *range(200)]
    items = [
        zips.Item(f"a/data/{i}".encode(), bytes(size), local_extra=b"FB\x00\x01" + bytes(256))
        for i, size in enumerate(sizes)
    ]
    data = zips.archive(*items)
    with zipfile.ZipFile(io.BytesIO(data)) as expected:
        assert expected.testzip() is None
    assert [m.size for m in parse(data).members.values()] == sizes


@pytest.mark.parametrize(
    ("module", "name", "item"),
    [
        (zip_headers, "MAX_EXTRA", zips.Item(b"a/b", b"", local_extra=b"UT\x01\x00x")),
        (archive, "MAX_WIDE_NAMES", zips.Item("é/é".encode(), b"")),
    ],
    ids=["extra-fields", "wide-names"],
)
def test_more_than_any_real_archive_has_is_refused(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str, item: zips.Item
) -> None:
    data = zips.archive(item)
    assert len(parse(data).members) == 1
    monkeypatch.setattr(module, name, 2)
    with pytest.raises(MalformedError) as caught:
        parse(data)
    assert caught.value.rule == rules.LIMIT


def test_a_claim_of_a_huge_directory_allocates_nothing() -> None:
    data = zips.archive(end64={"size": 2**40}, end={"size": 2**32 - 1})
    tracemalloc.start()
    try:
        with pytest.raises(MalformedError):
            parse(data)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_flipped_bytes_end_in_a_domain_error_or_the_same_members(data: st.DataObject) -> None:
    good = bytearray(zips.archive())
    for _ in range(data.draw(st.integers(1, 3))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    source = MemorySource(bytes(good))
    try:
        found = read_archive(source)
        read = {name: read_member(source, m, 100) for name, m in found.members.items()}
    except CkpttoolError:
        return
    # whatever is accepted, zipfile reads as the same
    with zipfile.ZipFile(io.BytesIO(bytes(good))) as expected:
        assert {name: expected.read(name) for name in expected.namelist()} == read
