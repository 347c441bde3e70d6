"""Byte sources that lie in memory, and one that counts what is asked of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ckpttool.files.sources import ByteSource


class MemorySource:
    """The bytes of ``data``; reading beyond them is the error of a file that was cut."""

    identity = None
    is_far = False

    def __init__(self, data: bytes, name: str = "memory") -> None:
        self.name = name
        self.size = len(data)
        self._data = data

    def read_into(self, offset: int, buffer: memoryview) -> None:
        end = offset + len(buffer)
        if offset < 0 or end > self.size:
            raise AssertionError(f"read of {offset}:{end} from {self.size} bytes")
        buffer[:] = self._data[offset:end]

    def check_unchanged(self) -> None:
        """Nothing can change."""

    def rest(self) -> None:
        """Nothing is held."""

    def close(self) -> None:
        """Nothing is held."""


class SparseSource:
    """The bytes of a written file whose tensors are all zeros, in as little memory as that."""

    name = "sparse"
    identity = None
    is_far = False

    def __init__(self, size: int, parts: list[tuple[int, bytes]]) -> None:
        self.size = size
        self._parts = parts

    def read_into(self, offset: int, buffer: memoryview) -> None:
        buffer[:] = bytes(len(buffer))
        for start, data in self._parts:
            first, last = max(start, offset), min(start + len(data), offset + len(buffer))
            if first < last:
                buffer[first - offset : last - offset] = data[first - start : last - start]

    def check_unchanged(self) -> None:
        """Nothing can change."""

    def rest(self) -> None:
        """Nothing is held."""

    def close(self) -> None:
        """Nothing is held."""


class FarSource:
    """A file of another machine: it keeps what was asked for, as (offset, length), and rests."""

    identity = None
    is_far = True

    def __init__(self, source: ByteSource) -> None:
        self.name, self.size = source.name, source.size
        self.requests: list[tuple[int, int]] = []
        self.rests = 0
        self._source = source

    @property
    def asked(self) -> int:
        """Bytes that were asked for."""
        return sum(length for _, length in self.requests)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        self.requests.append((offset, len(buffer)))
        self._source.read_into(offset, buffer)

    def check_unchanged(self) -> None:
        self._source.check_unchanged()

    def rest(self) -> None:
        self.rests += 1

    def close(self) -> None:
        self._source.close()
