"""CRC-32 of many bytes, as zip files store it, by the fastest library that is installed.

``isal``, of the extra ``fast``, uses the processor's carry-less multiplication. Python's zlib
mostly does not, and takes 5 to 20 times as long for the same sums.
"""

from __future__ import annotations

try:
    from isal.isal_zlib import crc32 as crc32_of
except ImportError:
    from zlib import crc32 as crc32_of

__all__ = ["crc32_of"]
