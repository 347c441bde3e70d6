"""A zip archive taken apart into its records, and put together again as they say.

Lies survive: what a record says of places and lengths is kept as the distance from the truth, so
that it is the same lie after other records have moved.
"""

from __future__ import annotations

import struct
import zlib
from typing import Dict, Iterable, List, Tuple

_LOCAL = ("version", "flags", "method", "time", "date", "crc", "packed", "size", "names", "extras")
_CENTRAL = (
    *("made", *_LOCAL, "comments"),
    *("disk", "internal", "external", "offset"),
)
_END = ("disk", "start", "here", "total", "size", "offset", "comments")
_END64 = ("length", "made", "version", "disk", "start", "here", "total", "size", "offset")
_LOCATOR = ("disk", "offset", "disks")
_SUMS = ("crc", "packed", "size")

Fields = Dict[str, int]
#: In a field of any size: all ones, which says that the value stands elsewhere.
SATURATED = 2**64 - 1
#: The kind of the extra field with the values that stand elsewhere.
ZIP64 = 1


class Form:
    """A kind of record: its mark, and fields of a fixed size."""

    def __init__(self, mark: bytes, names: Tuple[str, ...], codes: str) -> None:
        self.mark, self.names = mark, names
        self.sizes = {name: 8 * struct.calcsize(code) for name, code in zip(names, codes)}
        self._struct = struct.Struct("<" + codes)
        self.size = len(mark) + self._struct.size

    def is_at(self, content: bytes, place: int) -> bool:
        """Whether such a record begins there."""
        return content.startswith(self.mark, place) and place + self.size <= len(content)

    def read(self, content: bytes, place: int) -> Fields:
        """Return the fields of the record that begins there."""
        values = self._struct.unpack_from(content, place + len(self.mark))
        sizes = self.sizes.items()
        return {
            name: SATURATED if value == 2**size - 1 else value
            for (name, size), value in zip(sizes, values)
        }

    def write(self, fields: Fields) -> bytes:
        """Return the record; of a number that is too large for its field what fits."""
        values = (fields[name] % 2 ** self.sizes[name] for name in self.names)
        return self.mark + self._struct.pack(*values)


LOCAL = Form(b"PK\x03\x04", _LOCAL, "HHHHHIIIHH")
CENTRAL = Form(b"PK\x01\x02", _CENTRAL, "HHHHHHIIIHHHHHII")
DESCRIPTOR, LONG_DESCRIPTOR = Form(b"PK\x07\x08", _SUMS, "III"), Form(b"PK\x07\x08", _SUMS, "IQQ")
END64, LOCATOR = (
    Form(b"PK\x06\x06", _END64, "QHHIIQQQQ"),
    Form(b"PK\x06\x07", _LOCATOR, "IQI"),
)
END = Form(b"PK\x05\x06", _END, "HHHHIIH")


class Part:
    """A member where it lies: its local header, its bytes, and what stands around them.

    ``names`` and ``extras`` among the fields are the distance from the real lengths. Of the
    ``rest``, what stands between the bytes and the next part, a descriptor is the beginning.
    """

    def __init__(self, fields: Fields, name: bytes, extra: bytes, data: bytes) -> None:
        self.fields, self.name, self.extra, self.data = fields, name, extra, data
        self.descriptor: Tuple[Form, Fields] | None = None
        self.rest = b""

    def written(self) -> bytes:
        """Return all bytes of the part."""
        real = {"names": len(self.name), "extras": len(self.extra)}
        fields = _moved(self.fields, real, 1)
        after = self.descriptor[0].write(self.descriptor[1]) if self.descriptor else b""
        return LOCAL.write(fields) + self.name + self.extra + self.data + after + self.rest

    def copy(self) -> Part:
        """Return one that can be changed by itself."""
        other = Part({**self.fields}, self.name, self.extra, self.data)
        if self.descriptor:
            other.descriptor = self.descriptor[0], {**self.descriptor[1]}
        other.rest = self.rest
        return other


