"""The SHA-256 of whole files, several at a time."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Iterable

if TYPE_CHECKING:
    from ckpttool.files.sources import FileSource

_BUFFER = 4 << 20  # hashlib releases the interpreter's lock for each: threads run side by side
_HASHERS = 4  # files at a time; each has a buffer of its own


def file_sums(sources: Iterable[FileSource]) -> list[str]:
    """Return the SHA-256 of each file in hexadecimal, in their order.

    Raises:
        UnreadableError: a file cannot be read, or changed since it was opened.
    """
    with ThreadPoolExecutor(_HASHERS) as pool:
        return list(pool.map(_file_sum, sources))


def _file_sum(source: FileSource) -> str:
    sha = hashlib.sha256()
    buffer = memoryview(bytearray(_BUFFER))
    for start in range(0, source.size, _BUFFER):
        chunk = buffer[: min(_BUFFER, source.size - start)]
        source.read_into(start, chunk)
        sha.update(chunk)
    source.check_unchanged()  # the sum of a file that somebody wrote to is that of no version of it
    return sha.hexdigest()
