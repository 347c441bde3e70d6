"""What torch would run of a tar archive that is refused: every pickle in it, as far as it is found.

torch's own reader is more lenient than ours in many ways, so that nothing is taken here for what
its name says: each member may be a stream of storages or tensors, or the object.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from ckpttool.findings.errors import CkpttoolError
from ckpttool.formats.archives import tar_loose
from ckpttool.formats.objects.storages import storage_width
from ckpttool.formats.pickles.nodes import pair_of

if TYPE_CHECKING:
    from ckpttool.files.sources import ByteSource
    from ckpttool.formats.pickles import Pickle
    from ckpttool.formats.pickles.nodes import Node
    from ckpttool.formats.safety.watch import Watch

#: Bytes that are interpreted of the first pickle of a member and of the others in it, and pickles
#: that are read of all members.
LARGEST, _WINDOW, MOST = 12_000_000, 4_096, 20_000

_FIRST = "storages"  # the member that torch reads first


def may_be_torchs(source: ByteSource) -> bool:
    """Whether torch would find its first member in the archive, by whatever name it has here."""
    return _FIRST in {name for name, _ in tar_loose.members(source)}


def judge(source: ByteSource, watch: Watch) -> None:
    """Have ``watch`` judge what each member of the archive has of pickles."""
    members = tar_loose.members(source)
    if _FIRST not in {name for name, _ in members}:
        return  # torch reads no further, and an archive of other files may hold any pickles
    streams = [_Stream(name, content, watch) for name, content in members if content]
    # the object itself is one pickle: a long stream in another member must not hide it
    for stream in streams:
        stream.read_on(1, LARGEST)
    left = MOST
    for stream in streams:
        left -= stream.read_on(left, _WINDOW)


class _Stream:
    """A member: pickles, each followed by what torch reads behind it."""

    def __init__(self, name: str, content: IO[bytes], watch: Watch) -> None:
        self._name, self._content, self._watch = name, content, watch
        self._place: int | None = 0

    def read_on(self, most: int, window: int) -> int:
        """Judge at most so many pickles more; return how many there were."""
        read = 0
        # what tarfile makes of a hostile archive raises nearly anything
        with suppress(Exception):
            while self._place is not None and read < most:
                read += 1
                self._place = self._after_next(self._place, window)
        return read

    def _after_next(self, place: int, window: int) -> int | None:
        """Judge the pickle at a place; return where the next one would be, ``None`` without one."""
        data = self._at(place, window)
        try:
            pickle = self._watch.parse(data, member=self._name, base=place)
        except CkpttoolError:
            # as far as it goes, and longer ones than there usually are behind the first
            self._watch.look_at(self._at(place, LARGEST), self._name)
            return None
        return self._behind(pickle, place + pickle.end)

    def _behind(self, pickle: Pickle, place: int) -> int | None:
        """Return where the elements of a storage end, or the numbers of a tensor."""
        root = pickle.root
        if type(root) is not tuple or len(root) != 3:
            return place
        numbers = self._at(place, 8)
        if len(numbers) < 8:
            return None
        width = _width(root[2])
        if width is not None:
            return place + 8 + max(0, int(struct.unpack("<q", numbers)[0])) * width
        dimensions = int(struct.unpack("<i", numbers[:4])[0])
        return place + 16 + 16 * dimensions if dimensions >= 0 else None

    def _at(self, place: int, size: int) -> bytes:
        self._content.seek(place)
        return self._content.read(size)


def _width(node: Node) -> int | None:
    """Return the bytes of an element of a storage; ``None`` if it is no class of storages."""
    if pair_of(node) == ("torch", "Storage"):  # torch's name for that of its default type
        return 4
    try:
        return storage_width(node)[1]
    except CkpttoolError:
        return None
