"""Laying out a ``.pth``: the zip archive that ``torch.load(weights_only=True)`` of 2.0 on reads.

Members are stored uncompressed, and each storage begins at a multiple of 64 bytes, as torch pads
them. Checksums are known only after copying, so the headers are written last. All times are the
zip epoch and the top folder is always ``archive``, so that the same pieces give the same bytes.
The structures are those of PKWARE's APPNOTE.TXT, section 4.3.
"""

from __future__ import annotations

import struct
import zlib
from math import prod
from typing import Mapping, Sequence

from ckpttool.formats.archives.zip_end import MAX_DIRECTORY, MAX_MEMBERS
from ckpttool.formats.safetensors.header import MAX_TENSORS
from ckpttool.formats.torch.zip import MAX_PICKLE
from ckpttool.formats.writing.file_layout import (
    ALIGNMENT,
    FileLayout,
    PlannedMember,
    PlannedTensor,
    Slot,
    cannot_hold,
)
from ckpttool.formats.writing.pickle_stream import StateDictPickle
from ckpttool.tensors.dtypes import DType, by_pairs

SUFFIX = ".pth"
HOLDS_VIEWS, HOLDS_METADATA, HOLDS_WRAPPER, IN_SHARDS = True, False, True, False
RESERVED: Mapping[str, str] = {}

TOP = "archive"

# mark, needed, flags, method, time, date, checksum, two sizes, two lengths
_LOCAL = struct.Struct("<4s5H3I2H")
# mark, made by, needed, flags, method, time, date, checksum, two sizes, three lengths, disk,
# internal and external attributes, offset
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR = struct.Struct("<4sIQI")
_END = struct.Struct("<4s4H2IH")
_FIELD = struct.Struct("<HH")
# Extra fields: that of zip64, and "FB", in which torch puts its padding.
_ZIP64, _PADDING = 0x0001, 0x4246
# A size or count of all ones says that the number is in a zip64 record.
_SATURATED, _SATURATED_COUNT = 0xFFFFFFFF, 0xFFFF
# Versions of the specification that a reader needs: 2.0, and 4.5 for zip64.
_PLAIN_VERSION, _ZIP64_VERSION = 20, 45
_EPOCH = 0x0021  # 1 January 1980, the first day that a zip can name


def holds(dtype: DType, shape: tuple[int, ...]) -> bool:
    """Whether torch has a name for the type."""
    # Only safetensors has elements below a byte; in torch they come in pairs.
    return by_pairs(dtype, shape)[0].bits % 8 == 0


def plan(
    pieces: Sequence[PlannedTensor],
    _metadata: Mapping[str, str] | None = None,
    wrapper: str | None = None,
) -> FileLayout:
    """Return where everything goes; an alias becomes a view of the other piece's storage."""
    stored = [piece for piece in pieces if piece.alias_of is None]
    keys = {piece.name: str(number) for number, piece in enumerate(stored)}
    pickle = _pickle(pieces, keys, wrapper)
    # What torch.save has beside the storages: bytes as they lie, and its file format version.
    fixed = {"data.pkl": pickle, "byteorder": b"little", "version": b"3\n"}
    members = []
    slots = []
    end = 0
    for name, content in fixed.items():
        members.append(_member(f"{TOP}/{name}", end, len(content), None, content))
        end = members[-1].data + len(content)
    for piece in stored:
        members.append(_member(f"{TOP}/data/{keys[piece.name]}", end, piece.nbytes, piece.name))
        slots.append(Slot(members[-1].data, piece.nbytes, piece))
        end = members[-1].data + piece.nbytes
    if len(pieces) > MAX_TENSORS or len(members) > MAX_MEMBERS:
        raise cannot_hold("more tensors than a reader takes", found=f"{len(pieces):,}")
    # Checksums have a fixed width, so zeros show how long it will be.
    directory = len(_directory([(member, 0) for member in members], end))
    if directory > MAX_DIRECTORY:
        raise cannot_hold("the archive's directory would be larger than a reader takes")
    return FileLayout(b"", tuple(slots), end + directory, tuple(members))


def finish(
    layout: FileLayout,
    _pieces: Sequence[PlannedTensor],
    _metadata: Mapping[str, str] | None,
    crcs: Mapping[str, int],
) -> list[tuple[int, bytes]]:
    """Return the members' headers, now that their checksums are known, and the directory."""
    written = [
        (member, zlib.crc32(member.content) if member.piece is None else crcs[member.piece])
        for member in layout.members
    ]
    parts = [(one.offset, _local(one, crc32) + one.content) for one, crc32 in written]
    last = layout.members[-1]
    end = last.data + last.size
    return [*parts, (end, _directory(written, end))]