class Record:
    """A member as the directory lists it. Lengths are distances, and so are the offsets.

    Attributes:
        wide: the offset of eight bytes, and where in the extra fields it is to be put in.
    """

    def __init__(self, fields: Fields, name: bytes, extra: bytes, comment: bytes) -> None:
        self.fields, self.name, self.extra, self.comment = fields, name, extra, comment
        self.part: Part | None = None
        self.wide: Tuple[int, int] | None = None

    def written(self, starts: Dict[int, int]) -> bytes:
        """Return the bytes of the record; ``starts`` are the places of the parts, by their id."""
        start, extra = starts.get(id(self.part), 0), self.extra
        if self.wide is not None:
            at, distance = self.wide
            offset = struct.pack("<Q", (start + distance) % 2**64)
            extra = extra[:at] + offset + extra[at:]
        real = {"names": len(self.name), "extras": len(extra), "comments": len(self.comment)}
        fields = _moved(self.fields, {**real, "offset": start}, 1)
        return CENTRAL.write(fields) + self.name + extra + self.comment

    @property
    def packed(self) -> int:
        """The size of the member's bytes, wherever it stands."""
        packed = self.fields["packed"]
        return self._wide(self.fields["size"]) if packed == SATURATED else packed

    @property
    def offset(self) -> int:
        """The offset, wherever it stands, before it is a distance."""
        offset = self.fields["offset"]
        before = self.fields["size"], self.fields["packed"]
        return self._wide(*before) if offset == SATURATED else offset

    def point_at(self, start: int) -> None:
        """Make the offset the distance from the place where the part begins."""
        offset, at = self.offset, self._wide_at(self.fields["size"], self.fields["packed"])
        if self.fields["offset"] != SATURATED:
            self.fields["offset"] -= start
        elif at is not None:
            self.wide = at, offset - start
            self.extra = self.extra[:at] + self.extra[at + 8 :]

    def _wide(self, *before: int) -> int:
        at = self._wide_at(*before)
        return 0 if at is None else int(struct.unpack_from("<Q", self.extra, at)[0])

    def _wide_at(self, *before: int) -> int | None:
        """Return where in the extra fields the value behind those ``before`` it stands."""
        at, place = 4, 8 * before.count(SATURATED)
        for kind, data in extra_fields(self.extra) or ():
            if kind == ZIP64 and place + 8 <= len(data):
                return at + place
            at += 4 + len(data)
        return None

    def copy(self) -> Record:
        """Return one of the same part that can be changed by itself."""
        other = Record({**self.fields}, self.name, self.extra, self.comment)
        other.part, other.wide = self.part, self.wide
        return other


class Zip:
    """An archive: what stands before it, its parts, its directory, its end, what follows."""

    def __init__(self) -> None:
        self.before = b""
        self.parts: List[Part] = []
        self.records: List[Record] = []
        self.end64: Fields | None = None
        self.locator: Fields | None = None
        self.end: Fields = {}
        self.after = b""

    def written(self) -> bytes:
        """Return the bytes of the archive."""
        body = [self.before]
        starts: Dict[int, int] = {}
        place = len(self.before)
        for part in self.parts:
            starts.setdefault(id(part), place)
            body.append(part.written())
            place += len(body[-1])
        listed = [record.written(starts) for record in self.records]
        real = {"size": sum(map(len, listed)), "offset": place}
        real["here"] = real["total"] = len(listed)
        end64 = place + real["size"]
        tail = b""
        if self.end64 is not None:
            tail += END64.write(_moved(self.end64, {**real, "length": 44}, 1))
        if self.locator is not None:
            tail += LOCATOR.write(_moved(self.locator, {"offset": end64, "disks": 1}, 1))
        end = END.write(_moved(self.end, {**real, "comments": len(self.after)}, 1))
        return b"".join((*body, *listed, tail, end, self.after))


def parsed(content: bytes) -> Zip | None:
    """Take an archive apart; ``None`` where no end record or no directory is found."""
    stop = content.rfind(END.mark)
    if stop < 0 or not END.is_at(content, stop):
        return None
    made = Zip()
    end = END.read(content, stop)
    made.after = content[stop + END.size :]
    directory = end64 = locator = stop
    if LOCATOR.is_at(content, stop - LOCATOR.size):
        locator = end64 = stop - LOCATOR.size
    if END64.is_at(content, end64 - END64.size):
        end64 -= END64.size
    directory = content.find(CENTRAL.mark)
    records = _records(content, directory, end64) if 0 <= directory < end64 else None
    if records is None:
        return None
    real = {"size": end64 - directory, "offset": directory}
    real["here"] = real["total"] = len(records)
    made.end = _moved(end, {**real, "comments": len(made.after)}, -1)
    if locator < stop:
        fields = LOCATOR.read(content, locator)
        made.locator = _moved(fields, {"offset": end64, "disks": 1}, -1)
    if end64 < locator:
        made.end64 = _moved(END64.read(content, end64), {**real, "length": 44}, -1)
    made.records = records
    made.before, made.parts = _parts(content[:directory], records)
    return made


