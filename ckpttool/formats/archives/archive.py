"""Strict reading of a zip archive: a file that two readers would see differently is refused.

torch, Python's ``zipfile``, unpackers and scanners disagree about duplicate, case-colliding,
prepended, appended and mislabelled members. In an archive that this module accepts the
directory, the local headers and the bytes between them agree.
"""

from __future__ import annotations

import unicodedata
import zlib
from typing import TYPE_CHECKING, Iterable, NamedTuple

from ckpttool.files.sources import ByteSource, read_bytes
from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError
from ckpttool.findings.text import printable
from ckpttool.formats.archives.zip_end import find_directory
from ckpttool.formats.archives.zip_far import FarMembers
from ckpttool.formats.archives.zip_headers import LocalHeaders
from ckpttool.formats.archives.zip_records import records

if TYPE_CHECKING:
    from ckpttool.formats.archives.zip_records import Record

#: Characters of all names that are not plain ASCII: folding their case takes several copies of
#: four bytes a character, and torch's own names are ASCII.
MAX_WIDE_NAMES = 4_000_000


class Member(NamedTuple):
    """A member, stored as it is, or deflated where ``full`` is not ``None``.

    Attributes:
        name: its path in the archive, such as ``archive/data/0``.
        offset: of its first byte, in the file.
        size: of its bytes in the archive.
        crc32: as stored; 0 in an archive without checksums.
        has_crc: whether ``crc32`` was computed.
        full: the size of a deflated member once it is inflated.
    """

    name: str
    offset: int
    size: int
    crc32: int
    has_crc: bool = True
    full: int | None = None


class Archive(NamedTuple):
    """An archive.

    Attributes:
        members: by name, in the order of the file.
        has_checksums: whether checksums were written.
        source: what the members' offsets count in.
    """

    members: dict[str, Member]
    has_checksums: bool
    source: ByteSource


def read_archive(source: ByteSource, *, code: bool = False) -> Archive:
    """Return the catalogue of the zip archive that ``source`` is, from first byte to last.

    ``code``: take a program, whose code is deflated, too.

    Only the directory and the headers are read; of a far source the directory alone, and a header
    when its member is read. Memory and time are bounded by
    ``zip_end.MAX_MEMBERS`` and ``zip_end.MAX_DIRECTORY``, whatever the file claims.

    Raises:
        MalformedError: the archive can be read in two ways, is not stored, has names that
            are not safe, or is beyond the limits.
        UnsupportedError: a TorchScript program, without ``code``.
        UnreadableError: the file changed meanwhile.
    """
    directory = find_directory(source)
    data = read_bytes(source, directory.offset, directory.size)
    listed: Iterable[Record] = records(data, directory, code=code)
    headers = None if source.is_far else LocalHeaders(source, directory.offset)
    if headers is None:
        listed = _in_sequence(list(listed), directory.offset)
        source = FarMembers(source, listed, directory.offset)
    members: dict[str, Member] = {}
    summed = False
    for record in listed:
        name = record.name
        offset = headers.pass_member(record) if headers else record.offset
        # zipfile takes the last of two, other readers the first
        if name in members:
            raise _twice(name, name)
        # not by the class: its __new__ takes as long again
        members[name] = tuple.__new__(Member, (name, offset, record.size, record.crc32, True, None))
        if record.deflated:
            members[name] = members[name]._replace(full=record.full)
        summed = summed or record.crc32 != 0
    if headers:
        headers.finish()
    _check_collisions(members)
    # torch.serialization.set_crc32_options(False) writes 0 for every member: no checksum to check
    if not summed:
        members = {name: member._replace(has_crc=False) for name, member in members.items()}
    return Archive(members, summed, source)


def _in_sequence(listed: list[Record], limit: int) -> list[Record]:
    """Return the records of a directory, if there is room for each before the next one."""
    ends = [*(record.offset for record in listed[1:]), limit]
    if listed and listed[0].offset:
        raise _out_of_place(listed[0], 0)
    for record, end in zip(listed, ends):
        if record.offset + record.size > end:
            raise _out_of_place(record, end)
    return listed


def _out_of_place(record: Record, end: int) -> MalformedError:
    return MalformedError(
        f"{printable(record.name)} is not where the members before and after it leave room",
        rules.ZIP_DISAGREES,
        offset=record.offset,
        expected=f"its end at byte {end} or before" if end else "the archive's first byte",
    )


def read_member(source: ByteSource, member: Member, limit: int) -> bytes:
    """Return the bytes of a member, once their checksum matches.

    Raises:
        MalformedError: there are more than ``limit`` bytes (nothing is read then), or they do
            not match the checksum.
    """
    size = max(member.size, member.full or 0)
    if size > limit:
        raise MalformedError(
            "the member is larger than the limit",
            rules.LIMIT,
            member=member.name,
            expected=f"at most {limit:,} bytes",
            found=f"{size:,} bytes",
        )
    data = read_bytes(source, member.offset, member.size)
    if member.full is not None:
        data = _inflated(data, member)
    crc = zlib.crc32(data)
    if member.has_crc and crc != member.crc32:
        raise MalformedError(
            "the bytes do not match their checksum",
            rules.CHECKSUM,
            member=member.name,
            expected=f"{member.crc32:08x}",
            found=f"{crc:08x}",
        )
    return data


def _inflated(data: bytes, member: Member) -> bytes:
    """Return the bytes of a deflated member, which are as many as the archive says."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    full = member.full or 0
    try:
        # one byte more than there should be: a bomb is noticed before it goes off
        found = inflater.decompress(data, full + 1)
    except zlib.error as error:
        raise _not_deflated(member, str(error)) from error
    if len(found) != full or not inflater.eof or inflater.unused_data:
        raise _not_deflated(member, "another number of bytes")
    return found


def _not_deflated(member: Member, found: str) -> MalformedError:
    return MalformedError(
        "the member cannot be inflated",
        rules.ZIP_METHOD,
        member=member.name,
        expected=f"{member.full or 0:,} deflated bytes",
        found=found,
    )


def _check_collisions(members: dict[str, Member]) -> None:
    """Refuse names that a file system or a reader that ignores case would take for one."""
    if sum(len(name) for name in members if not name.isascii()) > MAX_WIDE_NAMES:
        raise MalformedError(
            "the names are longer than the limit",
            rules.LIMIT,
            expected=f"at most {MAX_WIDE_NAMES:,} characters in names that are not ASCII",
        )
    # Hashes, not the folded names: those could be many times the size of the directory. By chance
    # two of 64 bits collide in one of 30 million archives with a million members.
    seen: dict[int, str] = {}
    for name in members:
        # not by the function alone: nearly every name is plain, and there may be a million
        folded = hash(name.lower() if name.isascii() else _folded(name))
        other = seen.setdefault(folded, name)
        if other is not name:
            raise _twice(name, other)


def _folded(name: str) -> str:
    # as in Unicode's canonical caseless matching: macOS takes both forms of an accent for one
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _twice(name: str, other: str) -> MalformedError:
    both = "twice" if name == other else f"beside {printable(other)}"
    return MalformedError(
        f"the archive has {printable(name)} {both}, and readers differ in which one they take",
        rules.DUPLICATE_KEY,
    )
