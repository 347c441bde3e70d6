"""The records of a zip's central directory, each checked by itself.

Layouts are those of PKWARE's APPNOTE.TXT, 4.3.12, 4.4 and 4.5.
"""

from __future__ import annotations

import re
import stat
import struct
from typing import TYPE_CHECKING, NamedTuple

from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError, UnsupportedError
from ckpttool.findings.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckpttool.formats.archives.zip_end import Directory

#: The value of a 32-bit field whose real value is in the zip64 extra field (APPNOTE 4.5.3).
SATURATED = 0xFFFFFFFF
ZIP64 = 0x0001

# mark, made by, version needed, flags and method, time, crc, two sizes, three lengths, disk,
# internal and external attributes, offset of the local header
_CENTRAL = struct.Struct("<4sxxBx4s4x3I4HxxII")
_MARK = b"PK\x01\x02"
_FIELD = struct.Struct("<HH")

_UTF8_BIT = 0x0800
# Stored, and no flags but "a data descriptor follows" and "the name is UTF-8": not encrypted,
# patched, masked or compressed. Compared as bytes, before anything is unpacked.
_PLAIN = frozenset(struct.pack("<HH", flags, 0) for flags in (0, 0x0008, 0x0800, 0x0808))
_DEFLATED = 8
# The same, deflated, and with the two bits that say how hard the compressor tried.
_PACKED = frozenset(
    struct.pack("<HH", flags | effort, _DEFLATED)
    for flags in (0, 0x0008, 0x0800, 0x0808)
    for effort in (0, 2, 4, 6)
)

# Extra fields that change nothing for any reader: torch's padding, zipalign's, and times
# and owners. 0x7075 is left out: it holds a second name, which Info-ZIP prefers.
_HARMLESS = frozenset({0x4246, 0xD935, 0x5455, 0x7875})

# Control characters, backslashes, drives, and parts that are empty, "." or "..": an unpacker
# would write outside of its folder. The name of a directory ends with an empty part.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\\]|^[A-Za-z]:|(?:^|/)\.{0,2}(?:/|$)")

# Nearly every name of a genuine archive: it needs no search by the pattern above, which is many
# times as slow.
_PLAIN_NAME = re.compile(rb"[A-Za-z0-9_-][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")

# Genuine members have at most three extra fields; 65,535 bytes have room for 16,000 empty ones,
# for each of a million members.
_MAX_FIELDS = 8

_DOS_DIRECTORY_OR_VOLUME = 0x18
_NEWEST = 63  # APPNOTE 6.3, the newest version that zipfile agrees to read


class Record(NamedTuple):
    """A member as the directory describes it.

    Attributes:
        name, raw_name: decoded, and as in the file.
        flags: the four bytes of flags and method, as in the file.
        described: whether a data descriptor follows the member's bytes.
        sums: the twelve bytes of checksum and sizes, as in the file.
        crc32, size, offset: with zip64 already applied; ``offset`` is the local header's, and
            ``size`` that of the bytes in the archive.
        zip64: what the zip64 extra field holds; empty without one.
        full: the member's own size, another one only for a deflated member.
    """

    name: str
    raw_name: bytes
    flags: bytes
    described: bool
    sums: bytes
    crc32: int
    size: int
    offset: int
    zip64: bytes
    full: int

    @property
    def deflated(self) -> bool:
        """Whether the member is compressed."""
        return self.flags in _PACKED


def records(data: bytes, directory: Directory, *, code: bool = False) -> Iterator[Record]:
    """Yield the records of ``data``, the whole central directory.

    ``code``: take members that are the code of a program although they are deflated.

    Raises:
        MalformedError: they are not exactly as many and as long as the end record says, or
            one has an unsafe name, is not stored, or can be read in two ways.
        UnsupportedError: without ``code``, the archive is a TorchScript program.
    """
    base, position, total = directory.offset, 0, len(data)
    for _ in range(directory.members):
        names = position + _CENTRAL.size
        if names > total:
            raise _bad("the zip directory has fewer records than it says", base + position)
        mark, version, flags, crc, packed, size, n, x, c, disk, attributes, offset = (
            _CENTRAL.unpack_from(data, position)
        )
        extra = names + n
        after = extra + x + c
        if mark != _MARK or after > total:
            raise _bad("a record of the zip directory is malformed", base + position)
        raw = data[names:extra]
        plain = _PLAIN_NAME.fullmatch(raw)
        name = raw.decode() if plain else _decoded(raw, flags, base + position)
        stored = flags in _PLAIN
        if not stored and not (code and is_code(name) and flags in _PACKED):
            raise _not_stored(name, flags, base + position)
        if disk or attributes or version > _NEWEST:
            _check_kind(name, disk, attributes, version, base + position)
        zip64 = zip64_field(data, extra, x, name, base) if x else b""
        if zip64 or SATURATED in (packed, size, offset):
            packed, size, offset = _widened(zip64, (packed, size, offset), name, base + position)
        if (
            packed != size and stored
        ):  # a stored member has one size: readers differ in which they use
            raise _disagrees(name, "is stored but has two sizes", base + position, packed, size)
        # kept raw: comparing twelve bytes with the local header is faster than three numbers
        sums = data[position + 16 : position + 28]
        fields = name, raw, flags, flags[0] & 8 != 0, sums, crc, packed, offset, zip64, size
        yield tuple.__new__(Record, fields)  # not by the class: its __new__ takes as long again
        position = after
    if position != total:
        raise _bad("the zip directory has more records than it says", base + position)


