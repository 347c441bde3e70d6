"""The members of a tar archive as tarfile finds them, within bounds."""

from __future__ import annotations

from typing import Dict

import pytest

from ckpttool.formats.archives import tar_loose
from tests.builders.memory import MemorySource
from tests.builders.torch_files import tar_member

END = bytes(1024)


def found_in(data: bytes) -> Dict[str, bytes | None]:
    members = tar_loose.members(MemorySource(data + END))
    return {name: content.read() if content else None for name, content in members}


FOUND = {
    "a plain file": (tar_member("a", b"x"), {"a": b"x"}),
    "a name in an extended header": (tar_member("a", b"x", extended=b"10 path=b\n"), {"b": b"x"}),
    "a long name of GNU's": (
        tar_member("././@LongLink", b"b" * 120 + b"\0", kind=b"L") + tar_member("a", b"x"),
        {"b" * 120: b"x"},
    ),
    "the last of two": (tar_member("a", b"x") + tar_member("a", b"y"), {"a": b"y"}),
    "a link, which is to another one": (
        tar_member("a", b"x") + tar_member("b", b"", kind=b"2"),
        {"a": b"x", "b": None},
    ),
    "a kind that nobody knows": (tar_member("a", b"x", kind=b"Z"), {"a": b"x"}),
    "noise": (b"noise" * 300, {}),
    "nothing": (b"", {}),
}


@pytest.mark.parametrize(("data", "expected"), FOUND.values(), ids=FOUND)
def test_members_are_those_that_tarfile_finds(
    data: bytes, expected: Dict[str, bytes | None]
) -> None:
    assert found_in(data) == expected


def test_an_extended_header_that_is_too_large_ends_the_search() -> None:
    before = tar_member("a", b"x")
    large = b"9999 comment=".ljust(9_998, b"x") + b"\n"
    assert found_in(before + tar_member("b", b"y", extended=large)) == {"a": b"x"}


def test_no_more_is_read_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    many = b"".join(tar_member(str(number), b"") for number in range(50))
    assert len(found_in(many)) == 50
    monkeypatch.setattr(tar_loose, "MAX_READS", 20)
    assert len(found_in(many)) == 20


def test_a_size_that_leads_back_does_not_go_in_circles() -> None:
    header = bytearray(tar_member("a", b""))
    header[124:136] = b"\xff" * 10 + b"\xfc\x00"  # -1024 in base 256
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    assert len(found_in(tar_member("b", b"x") + bytes(header))) <= tar_loose.MAX_READS


def test_a_size_that_leads_before_the_start_ends_the_search() -> None:
    header = bytearray(tar_member("a", b""))
    header[124:136] = b"\xff" * 9 + b"\xf0\x00\x00"  # -1,048,576 in base 256
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    found = tar_loose.members(MemorySource(bytes(header) + tar_member("b", b"x") + END))
    assert [name for name, _ in found] == ["a"]
