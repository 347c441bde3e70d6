"""Archives as ``torch.save`` writes them around a pickle, made without its cost."""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache
from typing import Mapping, Tuple

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_TOP = "archive/"

#: The storages that every fuzzed pickle may refer to: five of sixteen bytes, and an empty one.
STORAGES: Mapping[str, bytes] = {
    **{str(key): bytes(range(16 * key + 1, 16 * key + 17)) for key in range(5)},
    "5": b"",
}


def archive(pickle: bytes) -> bytes:
    """Return an archive of a pickle and the storages above."""
    before, listed, members = _around()
    name = f"{_TOP}data.pkl".encode()
    local, central = _entry(name, pickle, len(before))
    start = len(before) + len(local) + len(pickle)
    size = len(listed) + len(central)
    end = _END.pack(b"PK\x05\x06", 0, 0, members + 1, members + 1, size, start, 0)
    return b"".join((before, local, pickle, listed, central, end))


def _entry(name: bytes, data: bytes, offset: int) -> Tuple[bytes, bytes]:
    """Return the local header of a member, and its entry in the directory."""
    told = 0, 0, 0, 0, zlib.crc32(data), len(data), len(data)
    local = _LOCAL.pack(b"PK\x03\x04", 20, *told, len(name), 0) + name
    central = _CENTRAL.pack(b"PK\x01\x02", 20, 20, *told, len(name), 0, 0, 0, 0, 0, offset) + name
    return local, central


@lru_cache(maxsize=None)
def _around() -> Tuple[bytes, bytes, int]:
    """Return the members beside the pickle, their part of the directory, and how many they are."""
    members = {"version": b"3\n", "byteorder": b"little"}
    members.update((f"data/{key}", data) for key, data in STORAGES.items())
    content, listed = b"", b""
    for name, data in members.items():
        local, central = _entry(f"{_TOP}{name}".encode(), data, len(content))
        content += local + data
        listed += central
    return content, listed, len(members)
