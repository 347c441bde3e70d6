"""Pickles in bytes that a pickle hands to a reader: read as inertly as the one around them.

``pickle.dump`` of a tensor writes its storage as the bytes of a whole ``torch.save``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpttool.files.sources import MemorySource
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError
from ckpttool.formats import pickles
from ckpttool.formats.archives.archive import read_archive, read_member

if TYPE_CHECKING:
    from ckpttool.formats.safety.judge import Judge, Nested

#: How many levels of bytes in bytes are read. Honest files have one.
MAX_DEPTH = 4
#: Bytes of one file that are read so, counted each time they are handed over.
MAX_BYTES = 1_000_000_000

# The pickles of a legacy stream: magic number, protocol, system, content, keys.
_LEGACY_PICKLES = 5


class NestedReader:
    """Reads the pickles in bytes, for one file."""

    def __init__(self) -> None:
        self._left = MAX_BYTES
        # by content: one run of bytes may be handed over by a million calls, and is judged once
        self._known: dict[tuple[bool, bytes], bool] = {}

    def read(self, judge: Judge, nested: Nested) -> bool:
        """Judge the pickles in some bytes; return whether all of them could be read."""
        self._left -= len(nested.data)
        if nested.torch and self._left < 0:
            # a limit, not an accusation: an honest pickle.dump of a large model is as large.
            # Bytes for pickle.loads are not, and count as unknown code below.
            judge.keep_problem(_too_much(nested.place))
            return True
        if nested.depth > MAX_DEPTH or self._left < 0:
            return False
        key = nested.torch, nested.data
        if key not in self._known:
            self._known[key] = False  # until it is read: bytes cannot hold themselves
            self._known[key] = self._read(judge, nested)
        return self._known[key]

    def _read(self, judge: Judge, nested: Nested) -> bool:
        broken: list[pickles.Pickle] = []
        try:
            for data in _pickled(nested):
                position, rest = 0, _LEGACY_PICKLES if nested.torch and data is nested.data else 1
                while rest:
                    pickle = pickles.parse(data, position, broken=broken.append)
                    judge.read(pickle, nested.place, nested.depth)
                    position, rest = pickle.end, rest - 1
        except CkpttoolError:
            # a reader runs the calls before the break
            for pickle in broken:
                judge.read(pickle, nested.place, nested.depth)
            return False
        return True


def _too_much(place: str) -> MalformedError:
    return MalformedError(
        "the pickle holds more bytes of other pickles than the limit",
        rules.LIMIT,
        member=place,
        expected=f"at most {MAX_BYTES:,} bytes of them together",
    )


def _pickled(nested: Nested) -> list[bytes]:
    """Return the bytes of each pickle, out of the zip archive if they are one."""
    # pickle.loads reads no archives: for it these are opcodes
    if not nested.torch or not nested.data.startswith(b"PK\x03\x04"):
        return [nested.data]
    source = MemorySource(nested.data, nested.place)
    # all of them, not data.pkl alone: readers disagree on which member they load
    return [
        read_member(source, member, len(nested.data))
        for name, member in read_archive(source).members.items()
        if name.endswith(".pkl")
    ] or [b""]  # an archive without a pickle is one that cannot be read
