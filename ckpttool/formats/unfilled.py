"""Records of a zip that were never filled, as ``torch.serialization.skip_data`` leaves them.

They are zeros of the right length with a stored CRC-32 of 0, which is not that of zeros. That
tells them from damage, which leaves the checksum of the bytes that were there before.
"""

from __future__ import annotations

from typing import List

# Of CRC-32, bit-reversed, as in zlib.
_POLYNOMIAL = 0xEDB88320
_ONES = 0xFFFFFFFF

# A linear map on 32 bits: the image of each bit.
_Map = List[int]


def is_unfilled(stored: int, found: int, length: int) -> bool:
    """Whether a record is zeros that never got a checksum.

    Args:
        stored: the CRC-32 in the archive.
        found: that of the record's bytes.
        length: of the record, in bytes.
    """
    # by checksums alone, since the bytes were read already and are not kept
    return length > 0 and stored == 0 and found == crc32_of_zeros(length)


def crc32_of_zeros(length: int) -> int:
    """Return ``zlib.crc32(bytes(length))`` in as many steps as the length has bits."""
    # A zero bit acts on the register as a linear map, so n bytes are its 8n-th power, which
    # repeated squaring gives.
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
