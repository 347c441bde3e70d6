"""The local headers of a zip archive, compared with the directory one after the other.

Streaming readers believe the local headers, others the directory. Both see the same only if every
header, its member's bytes and the descriptor after them follow each other without a gap, in the
directory's order, from the first byte to the directory.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from ckpttool.files.sources import ByteSource, read_bytes
from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError
from ckpttool.findings.text import printable
from ckpttool.formats.archives.zip_records import SATURATED, zip64_field

if TYPE_CHECKING:
    from ckpttool.formats.archives.zip_records import Record

# mark, needed, flags and method, time, checksum and sizes, two lengths
_LOCAL = struct.Struct("<4sxx4s4x12sHH")
_SUMS = struct.Struct("<III")
_FIELD = struct.Struct("<HH")
_MARK, _DESCRIPTOR_MARK = b"PK\x03\x04", b"PK\x07\x08"
_ZEROS = bytes(12)
_PADDING = 0x4246  # "FB": torch aligns a member's bytes with it, to 64 bytes by default

#: Bytes of unusual extra areas that are read in one archive; in a file beyond 4 GiB torch's have
#: about a hundred each, for zip64.
MAX_EXTRA = 128_000_000

# Small members are passed by reading on, large ones by seeking: the window grows while the next
# header lies within _NEAR of its end, since reading so many bytes costs less than another call.
_NEAR = 16_384
_FIRST_WINDOW, _LAST_WINDOW = 4_096, 1_048_576


class LocalHeaders:
    """Walks the local headers from ``start`` up to ``limit``, where the directory begins."""

    def __init__(self, source: ByteSource, limit: int, start: int = 0) -> None:
        self._source = source
        self._limit = limit
        self._cursor = start
        self._window = b""
        self._base = 0
        self._step = _FIRST_WINDOW
        self._extra_room = MAX_EXTRA

    def pass_member(self, record: Record) -> int:
        """Return where the bytes of the next member begin, which must be ``record``'s.

        Raises:
            MalformedError: another header is there, members overlap or leave a gap, or the
                header or the descriptor disagrees with the directory.
        """
        _, raw, flags, described, sums, _, size, offset, _, _ = record
        cursor = self._cursor
        if offset != cursor:
            raise self._not_next(record)
        start = cursor - self._base
        names = start + _LOCAL.size
        extra = names + len(raw)
        if start < 0 or extra + 4 > len(self._window):
            self._fill(cursor, _LOCAL.size + len(raw) + 4)
            start, names = 0, _LOCAL.size
            extra = names + len(raw)
        window = self._window
        mark, its_flags, its_sums, n, x = _LOCAL.unpack_from(window, start)
        if mark != _MARK or its_flags != flags or n != len(raw) or window[names:extra] != raw:
            raise self._disagree(record, "local header", cursor)
        if x and _FIELD.unpack_from(window, extra) != (_PADDING, x - 4):
            zip64 = self._zip64(record, extra, x)
        else:
            zip64 = b""  # nearly every member: only padding
        # nearly every member: zeros, and then a descriptor
        if not (described and its_sums == _ZEROS) and not _sums_agree(its_sums, zip64, record):
            raise self._disagree(record, "local header", cursor)
        data: int = self._base + extra + x
        end = data + size
        if described:
            begin = end - self._base
            if not zip64 and window[begin : begin + 16] == _DESCRIPTOR_MARK + sums:
                end += 16
            else:
                end = self._pass_descriptor(record, end, long=bool(zip64))
        if end > self._limit:
            raise self._overlap(record)
        self._cursor = end
        return data

    def finish(self, end: int | None = None) -> None:
        """Raise MalformedError unless the last member ends there; ``None`` for the directory."""
        end = self._limit if end is None else end
        # a gap can hold another archive, which a reader that searches for headers would find
        if self._cursor != end:
            what = "zip directory" if end == self._limit else "next one"
            raise MalformedError(
                f"bytes lie between the last member and the {what}",
                rules.ZIP_DISAGREES,
                offset=self._cursor,
                found=f"{end - self._cursor:,} bytes",
            )

    def _zip64(self, record: Record, extra: int, length: int) -> bytes:
        place = self._base + extra
        if place + length > self._limit:
            raise self._overlap(record)
        self._extra_room -= length
        if self._extra_room < 0:
            raise MalformedError(
                "the extra fields are larger than the limit", rules.LIMIT, offset=place
            )
        area = read_bytes(self._source, place, length)
        found = zip64_field(area, 0, length, record.name, place)
        # torch repeats the directory's field here, even where that has only the offset
        if found not in (b"", record.zip64) and not _sizes_agree(found, record):
            raise self._disagree(record, "local header", place)
        return found

    def _pass_descriptor(self, record: Record, place: int, *, long: bool) -> int:
        """Return where the data descriptor at ``place`` ends."""
        # sizes have eight bytes where the local header has a zip64 field (APPNOTE 4.3.9.2);
        # the mark is optional in the standard, but torch and zipfile always write it
        if long:
            expected = struct.pack("<IQQ", record.crc32, record.size, record.full)
        else:
            expected = record.sums
        expected = _DESCRIPTOR_MARK + expected
        if place + len(expected) > self._limit:
            raise self._overlap(record)
        start = place - self._base
        if start + len(expected) > len(self._window):
            self._fill(place, len(expected))
            start = 0
        if self._window[start : start + len(expected)] != expected:
            raise self._disagree(record, "data descriptor", place)
        return place + len(expected)

    def _fill(self, place: int, least: int) -> None:
        """Put the file's bytes from ``place`` into the window, ``least`` of them or more."""
        distance = place - self._base - len(self._window)
        self._step = min(self._step * 4, _LAST_WINDOW) if distance < _NEAR else _FIRST_WINDOW
        # Reading on into the directory does no harm: no header is looked for beyond its start.
        length = min(max(self._step, least), self._source.size - place)
        if length < least or place + least > self._limit + 4:
            raise MalformedError(
                "the zip directory begins inside a member", rules.ZIP_STRUCTURE, offset=place
            )
        self._window = read_bytes(self._source, place, length)
        self._base = place

    def _not_next(self, record: Record) -> MalformedError:
        overlaps = record.offset < self._cursor
        return MalformedError(
            f"{printable(record.name)} overlaps what the directory lists before it"
            if overlaps
            else f"bytes that belong to no member stand before {printable(record.name)}",
            rules.ZIP_DISAGREES,
            offset=min(record.offset, self._cursor),
            expected=f"a local header at byte {self._cursor}",
            found=f"byte {record.offset}",
        )

    def _disagree(self, record: Record, what: str, place: int) -> MalformedError:
        return MalformedError(
            f"the {what} of {printable(record.name)} disagrees with the zip directory",
            rules.ZIP_DISAGREES,
            offset=place,
        )

    def _overlap(self, record: Record) -> MalformedError:
        return MalformedError(
            f"{printable(record.name)} reaches into the zip directory",
            rules.ZIP_STRUCTURE,
            offset=record.offset,
            expected=f"its end at byte {self._limit} or before",
        )


def _sizes_agree(zip64: bytes, record: Record) -> bool:
    """Whether a local zip64 field has the member's two sizes, or zeros if they come later."""
    if len(zip64) != 16:
        return False
    # the size of the member itself comes first here (APPNOTE 4.5.3)
    pairs = zip(struct.unpack("<QQ", zip64), (record.full, record.size))
    return all(ours == theirs or (record.described and ours == 0) for ours, theirs in pairs)


def _sums_agree(sums: bytes, zip64: bytes, record: Record) -> bool:
    """Whether a local header's checksum and sizes are the member's, or zero before a descriptor."""
    # the usual cases as whole bytes; torch writes zeros and a descriptor
    if sums == record.sums or (record.described and sums == _ZEROS):
        return not (sums[4:] == b"\xff" * 8 and len(zip64) < 16)
    crc, packed, size = _SUMS.unpack(sums)
    if (packed, size) == (SATURATED, SATURATED) and len(zip64) >= 16:
        size, packed = struct.unpack_from("<QQ", zip64)
    pairs = ((crc, record.crc32), (packed, record.size), (size, record.full))
    return all(ours == theirs or (record.described and ours == 0) for ours, theirs in pairs)
