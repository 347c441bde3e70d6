"""Changes to a tar archive: a header's field, a member, an extended header, or what is behind all.

Checksums of headers are mended after most changes, so that these get past the first look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Dict, List, Sequence

from tests.fuzzing.mutations import raw
from tests.fuzzing.mutations.tar_parts import BLOCK, SIZES, Member, Tar, number, parsed, sized

if TYPE_CHECKING:
    from random import Random

#: Contents that may be put into members, by name.
Contents = Callable[["Random"], Dict[bytes, bytes]]
_Change = Callable[[Tar, "Random", Contents], None]

_NAMES = (
    *(b"storages", b"tensors", b"pickle", b"sys_info", b"./pickle", b"/pickle", b"pickle/", b""),
    *(b"PICKLE", b"a/pickle", b"../pickle", b"pickle\0x", b"pick\xffle", b" pickle", b"x" * 100),
    *(b"PaxHeader", b"././@LongLink", b"evil", b"pickle ", b"..", b"\x1b[2J", b"pickle\\"),
)
_KINDS = (b"0", b"\0", b"1", b"2", b"3", b"5", b"6", b"7", b"L", b"K", b"S", b"x", b"X", b"g", b"D")
_MAGICS = (b"ustar\x0000", b"ustar  \0", b"ustar\x00  ", bytes(8), b"ustar00\0", b"USTAR\x0000")
_KEYS = (
    *(b"path", b"size", b"linkpath", b"mtime", b"atime", b"uid", b"comment", b"hdrcharset", b""),
    *(b"GNU.sparse.major", b"GNU.sparse.minor", b"GNU.sparse.name", b"GNU.sparse.realsize"),
    *(b"GNU.sparse.size", b"GNU.sparse.map", b"SCHILY.xattr.user.a", b"charset", b"uname"),
)
_VALUES = (
    *(
        b"pickle",
        b"storages",
        b"tensors",
        b"0",
        b"1",
        b"5",
        b"512",
        b"-1",
        b"1e3",
        b"",
        b"\n",
        b"=",
    ),
    *(b"1490000000.25", b"BINARY", b"0,4", b"\xff", b"9" * 30, b"nan", b"evil"),
)


def mutate(content: bytes, random: Random, contents: Contents) -> bytes:
    """Return the archive with one change; of anything else, the bytes with one."""
    archive = parsed(content) if random.random() < 0.95 else None
    if archive is None or not archive.members:
        return raw.mutate(content, random)
    random.choice(_CHANGES)(archive, random, contents)
    return archive.written()


def _field(archive: Tar, random: Random, _: Contents) -> None:
    """Change a field of a header to a number in one of its spellings, or some bytes of it."""
    member = random.choice(archive.members)
    name = random.choice(("size", "size", "mtime", "mode", "uid", "major", "sum", *SIZES))
    old = member.fields[name]
    kind = random.randrange(3)
    if name == "sum":
        member.summed = random.random() < 0.3
    if kind == 0:
        member.fields[name] = sized(raw.mutate(old, random), name)
    else:
        near = number(old) or 0
        value = random.choice((near, near, near + 1, near - 1, near + BLOCK, raw.edge(random)))
        member.fields[name] = sized(_spelled(value, SIZES[name], random), name)


def _spelled(value: int, size: int, random: Random) -> bytes:
    """Return a number as tar files have them, or as no reader should take it."""
    kind = random.randrange(10)
    digits = b"%o" % abs(value)
    if kind < 3:
        return digits.rjust(size - 1, b"0") + b"\0"
    if kind == 3:
        return digits.rjust(size, b"0")[-size:]
    if kind == 4:
        return digits.rjust(size - 2, b" ") + b" \0"
    if kind == 5:
        return digits + b" "
    if kind in (6, 7):
        least = ((1 << 8 * (size - 1)) - 1) & (value if kind == 6 else -value)
        return (b"\x80" if kind == 6 else b"\xff") + least.to_bytes(size - 1, "big")
    odd = (b"-" + digits, b"0o" + digits, b"+" + digits, b"1_0", b"8", b"", b"\0" + digits, b" ")
    return random.choice(odd)


def _name(archive: Tar, random: Random, _: Contents) -> None:
    member = random.choice(archive.members)
    other = random.choice(archive.members).fields["name"]
    name = random.choice((other, *_NAMES))
    which = random.choice(("name", "name", "name", "link", "prefix", "uname"))
    member.fields[which] = sized(name, which)


def _kind(archive: Tar, random: Random, _: Contents) -> None:
    """Let a member be of another kind: a link to another one, a device, a sparse file."""
    member = random.choice(archive.members)
    kind = member.fields["kind"] = random.choice(_KINDS)
    if kind in (b"1", b"2") or random.random() < 0.2:
        target = random.choice((random.choice(archive.members).fields["name"], *_NAMES))
        member.fields["link"] = sized(target.rstrip(b"\0"), "link")
        if random.random() < 0.7:
            member.fields["size"] = b"0" * 11 + b"\0"
            member.data = b""
    if random.random() < 0.3:
        magic = random.choice(_MAGICS)
        member.fields["magic"], member.fields["version"] = magic[:6], magic[6:]


def _magic(archive: Tar, random: Random, _: Contents) -> None:
    """Let one header, or all, be of another kind of tar."""
    magic = random.choice(_MAGICS)
    for member in random.choice((archive.members, [random.choice(archive.members)])):
        member.fields["magic"], member.fields["version"] = magic[:6], magic[6:]


def _extended(archive: Tar, random: Random, _: Contents) -> None:
    """Put an extended header before a member, or change the records of one."""
    found = [one for one in archive.members if one.fields["kind"] in (b"x", b"g")]
    records = b"".join(_record(random) for _ in range(random.choice((1, 1, 1, 2, 3))))
    if found and random.random() < 0.5:
        member = random.choice(found)
        member.data = random.choice((records, member.data + records, raw.mutate(records, random)))
        member.agree()
        return
    kind = random.choice((b"x", b"x", b"x", b"g", b"X"))
    _put(archive, random, Member.made(b"PaxHeader", records, kind))


def _record(random: Random) -> bytes:
    """Return a record of an extended header, whose length is mostly right."""
    rest = b" " + random.choice(_KEYS) + b"=" + random.choice(_VALUES) + b"\n"
    length = len(rest) + 1
    while len(b"%d" % length) + len(rest) != length:
        length = len(b"%d" % length) + len(rest)
    if random.random() < 0.1:
        length = random.choice((0, 1, length - 1, length + 1, raw.edge(random)))
    return b"%d" % length + rest


def _long(archive: Tar, random: Random, _: Contents) -> None:
    """Put a long name of GNU's kind before a member."""
    name = random.choice(_NAMES) + random.choice((b"", b"\0", b"\0\0", b"x" * 200))
    _put(archive, random, Member.made(b"././@LongLink", name, random.choice((b"L", b"L", b"K"))))


