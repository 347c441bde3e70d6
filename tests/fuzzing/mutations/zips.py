"""Changes to a zip archive: one field, name, member or part of it, the rest mended or not."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Callable, Dict, List, Sequence, Tuple

from tests.fuzzing.mutations import raw
from tests.fuzzing.mutations.zip_parts import (
    DESCRIPTOR,
    LONG_DESCRIPTOR,
    SATURATED,
    ZIP64,
    Fields,
    Part,
    Record,
    Zip,
    extra_fields,
    of_fields,
    parsed,
    record_of,
)
from tests.fuzzing.mutations.zip_sums import agree

if TYPE_CHECKING:
    from random import Random

#: Members that may be put into an archive: names below its folder, and contents.
Donors = Sequence[Tuple[bytes, bytes]]
_Change = Callable[[Zip, "Random", Donors], None]

#: What names are changed to, and what is put into them.
_NAMES = (
    *(b"", b".", b"..", b"/", b"\\", b"\0", b"C:/", b"../", b"./", b"\x1b[2J", b"\xff", b"~", b" "),
    *("\u00e9".encode(), "e\u0301".encode(), "\u212a".encode(), "\u0130".encode(), b"K" * 600),
    *(b"archive/", b"data/", b"code/", b".data/", b"DATA/", b"0", b"00", b"1", b"data.pkl", b"a"),
)
#: Contents of small members, good ones and others.
_TEXTS = (
    *(b"", b"1", b"3\n", b" 3", b"10", b"11", b"0", b"-3", b"+3", b"3_0", b"1e1", b"\xb2", b"03"),
    *(b"big", b"little", b"Big", b"big\n", b"64", b"1" * 70, b"\xd9\xa3"),
)
_EXTRA_KINDS = (ZIP64, 0x4246, 0xD935, 0x5455, 0x7875, 0x7075, 0x9901, 0x6375, 0, 0xFFFF)
_FLAGS = (0, 0x0001, 0x0002, 0x0006, 0x0008, 0x0020, 0x0040, 0x0800, 0x0808, 0x2808)


def mutate(content: bytes, random: Random, donors: Donors) -> bytes:
    """Return the archive with one change; of anything else, the bytes with one."""
    archive = parsed(content) if random.random() < 0.9 else None
    if archive is None or not archive.records or not archive.parts:
        return raw.mutate(content, random)
    random.choice(_CHANGES)(archive, random, donors)
    return archive.written()


def _pair(archive: Zip, random: Random) -> Tuple[Record, Part]:
    record = random.choice(archive.records)
    return record, record.part or random.choice(archive.parts)


def _both(archive: Zip, random: Random) -> List[Record | Part]:
    """Return a record and its part, or, less often, one of them alone."""
    record, part = _pair(archive, random)
    ways: Tuple[List[Record | Part], ...] = ([record, part], [record, part], [record], [part])
    return random.choice(ways)


def _field(archive: Zip, random: Random, _: Donors) -> None:
    """Change a number in one record, or the same one in both of a member."""
    record, part = _pair(archive, random)
    ends = (archive.end, archive.end64, archive.locator)
    descriptor = part.descriptor[1] if part.descriptor else None
    forms = [record.fields, record.fields, part.fields, part.fields, descriptor, *ends]
    fields = random.choice([one for one in forms if one])
    name = random.choice(list(fields))
    value = _value(fields[name], name, random)
    fields[name] = value
    if fields is record.fields and name in part.fields and random.random() < 0.5:
        part.fields[name] = value
        if descriptor and name in descriptor and random.random() < 0.7:
            descriptor[name] = value


def _value(old: int, name: str, random: Random) -> int:
    if name == "flags" and random.random() < 0.7:
        return random.choice(_FLAGS)
    if name == "method" and random.random() < 0.7:
        return random.choice((0, 8, 9, 12, 99))
    near = (old + 1, old - 1, old ^ (1 << random.randrange(32)), 0, SATURATED, old * 2)
    return random.choice((*near, raw.edge(random), -raw.edge(random)))


def _name(archive: Zip, random: Random, donors: Donors) -> None:
    """Change the name of a member, in one of its records or in both."""
    new = _new_name(archive, random, donors)
    for one in _both(archive, random):
        one.name = new
        _say_encoding(one.fields, new, random)


def _new_name(archive: Zip, random: Random, donors: Donors) -> bytes:
    old, other = (random.choice(archive.records).name for _ in range(2))
    at = random.randrange(len(old) + 1)
    text, top = random.choice(_NAMES), old.partition(b"/")[0]
    names = (other, other.upper(), other.swapcase(), text, old[:at] + text + old[at:])
    below = top + b"/" + random.choice(donors)[0]
    return random.choice((*names, below, below, top + b"/" + old, old[:at] + old[at + 1 :]))


def _say_encoding(fields: Fields, name: bytes, random: Random) -> None:
    if not name.isascii() and random.random() < 0.8:
        fields["flags"] |= 0x0800


def _folder(archive: Zip, random: Random, _: Donors) -> None:
    """Change the top folder of all members, or of those behind one."""
    new = random.choice((b"a", b"archive/archive", b"data", b"x y", "\u00e9".encode(), b"", b".."))
    first = random.choice((0, 0, 0, random.randrange(len(archive.records))))
    changed: List[Record | Part] = [*archive.records[first:], *archive.parts[first:]]
    for one in changed:
        one.name = new + b"/" + one.name.partition(b"/")[2]
        _say_encoding(one.fields, new, random)


def _extra(archive: Zip, random: Random, _: Donors) -> None:
    """Change, add or take away an extra field, or the bytes of all."""
    for one in _both(archive, random):
        listed = extra_fields(one.extra)
        if listed is None or random.random() < 0.15:
            one.extra = raw.mutate(one.extra, random)
            continue
        at = random.randrange(len(listed) + 1)
        size = random.choice((0, 1, 4, 8, 16, 24, 28, 60))
        new = (random.choice(_EXTRA_KINDS), random.choice((bytes(size), b"Z" * size, one.name)))
        change = random.randrange(5)
        if change == 0:
            del listed[at:]
        elif change == 1:
            listed[at : at + 1] = [new]
        else:
            listed[at:at] = [new] * random.choice((1, 1, 1, 9))
        one.extra = of_fields(listed)


def _align(archive: Zip, random: Random, _: Donors) -> None:
    """Pad each part as torch does, so that its bytes begin at a multiple of 64 or another one."""
    to, place = random.choice((8, 64, 64, 4096)), len(archive.before)
    for part in archive.parts:
        listed = [one for one in extra_fields(part.extra) or () if one[0] != 0x4246]
        part.extra = of_fields(listed)
        start = place + len(part.written()) - len(part.data) - len(part.rest)
        if part.descriptor:
            start -= part.descriptor[0].size
        part.extra += of_fields([(0x4246, b"Z" * (-(start + 4) % to))])
        place += len(part.written())


def _data(archive: Zip, random: Random, donors: Donors) -> None:
    """Change the bytes of a member; most of the time its checksum and sizes as well."""
    _, part = _pair(archive, random)
    kind = random.randrange(4)
    if kind == 0 or (kind == 1 and len(part.data) < 20):
        part.data = random.choice(_TEXTS)
    elif kind == 1:
        part.data = random.choice(donors)[1]
    else:
        part.data = raw.mutate(part.data, random)
    if random.random() < 0.9:
        agree(archive, part)


def _content(archive: Zip, random: Random, donors: Donors) -> None:
    """Change the bytes of a member for those of one with such a name."""
    name, data = random.choice(donors)
    for part in archive.parts:
        if part.name.endswith(name):
            part.data = data
            agree(archive, part)


def _pack(archive: Zip, random: Random, _: Donors) -> None:
    """Deflate a member, also to another size than it says."""
    record, part = _pair(archive, random)
    packer = zlib.compressobj(random.choice((0, 6, 9)), zlib.DEFLATED, -zlib.MAX_WBITS)
    part.data = packer.compress(part.data) + packer.flush()
    for one in (record, part):
        one.fields["method"] = 8
        one.fields["flags"] |= random.choice((0, 0, 2, 4, 6))
    agree(archive, part)
    if random.random() < 0.3:
        part.data = raw.mutate(part.data, random)
        record.fields["packed"] = len(part.data)


def _add(archive: Zip, random: Random, donors: Donors) -> None:
    """Put in a new member: a whole one, or one that a record or a header alone has."""
    name, data = random.choice(donors)
    top = archive.records[0].name.partition(b"/")[0]
    record, part = record_of(top + b"/" + name, data)
    at = random.randrange(len(archive.parts) + 1)
    if random.random() < 0.9:
        archive.parts.insert(at, part)
    if random.random() < 0.9:
        archive.records.insert(at, record)


def _remove(archive: Zip, random: Random, _: Donors) -> None:
    record, part = _pair(archive, random)
    if random.random() < 0.85 and part in archive.parts:
        archive.parts.remove(part)
    if random.random() < 0.85:
        archive.records.remove(record)


def _repeat(archive: Zip, random: Random, donors: Donors) -> None:
    """List a member twice, store it twice, or both, under its own name or another one."""
    record, part = _pair(archive, random)
    again, stored = record.copy(), part.copy()
    kind = random.randrange(3)
    if kind != 0:
        archive.parts.insert(random.randrange(len(archive.parts) + 1), stored)
    if kind == 1:
        again.part = stored
    if kind != 2:
        archive.records.insert(random.randrange(len(archive.records) + 1), again)
    if random.random() < 0.6:
        again.name = stored.name = _new_name(archive, random, donors)


def _order(archive: Zip, random: Random, _: Donors) -> None:
    """Move a member to another place, in the directory, in the file, or in both."""
    record, part = _pair(archive, random)
    at, kind = random.randrange(len(archive.records)), random.randrange(4)
    if kind != 0:
        archive.records.remove(record)
        archive.records.insert(at, record)
    if kind != 1 and part in archive.parts:
        archive.parts.remove(part)
        archive.parts.insert(at, part)


def _describe(archive: Zip, random: Random, _: Donors) -> None:
    """Let a member's sums stand behind its bytes, or no longer."""
    record, part = _pair(archive, random)
    if part.descriptor and random.random() < 0.6:
        part.descriptor = None
        flags = -1 ^ 8
        for one in (record, part):
            one.fields["flags"] &= flags
    else:
        form = random.choice((DESCRIPTOR, DESCRIPTOR, LONG_DESCRIPTOR))
        part.descriptor = form, {"crc": 0, "packed": 0, "size": 0}
        for one in (record, part):
            one.fields["flags"] |= 8
        if random.random() < 0.7:
            part.fields.update(crc=0, packed=0, size=0)
    agree(archive, part)


