"""CRC-32 of many bytes, more than twice as fast as zlib's: numpy shortens them, zlib finishes.

A CRC is the remainder of the message, taken as a polynomial over GF(2), by another one. That of
CRC-32 (0x104C11DB7, ISO 3309) divides ``x^91639 + x^41678 + 1``, the shortest multiple of three
terms that it has, and with it the sixteenth power of that, which has the sixteenfold exponents. So
the remainder stays the same when a byte is taken away and added (exclusive or) to those 99,922
and 183,278 places further on. All but the last 183,278 go that way, in rows so long that calling
numpy costs little. Long multiples of few terms are the idea of Russell, "Chorba: A novel CRC32
implementation", 2024, arXiv:2412.16398.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# How far on a byte is added: here, and here again.
_NEAR, _FAR = 2 * (91639 - 41678), 2 * 91639
# Bytes taken at a time: with what is kept of those before them, they fit into a core's cache.
_STEP = 256 << 10


class FoldedCrc32:
    """A running CRC-32, of at least four bytes; the more they are, the more it pays."""

    def __init__(self) -> None:
        # the last _FAR bytes of what was folded, and room for what comes
        self._row = np.empty(_FAR + _STEP, np.uint8)
        self._row[:_FAR] = 0
        # The register begins with ones, which is the same as inverting the first four bytes.
        self._row[:4] = 0xFF

    def update(self, data: memoryview) -> None:
        """Take further bytes."""
        coming = np.frombuffer(data, np.uint8)
        for start in range(0, len(coming), _STEP):
            self._fold(coming[start : start + _STEP])

    @property
    def value(self) -> int:
        """Of all bytes so far, as ``zlib.crc32`` has it."""
        last = self._row[:_FAR].copy()
        # The last ones stay where they are: what came from them to others of them goes back.
        last[_NEAR:] ^= self._row[: _FAR - _NEAR]
        return zlib.crc32(last.data, 0xFFFFFFFF)  # that is a register of zeros

    def _fold(self, coming: NDArray[np.uint8]) -> None:
        row = self._row
        for start in range(0, len(coming), _NEAR):
            end = min(start + _NEAR, len(coming))
            new = row[_FAR + start : _FAR + end]
            np.bitwise_xor(coming[start:end], row[_FAR - _NEAR + start : _FAR - _NEAR + end], new)
            np.bitwise_xor(new, row[start:end], new)
        row[:_FAR] = row[len(coming) : len(coming) + _FAR]
