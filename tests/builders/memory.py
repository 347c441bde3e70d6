"""A byte source that lies in memory."""

from __future__ import annotations


class MemorySource:
    """The bytes of ``data``; reading beyond them is the error of a file that was cut."""

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

    def close(self) -> None:
        """Nothing is held."""