def _widen(archive: Zip, random: Random, _: Donors) -> None:
    """Move sizes or an offset of a member into a zip64 field, as in large archives."""
    record, part = _pair(archive, random)
    names = random.choice((("size", "packed"), ("size",), ("packed",), ()))
    if names and random.random() < 0.8:
        part.fields.update(dict.fromkeys(names, SATURATED))
        part.extra += of_fields([(ZIP64, bytes(random.choice((16, 16, 8 * len(names)))))])
        if part.descriptor:
            part.descriptor = LONG_DESCRIPTOR, part.descriptor[1]
    if random.random() < 0.8 and record.wide is None:
        record.fields.update(dict.fromkeys(names, SATURATED))
        before, room = record.extra, 8 * len(names)
        if not names or random.random() < 0.5:
            # the extra field is as long as with the offset, which is put in when it is written
            distance, record.fields["offset"] = record.fields["offset"], SATURATED
            record.wide = len(before) + 4 + room, 0 if distance == SATURATED else distance
            field = of_fields([(ZIP64, bytes(room + 8))])[:-8]
        else:
            field = of_fields([(ZIP64, bytes(room))])
        record.extra = before + field
    agree(archive, part)


def _end(archive: Zip, random: Random, _: Donors) -> None:
    """Give the archive a zip64 end, or take it away; saturate the fields of the short one."""
    if archive.end64 is not None and random.random() < 0.5:
        archive.end64 = random.choice((None, archive.end64))
        archive.locator = None
        return
    if archive.end64 is None:
        names = ("length", "made", "version", "disk", "start", "here", "total", "size", "offset")
        archive.end64 = dict.fromkeys(names, 0)
        archive.locator = dict.fromkeys(("disk", "offset", "disks"), 0)
    wide = random.sample(("here", "total", "size", "offset"), random.randrange(5))
    archive.end.update(dict.fromkeys(wide, SATURATED))
    if "here" in wide or "total" in wide:
        archive.end.update(here=SATURATED, total=SATURATED)


