"""Members of an archive on another machine: a local header is read when its member is.

The local headers lie between the tensors, so that comparing all of them with the directory takes a
request each. Here a member is compared before its first byte is given out, and not before; that it
is followed by the next one without a gap is a part of it.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Sequence

from ckpttool.findings import rules
from ckpttool.findings.errors import UnreadableError
from ckpttool.formats.archives.zip_headers import LocalHeaders

if TYPE_CHECKING:
    from ckpttool.files.sources import ByteSource
    from ckpttool.formats.archives.zip_records import Record


class FarMembers:
    """The bytes of all members, each at the place where its local header begins.

    A member's bytes are fewer than those from its header to the next one, so that no two meet.

    Args:
        source: the archive.
        records: of its directory, in the order of the file.
        limit: where the directory begins.
    """

    is_far = True
    identity = None

    def __init__(self, source: ByteSource, records: Sequence[Record], limit: int) -> None:
        self.name, self.size = source.name, source.size
        self._source = source
        self._records = records
        self._starts = [record.offset for record in records]
        self._ends = [*self._starts[1:], limit]
        self._limit = limit
        self._found: dict[int, int] = {}

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` from ``offset``.

        Raises:
            MalformedError: the member disagrees with the directory.
            UnreadableError: there are no such bytes, or they cannot be read.
        """
        number = bisect_right(self._starts, offset) - 1
        inside = offset - self._starts[number] if number >= 0 else -1
        if inside < 0 or inside + len(buffer) > self._records[number].size:
            raise UnreadableError("no member has these bytes", rules.UNREADABLE, offset=offset)
        begin = self._found.get(number)
        if begin is None:
            begin = self._found[number] = self._located(number)
        self._source.read_into(begin + inside, buffer)

    def _located(self, number: int) -> int:
        record = self._records[number]
        headers = LocalHeaders(self._source, self._limit, record.offset)
        begin = headers.pass_member(record)
        headers.finish(self._ends[number])
        return begin

    def check_unchanged(self) -> None:
        """Raise UnreadableError if the bytes are no longer those that were opened."""
        self._source.check_unchanged()

    def rest(self) -> None:
        """Give back what the source may hold."""
        self._source.rest()

    def close(self) -> None:
        """Nothing: the source belongs to whoever opened it."""
