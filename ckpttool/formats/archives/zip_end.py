"""The end of a zip archive: where its directory lies.

Readers find the end record by searching backwards, and differ in how far, in what they do
with a comment and in which of the two end records they believe. So here the record must be
the file's last bytes, and all of its fields must hold. Field names and layouts are those of
PKWARE's APPNOTE.TXT, 4.3.14 to 4.3.16.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from ckpttool.files.sources import ByteSource, read_bytes
from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError
from ckpttool.findings.text import count as counted
from ckpttool.findings.text import size as sized

#: Members of one archive: one for each of a million tensors, and room for more.
MAX_MEMBERS = 1_600_000
#: Bytes of the directory, which is read whole; a million tensors take about 80 million.
MAX_DIRECTORY = 256_000_000

_END = struct.Struct("<4s4HIIH")
_LOCATOR = struct.Struct("<4sIQI")
_END64 = struct.Struct("<4sQ2H2I4Q")
_END_MARK, _LOCATOR_MARK, _END64_MARK = b"PK\x05\x06", b"PK\x06\x07", b"PK\x06\x06"
_TAIL = _END64.size + _LOCATOR.size + _END.size
# How far from the end an end record is searched to explain why the file is refused. zipfile
# searches the 65,535 bytes of the longest comment; appended data may be longer.
_SEARCHED = 1_048_576


class Directory(NamedTuple):
    """The central directory: its offset and size in bytes, and how many members it lists."""

    offset: int
    size: int
    members: int


def find_directory(source: ByteSource) -> Directory:
    """Return where the central directory lies.

    Raises:
        MalformedError: the end record is not the file's end, belongs to a spanned or a
            concatenated archive, disagrees with its zip64 twin, or claims too much.
    """
    if source.size < _END.size:
        raise MalformedError(
            "the file ends before the zip archive that it begins does",
            rules.TRUNCATED,
            offset=source.size,
            expected=f"{_END.size} bytes or more",
            found=f"{source.size:,}",
        )
    tail = read_bytes(source, max(0, source.size - _TAIL), min(_TAIL, source.size))
    end = len(tail) - _END.size
    mark, disk, start_disk, here, total, size, offset, comment = _END.unpack_from(tail, end)
    # a comment may itself contain an end record, and readers differ in which one they find first
    if mark != _END_MARK or comment:
        raise _no_end_record(source)
    if disk or start_disk or here != total:
        raise _bad("the archive is one of several volumes", source.size - _END.size)
    short = Directory(offset, size, total)
    if tail[end - _LOCATOR.size : end - _LOCATOR.size + 4] == _LOCATOR_MARK:
        directory, stop = _zip64(source, tail, short), source.size - _TAIL
    else:
        directory, stop = _not_saturated(short, source), source.size - _END.size
    _check(directory, stop)
    return directory


def start_of(source: ByteSource) -> int:
    """Return where the last archive of the file begins by its own offsets; 0 if that is unclear.

    It is not the file's start if archives are concatenated or other bytes precede the archive.
    """
    tail = read_bytes(source, max(0, source.size - _TAIL), min(_TAIL, source.size))
    end = len(tail) - _END.size
    if end < 0 or tail[end : end + 4] != _END_MARK:
        return 0
    *_, size, offset, _ = _END.unpack_from(tail, end)
    # offsets count from the archive's start, so the difference to the real offset precedes it
    stop = source.size - _END.size
    if len(tail) == _TAIL and tail[:4] == _END64_MARK:
        *_, size, offset = _END64.unpack_from(tail)
        stop = source.size - _TAIL
    return max(0, stop - int(size) - int(offset))


def _no_end_record(source: ByteSource) -> MalformedError:
    found = _earlier_end(source)
    if found is None:
        return MalformedError(
            "the file ends before its zip directory, the last part of an archive, does",
            rules.TRUNCATED,
            offset=source.size,
            expected="an end record (PK 05 06) in the last megabyte",
            found=f"{source.size:,} bytes without one",
        )
    return MalformedError(
        "bytes follow the zip archive's end record, and readers differ in what they make of them",
        rules.ZIP_DISAGREES,
        offset=found,
        expected="the end of the file",
        found=f"{source.size - found:,} more bytes",
    )


def _earlier_end(source: ByteSource) -> int | None:
    """Return where an archive that begins with the file ends before the file does."""
    # an archive stored as a member has an end record too, whose offsets do not fit the file's
    start = max(0, source.size - _SEARCHED)
    window = read_bytes(source, start, source.size - start)
    place = window.rfind(_END_MARK)
    while place >= 0:
        if place + _END.size <= len(window):
            *_, size, offset, comment = _END.unpack_from(window, place)
            if offset + size in (start + place, start + place - _END64.size - _LOCATOR.size):
                return start + place + _END.size
            # nothing to compare: the zip64 record has the real values, or a comment follows
            if 0xFFFFFFFF in (size, offset) or comment:
                return start + place + _END.size
        place = window.rfind(_END_MARK, 0, place)
    return None


def _zip64(source: ByteSource, tail: bytes, short: Directory) -> Directory:
    """Read the zip64 end record, which must lie directly before its locator, and agree."""
    record = source.size - _TAIL
    _, disk, place, disks = _LOCATOR.unpack_from(tail, len(tail) - _END.size - _LOCATOR.size)
    if disk or disks != 1:
        raise _bad("the archive is one of several volumes", record + _END64.size)
    if record < 0 or place != record:
        raise _bad("the zip64 locator does not point at the record before it", record, place)
    mark, length, _, _, disk, start_disk, here, total, size, offset = _END64.unpack_from(tail)
    # the length leaves out mark and length; a longer record has an extensible data sector
    if mark != _END64_MARK or length != _END64.size - 12:
        raise _bad("the zip64 end record is malformed", record)
    if disk or start_disk or here != total:
        raise _bad("the archive is one of several volumes", record)
    long = Directory(offset, size, total)
    # both may have the real values, and a reader may believe either
    for ours, theirs, most in zip(short, long, (0xFFFFFFFF, 0xFFFFFFFF, 0xFFFF)):
        if ours not in (theirs, most):
            raise MalformedError(
                "the two end records of the archive disagree",
                rules.ZIP_DISAGREES,
                offset=record,
                expected=theirs,
                found=ours,
            )
    return long


def _not_saturated(short: Directory, source: ByteSource) -> Directory:
    if short.members == 0xFFFF or 0xFFFFFFFF in short:
        raise _bad("the zip64 end record is missing", source.size - _END.size)
    return short


def _check(directory: Directory, stop: int) -> None:
    # zipfile shifts all offsets by such a gap, others do not: they would read different members
    if directory.offset + directory.size != stop:
        raise MalformedError(
            "the zip directory does not end where its end record begins: something stands"
            " before the archive or in it",
            rules.ZIP_DISAGREES,
            offset=stop,
            expected=stop,
            found=directory.offset + directory.size,
        )
    if directory.members > MAX_MEMBERS or directory.size > MAX_DIRECTORY:
        raise MalformedError(
            "the zip directory is larger than the limit",
            rules.LIMIT,
            offset=directory.offset,
            expected=f"at most {counted(MAX_MEMBERS, 'member')} in {sized(MAX_DIRECTORY)}",
            found=f"{counted(directory.members, 'member')} in {sized(directory.size)}",
        )


def _bad(message: str, offset: int, found: object = None) -> MalformedError:
    return MalformedError(message, rules.ZIP_STRUCTURE, offset=max(0, offset), found=found)
