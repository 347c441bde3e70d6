from __future__ import annotations

import concurrent.futures
import errno
import hashlib
import os
import subprocess
import sys
import zlib
from threading import Event
from typing import TYPE_CHECKING, Any, Callable, Dict, List
from unittest.mock import Mock

import numpy as np
import pytest

from ckpttool.files import positional
from ckpttool.files.positional import write_parts
from ckpttool.files.sources import MemorySource
from ckpttool.findings.errors import CkpttoolError, MalformedError, OutputError, UnreadableError
from ckpttool.formats import open_checkpoint
from ckpttool.formats.writing import copying, safetensors, torch_zip
from ckpttool.formats.writing.copying import PieceDigest, copy_layout
from ckpttool.formats.writing.file_layout import FileLayout, Slot
from ckpttool.tensors.catalogue import Checksum, Extent
from ckpttool.tensors.dtypes import DTYPES
from ckpttool.tensors.workers import Work
from tests.builders.executors import EXECUTORS, executor
from tests.builders.pieces import in_file, mixed, of_dtype, piece, put
from tests.builders.tensors import (
    changed_while_read,
    cut_while_read,
    from_array,
    in_memory,
    in_parts,
    too_short,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from ckpttool.formats.writing.file_layout import PlannedTensor

LARGE: Dict[str, NDArray[Any]] = {
    "large": np.arange(400_001, dtype=np.uint16),  # several chunks, the last one odd
    "exact": np.arange(copying._CHUNK // 4, dtype=np.float32),  # one chunk, to the byte
    "small": np.arange(3, dtype=np.int8),
}


@pytest.fixture
def target(tmp_path: Path) -> Any:
    """A file to write into, open."""
    fd = os.open(tmp_path / "target", os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


def planned(pieces: List[PlannedTensor]) -> FileLayout:
    return safetensors.plan(pieces, {"format": "pt"})


def flip_written(monkeypatch: pytest.MonkeyPatch, place: int) -> None:
    """Let the disk keep another byte at ``place`` than it is given."""
    write = os.pwrite

    def flips(fd: int, data: memoryview, offset: int) -> int:
        wrong = bytearray(data)
        if offset <= place < offset + len(data):
            wrong[place - offset] ^= 1
        return write(fd, wrong, offset)

    monkeypatch.setattr(os, "pwrite", flips)


def content(fd: int, layout: FileLayout) -> Dict[str, bytes]:
    """What stands in the slots."""
    return {slot.piece.name: os.pread(fd, slot.length, slot.offset) for slot in layout.slots}


@pytest.mark.parametrize("workers", [1, 2, 7, None])
def test_every_byte_is_copied_and_hashed(tmp_path: Path, target: int, workers: int | None) -> None:
    layout = planned(in_file(tmp_path / "source", LARGE))
    digests = copy_layout(layout, target, workers=workers, hashes=True).digests
    assert content(target, layout) == {name: array.tobytes() for name, array in LARGE.items()}
    assert {name: digest.sha256 for name, digest in digests.items()} == {
        name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in LARGE.items()
    }
    assert list(digests) == [slot.piece.name for slot in layout.slots]
    assert all(digest.source_sha256 == digest.sha256 for digest in digests.values())


def test_no_sum_is_made_that_nobody_asks_for(target: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sha256, crc32 = Mock(wraps=hashlib.sha256), Mock(wraps=zlib.crc32)
    whole = piece(from_array(np.arange(6, dtype=np.float32)))
    stored = [summed(whole)]
    monkeypatch.setattr(hashlib, "sha256", sha256)
    monkeypatch.setattr(copying, "crc32_of", crc32)
    layout = planned(mixed())
    assert set(copy_layout(layout, target).digests.values()) == {PieceDigest()}
    assert (sha256.call_count, crc32.call_count) == (0, 0)
    copy_layout(layout, target, hashes=True)
    assert (sha256.call_count, crc32.call_count) == (len(layout.slots), 0)
    # the source stores one and the archive needs one: it is the same
    copy_layout(torch_zip.plan([whole]), target, checksums=stored)
    assert crc32.call_count == 1


def test_a_cast_needs_no_second_reading_for_a_stored_sum(target: int) -> None:
    read = []

    class Source(MemorySource):
        def read_into(self, offset: int, buffer: memoryview) -> None:
            read.append(len(buffer))
            super().read_into(offset, buffer)

    data = np.arange(6, dtype=np.float32).tobytes()
    extent = Extent(Source(data, "source"), 0, len(data))
    whole = from_array(np.arange(6, dtype=np.float32))._replace(extents=(extent,))
    stored = Checksum("archive/data/0", extent, zlib.crc32(data))
    copies = copy_layout(planned([piece(whole, "float16")]), target, checksums=[stored])
    assert read == [len(data)]
    assert copies.checked == frozenset([stored])


@pytest.mark.parametrize("name", EXECUTORS)
def test_an_executor_of_the_caller_changes_nothing(target: int, name: str) -> None:
    layout = torch_zip.plan(mixed(), None)
    alone = copy_layout(layout, target, workers=1), content(target, layout)
    os.ftruncate(target, 0)
    with executor(name) as given:
        assert (copy_layout(layout, target, executor=given), content(target, layout)) == alone


def test_strided_and_swapped_tensors_are_written_row_by_row(target: int) -> None:
    layout = planned(mixed())
    digests = copy_layout(layout, target, hashes=True).digests
    found = content(target, layout)
    assert np.frombuffer(found["turned"], "<f4").tolist() == [0, 3, 1, 4, 2, 5]
    assert np.frombuffer(found["swapped"], "<f4").tolist() == [0, 1, 2, 3, 4, 5]
    for name, data in found.items():
        assert digests[name].sha256 == hashlib.sha256(data).hexdigest()


def test_a_strided_tensor_of_many_chunks_is_gathered(
    target: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "_CHUNK", 64)
    array = np.arange(30 * 7, dtype=np.float64).reshape(30, 7)
    turned = from_array(array)._replace(shape=(7, 30), strides=(1, 7))
    layout = planned([piece(turned), piece(turned._replace(name="cast"), "float16")])
    copy_layout(layout, target, workers=1)
    found = content(target, layout)
    assert found["weight"] == array.T.tobytes()
    assert found["cast"] == array.T.astype(np.float16).tobytes()


def test_the_widest_elements_fill_the_chunks_and_no_more(target: int) -> None:
    count = copying._CHUNK // 16 + 1
    array = np.arange(2 * count, dtype=np.complex128).reshape(2, count)
    turned = from_array(array)._replace(shape=(count, 2), strides=(1, count))
    layout = torch_zip.plan([piece(turned)], None)
    copy_layout(layout, target)
    assert content(target, layout)["weight"] == array.T.tobytes()


def test_a_joined_tensor_is_one(target: int) -> None:
    layout = planned([piece(in_parts([b"0123", b"", b"456789ab"], "float32", (3,)))])
    copy_layout(layout, target)
    assert content(target, layout) == {"joined": b"0123456789ab"}


def test_a_cast_has_two_digests_and_counts_its_losses(target: int) -> None:
    array = np.array([1, 70000, 1e-30, 2], np.float32)
    layout = planned([piece(from_array(array), "float16")])
    digest = copy_layout(layout, target, hashes=True).digests["weight"]
    half = np.array([1, np.inf, 0, 2], np.float16)
    assert content(target, layout)["weight"] == half.tobytes()
    assert digest.sha256 == hashlib.sha256(half.tobytes()).hexdigest()
    assert digest.source_sha256 == hashlib.sha256(array.tobytes()).hexdigest()
    assert (digest.overflow, digest.underflow) == (1, 1)


def test_the_losses_of_all_chunks_of_a_cast_are_counted(
    target: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "_CHUNK", 64)
    array = np.array([70000, 1, 1e-30, 2] * 5, np.float32)  # five chunks of four elements
    layout = planned([piece(from_array(array), "float16")])
    digest = copy_layout(layout, target).digests["weight"]
    assert (digest.overflow, digest.underflow) == (5, 5)


def test_progress_adds_up_to_what_is_written(tmp_path: Path, target: int) -> None:
    layout = planned(in_file(tmp_path / "source", LARGE) + mixed())
    told: List[int] = []
    copy_layout(layout, target, on_bytes=told.append, write_early=True)
    assert sum(told) == sum(slot.length for slot in layout.slots)


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="no such call here")
@pytest.mark.parametrize("early", [False, True])
def test_the_disk_is_asked_to_start_on_each_run_of_tensors_of_a_file_that_is_synced(
    target: int, monkeypatch: pytest.MonkeyPatch, early: bool
) -> None:
    asked = []
    monkeypatch.setattr(os, "posix_fadvise", lambda fd, *place: asked.append((fd, *place)))
    monkeypatch.setattr(copying, "_RUN", 50)
    layout = planned([of_dtype("uint8", (n,), f"w{n}") for n in (60, 20, 40, 7)])
    copy_layout(layout, target, workers=1, write_early=early)
    begin = len(layout.head)
    places = [(begin, 60), (begin + 60, 60), (begin + 120, 7)]
    wanted = [(target, *place, os.POSIX_FADV_DONTNEED) for place in places]
    assert sorted(asked) == (wanted if early else [])


def test_short_reads_and_writes_go_on_where_they_stopped(
    tmp_path: Path, target: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, read = os.pwrite, os.preadv
    monkeypatch.setattr(os, "pwrite", lambda f, data, at: write(f, data[:50_001], at))
    monkeypatch.setattr(os, "preadv", lambda f, views, at: read(f, [views[0][:60_001]], at))
    layout = planned(in_file(tmp_path / "source", LARGE))
    copy_layout(layout, target)
    assert content(target, layout)["large"] == LARGE["large"].tobytes()


def test_what_is_written_ends_at_whole_pages_of_the_destination(
    tmp_path: Path, target: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = os.pwrite, []

    def notes(fd: int, data: memoryview, offset: int) -> int:
        written.append((offset, offset + len(data)))
        return write(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", notes)
    layout = planned(in_file(tmp_path / "source", LARGE))
    copy_layout(layout, target, workers=1)
    ends = {slot.offset + slot.length for slot in layout.slots}
    inside = [end for _, end in written if end not in ends]
    assert inside
    assert all(end % positional._AT_ONCE == 0 for end in inside)
    assert all(end - start <= positional._AT_ONCE for start, end in written)


TINY: Dict[str, NDArray[Any]] = {
    f"w{number}": np.full(4, number, np.float32) for number in range(1000)
}


@pytest.mark.parametrize("container", [safetensors, torch_zip], ids=["together", "with gaps"])
def test_small_neighbours_share_a_system_call(
    tmp_path: Path, target: int, monkeypatch: pytest.MonkeyPatch, container: Any
) -> None:
    layout = container.plan(in_file(tmp_path / "source", TINY), {})
    os.ftruncate(target, layout.size)
    read, write = Mock(wraps=os.preadv), Mock(wraps=os.pwrite)
    monkeypatch.setattr(os, "preadv", read)
    monkeypatch.setattr(os, "pwrite", write)
    copy_layout(layout, target, workers=1)
    assert write.call_count <= 2
    assert read.call_count <= 4
    assert content(target, layout) == {name: array.tobytes() for name, array in TINY.items()}
    whole = bytearray(os.pread(target, layout.size, 0))
    for slot in layout.slots:
        whole[slot.offset : slot.offset + slot.length] = bytes(slot.length)
    assert not any(whole)


def test_elements_stay_whole_wherever_a_slot_begins(
    target: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "_CHUNK", 64)
    array = np.arange(40, dtype=np.float64).reshape(8, 5)
    turned = piece(from_array(array)._replace(shape=(5, 8), strides=(1, 5)))
    cast = piece(from_array(array)._replace(name="cast"), "float32")
    slots = (Slot(3, 320, turned), Slot(330, 160, cast))
    copy_layout(FileLayout(b"", slots, 490), target)
    assert os.pread(target, 320, 3) == array.T.tobytes()
    assert os.pread(target, 160, 330) == array.astype(np.float32).tobytes()


# --- the proof ----------------------------------------------------------------------------


@pytest.mark.parametrize("convert", [False, True], ids=["copied", "cast"])
def test_a_disk_that_lies_is_found_out(
    target: int, monkeypatch: pytest.MonkeyPatch, convert: bool
) -> None:
    write = os.pwrite

    def flips(fd: int, data: memoryview, offset: int) -> int:
        return write(fd, bytes([data[0] ^ 1]) + bytes(data[1:]), offset)

    monkeypatch.setattr(os, "pwrite", flips)
    layout = planned([piece(from_array(np.ones(9, np.float32)), "float16" if convert else None)])
    with pytest.raises(OutputError, match="CVT102") as caught:
        copy_layout(layout, target)
    assert caught.value.tensor == "weight"


@pytest.mark.parametrize("place", [0, 99, -1], ids=["first", "middle", "last"])
def test_no_byte_of_a_short_last_piece_goes_unproven(
    target: int, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    write = os.pwrite

    def flips(fd: int, data: memoryview, offset: int) -> int:
        wrong = bytearray(data)
        wrong[place] ^= 1
        return write(fd, wrong, offset)

    monkeypatch.setattr(os, "pwrite", flips)
    with pytest.raises(OutputError, match="CVT102"):
        copy_layout(planned([of_dtype("uint8", (200,))]), target)


@pytest.mark.parametrize("place", [0, copying._CHUNK - 1, copying._CHUNK, -1])
def test_no_byte_of_a_large_tensor_goes_unproven(
    target: int, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    length = 2 * copying._CHUNK + copying._CHUNK * 3 // 4  # the last block is not full
    layout = planned([piece(from_array(np.full(length, 7, np.uint8)))])
    wrong = layout.slots[0].offset + place % length
    flip_written(monkeypatch, wrong)
    with pytest.raises(OutputError, match="CVT102") as caught:
        copy_layout(layout, target)
    assert caught.value.offset == wrong


@pytest.mark.parametrize("name", ["w0", "w500", "w999"])
@pytest.mark.parametrize("container", [safetensors, torch_zip], ids=["together", "with gaps"])
def test_the_tensor_of_the_first_wrong_byte_is_named(
    tmp_path: Path, target: int, monkeypatch: pytest.MonkeyPatch, name: str, container: Any
) -> None:
    layout = container.plan(in_file(tmp_path / "source", TINY), {})
    (place,) = (slot.offset + 5 for slot in layout.slots if slot.piece.name == name)
    flip_written(monkeypatch, place)
    with pytest.raises(OutputError, match="CVT102") as caught:
        copy_layout(layout, target)
    assert (caught.value.tensor, caught.value.offset) == (name, place)


def test_bytes_around_the_tensors_are_proven_too(
    target: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_parts(target, "m", [(3, b"abc"), (0, b"012")])
    assert os.pread(target, 9, 0) == b"012abc"
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: write(fd, bytes(len(data)), at))
    with pytest.raises(OutputError, match=r"^m: .*CVT102"):
        write_parts(target, "m", [(0, b"012")])


def test_the_bytes_between_two_tensors_are_zeros(tmp_path: Path, target: int) -> None:
    # a long one first, whose bytes are still in memory when the others are put together
    ones = {"ones": np.full(2 * copying._CHUNK, 255, np.uint8)}
    layout = torch_zip.plan(in_file(tmp_path / "source", {**ones, **TINY}), None)
    copy_layout(layout, target, workers=1)
    end = 0
    for slot in sorted(layout.slots, key=lambda slot: slot.offset):
        assert not any(os.pread(target, slot.offset - end, end))
        end = slot.offset + slot.length


def test_slots_that_overlap_are_a_mistake(target: int) -> None:
    first, other = of_dtype("uint8", (4,), "a"), of_dtype("uint8", (4,), "b")
    with pytest.raises(ValueError, match="not its own"):
        copy_layout(FileLayout(b"", (Slot(0, 4, first), Slot(3, 4, other)), 7), target)


@pytest.mark.parametrize("length", [3, 5])
def test_a_slot_of_another_length_is_a_mistake(target: int, length: int) -> None:
    with pytest.raises(ValueError, match="not its own"):
        copy_layout(FileLayout(b"", (Slot(0, length, of_dtype("uint8", (4,))),), 5), target)


def test_less_than_one_worker_is_a_mistake(target: int) -> None:
    with pytest.raises(ValueError, match="workers"):
        copy_layout(planned([]), target, workers=0)


def test_nothing_to_copy_is_nothing(target: int) -> None:
    assert copy_layout(planned([]), target).digests == {}


def test_a_tensor_without_elements_has_the_sum_of_nothing(target: int) -> None:
    layout = planned([piece(from_array(np.zeros((0, 4), np.float32), "empty"))])
    digests = copy_layout(layout, target, hashes=True).digests
    assert digests["empty"].sha256 == hashlib.sha256(b"").hexdigest()


# --- what is wrong with the source ------------------------------------------------------------

BROKEN: Dict[str, tuple[Callable[[], Any], type[CkpttoolError]]] = {
    "cut": (cut_while_read, UnreadableError),
    "changed": (changed_while_read, UnreadableError),
    "too short": (too_short, MalformedError),
    "too short and strided": (
        lambda: too_short()._replace(shape=(2, 2), strides=(1, 2)),
        MalformedError,
    ),
    "too long": (lambda: in_memory(bytes(9), "uint8", (8,)), MalformedError),
}


@pytest.mark.parametrize("defect", BROKEN)
def test_a_broken_source_is_an_error_of_its_own(target: int, defect: str) -> None:
    build, kind = BROKEN[defect]
    with pytest.raises(kind):
        copy_layout(planned([*mixed(), piece(build())]), target)


def test_a_source_that_is_cut_meanwhile_is_noticed(tmp_path: Path, target: int) -> None:
    pieces = in_file(tmp_path / "source", LARGE)
    os.truncate(tmp_path / "source", 1000)
    with pytest.raises(UnreadableError, match="FIL004"):
        copy_layout(planned(pieces), target)


def test_a_source_that_changes_meanwhile_is_noticed(tmp_path: Path, target: int) -> None:
    pieces = in_file(tmp_path / "source", LARGE)

    def change(nbytes: int) -> None:
        os.utime(tmp_path / "source", ns=(1, 1))

    with pytest.raises(UnreadableError, match="FIL004"):
        copy_layout(planned(pieces), target, on_bytes=change)


def summed(one: PlannedTensor, change: int = 0) -> Checksum:
    """The stored sum over the whole extent of a piece, right or wrong."""
    extent = one.info.extents[0]
    data = bytearray(extent.length)
    extent.source.read_into(extent.offset, memoryview(data))
    return Checksum(f"archive/data/{one.name}", extent, zlib.crc32(data) ^ change)


@pytest.mark.parametrize(
    "kind", ["plain", "turned", "swapped", "cast", "part"], ids=lambda kind: f"{kind} tensor"
)
def test_a_stored_sum_is_compared_however_the_tensor_is_read(target: int, kind: str) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    whole = piece(from_array(array))
    one = {
        "plain": whole,
        "turned": piece(whole.info._replace(shape=(3, 2), strides=(1, 3))),
        "swapped": piece(whole.info._replace(big_endian=True)),
        "cast": piece(whole.info, "float16"),
        "part": piece(
            whole.info._replace(
                shape=(1,), extents=(whole.info.extents[0]._replace(offset=20, length=4),)
            )
        ),
    }[kind]
    copy_layout(planned([one]), target, checksums=[summed(whole)])
    with pytest.raises(MalformedError, match="INT004") as caught:
        copy_layout(planned([one]), target, checksums=[summed(whole, 1)])
    assert caught.value.member == "archive/data/weight"


def test_sums_over_bytes_that_nobody_reads_are_left_alone(target: int) -> None:
    other = of_dtype("uint8", (4,), "other")
    unread = Checksum("archive/data/1", Extent(other.info.extents[0].source, 16, 4), 1)
    copy_layout(planned([of_dtype("uint8")]), target, checksums=[unread])


# --- errors while writing ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [(errno.ENOSPC, "CVT106"), (errno.EDQUOT, "CVT106"), (errno.EIO, "FIL007")],
    ids=["full", "quota", "input-output"],
)
def test_a_write_that_fails_says_where(
    tmp_path: Path, target: int, monkeypatch: pytest.MonkeyPatch, error: int, code: str
) -> None:
    def fails(*arguments: Any) -> int:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "pwrite", fails)
    with pytest.raises(OutputError) as caught:
        copy_layout(planned(in_file(tmp_path / "source", LARGE)), target)
    assert caught.value.rule is not None
    assert caught.value.rule.code == code
    assert caught.value.tensor in LARGE
    assert caught.value.offset is not None


def test_an_error_on_one_thread_stops_the_others(tmp_path: Path, target: int) -> None:
    told: List[int] = []

    def fails(nbytes: int) -> None:
        told.append(nbytes)
        raise KeyError("progress")

    arrays: Dict[str, NDArray[Any]] = {f"w{index}": np.arange(200_000) for index in range(6)}
    with pytest.raises(KeyError):
        copy_layout(planned(in_file(tmp_path / "s", arrays)), target, workers=3, on_bytes=fails)
    assert len(told) <= 3


MANY: Dict[str, NDArray[Any]] = {f"w{index}": np.arange(200_000) for index in range(3)}


class WaitsUntilStopped:
    """Progress that lets no thread go on before all are told to stop, or that did not come."""

    def __init__(self, stopped: Event) -> None:
        self.calls = 0
        self._stopped = stopped
        self._patience = 5

    def __call__(self, nbytes: int) -> None:  # noqa: ARG002 (told how many, waits for any)
        self.calls += 1
        if not self._stopped.wait(self._patience):
            self._patience = 0


def waits_until_stopped(monkeypatch: pytest.MonkeyPatch) -> WaitsUntilStopped:
    stopped, end = Event(), Work._end

    def ends(work: Work[Any, Any, Any]) -> None:
        end(work)
        stopped.set()

    monkeypatch.setattr(Work, "_end", ends)
    return WaitsUntilStopped(stopped)


def test_an_interruption_ends_the_threads(
    tmp_path: Path, target: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = concurrent.futures.wait

    def interrupted(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(concurrent.futures, "wait", wait)
        raise KeyboardInterrupt

    monkeypatch.setattr(concurrent.futures, "wait", interrupted)
    told = waits_until_stopped(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        copy_layout(planned(in_file(tmp_path / "s", MANY)), target, workers=2, on_bytes=told)
    assert told.calls <= 2


def test_a_broken_source_ends_the_threads_that_copy_from_good_ones(
    tmp_path: Path, target: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = waits_until_stopped(monkeypatch)
    pieces = [*in_file(tmp_path / "s", MANY), piece(cut_while_read())]
    with pytest.raises(UnreadableError, match="cut"):
        copy_layout(planned(pieces), target, workers=len(pieces), on_bytes=told)
    assert told.calls <= len(MANY)


# --- memory ------------------------------------------------------------------------------------

SPARSE = """
import os, resource, sys
from ckpttool.files.sources import FileSource
from ckpttool.tensors.catalogue import Extent, TensorInfo
from ckpttool.tensors.dtypes import DTYPES
from ckpttool.formats.writing import copying
from ckpttool.formats.writing import safetensors
from ckpttool.formats.writing.file_layout import PlannedTensor

source = FileSource(sys.argv[1])
half = source.size // 2
pieces = []
for name, offset in (("a", 0), ("b", half)):
    extent = Extent(source, offset, half)
    info = TensorInfo(name, DTYPES["float32"], (half // 4,), None, (extent,))
    pieces.append(PlannedTensor(name, info.dtype, info.shape, info))
layout = safetensors.plan(pieces, {})
fd = os.open(sys.argv[2], os.O_RDWR | os.O_CREAT)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
copying.copy_layout(layout, fd)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(after - before, "numpy" in sys.modules, "torch" in sys.modules)
"""


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    source = tmp_path / "sparse"
    source.touch()
    os.truncate(source, 96 << 20)
    done = subprocess.run(
        [sys.executable, "-c", SPARSE, str(source), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    grown, numpy, torch = done.stdout.split()
    assert int(grown) < 16_000  # kilobytes
    assert (numpy, torch) == ("False", "False")


def test_what_was_copied_opens(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    put(path, planned(in_file(tmp_path / "source", LARGE)))
    with open_checkpoint(str(path)) as checkpoint:
        assert checkpoint.tensors["large"].dtype == DTYPES["uint16"]
