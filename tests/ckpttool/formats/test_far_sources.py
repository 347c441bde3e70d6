"""Files of another machine: few requests for a header, and no less strict when data is read."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
import torch

from ckpttool.files.sources import MemorySource, read_bytes
from ckpttool.findings.errors import MalformedError, UnreadableError, UnsupportedError
from ckpttool.formats import open_source
from ckpttool.formats.archives.archive import read_archive
from ckpttool.formats.archives.zip_end import find_directory
from ckpttool.formats.archives.zip_records import records
from ckpttool.formats.writing import safetensors, torch_zip
from mae.config import CONFIGS, DEFAULT
from tests.builders import zips
from tests.builders.memory import FarSource, SparseSource
from tests.builders.pieces import piece
from tests.builders.tensors import in_memory

if TYPE_CHECKING:
    from ckpttool.files.sources import ByteSource
    from ckpttool.formats.writing.file_layout import PlannedTensor

MEGABYTE = 1_000_000


def large() -> list[PlannedTensor]:
    """The tensors of the published ViT-Large, 1.2 GB of zeros that are nowhere."""
    empty = in_memory(b"", "float32", (0,))
    shapes = CONFIGS[DEFAULT].shapes
    return [piece(empty._replace(name=name, shape=shape)) for name, shape in shapes.items()]


def large_pth() -> ByteSource:
    layout = torch_zip.plan(large())
    sums = {one.name: 1 for one in large()}
    return SparseSource(layout.size, torch_zip.finish(layout, [], {}, sums))


def large_safetensors() -> ByteSource:
    layout = safetensors.plan(large(), {})
    return SparseSource(layout.size, safetensors.finish(layout, large(), None, {}))


@pytest.mark.parametrize(
    ("source", "most"), [(large_pth(), 6), (large_safetensors(), 2)], ids=["pth", "safetensors"]
)
def test_the_header_of_a_large_file_takes_few_requests(source: ByteSource, most: int) -> None:
    far = FarSource(source)
    with open_source(far, None) as checkpoint:
        assert checkpoint.size > 1_200 * MEGABYTE
        assert len(checkpoint.tensors) == len(CONFIGS[DEFAULT].shapes)
    assert len(far.requests) <= most
    assert far.asked < MEGABYTE


def saved() -> bytes:
    """A file of torch.save whose members lie on several pages."""
    state = {f"w{number}": torch.full((40_000,), float(number)) for number in range(4)}
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def far(data: bytes) -> FarSource:
    return FarSource(MemorySource(data, "far.pth"))


def test_the_bytes_are_those_of_the_same_file_near() -> None:
    data = saved()
    with open_source(far(data), None) as there, open_source(
        MemorySource(data, "near"), None
    ) as here:
        assert list(there.tensors) == list(here.tensors)
        for name, info in there.tensors.items():
            assert info.numpy().tobytes() == here.tensors[name].numpy().tobytes()


def test_a_member_is_compared_with_the_directory_before_its_bytes_are_given_out() -> None:
    data = bytearray(saved())
    header = data.index(b"/data/2") - len(b"PK\x03\x04") - 26 - len("archive")
    assert data[header : header + 4] == b"PK\x03\x04"
    data[header + 6] ^= 0x01  # a flag that says that the member is encrypted
    with open_source(far(bytes(data)), None) as checkpoint:
        assert checkpoint.tensors["w1"].numpy().size == 40_000
        with pytest.raises(MalformedError, match=r"local header of .*/data/2 disagrees"):
            checkpoint.tensors["w2"].numpy()
    with pytest.raises(MalformedError, match="local header"):
        open_source(MemorySource(bytes(data), "near"), None)


def with_a_gap(data: bytes, behind: str, gap: int = 64) -> bytes:
    """The archive with bytes of no member behind one, and a directory that knows of them."""
    directory = find_directory(MemorySource(data, "near"))
    found = list(records(data[directory.offset : directory.offset + directory.size], directory))
    place = next(after.offset for one, after in zip(found, found[1:]) if one.name == behind)
    listing, at = bytearray(data[directory.offset :]), 0
    for record in found:
        at = listing.index(b"PK\x01\x02", at)
        if record.offset >= place:
            listing[at + 42 : at + 46] = (record.offset + gap).to_bytes(4, "little")
        at += 4
    # torch always writes the long end record, too, and where that lies
    ends = ((b"PK\x06\x06", 48, 8), (b"PK\x06\x07", 8, 8), (b"PK\x05\x06", 16, 4))
    for mark, field, width in ends:
        at = listing.rindex(mark) + field
        moved = int.from_bytes(listing[at : at + width], "little") + gap
        listing[at : at + width] = moved.to_bytes(width, "little")
    return data[:place] + bytes(gap) + data[place : directory.offset] + bytes(listing)


def test_bytes_behind_a_member_are_found_when_it_is_read() -> None:
    data = with_a_gap(saved(), "archive/data/1")
    with pytest.raises(MalformedError, match="belong to no member stand before"):
        read_archive(MemorySource(data, "near"))
    found = read_archive(far(data))
    first, second = (found.members[f"archive/data/{number}"] for number in (0, 1))
    assert read_bytes(found.source, first.offset, 4) == bytes(4)
    with pytest.raises(MalformedError, match="bytes lie between the last member and the next one"):
        read_bytes(found.source, second.offset, 4)


def test_members_that_leave_no_room_for_each_other_are_refused_by_the_directory() -> None:
    data = saved()
    archive = read_archive(MemorySource(data, "near"))
    first = archive.members["archive/data/0"]
    wider = data.replace(
        first.size.to_bytes(4, "little") * 2, (10 * first.size).to_bytes(4, "little") * 2
    )
    with pytest.raises(MalformedError, match="leave room"):
        read_archive(far(wider))


def test_a_header_is_asked_for_once() -> None:
    source = far(saved())
    found = read_archive(source)
    member = found.members["archive/data/0"]
    assert read_bytes(found.source, member.offset, 8) == bytes(8)
    source.requests.clear()
    assert read_bytes(found.source, member.offset + 8, 8) == bytes(8)
    assert [length for _, length in source.requests] == [8]


def test_what_the_file_of_an_archive_holds_is_given_back() -> None:
    source = far(saved())
    read_archive(source).source.rest()
    assert source.rests == 1


def test_bytes_before_the_first_member_are_refused_by_the_directory() -> None:
    data = zips.archive(zips.MEMBERS[0]._replace(gap=b"#!shell\n"), *zips.MEMBERS[1:])
    with pytest.raises(MalformedError, match="leave room") as caught:
        read_archive(far(data))
    assert caught.value.expected == "the archive's first byte"


def test_bytes_of_no_member_are_not_given_out() -> None:
    found = read_archive(far(saved()))
    member = found.members["archive/data/0"]
    for offset, length in ((member.offset, member.size + 1), (-1, 4), (1 << 40, 1)):
        with pytest.raises(UnreadableError, match="no member"):
            read_bytes(found.source, offset, length)


def test_an_index_of_another_machine_opens_no_file_of_this_one() -> None:
    index = MemorySource(b'{"weight_map": {"w": "model.safetensors"}}', "index.json")
    with pytest.raises(UnsupportedError, match="only those beside a file of this machine"):
        open_source(FarSource(index), None)
