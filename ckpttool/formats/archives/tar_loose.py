"""The members of a tar archive as Python's own reader finds them, for judging what is refused.

torch reads its old files with ``tarfile``, which follows long names, extended headers, sparse maps,
numbers of base 256 and links, and takes the last of two members with one name. What it does with
hostile headers is bounded here by what it gets to read.
"""

from __future__ import annotations

import io
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from ckpttool.files.sources import read_bytes

if TYPE_CHECKING:
    from ckpttool.files.sources import ByteSource

#: Headers that are read of one archive, in all and of one read: an extended one is matched by
#: patterns that take the square of its length.
MAX_READS, MAX_HEADER = 400, 8_192
#: Bytes that are read of members, and of one read.
MAX_CONTENT = 64_000_000


class _Bounded(io.RawIOBase):
    """A source as a file of which only so much can be read."""

    def __init__(self, source: ByteSource) -> None:
        self._source, self._place = source, 0
        self._reads, self._most = MAX_READS, MAX_HEADER

    def of_content(self) -> None:
        """Allow to read members, now that all headers are known."""
        self._reads, self._most = MAX_CONTENT // io.DEFAULT_BUFFER_SIZE, MAX_CONTENT

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to an offset from the beginning."""
        if whence != io.SEEK_SET or offset < 0:
            raise OSError("only from the beginning")
        self._place = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes; OSError if they are too many, or the reads are."""
        size = max(0, min(size, self._source.size - self._place))
        self._reads -= 1
        if size > self._most or self._reads < 0:
            raise OSError("more than is read of an archive that is refused")
        data = read_bytes(self._source, self._place, size) if size else b""
        self._place += size
        return data


def members(source: ByteSource) -> list[tuple[str, IO[bytes] | None]]:
    """Return name and content of every member, as far as they can be read; of a link ``None``."""
    import tarfile  # late: it takes longer to load than most files to read

    file = _Bounded(source)
    found: list[tarfile.TarInfo] = []
    # hostile headers make it raise nearly anything
    with suppress(Exception):
        archive = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115 (there is nothing to close)
        while True:
            member = archive.next()
            if member is None:
                break
            found.append(member)
    file.of_content()
    contents: list[tuple[str, IO[bytes] | None]] = []
    for member in found:
        content = None
        # what is of no known kind, tarfile takes for a file
        if member.isreg() or member.type not in tarfile.SUPPORTED_TYPES:
            with suppress(Exception):
                content = archive.extractfile(member)
        contents.append((member.name, content))
    return contents
