"""Changes to bytes that know nothing of what they mean."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Callable, Tuple

if TYPE_CHECKING:
    from random import Random

#: Numbers at which readers go wrong: around nothing, around what a field holds, around limits.
EDGES: Tuple[int, ...] = (
    *(0, 1, 2, 3, 4, 7, 8, 15, 16, 63, 64, 127, 128, 255, 256, 1000, 4095, 4096, 65_535, 65_536),
    *(2**24, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1, 2**32, 2**40, 2**53, 2**53 + 1, 2**60),
    *(2**63 - 1, 2**63, 2**64 - 1),
)
_FIELDS = ("<B", "<H", "<I", "<Q", ">H", ">I", ">Q")


def mutate(content: bytes, random: Random) -> bytes:
    """Return the bytes with one change."""
    return random.choice(_CHANGES)(content, random)


def place(content: bytes, random: Random) -> int:
    """Return an offset, more often near the beginning or the end: there stands what is read."""
    where = random.randrange(len(content) + 1)
    near = min(where, random.randrange(64))
    return random.choice((where, near, len(content) - near))


def edge(random: Random) -> int:
    """Return a number near an edge."""
    return random.choice(EDGES) + random.choice((0, 0, 0, 1, -1))


def _bit(content: bytes, random: Random) -> bytes:
    changed = bytearray(content or b"\0")
    changed[min(place(content, random), len(changed) - 1)] ^= 1 << random.randrange(8)
    return bytes(changed)


def _byte(content: bytes, random: Random) -> bytes:
    at = place(content, random)
    return content[:at] + bytes([random.randrange(256)]) + content[at + 1 :]


def _number(content: bytes, random: Random) -> bytes:
    field, at = random.choice(_FIELDS), place(content, random)
    size = struct.calcsize(field)
    value = edge(random) % 2 ** (8 * size)
    return content[:at] + struct.pack(field, value) + content[at + size :]


def _cut(content: bytes, random: Random) -> bytes:
    return content[: place(content, random)]


def _without(content: bytes, random: Random) -> bytes:
    start = place(content, random)
    return content[:start] + content[start + random.choice((1, 2, 4, 8, 16, 64)) :]


def _twice(content: bytes, random: Random) -> bytes:
    first, second = sorted((place(content, random), place(content, random)))
    return content[:second] + content[first:second] + content[second:]


def _inserted(content: bytes, random: Random) -> bytes:
    at, count = place(content, random), random.choice((1, 1, 2, 4, 8, 64, 4096))
    filler = random.choice((bytes(count), b"\xff" * count, bytes([random.randrange(256)]) * count))
    return content[:at] + filler + content[at:]


def _moved(content: bytes, random: Random) -> bytes:
    first, second = sorted((place(content, random), place(content, random)))
    part, at = content[first:second], place(content, random)
    rest = content[:first] + content[second:]
    return rest[:at] + part + rest[at:]


def grow(content: bytes, random: Random, size: int = 0) -> bytes:
    """Repeat a part until the content has ``size`` bytes: what costs more than its share shows.

    To be chosen rarely, since it costs as much as many of the other changes. Without a size some
    are chosen, the largest least often.
    """
    first, second = sorted((place(content, random), place(content, random)))
    part = content[first:second] or b"\0"
    size = size or random.choice(_SIZES)
    return content[:first] + part * (size // len(part) + 1) + content[second:]


#: Bytes of content that was grown: up to the largest that has a budget.
_SIZES = (*(10**4,) * 20, *(10**5,) * 10, *(10**6,) * 2, 10**7)
_CHANGES: Tuple[Callable[[bytes, Random], bytes], ...] = (
    *(_bit, _bit, _byte, _byte, _number, _number, _number),
    *(_cut, _without, _twice, _inserted, _moved),
)