def read_with_library(_path: str) -> None:
    """Return nothing: torch would take seconds to load and read every byte again."""


def _pickle(pieces: Sequence[PlannedTensor], keys: Mapping[str, str], wrapper: str | None) -> bytes:
    stream = StateDictPickle(wrapper)
    for piece in pieces:
        dtype, shape = by_pairs(piece.dtype, tuple(piece.shape))
        if not holds(piece.dtype, tuple(piece.shape)):
            raise cannot_hold(
                f"torch has no elements of {dtype.name}",
                piece.name,
                fix="Leave it out with --exclude.",
            )
        key = keys[piece.stored_as]
        stream.add(piece.name, dtype, shape, key, prod(shape))
    pickle = stream.finish()
    if len(pickle) > MAX_PICKLE:
        raise cannot_hold("the pickle would be larger than a reader takes")
    return pickle


def _member(
    name: str, offset: int, size: int, piece: str | None, content: bytes = b""
) -> PlannedMember:
    """Return a member whose local header stands at ``offset``, its bytes aligned behind it."""
    header = _LOCAL.size + len(name) + len(_sizes(size))
    padding = -(offset + header + _FIELD.size) % ALIGNMENT
    return PlannedMember(
        name, offset, offset + header + _FIELD.size + padding, size, piece, content
    )


def _sizes(size: int) -> bytes:
    """Return the zip64 field of a local header, if one is needed."""
    # APPNOTE 4.5.3: in a local header the field must have both sizes.
    if size < _SATURATED:
        return b""
    return _FIELD.pack(_ZIP64, 16) + struct.pack("<QQ", size, size)


def _local(member: PlannedMember, crc32: int) -> bytes:
    name = member.name.encode("ascii")
    extra = _sizes(member.size)
    size = min(member.size, _SATURATED)
    room = member.data - member.offset - _LOCAL.size - len(name) - len(extra) - _FIELD.size
    extra += _FIELD.pack(_PADDING, room) + bytes(room)
    needed = _ZIP64_VERSION if size == _SATURATED else _PLAIN_VERSION
    return (
        _LOCAL.pack(
            *(b"PK\x03\x04", needed, 0, 0, 0, _EPOCH),
            *(crc32, size, size, len(name), len(extra)),
        )
        + name
        + extra
    )


def _central(member: PlannedMember, crc32: int) -> bytes:
    name = member.name.encode("ascii")
    size, offset = min(member.size, _SATURATED), min(member.offset, _SATURATED)
    # Unlike in a local header, the field has the saturated numbers only, in this order.
    long = [member.size] * 2 if size == _SATURATED else []
    long += [member.offset] if offset == _SATURATED else []
    extra = _FIELD.pack(_ZIP64, 8 * len(long)) + struct.pack(f"<{len(long)}Q", *long)
    extra = extra if long else b""
    needed = _ZIP64_VERSION if long else _PLAIN_VERSION
    return (
        _CENTRAL.pack(
            *(b"PK\x01\x02", needed, needed, 0, 0, 0, _EPOCH),
            *(crc32, size, size, len(name), len(extra), 0, 0, 0, 0, offset),
        )
        + name
        + extra
    )


def _directory(written: Sequence[tuple[PlannedMember, int]], offset: int) -> bytes:
    """Return the central directory at ``offset`` and the end records behind it."""
    records = b"".join(_central(member, crc32) for member, crc32 in written)
    count, size = len(written), len(records)
    short = (min(count, _SATURATED_COUNT), min(size, _SATURATED), min(offset, _SATURATED))
    end = _END.pack(b"PK\x05\x06", 0, 0, short[0], *short, 0)
    if short[0] < _SATURATED_COUNT and short[2] < _SATURATED:
        return records + end
    # Its size field leaves out itself and the signature: 12 bytes.
    versions = (_ZIP64_VERSION, _ZIP64_VERSION)
    long = _END64.pack(b"PK\x06\x06", _END64.size - 12, *versions, 0, 0, count, count, size, offset)
    return records + long + _LOCATOR.pack(b"PK\x06\x07", 0, offset + size, 1) + end
