"""The files that the chunks of a distributed checkpoint lie in, and the ends of those chunks.

Only the two ends of a chunk are read: what describes its bytes is there. The end of one chunk and
the beginning of the next lie side by side, and small chunks in a row, so that few reads serve many.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING, Iterable, Sequence

from ckpttool.files.folder import SHOWN, siblings_of
from ckpttool.files.sources import READ_COST, Part, read_bytes
from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError, UnreadableError
from ckpttool.findings.text import count, is_encodable, printable, some_of

if TYPE_CHECKING:
    from contextlib import ExitStack

    from ckpttool.files.folder import Siblings
    from ckpttool.files.sources import ByteSource

#: Files of one checkpoint, each of which is opened; and those that stay open.
MAX_FILES, MAX_OPEN = 20_000, 100

#: Bytes at each end of a chunk. torch writes some 700 before a tensor's bytes and 1,200 behind.
EDGE = 4_096
# Bytes of one read that serves several chunks.
_LONGEST_RUN = 1 << 20
# Runs that are kept: a chunk has two ends.
_KEPT = 2

# Not below the folder: control characters, separators and drives of other systems, and parts that
# are empty, "." or "..".
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\\:]|(?:^|/)\.{0,2}(?:/|$)")


def open_files(source: ByteSource, names: Iterable[str], opened: ExitStack) -> dict[str, Ends]:
    """Open the files that ``.metadata`` lists, none outside of its folder.

    Raises:
        MalformedError: a name is no path below the folder, or files are not there.
        UnreadableError: a file cannot be opened, or is a link out of the folder.
    """
    listed = sorted(set(names))
    unsafe = [printable(name) for name in listed if _UNSAFE.search(name) or not is_encodable(name)]
    if unsafe:
        raise MalformedError(
            f"not a path of a file below the folder of .metadata: {some_of(unsafe, SHOWN)}",
            rules.DISTRIBUTED_METADATA,
        )
    if len(listed) > MAX_FILES:
        raise MalformedError(
            "the checkpoint lies in more files than the limit",
            rules.LIMIT,
            expected=f"at most {MAX_FILES:,}",
            found=f"{len(listed):,}",
        )
    folder = siblings_of(source, opened)
    files: dict[str, Ends] = {}
    for name in listed:
        file = folder.open(name)
        if file is not None:
            if len(files) >= MAX_OPEN:
                file.rest()
            files[name] = Ends(file)
    _require_all(folder, len(listed))
    return files


def _require_all(folder: Siblings, listed: int) -> None:
    # missing files first: what else is wrong may come of them
    if folder.missing:
        named = some_of([printable(name) for name in folder.missing], SHOWN)
        raise MalformedError(
            f"{len(folder.missing):,} of {count(listed, 'file')} not there: {named}",
            rules.DISTRIBUTED_CHUNKS,
            fix="Put the missing files beside .metadata.",
        )
    if folder.links:
        named = some_of([printable(link) for link in folder.links], SHOWN)
        raise UnreadableError(
            f"files are links that lead out of the folder, which are not followed: {named}",
            rules.UNREADABLE,
            fix="Put the files themselves beside .metadata.",
        )
    if folder.offenders:
        raise MalformedError(
            f"files of the checkpoint cannot be told apart: {'; '.join(folder.offenders[:SHOWN])}",
            rules.DISTRIBUTED_CHUNKS,
        )


class Ends(Part):
    """A file, with the ends of its chunks read in runs; ``file`` is the file itself."""

    def __init__(self, file: ByteSource) -> None:
        super().__init__(file, 0, file.size)
        self.file = file
        self.is_far = False  # what is read of it was read in few requests
        self._runs: list[tuple[int, int]] = []
        self._begins: list[int] = []
        self._read: dict[int, bytes] = {}

    def expect(self, chunks: Sequence[tuple[int, int]]) -> None:
        """Take note of the chunks that will be looked at: offset and length of each, in order."""
        runs: list[tuple[int, int]] = []
        for begin, length in chunks:
            end = begin + length
            small = length <= 3 * EDGE
            for start, stop in (
                [(begin, end)] if small else [(begin, begin + EDGE), (end - EDGE, end)]
            ):
                if runs and start - runs[-1][1] <= READ_COST and stop - runs[-1][0] <= _LONGEST_RUN:
                    runs[-1] = runs[-1][0], max(stop, runs[-1][1])
                else:
                    runs.append((start, stop))
        self._runs = runs
        self._begins = [start for start, _ in runs]

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` from ``offset`` of the file."""
        end = offset + len(buffer)
        place = bisect_right(self._begins, offset) - 1
        if place < 0 or end > self._runs[place][1]:
            self.file.read_into(offset, buffer)
            return
        start, stop = self._runs[place]
        data = self._read.get(place)
        if data is None:
            while len(self._read) >= _KEPT:
                del self._read[next(iter(self._read))]
            data = self._read[place] = read_bytes(self.file, start, stop - start)
        buffer[:] = data[offset - start : end - start]

    def forget(self) -> None:
        """Drop what was read."""
        self._read = {}
