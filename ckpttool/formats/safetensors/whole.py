"""The safetensors container: eight bytes of length, a JSON header, and the tensors' bytes.

The ranges of the tensors cover the rest of the file without holes or overlaps.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple, Sequence

from ckpttool.files.sources import ByteSource, read_bytes
from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError, UsageError
from ckpttool.findings.finding import Finding, finding
from ckpttool.formats.safetensors.header import BLANKS, MAX_TENSORS, HeaderEntry, HeaderReader
from ckpttool.tensors.catalogue import Checkpoint, Extent, TensorInfo

FORMAT = "safetensors"

#: Bytes of the largest header that the format's own library reads (``MAX_HEADER_SIZE``).
FORMAT_LIMIT = 100_000_000
#: Bytes of the largest header that is read here: the same, about 900,000 tensors.
MAX_HEADER = FORMAT_LIMIT
#: The same for a header that is not plain ASCII: CPython keeps a string with one wide character
#: in four bytes for each.
MAX_WIDE_HEADER = 25_000_000

_LENGTH = 8
_LARGEST = 2**63 - 1


class Header(NamedTuple):
    """The content of a header of ``size`` bytes.

    ``tensors`` are in its order, ``metadata`` holds the strings of ``__metadata__``, ``oddities``
    names deviations from the format's text that its library accepts.
    """

    tensors: dict[str, TensorInfo]
    metadata: dict[str, str]
    size: int
    oddities: tuple[str, ...] = ()


def matches(head: bytes) -> bool:
    """Whether a header seems to begin after its length."""
    # whatever the length: a wrong one is reported as such, not as an unknown format
    if head[_LENGTH : _LENGTH + 1] == b"{":
        return True
    # With whitespace before the brace it may be any text. A possible length is below 4 GiB, so
    # that its upper bytes are zero, which text has not.
    return head[4:_LENGTH] == bytes(4) and head[_LENGTH:].lstrip(BLANKS)[:1] == b"{"


def read(source: ByteSource, wrapper: str | None) -> Checkpoint:
    """Catalogue the file; see ``open_checkpoint`` for the errors."""
    require_no_wrapper(wrapper)
    header = read_header(source)
    return Checkpoint(
        source.name,
        FORMAT,
        (source,),
        header.tensors,
        metadata=header.metadata,
        header_size=header.size,
        remarks=remarks_on(header.oddities),
    )


def remarks_on(oddities: Sequence[str]) -> tuple[Finding, ...]:
    """Return the finding on oddities of headers, if there are any."""
    if not oddities:
        return ()
    return (finding(rules.SAFETENSORS_SPELLING, f"the header has {'; '.join(oddities)}"),)


def require_no_wrapper(wrapper: str | None) -> None:
    """Raise UsageError if a wrapper is asked for: this format has only the root."""
    if wrapper:
        raise UsageError(
            "a safetensors file has no wrappers: its tensors lie at the root",
            found=wrapper,
            fix="Leave the wrapper out.",
        )


def read_header(source: ByteSource) -> Header:
    """Return the catalogue of one safetensors file.

    Raises:
        MalformedError: the header breaks the format, is beyond the limits, or the
            ranges of the tensors do not tile the rest of the file.
        UnsupportedError: an element type that is not known.
        UnreadableError: the file changed meanwhile.
    """
    length = _header_length(source)
    start = _LENGTH + length
    text = read_bytes(source, _LENGTH, length)
    # an escape makes a wide character too
    if length > MAX_WIDE_HEADER and (b"\\u" in text or not text.isascii()):
        raise _too_long(length, MAX_WIDE_HEADER)
    reader = HeaderReader(text, _LENGTH)
    tensors: dict[str, TensorInfo] = {}
    cursor: int | None = 0
    room, look_at = source.size - start, 0
    for entry in reader.entries():
        name, dtype, shape, begin, end = entry
        if name in tensors:  # the library takes the last of two
            raise MalformedError(
                "the name occurs twice in the header", rules.DUPLICATE_KEY, tensor=name
            )
        if len(tensors) == MAX_TENSORS:
            raise MalformedError(
                "more tensors than are catalogued",
                rules.LIMIT,
                expected=f"at most {MAX_TENSORS:,}",
            )
        elements = prod(shape)
        if not 0 < elements <= _LARGEST or elements * dtype.bits != 8 * (end - begin):
            _check_range(entry, start)
        # not by their classes: __new__ of those takes as long again
        extent = tuple.__new__(Extent, (source, start + begin, end - begin))
        fields = name, dtype, shape, None, (extent,), False, None
        tensors[name] = tuple.__new__(TensorInfo, fields)
        cursor = end if begin == cursor else None
        room -= end - begin
        if room < 0 and len(tensors) > look_at:
            # more bytes than there are: cut short, or a small file that claims a large one
            look_at = 2 * len(tensors)
            _check_overlaps(tensors, start)
    # one after the other in the order of the header, as writers lay them out, or in any other order
    if cursor is None:
        _check_tiling(source, tensors, start)
    else:
        _check_end(source, start + cursor)
    return Header(tensors, reader.metadata, length, tuple(reader.oddities))


def _header_length(source: ByteSource) -> int:
    if source.size < _LENGTH + 2:
        raise MalformedError(
            "the file ends before its header does",
            rules.TRUNCATED,
            offset=source.size,
            expected=f"{_LENGTH + 2} bytes or more",
            found=f"{source.size:,}",
        )
    length = int.from_bytes(read_bytes(source, 0, _LENGTH), "little")
    if length < 2 or length > FORMAT_LIMIT:
        raise MalformedError(
            "the length of the header is not possible",
            rules.SAFETENSORS_HEADER,
            offset=0,
            expected=f"2 to {FORMAT_LIMIT:,} bytes",
            found=f"{length:,}",
        )
    if length > source.size - _LENGTH:
        # not "truncated" where no header begins: advice to fetch it again would not help
        begin = read_bytes(source, _LENGTH, 1)
        if begin not in b"{" + BLANKS:
            raise MalformedError(
                "no header begins here",
                rules.SAFETENSORS_HEADER,
                offset=_LENGTH,
                expected="{",
                found=repr(begin),
            )
        raise MalformedError(
            "the file ends before its header does",
            rules.TRUNCATED,
            offset=source.size,
            expected=f"{_LENGTH + length:,} bytes or more",
            found=f"{source.size:,}",
        )
    if length > MAX_HEADER:
        raise _too_long(length, MAX_HEADER)
    return length


def _too_long(length: int, most: int) -> MalformedError:
    return MalformedError(
        "the header is larger than the limit",
        rules.LIMIT,
        offset=0,
        expected=f"at most {most:,} bytes",
        found=f"{length:,}",
    )


def _check_range(entry: HeaderEntry, start: int) -> None:
    """Raise MalformedError if the range of ``entry`` does not hold its shape's elements."""
    _, dtype, shape, begin, end = entry
    elements = prod(shape)
    # the library checks each multiplication for overflow, so that a zero may come too late
    if (elements or prod(filter(None, shape))) > _LARGEST:
        raise _bad_range("the shape overflows 64 bits", entry, start)
    bits = elements * dtype.bits
    if bits % 8:  # types of 4 and 6 bits; the library refuses it as well
        raise _bad_range(f"{elements:,} elements of {dtype.bits} bits fill no bytes", entry, start)
    if end - begin != bits // 8:
        raise _bad_range("the range does not hold the shape's elements", entry, start, bits // 8)


def _bad_range(
    message: str, entry: HeaderEntry, start: int, expected: int | None = None
) -> MalformedError:
    return MalformedError(
        message,
        rules.SAFETENSORS_LAYOUT,
        tensor=entry.name,
        offset=start + entry.begin,
        expected=None if expected is None else f"{expected:,} bytes for {list(entry.shape)}",
        found=f"data_offsets [{entry.begin}, {entry.end}]",
    )


def _check_tiling(source: ByteSource, tensors: dict[str, TensorInfo], start: int) -> None:
    """Refuse holes and overlaps between the tensors, and bytes after the last one."""
    # the format forbids them, since they could hide another file (README, "Format")
    cursor = start
    for offset, length, name in _ranges(tensors):
        if offset != cursor:
            raise _misplaced(name, offset, cursor, start)
        cursor = offset + length
    _check_end(source, cursor)


def _check_overlaps(tensors: dict[str, TensorInfo], start: int) -> None:
    """Refuse overlaps among some of the tensors; those to come may fill holes between them."""
    cursor = start
    for offset, length, name in _ranges(tensors):
        if offset < cursor and length:
            raise _misplaced(name, offset, cursor, start)
        cursor = max(cursor, offset + length)


def _ranges(tensors: dict[str, TensorInfo]) -> list[tuple[int, int, str]]:
    """Return (offset, length, name) in the order of the file."""
    return sorted(
        (info.extents[0].offset, info.extents[0].length, name) for name, info in tensors.items()
    )


def _misplaced(name: str, offset: int, cursor: int, start: int) -> MalformedError:
    return MalformedError(
        "the tensor overlaps the one before it"
        if offset < cursor
        else "bytes before the tensor belong to none",
        rules.SAFETENSORS_LAYOUT,
        tensor=name,
        offset=min(offset, cursor),
        expected=f"a range from byte {cursor - start:,} of the data",
        found=f"{offset - start:,}",
    )


def _check_end(source: ByteSource, cursor: int) -> None:
    """Refuse a file that does not end where its tensors do."""
    if cursor > source.size:
        raise MalformedError(
            "the file ends before its tensors do",
            rules.TRUNCATED,
            offset=source.size,
            expected=f"{cursor:,} bytes",
            found=f"{source.size:,}",
        )
    if cursor < source.size:
        raise MalformedError(
            "bytes behind the last tensor belong to none",
            rules.SAFETENSORS_LAYOUT,
            offset=cursor,
            found=f"{source.size - cursor:,} bytes",
        )
