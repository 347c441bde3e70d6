"""The pickles of an archive that is refused, found in order to judge what they call.

torch reads archives that the strict reader refuses, deflated ones and those with wrong checksums
say, so the refusal must not hide code that would run. Pickles are searched by the headers of
their members, local ones and those of the directory, since either may be missing or wrong.
"""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Iterator

from ckpttool.files.sources import ByteSource, read_bytes
from ckpttool.formats.archives.zip_end import MAX_MEMBERS

if TYPE_CHECKING:
    from ckpttool.formats.safety.watch import Watch

#: Bytes that are searched at the start of the file and at its end, where the directory lies.
SEARCHED = 64_000_000
#: Pickles that are judged, bytes that are read of one, and bytes that are interpreted of all: at
#: about a microsecond a byte, so that a hostile archive takes seconds at most.
MOST, LARGEST, READ = 64, 48_000_000, 12_000_000

#: Headers of either kind that are looked at in either part, as many as an archive has at most, and
#: names that tell what an archive is.
MOST_HEADERS, MOST_NAMES = MAX_MEMBERS, 200_000

_LOCAL, _LOCAL_HEADER = b"PK\x03\x04", struct.Struct("<4s22xHH")
_CENTRAL, _CENTRAL_HEADER = b"PK\x01\x02", struct.Struct("<4s24xH12xI")
_LENGTH_AT = {_LOCAL: 26, _CENTRAL: 28}
_SUFFIX = b".pkl"
_STEP = 16_384  # bytes that are inflated at once


def judge_loose_pickles(source: ByteSource, watch: Watch) -> None:
    """Have ``watch`` judge every pickle that can be found in a broken archive."""
    left = READ
    for name, begin in islice(_pickles(source), MOST):
        data = read_bytes(source, begin, min(LARGEST, source.size - begin))
        # stored or deflated: the headers may lie about the method too
        left -= watch.look_at(data, name)
        inflated = _inflated(data)
        # inflating is charged as well, at a sixteenth of interpreting
        left -= len(inflated) // 16 + watch.look_at(inflated, name)
        if left < 0:
            break


def first_pickle(source: ByteSource) -> tuple[int, bytes] | None:
    """Return the offset and the bytes of the pickle that torch.load would read first."""
    for _, begin in _pickles(source):
        return begin, read_bytes(source, begin, min(LARGEST, source.size - begin))
    return None


def names_in(source: ByteSource) -> list[str]:
    """Return the names of members that can be found, each once: the first ones, and of pickles."""
    first = [name for name, _ in islice(_members(source), MOST_NAMES)]
    return list(dict.fromkeys([*first, *(name for name, _ in _pickles(source))]))


def _pickles(source: ByteSource) -> Iterator[tuple[str, int]]:
    """Yield the name of each pickle and the offset of its content; each offset once."""
    places: dict[int, str] = {}
    for name, place in _members(source, _SUFFIX):
        if place is not None:
            places.setdefault(place, name)
    # data.pkl first: it is what torch.load reads, and the limits may leave out the rest
    first = {place for place, name in places.items() if name.lower().endswith("data.pkl")}
    for place in sorted(places, key=lambda place: (place not in first, place)):
        if place < source.size:
            yield places[place], place


def _members(source: ByteSource, suffix: bytes = b"") -> Iterator[tuple[str, int | None]]:
    """Yield the name of each member and the offset of its content, by either of its headers.

    ``suffix``: what names end with; without one no offset is looked up in the directory.
    """
    for start in sorted({0, max(source.size - SEARCHED, 0)}):
        window = read_bytes(source, start, min(SEARCHED, source.size - start))
        for place, end in _found(window, _LOCAL, _LOCAL_HEADER, suffix):
            extra = _LOCAL_HEADER.unpack_from(window, place)[2]
            yield _name(window, place + _LOCAL_HEADER.size, end), start + end + extra
        for place, end in _found(window, _CENTRAL, _CENTRAL_HEADER, suffix):
            header = _CENTRAL_HEADER.unpack_from(window, place)[2]
            name = _name(window, place + _CENTRAL_HEADER.size, end)
            yield name, _content_place(source, header) if suffix else None


def _content_place(source: ByteSource, header: int) -> int | None:
    if header + _LOCAL_HEADER.size > source.size:
        return None
    local = _LOCAL_HEADER.unpack(read_bytes(source, header, _LOCAL_HEADER.size))
    return header + _LOCAL_HEADER.size + int(sum(local[1:]))


def _found(
    window: bytes, mark: bytes, header: struct.Struct, suffix: bytes
) -> Iterator[tuple[int, int]]:
    """Yield where each header begins, and where the name ends that stands behind it."""
    size, length = header.size, _LENGTH_AT[mark]
    # in few steps: a hostile file may have a mark in every four bytes
    place = window.find(mark)
    last = len(window) - size
    left = MOST_HEADERS
    while 0 <= place <= last and left:
        left -= 1
        at = place + length
        end = place + size + window[at] + 256 * window[at + 1]
        if not suffix or window[end - len(suffix) : end].lower() == suffix:
            yield place, end
        place = window.find(mark, place + 1)


def _name(window: bytes, begin: int, end: int) -> str:
    return window[begin:end].decode("utf-8", "replace")


def _inflated(data: bytes) -> bytes:
    """Return what comes out of a deflate stream, up to where it breaks off: torch reads that.

    Nearly all bytes are no deflate stream, which zlib finds within a few of them.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    found = bytearray()
    for at in range(0, len(data), _STEP):
        before = inflater.copy()
        try:
            found += inflater.decompress(data[at : at + _STEP], LARGEST - len(found))
        except zlib.error:
            # the call that fails gives nothing out: once more, byte by byte
            return bytes(found + _inflated_bytewise(before, data[at : at + _STEP]))
        if inflater.eof or len(found) >= LARGEST:
            break
    return bytes(found)


def _inflated_bytewise(inflater: zlib._Decompress, data: bytes) -> bytes:
    found = bytearray()
    with suppress(zlib.error):
        for at in range(len(data)):  # pragma: no branch (a byte fails, as all of them did)
            found += inflater.decompress(data[at : at + 1])
    return bytes(found)