def _put(archive: Tar, random: Random, member: Member) -> None:
    archive.members.insert(random.randrange(len(archive.members) + 1), member)


def _sparse(archive: Tar, random: Random, _: Contents) -> None:
    """Let a member be a sparse file of GNU's old kind, whose map stands in the header."""
    member = random.choice(archive.members)
    member.fields.update(kind=b"S", magic=b"ustar ", version=b" \0")
    tail = bytearray(sized(b"", "prefix") + sized(b"", "rest"))
    for at in range(41, 137, 12):
        spelled = _spelled(
            random.choice((0, 0, len(member.data), 512, raw.edge(random))), 12, random
        )
        tail[at : at + 12] = spelled[:12].ljust(12, b"\0")
    tail[137] = random.choice((0, 0, 1))
    tail[138:150] = b"%011o\0" % len(member.data)
    member.fields["prefix"], member.fields["rest"] = bytes(tail[:155]), bytes(tail[155:])


def _data(archive: Tar, random: Random, contents: Contents) -> None:
    """Change the bytes of a member, and its size most of the time."""
    member = random.choice(archive.members)
    if random.random() < 0.5:
        member.data = raw.mutate(member.data, random)
    else:
        member.data = random.choice(list(contents(random).values()))
    if random.random() < 0.9:
        member.agree()


def _content(archive: Tar, random: Random, contents: Contents) -> None:
    """Change what the members say, all of them or one."""
    found = contents(random)
    names = list(found) if random.random() < 0.8 else [random.choice(list(found))]
    for member in archive.members:
        if member.name in names and member.fields["kind"] in (b"0", b"\0"):
            member.data = found[member.name]
            member.agree()


def _add(archive: Tar, random: Random, contents: Contents) -> None:
    name, data = random.choice(list(contents(random).items()))
    name = random.choice((name, name, *_NAMES))
    _put(archive, random, Member.made(name, data, random.choice((b"0", b"0", *_KINDS))))


def _order(archive: Tar, random: Random, _: Contents) -> None:
    """Take a member away, put it elsewhere, or have it twice."""
    member = random.choice(archive.members)
    kind = random.randrange(3)
    if kind != 0:
        _put(archive, random, member.copy())
    if kind != 1:
        archive.members.remove(member)


def _padding(archive: Tar, random: Random, _: Contents) -> None:
    """Let the room behind a member, or the end of the archive, be another one."""
    if random.random() < 0.4:
        member = random.choice(archive.members)
        lengths = (len(member.padding), BLOCK, 0, 1)
        member.padding = random.choice((b"\0", b"P")) * random.choice(lengths)
        return
    whole = archive.written()
    ends = (bytes(BLOCK), bytes(2 * BLOCK), bytes(20 * BLOCK), b"", b"\0", bytes(BLOCK) + whole)
    archive.rest = random.choice((*ends, archive.rest + b"x", raw.mutate(archive.rest, random)))


def _many(archive: Tar, random: Random, _: Contents) -> None:
    """Have a member many times, most of the time only some."""
    member = random.choice(archive.members)
    times = random.choice((2, 2, 2, 70)) if random.random() < 0.99 else 2_000
    at = random.randrange(len(archive.members) + 1)
    copies: List[Member] = [member.copy() for _ in range(times)]
    if random.random() < 0.5:
        for place, one in enumerate(copies):
            one.fields["name"] = sized(b"%d" % place, "name")
    archive.members[at:at] = copies


_CHANGES: Sequence[_Change] = (
    *(_field, _field, _field, _name, _name, _kind, _kind, _magic, _extended, _extended, _long),
    *(_sparse, _data, _data, _content, _content, _content, _content, _add, _add, _order, _order),
    *(_padding, _many),
)