def _gap(archive: Zip, random: Random, donors: Donors) -> None:
    """Put bytes before the archive, behind it, behind a member, or into a comment."""
    filler = (b"\0", b"#!sh\n", bytes(64), archive.written(), random.choice(donors)[1], b"PK\5\6")
    some, kind = random.choice(filler), random.randrange(5)
    if kind == 0:
        archive.before += some
    elif kind == 1:
        random.choice(archive.records).comment += some[:1000]
    elif kind == 2:
        _pair(archive, random)[1].rest += some
    else:
        archive.after += some
        if kind == 3:  # bytes of which the end record does not know
            archive.end["comments"] -= len(some)


def _unsummed(archive: Zip, random: Random, _: Donors) -> None:
    """Set every checksum to zero, as torch does when it is told to compute none."""
    forms: List[Fields] = [one.fields for one in archive.records]
    for part in archive.parts:
        forms += [part.fields, *([part.descriptor[1]] if part.descriptor else [])]
    skipped = random.choice((None, None, random.choice(forms)))
    for fields in forms:
        if fields is not skipped:
            fields["crc"] = 0


def _grow(archive: Zip, random: Random, _: Donors) -> None:
    """Let there be much of something; most of the time nothing is done."""
    if random.random() < 0.97:
        _align(archive, random, ())
        return
    record, part = _pair(archive, random)
    times: Dict[str, int] = {"data": 100_000, "name": 3_000, "records": 3_000}
    kind = random.choice(list(times))
    if kind == "data":
        part.data = (part.data or b"\0") * (times[kind] // (len(part.data) + 1) + 1)
        agree(archive, part)
    elif kind == "name":
        record.name = part.name = (record.name + b"/") * (times[kind] // (len(record.name) + 1))
    else:
        archive.records += [record.copy() for _ in range(times[kind])]


_CHANGES: Tuple[_Change, ...] = (
    *(_field, _field, _field, _name, _name, _extra, _extra, _data, _data, _data, _content),
    *(_folder, _align, _pack, _add, _add, _remove, _repeat, _order, _describe, _widen, _end),
    *(_gap, _unsummed, _grow),
)
