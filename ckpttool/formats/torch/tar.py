"""The tar container of torch's first releases: members ``storages``, ``tensors``, ``pickle``.

``storages`` holds a pickled count, then for each storage a pickled (key, location, class), its
element count in eight bytes and its bytes, and at last a pickled list of views; ``tensors`` a
pickled count, then for each tensor a pickled (key, storage key, class), the number of
dimensions in eight bytes, sizes, strides and the storage offset, eight bytes each; ``pickle``
the object, in which a persistent id is a tensor's key. Numbers are little-endian. The source of
these rules is the reader that torch/serialization.py still has. Nothing is ever extracted.
"""

from __future__ import annotations

import struct

from ckpttool.files.sources import ByteSource, read_bytes
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError, UnsupportedError
from ckpttool.formats.archives import tar
from ckpttool.formats.archives.tar import TarMember
from ckpttool.formats.foreign.other_archives import other_tar
from ckpttool.formats.objects.attributes import MAX_DIMENSIONS
from ckpttool.formats.objects.rebuild import REBUILD_V2
from ckpttool.formats.objects.storages import (
    Storage,
    UnsupportedTensorError,
    class_of,
    part_of,
    storage_class,
)
from ckpttool.formats.pickles import Pickle
from ckpttool.formats.pickles.nodes import Call, Global, Node, PersistentId
from ckpttool.formats.safety.watch import Watch
from ckpttool.formats.state_dicts import catalogued as state_dicts
from ckpttool.formats.torch import legacy, tar_judging
from ckpttool.tensors.catalogue import Checkpoint, Extent

FORMAT = "torch-tar"

#: Bytes of `pickle`, which is read whole.
MAX_PICKLE = 48_000_000
#: Storages or tensors of one file, each of which has a pickle of its own; models of that time had
#: hundreds.
MAX_COUNT = 20_000
#: Views of storages, which are one pickle together.
MAX_VIEWS = 200_000

_OURS = {"storages", "tensors", "pickle"}
_WINDOW = 4096  # bytes of the pickle of one key, location and class
_VIEWS_WINDOW = 8_000_000


def matches(head: bytes) -> bool:
    """Whether the file begins with a tar header, of before POSIX as well."""
    # tarfile looks at the checksum alone; a pickle that has one is refused as such
    return tar.matches(head) or (tar.has_checksum(head[: tar.BLOCK]) and not legacy.matches(head))


def read(source: ByteSource, wrapper: str | None) -> Checkpoint:
    """Catalogue the container; see ``open_checkpoint`` for the errors."""
    with Watch() as watch:
        try:
            return _read(source, wrapper, watch)
        except CkpttoolError:
            # torch may read on where this reader refuses, and would run the calls
            tar_judging.judge(source, watch)
            raise


def _read(source: ByteSource, wrapper: str | None, watch: Watch) -> Checkpoint:
    loose = tar.find_members(source)
    # first, since the strict reader would refuse another kind of tar for its folders or links
    others = loose and loose.keys().isdisjoint(_OURS) and len(loose) < tar.MAX_MEMBERS
    if others and not tar_judging.may_be_torchs(source):
        tar.check_whole(source)
        raise other_tar(loose)
    members = tar.read_members(source)
    if not members.keys() >= _OURS:
        raise UnsupportedError(
            "the tar archive is not one that torch wrote",
            rules.UNSUPPORTED,
            expected="members storages, tensors and pickle",
            found=", ".join(sorted(members)[:10]) or "none",
        )
    storages = _Storages(_Stream(source, members["storages"], "storages", watch))
    tensors = _Tensors(_Stream(source, members["tensors"], "tensors", watch), storages)
    content = _content(source, members["pickle"], tensors, watch)
    state = state_dicts.find(content, wrapper, storages.locate)
    return Checkpoint(
        source.name,
        FORMAT,
        (source,),
        references=watch.references,
        uses=watch.uses,
        storages=storages.extents,
        **state._asdict(),
    )


class _Stream:
    """A member of the archive, read in sequence: pickles, numbers and runs of bytes."""

    def __init__(self, source: ByteSource, member: TarMember, name: str, watch: Watch) -> None:
        self.source = source
        self.name = name
        self._watch = watch
        self.position = member.offset
        self._begin = member.offset
        self._end = member.offset + member.size

    def pickle(self, window: int = _WINDOW) -> Node:
        """Interpret the next pickle, which takes at most ``window`` bytes."""
        data = read_bytes(self.source, self.position, min(window, self._end - self.position))
        pickle = self._watch.parse(data, member=self.name, base=self.position - self._begin)
        self.position += pickle.end
        return pickle.root

    def numbers(self, count: int) -> tuple[int, ...]:
        """Read ``count`` signed 64-bit integers."""
        extent = self.skip(8 * count)
        return struct.unpack(f"<{count}q", read_bytes(self.source, extent.offset, extent.length))

    def skip(self, length: int) -> Extent:
        """Skip ``length`` bytes and return their extent."""
        begin = self.position
        # a count from the file may be negative, and would move the position backwards
        if not 0 <= length <= self._end - begin:
            raise self.broken("the member ends in the middle of a record")
        self.position += length
        return Extent(self.source, begin, length)

    def count(self) -> int:
        """Interpret a pickled count."""
        count = self.pickle()
        if type(count) is not int or not 0 <= count <= MAX_COUNT:
            raise self.broken(f"the count is not an integer from 0 to {MAX_COUNT:,}")
        return count

    def broken(self, message: str, rule: rules.Rule = rules.TAR_STRUCTURE) -> MalformedError:
        """Return the error for a record at this position."""
        return MalformedError(message, rule, member=self.name, offset=self.position - self._begin)

    def check_end(self) -> None:
        """Refuse bytes after the last record."""
        if self.position != self._end:
            raise self.broken("bytes follow the last record")


