"""What torch would run of a tar archive is told although the archive is refused."""

from __future__ import annotations

import struct

import pytest

from ckpttool.files.sources import MemorySource
from ckpttool.findings.errors import CkpttoolError, MalformedError, UnsupportedError
from ckpttool.formats import open_source
from ckpttool.formats.torch import tar_judging
from tests.builders import pickles as p
from tests.builders import torch_files as t

ATTACK = p.pickle(p.call(p.name("os", "system"), p.text("x")))
HOSTILE = t.tar_member("pickle", ATTACK)
STORAGES, TENSORS = (
    t.tar_member("storages", t.tar_storages()),
    t.tar_member("tensors", t.tar_tensors()),
)
END = bytes(1024)
COUNT = p.pickle(p.integer(2))


def names_in(data: bytes) -> list[str]:
    with pytest.raises(CkpttoolError) as caught:
        open_source(MemorySource(data, "a.pth"), None)
    return [use.name for use in caught.value.uses]


def before_posix(data: bytes) -> bytes:
    """A header without the mark of POSIX, which tarfile takes as well."""
    header = bytearray(data[:512])
    header[257:265] = bytes(8)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + data[512:]


def described(kind: str, count: int, data: bytes) -> bytes:
    """A storage as it stands in the member of storages."""
    told = p.tuple_of(p.integer(1), p.text("cpu"), p.name("torch", kind))
    return p.pickle(told) + struct.pack("<q", count) + data


def with_storages(content: bytes) -> bytes:
    return (
        t.tar_member("storages", content) + TENSORS + t.tar_member("pickle", t.tar_pickle()) + END
    )


REFUSED = {
    "the last of two": STORAGES + TENSORS + t.tar_member("pickle", t.tar_pickle()) + HOSTILE + END,
    "named by an extended header": STORAGES
    + TENSORS
    + t.tar_member("a", ATTACK, extended=b"15 path=pickle\n")
    + END,
    "behind a link": STORAGES + TENSORS + t.tar_member("a", ATTACK)
    + t.tar_member("pickle", b"", kind=b"2") + END,
    "without an end": STORAGES + TENSORS + HOSTILE,
    "of before POSIX": before_posix(STORAGES) + TENSORS + HOSTILE + END,
    "behind a count that is none": with_storages(p.pickle(b"\x88") + ATTACK),
    "behind a storage of a type that is not read": with_storages(
        COUNT + described("QInt32Storage", 1, bytes(4)) + ATTACK
    ),
    "behind a storage of the default type": with_storages(
        COUNT + described("Storage", 1, bytes(4)) + ATTACK
    ),
    "behind bytes": with_storages(
        COUNT + described("UntypedStorage", 3, bytes(3)) + ATTACK
    ),
    "behind a tensor": STORAGES
    + t.tar_member("tensors", t.tar_tensors(shape=(9, 9)) + ATTACK)
    + t.tar_member("pickle", t.tar_pickle())
    + END,
    "a long one behind another": with_storages(
        p.pickle(b"\x88") + p.pickle(p.text("x" * 5_000) + b"0" + ATTACK[2:-1])
    ),
}  # fmt: skip


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_a_call_in_a_refused_archive_is_told(data: bytes) -> None:
    assert "os.system" in names_in(data)


def test_an_archive_of_torchs_under_other_names_is_not_called_another_kind() -> None:
    data = t.tar_member("a", t.tar_storages(), extended=b"17 path=storages\n") + END
    with pytest.raises(MalformedError):
        open_source(MemorySource(data, "a.pth"), None)
    with pytest.raises(UnsupportedError, match="a tar archive, but none"):
        open_source(MemorySource(t.tar_member("a", t.tar_storages()) + END, "a.pth"), None)


QUIET = {
    "nothing that torch would read": t.tar_member("x.pkl", ATTACK) + TENSORS + END,
    "a storage that is cut": with_storages(COUNT + described("FloatStorage", 4, b"")[:-4]),
    "a tensor of fewer than no dimensions": STORAGES
    + t.tar_member("tensors", t.tar_tensors().replace(struct.pack("<ii", 2, 0), b"\xff" * 8))
    + END,
}


@pytest.mark.parametrize("data", QUIET.values(), ids=QUIET)
def test_where_there_is_none_nothing_is_told(data: bytes) -> None:
    assert names_in(data) == []


def test_a_long_stream_does_not_hide_the_object(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar_judging, "MOST", 3)
    many = p.pickle(b"\x88") + p.pickle(b"N") * 10
    hidden = t.tar_member("storages", many) + TENSORS + HOSTILE + END
    assert "os.system" in names_in(hidden)
