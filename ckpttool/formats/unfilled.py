"""Records of a zip that were laid out and never filled, as skip_data of torch leaves them.

They are zeros, as long as they should be, under a stored CRC-32 of 0, which zeros do not have.
Nothing happened to such a file after it was written: its weights were never there.
"""

from __future__ import annotations

from typing import List

# Of CRC-32, bit-reversed, as zlib has it.
_POLYNOMIAL = 0xEDB88320
_ONES = 0xFFFFFFFF

# A linear map on 32 bits: what it makes of each.
_Map = List[int]


def is_unfilled(stored: int, found: int, length: int) -> bool:
    """Whether a record is zeros that never got a checksum.

    Args:
        stored: the CRC-32 that the archive states.
        found: that of the ``length`` bytes that are there.
        length: of the record, in bytes.
    """
    return length > 0 and stored == 0 and found == crc32_of_zeros(length)


def crc32_of_zeros(length: int) -> int:
    """Return ``zlib.crc32(bytes(length))`` in as many steps as the length has bits."""
    # one zero bit shifts the register; a byte is that eight times
    step: _Map = [_POLYNOMIAL, *(1 << bit for bit in range(31))]
    for _ in range(3):
        step = [_applied(step, image) for image in step]
    register = _ONES
    while length:
        if length & 1:
            register = _applied(step, register)
        step = [_applied(step, image) for image in step]
        length >>= 1
    return register ^ _ONES


def _applied(step: _Map, value: int) -> int:
    image = 0
    for bit in step:
        if value & 1:
            image ^= bit
        value >>= 1
    return image