def is_code(name: str) -> bool:
    """Whether a member is called as the code of a TorchScript program: ``<top>/code/...``."""
    return name.split("/", 2)[1:2] == ["code"]


def zip64_field(data: bytes, start: int, length: int, name: str, base: int) -> bytes:
    """Return the content of the zip64 field of an extra area, ``b""`` without one.

    ``data[start : start + length]`` is the area; ``base`` is where ``data`` begins in the file.
    """
    found, position, end = b"", start, start + length
    fields = 0
    while position < end:
        fields += 1
        if position + 4 > end or fields > _MAX_FIELDS:
            raise _bad_extra(name, base + position)
        kind, size = _FIELD.unpack_from(data, position)
        position += 4
        if position + size > end:
            raise _bad_extra(name, base + position)
        if kind == ZIP64 and not found and size:  # readers differ in which of two they take
            found = data[position : position + size]
        elif kind not in _HARMLESS:
            raise _disagrees(
                name,
                "has an extra field that some readers act on",
                base + position,
                None,
                hex(kind),
            )
        position += size
    return found


def _decoded(raw: bytes, flags: bytes, offset: int) -> str:
    try:
        name = raw.decode()
    except UnicodeDecodeError as error:
        raise _bad_name(repr(raw), "is not UTF-8", offset) from error
    if _UNSAFE.search(name):
        raise _bad_name(name, "is not a plain relative path of a file", offset)
    # without the flag zipfile reads code page 437, others UTF-8: two different names
    if not flags[1] & (_UTF8_BIT >> 8) and not name.isascii():
        raise _bad_name(name, "is in an encoding that is not stated", offset)
    return name


def _not_stored(name: str, flags: bytes, offset: int) -> CkpttoolError:
    bits, method = _FIELD.unpack(flags)
    if method == _DEFLATED and is_code(name):
        # torch.jit deflates its code: named as what it is before the method is refused
        return UnsupportedError(
            "the archive is a TorchScript program, not a checkpoint",
            rules.UNSUPPORTED,
            fix="Save the module's state_dict() with torch.save.",
        )
    return MalformedError(
        f"{printable(name)} is compressed, encrypted or otherwise not stored as it is",
        rules.ZIP_METHOD,
        offset=offset,
        expected="method 0 (stored), no flags but 0x0808",
        found=f"method {method}, flags 0x{bits:04x}",
        fix="Where you know who wrote it, load it and save it again with torch.save.",
    )


def _check_kind(name: str, disk: int, attributes: int, version: int, offset: int) -> None:
    if disk:
        raise _bad(f"{printable(name)} lies on another volume", offset)
    if version > _NEWEST:
        raise _disagrees(name, "needs a reader of another version", offset, _NEWEST, version)
    kind = stat.S_IFMT(attributes >> 16)
    if kind not in (0, stat.S_IFREG) or attributes & _DOS_DIRECTORY_OR_VOLUME:
        raise _bad_name(name, "is of a link, a directory or another special file", offset)


def _widened(
    zip64: bytes, fields: tuple[int, int, int], name: str, offset: int
) -> tuple[int, int, int]:
    """Replace the saturated fields by the 64-bit values of the zip64 field."""
    # it has the saturated fields only, in this order (APPNOTE 4.5.3)
    packed, size, header = fields
    saturated = [value == SATURATED for value in (size, packed, header)]
    if len(zip64) != 8 * sum(saturated):
        raise _disagrees(
            name,
            "has a zip64 field that does not fit its sizes",
            offset,
            f"{8 * sum(saturated)} bytes",
            f"{len(zip64)} bytes",
        )
    values = iter(struct.unpack(f"<{sum(saturated)}Q", zip64))
    size = next(values) if saturated[0] else size
    packed = next(values) if saturated[1] else packed
    header = next(values) if saturated[2] else header
    return packed, size, header


def _bad(message: str, offset: int) -> MalformedError:
    return MalformedError(message, rules.ZIP_STRUCTURE, offset=offset)


def _bad_extra(name: str, offset: int) -> MalformedError:
    return _bad(f"the extra fields of {printable(name)} are malformed", offset)


def _bad_name(name: str, why: str, offset: int) -> MalformedError:
    return MalformedError(f"the member name {printable(name)} {why}", rules.ZIP_NAME, offset=offset)


def _disagrees(name: str, why: str, offset: int, expected: object, found: object) -> MalformedError:
    return MalformedError(
        f"{printable(name)} {why}",
        rules.ZIP_DISAGREES,
        offset=offset,
        expected=expected,
        found=found,
    )