class _Storages:
    """The storages by key; a view is a part of another storage.

    ``extents`` has those that are no views.
    """

    def __init__(self, stream: _Stream) -> None:
        self._found: dict[int, Storage] = {}
        self.extents: dict[str, Extent] = {}
        for _ in range(stream.count()):
            key, storage = _storage(stream)
            self._add(stream, key, storage)
            self.extents[storage.key] = storage.extent
        views = stream.pickle(_VIEWS_WINDOW)
        if type(views) is not list or len(views) > MAX_VIEWS:
            raise stream.broken("the views are no list")
        for view in views:
            key, root, offset, count = _integers(stream, view, 4)
            self._add(stream, key, part_of(self.get(stream, root), offset, count))
        stream.check_end()

    def _add(self, stream: _Stream, key: int, storage: Storage) -> None:
        if key in self._found:
            raise stream.broken(f"storage {key} occurs twice")
        self._found[key] = storage

    def get(self, stream: _Stream, key: int) -> Storage:
        """Return a storage, which must have been declared before."""
        if key not in self._found:
            raise stream.broken(f"storage {key} is not there", rules.MISSING_STORAGE)
        return self._found[key]

    def locate(self, node: PersistentId) -> Storage:
        """Return the storage of a tensor, which :meth:`get` found when the tensor was read."""
        return self._found[node.value]


class _Tensors:
    """The tensors by key, each as the rebuild call that later formats have in the pickle."""

    def __init__(self, stream: _Stream, storages: _Storages) -> None:
        self._found: dict[int, Call] = {}
        for _ in range(stream.count()):
            key, storage_key = _integers(stream, _first_two(stream, stream.pickle()), 2)
            storages.get(stream, storage_key)
            if key in self._found:
                raise stream.broken(f"tensor {key} occurs twice")
            self._found[key] = _rebuild_call(stream, storage_key)
        stream.check_end()

    def __call__(self, value: Node) -> Node:
        """Return the node for a persistent id of the object's pickle."""
        if type(value) is tuple:
            return class_of(value)  # a module's class, with its source text
        # torch looks tensors up under int(id), so that "7" and 7 are one
        text = str(value) if type(value) in (int, str) else ""
        key = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1
        if key not in self._found:
            raise MalformedError(
                "the object refers to a tensor that is not there", rules.MISSING_STORAGE
            )
        return self._found[key]


def _storage(stream: _Stream) -> tuple[int, Storage]:
    described = stream.pickle()
    if type(described) is not tuple or len(described) != 3 or not _is_key(described[0]):
        raise stream.broken("the description of a storage is not of torch's form")
    key, place, class_node = described
    if type(place) is not str:
        raise stream.broken("the location of a storage is not text")
    try:
        dtype = storage_class(class_node)
    except UnsupportedTensorError as reason:
        raise UnsupportedError(
            f"the file holds {reason}",
            rules.UNSUPPORTED,
            expected="storages of torch's first releases: of floats, integers or bytes",
        ) from None
    if dtype is None:  # torch asks each storage of such a file for its type
        raise stream.broken("a storage is of no type")
    (count,) = stream.numbers(1)
    extent = stream.skip(count * dtype.itemsize)
    return key, Storage(str(key), dtype, extent)


def _rebuild_call(stream: _Stream, storage_key: int) -> Call:
    (dimensions,) = stream.numbers(1)
    # torch reads four of the eight bytes, since early writers filled no more
    dimensions &= 0xFFFFFFFF
    if dimensions > MAX_DIMENSIONS:
        raise stream.broken(f"a tensor with {dimensions:,} dimensions")
    shape, strides = stream.numbers(dimensions), stream.numbers(dimensions)
    (offset,) = stream.numbers(1)
    args = (PersistentId(storage_key), offset, shape, strides, False, None)
    return Call(Global(*REBUILD_V2), args)


def _first_two(stream: _Stream, described: Node) -> Node:
    if type(described) is not tuple or len(described) != 3:
        raise stream.broken("the description of a tensor is not of torch's form")
    return described[:2]


def _integers(stream: _Stream, node: Node, length: int) -> tuple[int, ...]:
    if not isinstance(node, (tuple, list)) or len(node) != length or not all(map(_is_key, node)):
        raise stream.broken("keys and counts are not integers")
    return tuple(node)


def _is_key(node: Node) -> bool:
    return type(node) is int and 0 <= node < 2**64


def _content(source: ByteSource, member: TarMember, tensors: _Tensors, watch: Watch) -> Pickle:
    if member.size > MAX_PICKLE:
        raise MalformedError("the pickle is too large", rules.LIMIT, member="pickle")
    data = read_bytes(source, member.offset, member.size)
    content = watch.parse(data, member="pickle", persistent=tensors)
    if content.end != len(data):
        raise MalformedError(
            "something follows the pickle", rules.PICKLE, member="pickle", offset=content.end
        )
    return content
