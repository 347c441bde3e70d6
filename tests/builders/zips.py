"""Zip archives emitted by hand as torch writes them, good ones and ones with a named defect."""

from __future__ import annotations

import struct
import zlib
from typing import Callable, Dict, NamedTuple, Tuple

Fields = Dict[str, int]


class Item(NamedTuple):
    """A member, and what its records say otherwise than the truth.

    ``local``, ``central`` and ``descriptor`` replace fields by name; ``local_name`` is the
    name in the local header; ``gap`` bytes stand before it; ``hidden`` leaves it out of the
    directory, ``absent`` everything but its record there.
    """

    name: bytes
    data: bytes
    flags: int = 0x0808
    local: Fields | None = None
    central: Fields | None = None
    descriptor: Fields | None = None
    local_name: bytes | None = None
    local_extra: bytes = b"FB\x03\x00ZZZ"
    central_extra: bytes = b""
    gap: bytes = b""
    hidden: bool = False
    absent: bool = False


MEMBERS = (
    Item(b"archive/data.pkl", b"\x80\x02}."),
    Item(b"archive/data/0", bytes(range(32))),
    Item(b"archive/data/1", b"", flags=0x0800),
    Item(b"archive/version", b"3\n"),
)


def archive(
    *items: Item,
    end: Fields | None = None,
    end64: Fields | None = None,
    locator: Fields | None = None,
    zip64: bool = True,
    before_directory: bytes = b"",
    comment: bytes = b"",
) -> bytes:
    """Return an archive of ``items``; without any, a good one of four members."""
    body, directory = b"", b""
    items = items or MEMBERS
    for item in items:
        body += item.gap
        offset = len(body)
        body += b"" if item.absent else _local(item) + item.data + _descriptor(item)
        directory += b"" if item.hidden else _central(item, offset)
    body += before_directory
    count = sum(not item.hidden for item in items)
    values = {"here": count, "total": count, "size": len(directory), "offset": len(body)}
    tail = b""
    if zip64:
        record = {"length": 44, "disk": 0, "start": 0, **values, **(end64 or {})}
        tail += b"PK\x06\x06" + struct.pack(
            "<QHHIIQQQQ", record.pop("length"), 798, 45, *record.values()
        )
        place = {"disk": 0, "offset": len(body) + len(directory), "disks": 1, **(locator or {})}
        tail += b"PK\x06\x07" + struct.pack("<IQI", *place.values())
    record = {"disk": 0, "start": 0, **values, "comment": len(comment), **(end or {})}
    tail += b"PK\x05\x06" + struct.pack("<HHHHIIH", *record.values()) + comment
    return body + directory + tail


def _local(item: Item) -> bytes:
    known = {} if item.flags & 8 else _sums(item)
    fields = {"version": 0, "flags": item.flags, "method": 0, "time": 0, "date": 0}
    fields.update({"crc": 0, "packed": 0, "size": 0, **known})
    name = item.name if item.local_name is None else item.local_name
    fields.update({"names": len(name), "extras": len(item.local_extra), **(item.local or {})})
    packed = struct.pack("<HHHHHIIIHH", *fields.values())
    return b"PK\x03\x04" + packed + name + item.local_extra


def _central(item: Item, offset: int) -> bytes:
    fields = {"made": 0, "version": 0, "flags": item.flags, "method": 0, "time": 0, "date": 0}
    fields.update(_sums(item))
    fields.update({"names": len(item.name), "extras": len(item.central_extra), "comments": 0})
    fields.update(
        {"disk": 0, "internal": 0, "external": 0, "offset": offset, **(item.central or {})}
    )
    packed = struct.pack("<HHHHHHIIIHHHHHII", *fields.values())
    return b"PK\x01\x02" + packed + item.name + item.central_extra


def _descriptor(item: Item) -> bytes:
    if not item.flags & 8:
        return b""
    fields = {**_sums(item), **(item.descriptor or {})}
    return b"PK\x07\x08" + struct.pack("<III", *fields.values())


def _sums(item: Item) -> Fields:
    return {"crc": zlib.crc32(item.data), "packed": len(item.data), "size": len(item.data)}


def _with(**changes: object) -> bytes:
    """The good archive with its second member changed."""
    changed = MEMBERS[1]._replace(**changes)  # type: ignore[arg-type]
    return archive(MEMBERS[0], changed, *MEMBERS[2:])


def _named(name: bytes, flags: int = 0x0808) -> Callable[[], bytes]:
    return lambda: _with(name=name, flags=flags)


def _central_says(**fields: int) -> Callable[[], bytes]:
    return lambda: _with(central=fields)


def _local_says(**fields: int) -> Callable[[], bytes]:
    return lambda: _with(local=fields)


def _both_say(**fields: int) -> Callable[[], bytes]:
    return lambda: _with(local=fields, central=fields)


def _end_says(**fields: int) -> Callable[[], bytes]:
    return lambda: archive(end=fields)


def _end64_says(**fields: int) -> Callable[[], bytes]:
    return lambda: archive(end64=fields, end={key: 0xFFFF for key in fields if key != "length"})