def _moved(fields: Fields, real: Fields, sign: int) -> Fields:
    """Return the fields with the real values added, or taken away."""
    return {
        name: value if value == SATURATED else value + sign * real.get(name, 0)
        for name, value in fields.items()
    }


def _records(content: bytes, place: int, stop: int) -> List[Record] | None:
    found = []
    while place < stop:
        if not CENTRAL.is_at(content, place):
            return None
        fields = CENTRAL.read(content, place)
        lengths = fields["names"], fields["extras"], fields["comments"]
        place += CENTRAL.size
        if place + sum(lengths) > stop:
            return None
        texts = []
        for length in lengths:
            texts.append(content[place : place + length])
            place += length
        fields.update(names=0, extras=0, comments=0)
        found.append(Record(fields, texts[0], texts[1], texts[2]))
    return found


def _parts(content: bytes, records: List[Record]) -> Tuple[bytes, List[Part]]:
    """Return what stands before the parts, and these; each record gets the one it points at."""
    starts = sorted(_starts(content, records))
    sizes = {record.offset: record.packed for record in records}
    parts = []
    for start, stop in zip(starts, [*starts[1:], len(content)]):
        parts.append(_part(content[start:stop], sizes.get(start)))
    for record in records:
        wanted = record.offset
        nearest = min(range(len(starts)), key=lambda n: abs(starts[n] - wanted), default=None)
        if nearest is not None:
            record.part = parts[nearest]
            record.point_at(starts[nearest])
    return content[: starts[0] if starts else len(content)], parts


def _starts(content: bytes, records: List[Record]) -> List[int]:
    listed = {record.offset for record in records}
    if all(LOCAL.is_at(content, place) for place in listed):
        return list(listed)
    found, place = [], content.find(LOCAL.mark)
    while place >= 0 and LOCAL.is_at(content, place):
        found.append(place)
        place = content.find(LOCAL.mark, place + LOCAL.size)
    return found


def _part(content: bytes, packed: int | None) -> Part:
    fields = LOCAL.read(content, 0)
    names, extras = LOCAL.size + fields["names"], fields["extras"]
    data = names + extras
    if data > len(content):
        data = names = min(names, len(content))
    rest = min(data + (fields["packed"] if packed is None else packed), len(content))
    after = content.find(DESCRIPTOR.mark, data) if rest == len(content) else rest
    fields["names"] -= names - LOCAL.size
    fields["extras"] -= data - names
    made = Part(fields, content[LOCAL.size : names], content[names:data], content[data:after])
    made.rest = content[after:] if after >= 0 else b""
    if after < 0:
        made.data = content[data:]
    for form in (LONG_DESCRIPTOR, DESCRIPTOR):
        if len(made.rest) == form.size and form.is_at(made.rest, 0):
            made.descriptor, made.rest = (form, form.read(made.rest, 0)), b""
    return made


def extra_fields(extra: bytes) -> List[Tuple[int, bytes]] | None:
    """Return kinds and contents of extra fields; ``None`` where they do not fit together."""
    found, place = [], 0
    while place < len(extra):
        if place + 4 > len(extra):
            return None
        kind, length = struct.unpack_from("<HH", extra, place)
        place += 4 + length
        if place > len(extra):
            return None
        found.append((kind, extra[place - length : place]))
    return found


def of_fields(fields: Iterable[Tuple[int, bytes]]) -> bytes:
    """Return extra fields as bytes."""
    return b"".join(struct.pack("<HH", kind, len(data) % 2**16) + data for kind, data in fields)


def record_of(name: bytes, data: bytes) -> Tuple[Record, Part]:
    """Return a new member, stored as zipfile stores it."""
    sums = {"crc": zlib.crc32(data), "packed": len(data), "size": len(data)}
    fields = {**dict.fromkeys(_LOCAL, 0), "version": 20, "flags": 0x0800, **sums}
    part = Part(fields, name, b"", data)
    record = Record({**dict.fromkeys(_CENTRAL, 0), **fields}, name, b"", b"")
    record.part = part
    return record, part
