"""The pickles of a refused archive are found and judged, within bounds."""

from __future__ import annotations

import struct
import zipfile
import zlib

import pytest

from ckpttool.files.sources import MemorySource
from ckpttool.formats.foreign import loose_pickles
from ckpttool.formats.foreign.loose_pickles import judge_loose_pickles
from ckpttool.formats.safety.watch import Watch
from tests.builders import pickles as p
from tests.builders import zips
from tests.builders.foreign import zipped


def attack(name: str = "system") -> bytes:
    return p.pickle(p.call(p.name("os", name), p.text("x")))


def found_in(data: bytes) -> list[str]:
    watch = Watch()
    judge_loose_pickles(MemorySource(data, "a.pth"), watch)
    return [use.name for use in watch.uses]


def deflated_and_broken_off(behind: bytes, before: str = "") -> bytes:
    """Torch's reader takes what a deflate stream gives out before it breaks off."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    data = packer.compress(p.pickle(p.text(before) + b"0" + attack()[2:-1]))
    data += packer.flush(zlib.Z_SYNC_FLUSH) + behind
    says = {"method": 8}
    return zips.archive(zips.Item(b"a/data.pkl", data, local=says, central=says))


LONG = " ".join(map(str, range(20_000)))  # of several steps once it is deflated
CONTENT = zipped({"a/data.pkl": attack()})
DEFLATED = zipped({"a/data.pkl": attack()}, zipfile.ZIP_DEFLATED)
ARCHIVES = {
    "stored": CONTENT,
    "deflated": DEFLATED,
    "deflated, then of no kind of block": deflated_and_broken_off(b"\xff"),
    "deflated, then from too far back": deflated_and_broken_off(b"\x02\xff\xff"),
    "deflated, then cut": deflated_and_broken_off(b""),
    "deflated in several steps, then broken off": deflated_and_broken_off(b"\xff", LONG),
    "deflated, and cut in the stream": DEFLATED[: DEFLATED.index(b"PK\x01\x02") - 2],
    "in other case": zipped({"a/DATA.PKL": attack()}),
    "bytes before it": b"x" * 100 + CONTENT,
    "cut in the directory": CONTENT[:-30],
    "cut after the pickle": CONTENT[: CONTENT.index(b"PK\x01\x02")],
    "another name in the local header": CONTENT.replace(b"a/data.pkl", b"a/data.txt", 1),
    "another name in the directory": CONTENT[::-1].replace(b"lkp.atad/a", b"txt.atad/a", 1)[::-1],
}


@pytest.mark.parametrize("data", ARCHIVES.values(), ids=ARCHIVES.keys())
def test_a_pickle_is_found(data: bytes) -> None:
    assert found_in(data) == ["os.system"]


QUIET = {
    "nothing": b"",
    "noise": bytes(range(256)) * 10,
    "a header at the end": b"PK\x03\x04",
    "an entry that points outside": b"PK\x01\x02" + b"\xff" * 60,
    "a directory alone whose entry points outside": CONTENT[CONTENT.index(b"PK\x01\x02") :].replace(
        struct.pack("<I", 0) + b"a/data.pkl", b"\xff\xff\xff\x7fa/data.pkl"
    ),
    "another member": zipped({"a/data.txt": attack()}),
}


@pytest.mark.parametrize("data", QUIET.values(), ids=QUIET.keys())
def test_where_there_is_none_nothing_is_found(data: bytes) -> None:
    assert found_in(data) == []


def test_what_torch_reads_is_looked_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loose_pickles, "MOST", 3)
    decoys = {f"a/{number}.pkl": attack("decoy") for number in range(20)}
    assert "os.system" in found_in(zipped({**decoys, "a/data.pkl": attack()}))


def test_so_many_bytes_are_interpreted_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    two = zipped({"a/data.pkl": attack(), "a/other.pkl": attack("popen")})
    assert found_in(two) == ["os.system", "os.popen"]
    monkeypatch.setattr(loose_pickles, "READ", 10)
    assert found_in(two) == ["os.system"]


def test_the_start_and_the_end_of_a_large_file_are_searched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loose_pickles, "SEARCHED", 200)
    middle = zipped({"a/x": bytes(1_000), "a/data.pkl": attack(), "a/y": bytes(1_000)})
    assert found_in(middle[: middle.index(b"PK\x01\x02")]) == []
    last = zipped({"a/x": bytes(1_000), "a/data.pkl": attack()})
    assert found_in(last[: last.index(b"PK\x01\x02")]) == ["os.system"]


def test_marks_without_a_pickle_are_looked_at_up_to_a_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = b"PK\x03\x04" * 20 + bytes(30) + CONTENT
    assert found_in(data) == ["os.system"]
    monkeypatch.setattr(loose_pickles, "MOST_HEADERS", 20)
    assert found_in(data) == []


def test_names_are_listed_up_to_a_limit_and_those_of_pickles_always(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = MemorySource(zipped({"a": b"", "b": b"", "c/data.pkl": b""}), "a.pth")
    assert loose_pickles.names_in(source) == ["a", "b", "c/data.pkl"]
    monkeypatch.setattr(loose_pickles, "MOST_NAMES", 1)
    assert loose_pickles.names_in(source) == ["a", "c/data.pkl"]
