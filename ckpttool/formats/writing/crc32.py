"""Running CRC-32 sums, as zip archives store them, by the quickest there is."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Callable, Union

if TYPE_CHECKING:
    from ckpttool.formats.writing.folding import FoldedCrc32

    RunningCrc32 = Union["ZlibCrc32", FoldedCrc32]

# Bytes of one message from which on folding pays, and of all from which on loading numpy does,
# which takes 0.06 s.
_WORTH_FOLDING = 1 << 20
_WORTH_LOADING = 256 << 20


class ZlibCrc32:
    """A running CRC-32."""

    def __init__(self) -> None:
        self.value = 0

    def update(self, data: memoryview) -> None:
        """Take further bytes."""
        self.value = zlib.crc32(data, self.value)


class Crc32Maker:
    """Begins sums, from any thread; until numpy is loaded, those of zlib, which are the same."""

    def __init__(self) -> None:
        self._folded: Callable[[], FoldedCrc32] | None = None

    def load(self, nbytes: int) -> None:
        """Load what is quickest for so many bytes in all."""
        # zlib-ng uses what the processor has for it, and nothing is quicker
        if nbytes >= _WORTH_LOADING and not hasattr(zlib, "ZLIBNG_VERSION"):
            from ckpttool.formats.writing.folding import FoldedCrc32

            self._folded = FoldedCrc32

    def begin(self, nbytes: int) -> RunningCrc32:
        """Return a sum of which nothing is known yet but how many bytes will come."""
        if self._folded is not None and nbytes >= _WORTH_FOLDING:
            return self._folded()
        return ZlibCrc32()
