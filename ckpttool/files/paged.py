"""A far source read by pages: small reads that lie close together become one request.

A header is read in small pieces, the end of a file, a directory, a pickle. On a file of this
machine each takes microseconds; of another machine each is a request, which takes as long as some
hundred kilobytes.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ckpttool.files.sources import ByteSource

#: Bytes of a page. The directory of an archive of a few hundred tensors fits into one.
PAGE = 64 << 10
#: Pages that are kept.
MOST_PAGES = 16


class Paged:
    """A source of which pages are kept; reads of more than a page go through.

    The first and last pages of a file are whole ones, so that its end comes with one request.
    """

    is_far = True

    def __init__(self, source: ByteSource) -> None:
        self.name = source.name
        self.size = source.size
        self.identity = source.identity
        self._source = source
        self._pages: OrderedDict[int, bytes] = OrderedDict()
        self._lock = Lock()

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` from ``offset``; raises UnreadableError if that cannot be."""
        end = offset + len(buffer)
        if len(buffer) > PAGE or offset < 0 or end > self.size:
            self._source.read_into(offset, buffer)
            return
        while offset < end:
            start, data = self._page(offset)
            until = min(end, start + len(data))
            buffer[: until - offset] = data[offset - start : until - start]
            buffer, offset = buffer[until - offset :], until

    def _page(self, offset: int) -> tuple[int, bytes]:
        """Return where the page of a byte begins, and its bytes."""
        start = offset // PAGE * PAGE
        last = max(0, self.size - PAGE)
        if offset >= last:  # the last page reaches back from the end
            start = last
        with self._lock:
            data = self._pages.get(start)
            if data is None:
                room = bytearray(min(PAGE, self.size - start))
                self._source.read_into(start, memoryview(room))
                data = self._pages[start] = bytes(room)
                if len(self._pages) > MOST_PAGES:
                    self._pages.popitem(last=False)
            else:
                self._pages.move_to_end(start)
        return start, data

    def check_unchanged(self) -> None:
        """Raise UnreadableError if the bytes are no longer those that were opened."""
        self._source.check_unchanged()

    def rest(self) -> None:
        """Give back what the source may hold."""
        self._source.rest()

    def close(self) -> None:
        """Release the source."""
        self._source.close()
