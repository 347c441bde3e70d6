"""Strict reading of a tar archive: plain files at the top, in one way for every reader.

The header is POSIX ustar (or GNU's variant of it), as in IEEE 1003.1 "pax". Extended headers
are allowed if they only hold times and owners, as Python writes for every file.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ckpttool.files.sources import ByteSource, read_bytes
from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError

#: Bytes of a header, and what members are padded to.
BLOCK = 512
#: Members of one archive; torch wrote four, each with an extended header.
MAX_MEMBERS = 64
#: Bytes of an extended header.
MAX_EXTENDED = 64_000

# Any other key can replace the next member's path, size or link.
_TIMES, _OWNERS = frozenset({b"mtime", b"atime", b"ctime"}), frozenset({b"uid", b"gid"})
_OTHERS = frozenset({b"uname", b"gname", b"comment"})
_TIME = re.compile(rb"\d{1,10}(?:\.\d{1,20})?")
_RECORD = re.compile(rb"(\d{1,6}) ([^=\n]{1,200})=")
_KINDS = {
    b"1": "a hard link", b"2": "a symbolic link", b"3": "a device", b"4": "a device",
    b"5": "a directory", b"6": "a FIFO", b"L": "a long name", b"K": "a long link",
    b"S": "a sparse file", b"g": "a global extended header",
}  # fmt: skip


# Mode, owner, group, time, and the two numbers of a device: tarfile takes a header in which one of
# them is none for the end of the archive.
_NUMBERS = ((100, 108), (108, 116), (116, 124), (136, 148), (329, 337), (337, 345))
_HIGH = bytes(range(128, 256))  # bytes that are negative where bytes have a sign


class TarMember(NamedTuple):
    """A plain file in the archive: the offset and the number of its bytes."""

    offset: int
    size: int


def matches(head: bytes) -> bool:
    """Whether the bytes begin with a ustar header."""
    return len(head) >= BLOCK and head[257:262] == b"ustar"


def has_checksum(block: bytes) -> bool:
    """Whether a reader that checks no magic, as tarfile, would accept this as a header."""
    if len(block) < BLOCK:
        return False
    field = block[148:156]
    others = block[:148] + b" " * 8 + block[156:]
    total = sum(others)
    # old writers summed signed bytes
    sums = (total, total - 256 * (len(others) - len(others.translate(None, _HIGH))))
    # GNU's base-256 numbers, positive and negative, which tarfile reads in every field
    if field[0] in (0o200, 0o377):
        return int.from_bytes(field[1:], "big") - (256**7 if field[0] == 0o377 else 0) in sums
    try:
        return int(field.partition(b"\0")[0].decode("ascii").strip() or "0", 8) in sums
    except ValueError:
        return False


def read_members(source: ByteSource) -> dict[str, TarMember]:
    """Return the files of the archive by name.

    Raises:
        MalformedError: a header is broken, a name occurs twice, a member is a link or a
            device, or the archive does not end as one does.
    """
    members: dict[str, TarMember] = {}
    position = 0
    extended = False
    for _ in range(MAX_MEMBERS):
        header = _block(source, position)
        if not any(header):
            if extended:
                raise _broken("an extended header has no member behind it", position)
            _check_end(source, position)
            return members
        name, kind, size = _parse(header, position)
        begin = position + BLOCK
        if begin + size > source.size:
            raise _cut("the archive ends before the member does", begin + size, source)
        extended = kind == b"x"
        if extended:
            _check_extended(source, begin, size)
        else:
            _add(members, name, kind, TarMember(begin, size), position)
        position = begin + -(-size // BLOCK) * BLOCK
    raise _broken(f"more than {MAX_MEMBERS} members", position, rules.LIMIT)


def find_members(source: ByteSource) -> dict[str, TarMember]:
    """Return the files that a lenient reader may find, by name; the first of each name.

    For judging the pickles of an archive that :func:`read_members` refuses.
    """
    members: dict[str, TarMember] = {}
    position = 0
    for _ in range(MAX_MEMBERS):
        if position + BLOCK > source.size:
            break
        header = read_bytes(source, position, BLOCK)
        digits = header[124:136].strip(b" \0")
        if not any(header) or not has_checksum(header) or not digits.isdigit():
            break
        size = int(digits, 8) if set(digits) <= set(b"01234567") else 0
        name = header[:100].partition(b"\0")[0].decode("ascii", "replace")
        members.setdefault(name.strip("./"), TarMember(position + BLOCK, size))
        position += BLOCK + -(-size // BLOCK) * BLOCK
    return members


def check_whole(source: ByteSource) -> None:
    """Raise MalformedError if the file ends before its last member or its end mark does."""
    position = 0
    for _ in range(MAX_MEMBERS):
        header = _block(source, position)
        digits = header[124:136].strip(b" \0")
        if not any(header) or not has_checksum(header) or not set(digits) <= set(b"01234567"):
            return
        position += BLOCK + -(-int(digits or b"0", 8) // BLOCK) * BLOCK


def _block(source: ByteSource, position: int) -> bytes:
    if position + BLOCK > source.size:
        raise _cut("the archive ends without an end mark", position + BLOCK, source)
    return read_bytes(source, position, BLOCK)


def _parse(header: bytes, position: int) -> tuple[str, bytes, int]:
    """Return name, kind and size of a header whose checksum matches."""
    if header[257:262] != b"ustar":
        raise _broken("the header is not ustar", position)
    stated = _octal(header[148:156], position)
    # the checksum counts its own field as spaces
    actual = sum(header) - sum(header[148:156]) + 8 * ord(" ")
    if stated != actual:
        raise MalformedError(
            "the header does not match its checksum",
            rules.CHECKSUM,
            offset=position,
            expected=stated,
            found=actual,
        )
    # the front part of a long name; GNU may have times there, which tarfile reads so
    prefix = header[345:500].rstrip(b"\0")
    raw = header[:100].rstrip(b"\0")
    if prefix or b"\0" in raw or not raw.isascii():
        raise _broken("the name is not a plain file name", position)
    for begin, end in _NUMBERS:
        _check_number(header[begin:end], position)
    return raw.decode("ascii"), header[156:157], _octal(header[124:136], position)


def _check_number(field: bytes, position: int) -> None:
    """Refuse a number that is in no use here, but with which other readers end."""
    if field.strip(b" \0"):
        _octal(field, position)


def _octal(field: bytes, position: int) -> int:
    # tarfile ends at the first NUL
    before, _, after = field.partition(b"\0")
    digits = before.strip(b" ")
    if after.strip(b" \0"):
        raise _broken("a number in the header goes on behind its end", position)
    # int() would take "0o17", "1_7" and other digits; tar readers differ in what they take
    if not digits or not all(byte in b"01234567" for byte in digits):
        raise _broken("a number in the header is not octal", position)
    return int(digits, 8)


def _add(
    members: dict[str, TarMember], name: str, kind: bytes, member: TarMember, position: int
) -> None:
    # a NUL is the plain file of tar before POSIX
    if kind not in (b"0", b"\0"):
        raise _broken(f"{name!r} is {_KINDS.get(kind, 'of an unknown kind')}", position)
    if not name or "/" in name or "\\" in name or not name.isprintable():
        raise _broken("a member's name is not a plain file name", position)
    if name in members:  # tarfile takes the last of two
        raise _broken(f"{name!r} occurs twice", position)
    members[name] = member


def _check_extended(source: ByteSource, begin: int, size: int) -> None:
    """Refuse an extended header that gives the next member another name, size or kind."""
    if size > MAX_EXTENDED:
        raise _broken("an extended header is too large", begin, rules.LIMIT)
    data = read_bytes(source, begin, size)
    position = 0
    while position < len(data):
        match = _RECORD.match(data, position)
        end = position + (int(match[1]) if match else 0)
        # a record of length 0 would be followed by itself, without end
        within = position < end <= len(data) and data[end - 1 : end] == b"\n"
        if match is None or not within or not _is_harmless(match[2], data[match.end() : end - 1]):
            raise _broken("an extended header has a record that is no plain time or owner", begin)
        position = end


def _is_harmless(key: bytes, value: bytes) -> bool:
    """Whether a record is of a time or an owner that a file can have: torch sets its copies so."""
    if key in _OWNERS:
        return value.isdigit() and len(value) < 10
    return _TIME.fullmatch(value) is not None if key in _TIMES else key in _OTHERS


def _check_end(source: ByteSource, position: int) -> None:
    """Raise MalformedError unless only zeros follow the first zero block."""
    # writers pad to records of 10,240 bytes or more; another archive there would be found by some
    rest = source.size - position
    if rest > 1_000_000 or any(read_bytes(source, position, rest)):
        raise _broken("bytes follow the end of the archive", position)


def _cut(message: str, end: int, source: ByteSource) -> MalformedError:
    return MalformedError(
        message,
        rules.TRUNCATED,
        offset=source.size,
        expected=f"{end:,} bytes or more",
        found=f"{source.size:,}",
    )


def _broken(message: str, position: int, rule: rules.Rule = rules.TAR_STRUCTURE) -> MalformedError:
    return MalformedError(message, rule, offset=position)
