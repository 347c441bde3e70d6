"""The strict tar reader: what other readers could take for other files is refused."""

from __future__ import annotations

import tarfile
from typing import Dict, Tuple

import pytest

from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError
from ckpttool.formats.archives import tar
from ckpttool.formats.archives.tar import TarMember, read_members
from tests.builders.memory import MemorySource
from tests.builders.torch_files import tar_member

END = bytes(1024)
TIMES = b"12 mtime=12\n11 atime=1\n"


def parse(data: bytes) -> Dict[str, TarMember]:
    return read_members(MemorySource(data))


def changed(begin: int, field: bytes, data: bytes = b"") -> bytes:
    """The header of a member with other bytes in one place, and the checksum of these."""
    header = bytearray(tar_member("a", data))
    header[begin : begin + len(field)] = field
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[: tar.BLOCK])
    return bytes(header)


def of_gnu(data: bytes) -> bytes:
    info = tarfile.TarInfo("a")
    info.size = len(data)
    return info.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % tar.BLOCK)


GOOD = {
    "POSIX": tar_member("a", b"x"),
    "GNU": of_gnu(b"x"),
    "before POSIX said what a plain file is": tar_member("a", b"x", kind=b"\0"),
    "times and owners before it": tar_member("a", b"x", extended=TIMES + b"12 uid=1000\n"),
    "numbers that are not stated": changed(100, bytes(24), b"x"),
    "times before it": tar_member("a", b"x", extended=TIMES),
}


@pytest.mark.parametrize("member", GOOD.values(), ids=GOOD)
def test_a_plain_file_is_found_where_it_lies(member: bytes) -> None:
    data = member + END
    found = parse(data)["a"]
    assert data[found.offset : found.offset + found.size] == b"x"


#: Numbers that nothing here uses, by the byte at which they begin in a header.
NUMBERS = {"a mode": 100, "an owner": 108, "a group": 116, "a time": 136, "a device": 329}

BAD: Dict[str, Tuple[bytes, rules.Rule]] = {
    "no ustar": (changed(257, bytes(8)), rules.TAR_STRUCTURE),
    "front part of a long name": (changed(345, b"folder"), rules.TAR_STRUCTURE),
    "a NUL in the name": (changed(0, b"a\0b"), rules.TAR_STRUCTURE),
    "a name of nothing": (changed(0, b"\0"), rules.TAR_STRUCTURE),
    "a size that is not octal": (changed(124, b"0o17\0"), rules.TAR_STRUCTURE),
    "a size in base 256": (changed(124, b"\x80" + bytes(10) + b"\x01"), rules.TAR_STRUCTURE),
    "a name in no encoding that is stated": (changed(0, b"a\xff"), rules.TAR_STRUCTURE),
    "a size behind a NUL": (changed(124, b"\0001\0"), rules.TAR_STRUCTURE),
    **{
        f"{what} that is not octal": (changed(begin, b"9\0"), rules.TAR_STRUCTURE)
        for what, begin in NUMBERS.items()
    },
    "an owner of base 256": (changed(108, b"\x80" + bytes(6) + b"\x01"), rules.TAR_STRUCTURE),
    "times of GNU's where a name may be": (
        changed(257, b"ustar  \0" + bytes(80) + b"14000000000\0"),
        rules.TAR_STRUCTURE,
    ),
    "an extended header without a member": (tar_member("x", TIMES, kind=b"x"), rules.TAR_STRUCTURE),
    "a time beyond clocks": (
        tar_member("a", b"", extended=b"23 mtime=111111111111\n"),
        rules.TAR_STRUCTURE,
    ),
    "a time that is no number": (
        tar_member("a", b"", extended=b"13 mtime=1e9\n"),
        rules.TAR_STRUCTURE,
    ),
    "an owner beyond numbers of owners": (
        tar_member("a", b"", extended=b"18 uid=9999999999\n"),
        rules.TAR_STRUCTURE,
    ),
    "a kind that nobody knows": (tar_member("a", b"", kind=b"Z"), rules.TAR_STRUCTURE),
    "extended headers of 64 kB": (
        tar_member("a", b"", extended=b"64011 comment=".ljust(64_010, b"x") + b"\n"),
        rules.LIMIT,
    ),
    "an extended header of noise": (
        tar_member("a", b"", extended=TIMES + b"noise"),
        rules.TAR_STRUCTURE,
    ),
    "a record that another name follows": (
        tar_member("a", b"", extended=TIMES + b"10 path=b\n"),
        rules.TAR_STRUCTURE,
    ),
    "a record of no length": (
        tar_member("a", b"", extended=TIMES + b"0 mtime=1\n"),
        rules.TAR_STRUCTURE,
    ),
    "a record that ends in itself": (
        tar_member("a", b"", extended=TIMES + b"3 mtime=1\n"),
        rules.TAR_STRUCTURE,
    ),
    "a record beyond its header": (
        tar_member("a", b"", extended=TIMES + b"99 mtime=1\n"),
        rules.TAR_STRUCTURE,
    ),
}


@pytest.mark.parametrize(("member", "rule"), BAD.values(), ids=BAD)
def test_a_header_that_readers_may_read_in_two_ways_is_refused(
    member: bytes, rule: rules.Rule
) -> None:
    with pytest.raises(MalformedError) as caught:
        parse(member + END)
    assert caught.value.rule is rule


SUMS = {
    "octal": (b"%06o\0 ", True),
    "octal, of another header": (b"%06o\0 ", False),
    "base 256": (b"\x80", True),
    "base 256, of another header": (b"\x80", False),
}


@pytest.mark.parametrize(("form", "right"), SUMS.values(), ids=SUMS)
def test_a_header_is_one_by_its_checksum_in_whatever_form(form: bytes, right: bool) -> None:
    header = bytearray(tar_member("a", b""))
    header[148:156] = b" " * 8
    stated = sum(header) + (0 if right else 1)
    header[148:156] = form % stated if b"%" in form else form + stated.to_bytes(7, "big")
    assert tar.has_checksum(bytes(header)) is right
    if right:
        assert tarfile.TarInfo.frombuf(bytes(header), "utf-8", "strict").name == "a"


def test_a_header_of_negative_bytes_has_the_checksum_of_old_writers() -> None:
    header = bytearray(tar_member("a", b""))
    header[:90] = b"\xc3\xa9" * 45
    header[148:156] = b" " * 8
    signed = sum(byte - 256 * (byte > 127) for byte in header)
    assert signed < 0
    header[148:156] = b"\xff" + (256**7 + signed).to_bytes(7, "big")
    assert tar.has_checksum(bytes(header))
    assert tarfile.TarInfo.frombuf(bytes(header), "utf-8", "strict").chksum == signed


def test_a_short_block_is_no_header() -> None:
    assert not tar.has_checksum(tar_member("a", b"")[:-1])