def _overlapping() -> bytes:
    """Two directory records for one local header."""
    return _with(central={"offset": 0})


def _reaching() -> bytes:
    """A last member without a descriptor that is longer than its bytes, by both headers."""
    sizes = {"packed": 50, "size": 50}
    last = Item(b"archive/version", b"3\n", flags=0x0800, local=sizes, central=sizes)
    return archive(*MEMBERS[:-1], last)


def _swapped() -> bytes:
    """The directory lists the members in another order than they lie in."""
    good = archive()
    size = 46 + len(MEMBERS[0].name)
    start = good.index(b"PK\x01\x02")
    first = good[start : start + size]
    second = good[start + size : start + size + 46 + len(MEMBERS[1].name)]
    return good[:start] + second + first + good[start + len(first + second) :]


_LONG_ZIP64 = struct.pack("<HHQQ", 1, 16, 32, 32)

#: Defect to the code of the rule that it breaks.
DEFECTS: dict[str, Tuple[Callable[[], bytes], str]] = {
    "nothing-but-a-mark": (lambda: b"PK\x03\x04", "FIL006"),
    "end-record-cut-off": (lambda: archive()[:-1], "FIL006"),
    "prepended-bytes": (lambda: b"#!shell\n" + archive(), "FIL101"),
    "prepended-bytes-without-zip64": (lambda: b"#!" + archive(zip64=False), "FIL102"),
    "prepended-and-offsets-mended": (
        lambda: archive(MEMBERS[0]._replace(gap=b"#!shell\n"), *MEMBERS[1:]),
        "FIL102",
    ),
    "appended-bytes": (lambda: archive() + b"\0", "FIL102"),
    "appended-bytes-to-one-beyond-four-gigabytes": (
        lambda: archive(end={"offset": 2**32 - 1}) + b"\0",
        "FIL102",
    ),
    "cut-behind-an-archive-in-a-member": (
        lambda: archive(Item(b"archive/data/0", archive())).rpartition(b"PK\x05\x06")[0],
        "FIL006",
    ),
    "archive-comment": (lambda: archive(comment=b"hello"), "FIL102"),
    "two-archives": (lambda: archive() + archive(), "FIL101"),
    "two-archives-without-zip64": (lambda: archive(zip64=False) * 2, "FIL102"),
    "spanned-in-the-end-record": (_end_says(disk=1), "FIL101"),
    "spanned-in-the-zip64-record": (lambda: archive(end64={"disk": 1}), "FIL101"),
    "spanned-in-the-locator": (lambda: archive(locator={"disks": 2}), "FIL101"),
    "spanned-in-a-member": (_central_says(disk=1), "FIL101"),
    "locator-points-elsewhere": (lambda: archive(locator={"offset": 0}), "FIL101"),
    "zip64-record-too-long": (_end64_says(length=45), "FIL101"),
    "zip64-record-missing": (lambda: archive(zip64=False, end={"offset": 2**32 - 1}), "FIL101"),
    "counts-differ-in-one-record": (_end_says(here=3), "FIL101"),
    "end-records-disagree-in-count": (_end_says(here=3, total=3), "FIL102"),
    "end-records-disagree-in-offset": (_end_says(offset=1), "FIL102"),
    "fewer-records-than-stated": (
        lambda: archive(zip64=False, end={"here": 5, "total": 5}),
        "FIL101",
    ),
    "more-records-than-stated": (
        lambda: archive(zip64=False, end={"here": 3, "total": 3}),
        "FIL101",
    ),
    "directory-offset-beyond-the-file": (_end64_says(offset=2**63), "FIL102"),
    "too-many-members": (_end64_says(here=1_600_001, total=1_600_001), "FIL005"),
    "name-longer-than-the-directory": (_central_says(names=0xFFFF), "FIL101"),
    "local-name-differs": (lambda: _with(local_name=b"archive/data/7"), "FIL102"),
    "local-name-is-longer": (lambda: _with(local_name=b"archive/data/00"), "FIL102"),
    "local-method-differs": (_local_says(method=8), "FIL102"),
    "local-flags-differ": (_local_says(flags=0x0800), "FIL102"),
    "local-size-differs": (_local_says(size=31, packed=31), "FIL102"),
    "local-checksum-differs": (_local_says(crc=1), "FIL102"),
    "local-sums-absent-without-a-descriptor": (
        lambda: _with(flags=0x0800, local={"crc": 0, "packed": 0, "size": 0}),
        "FIL102",
    ),
    "local-header-missing": (lambda: archive().replace(b"PK\x03\x04", b"PK\x03\x05"), "FIL102"),
    "descriptor-size-differs": (lambda: _with(descriptor={"size": 31}), "FIL102"),
    "descriptor-checksum-differs": (lambda: _with(descriptor={"crc": 1}), "FIL102"),
    "descriptor-missing": (lambda: archive().replace(b"PK\x07\x08", b"PK\x07\x09"), "FIL102"),
    "two-sizes-of-one-member": (_central_says(size=31), "FIL102"),
    "two-sizes-everywhere": (
        lambda: _with(central={"packed": 31}, descriptor={"packed": 31}),
        "FIL102",
    ),
    "directory-where-a-header-should-be": (
        lambda: archive(*MEMBERS, Item(b"archive/evil", b"x", absent=True)),
        "FIL102",
    ),
    "directory-where-a-header-should-be-behind-a-large-member": (
        lambda: archive(
            Item(b"archive/data/0", bytes(20_000), flags=0x0800),
            Item(b"archive/evil", b"x", absent=True),
        ),
        "FIL101",
    ),
    "bytes-of-one-reach-into-the-directory": (_reaching, "FIL101"),
    "extra-area-reaches-into-the-directory": (_local_says(extras=9999), "FIL101"),
    "local-zip64-field-of-one-size": (
        lambda: _with(local_extra=struct.pack("<HHQ", 1, 8, 32)),
        "FIL102",
    ),
    "larger-than-the-file": (_central_says(size=9999, packed=9999), "FIL101"),
    "saturated-size-without-zip64": (
        _central_says(size=2**32 - 1, packed=2**32 - 1),
        "FIL102",
    ),
    "local-saturated-size-without-zip64": (
        _local_says(size=2**32 - 1, packed=2**32 - 1),
        "FIL102",
    ),
    "zip64-field-that-nothing-asks-for": (lambda: _with(central_extra=_LONG_ZIP64), "FIL102"),
    "local-zip64-field-differs": (
        lambda: _with(local_extra=struct.pack("<HHQQ", 1, 16, 32, 33)),
        "FIL102",
    ),
    "zip64-field-twice": (lambda: _with(local_extra=_LONG_ZIP64 * 2), "FIL102"),
    "second-name-in-an-extra-field": (
        lambda: _with(central_extra=b"\x75\x70\x01\x00x"),
        "FIL102",
    ),
    "second-name-in-a-local-extra-field": (
        lambda: _with(local_extra=b"\x75\x70\x01\x00x"),
        "FIL102",
    ),
    "extra-field-beyond-its-area": (lambda: _with(local_extra=b"FB\x09\x00Z"), "FIL101"),
    "extra-field-cut-short": (lambda: _with(central_extra=b"FB\x00"), "FIL101"),
    "extra-fields-without-end": (lambda: _with(local_extra=b"UT\0\0" * 9), "FIL101"),
    "encrypted": (_both_say(flags=0x0809), "FIL104"),
    "patched": (_both_say(flags=0x0828), "FIL104"),
    "strongly-encrypted": (_both_say(flags=0x0848), "FIL104"),
    "masked-headers": (_both_say(flags=0x2808), "FIL104"),
    "deflated": (_both_say(method=8), "FIL104"),
    "method-unknown": (_both_say(method=99), "FIL104"),
    "torchscript-code": (
        lambda: archive(
            MEMBERS[0], Item(b"archive/code/m.py", b"x", local={"method": 8}, central={"method": 8})
        ),
        "FIL003",
    ),
    "name-twice": (lambda: archive(*MEMBERS, MEMBERS[1]), "INT008"),
    "names-differ-in-case": (
        lambda: archive(*MEMBERS, Item(b"archive/DATA/0", b"x")),
        "INT008",
    ),
    "names-differ-in-normal-form": (
        lambda: archive(Item("é/0".encode(), b"x"), Item("e\u0301/0".encode(), b"y")),
        "INT008",
    ),
    "name-climbs": (_named(b"archive/../../x"), "FIL103"),
    "name-stays": (_named(b"archive/./x"), "FIL103"),
    "name-absolute": (_named(b"/etc/passwd"), "FIL103"),
    "name-of-a-drive": (_named(b"C:/x"), "FIL103"),
    "name-backslash": (_named(b"archive\\data\\0"), "FIL103"),
    "name-nul": (_named(b"archive/data/0\0x"), "FIL103"),
    "name-escape": (_named(b"archive/\x1b[2J"), "FIL103"),
    "name-empty": (_named(b""), "FIL103"),
    "name-empty-part": (_named(b"archive//0"), "FIL103"),
    "name-not-utf8": (_named(b"archive/\xff"), "FIL103"),
    "name-encoding-not-stated": (_named("archive/é".encode(), 0x0008), "FIL103"),
    "directory-entry": (_named(b"archive/sub/"), "FIL103"),
    "symlink": (_central_says(external=0o120777 << 16), "FIL103"),
    "device": (_central_says(external=0o020666 << 16), "FIL103"),
    "dos-directory": (_central_says(external=0x10), "FIL103"),
    "version-of-the-future": (_both_say(version=64), "FIL102"),
    "overlapping-members": (_overlapping, "FIL102"),
    "another-order": (_swapped, "FIL102"),
    "gap-between-members": (lambda: _with(gap=b"hidden"), "FIL102"),
    "hidden-member": (
        lambda: archive(*MEMBERS[:2], Item(b"archive/evil", b"x", hidden=True), *MEMBERS[2:]),
        "FIL102",
    ),
    "gap-before-the-directory": (lambda: archive(before_directory=b"hidden"), "FIL102"),
    "hidden-last-member": (
        lambda: archive(*MEMBERS, Item(b"archive/evil", b"x", hidden=True)),
        "FIL102",
    ),
}
