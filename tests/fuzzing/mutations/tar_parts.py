"""A tar archive taken apart into headers and members, and put together again as they say."""

from __future__ import annotations

from typing import Dict, List

#: Bytes of a header, and what members are padded to.
BLOCK = 512
#: The fields of a header, in order, and their bytes.
SIZES: Dict[str, int] = {
    "name": 100,
    "mode": 8,
    "uid": 8,
    "gid": 8,
    "size": 12,
    "mtime": 12,
    "sum": 8,
    "kind": 1,
    "link": 100,
    "magic": 6,
    "version": 2,
    "uname": 32,
    "gname": 32,
    "major": 8,
    "minor": 8,
    "prefix": 155,
    "rest": 12,
}


class Member:
    """A header, the bytes behind it and their padding.

    Attributes:
        summed: whether the header has the checksum of its bytes, whatever these are.
    """

    def __init__(self, fields: Dict[str, bytes], data: bytes, padding: bytes) -> None:
        self.fields, self.data, self.padding = fields, data, padding
        self.summed = True

    @classmethod
    def made(cls, name: bytes, data: bytes, kind: bytes = b"0") -> Member:
        """Return a new member, as tarfile writes it."""
        fields = {field: bytes(size) for field, size in SIZES.items()}
        fields.update(name=sized(name, "name"), kind=kind, magic=b"ustar\0", version=b"00")
        member = cls(fields, data, b"")
        member.agree()
        return member

    @property
    def name(self) -> bytes:
        """The name, as in the header."""
        return self.fields["name"].rstrip(b"\0")

    def agree(self) -> None:
        """Let size and padding be those of the data."""
        self.fields["size"] = b"%011o\0" % len(self.data)
        self.padding = bytes(-len(self.data) % BLOCK)

    def copy(self) -> Member:
        """Return one that can be changed by itself."""
        other = Member({**self.fields}, self.data, self.padding)
        other.summed = self.summed
        return other

    def written(self) -> bytes:
        """Return the bytes of the member."""
        if self.summed:
            total = sum(map(sum, self.fields.values())) - sum(self.fields["sum"])
            self.fields["sum"] = b"%06o\0 " % (total + 8 * ord(" "))
        return b"".join((*self.fields.values(), self.data, self.padding))


class Tar:
    """An archive: its members, and what is behind them."""

    def __init__(self, members: List[Member], rest: bytes) -> None:
        self.members, self.rest = members, rest

    def written(self) -> bytes:
        """Return the bytes of the archive."""
        return b"".join((*(member.written() for member in self.members), self.rest))


def sized(value: bytes, name: str) -> bytes:
    """Return the bytes of a field, cut or filled up to its size."""
    return value[: SIZES[name]].ljust(SIZES[name], b"\0")


def number(field: bytes) -> int | None:
    """Return an octal number or one of base 256, as a lenient reader takes it."""
    if field[:1] in (b"\x80", b"\xff"):
        return int.from_bytes(field[1:], "big")
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        return None


def parsed(content: bytes) -> Tar:
    """Take an archive apart, up to what is no header."""
    members: List[Member] = []
    place = 0
    while place + BLOCK <= len(content) and len(members) < 100:
        fields, at = {}, place
        for name, size in SIZES.items():
            fields[name] = content[at : at + size]
            at += size
        if not any(content[place:at]):
            break
        size = number(fields["size"]) or 0
        data = content[at : at + size]
        end = at + min(size + -size % BLOCK, len(content))
        members.append(Member(fields, data, content[at + len(data) : end]))
        member = members[-1]
        stated, member.summed = fields["sum"], False
        total = sum(content[place:at]) - sum(stated) + 8 * ord(" ")
        member.summed = number(stated) == total
        place = min(end, len(content))
    return Tar(members, content[place:])
