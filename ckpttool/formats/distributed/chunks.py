"""The bytes of the chunks that ``.metadata`` lists, and the objects beside the tensors.

A chunk is an archive of ``torch.save`` of its own, read as strictly as any, or a tensor in the
safetensors file that a part is where the checkpoint was saved so. Whatever a chunk's pickle calls
is judged like a file's own: torch before 2.6 ran it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Iterator, NamedTuple, Optional, Sequence, Tuple

from ckpttool.files.sources import Part, read_bytes
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError, UnsupportedError
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.text import count
from ckpttool.formats import single
from ckpttool.formats.distributed.cover import shown
from ckpttool.formats.distributed.listing import Chunk, Index, ListedTensor, Listing, Place
from ckpttool.formats.distributed.whole import row_major
from ckpttool.formats.objects.rebuild import is_tensor, rebuild
from ckpttool.formats.objects.storages import UnsupportedTensorError
from ckpttool.formats.pickles.nodes import Call, Node, PersistentId
from ckpttool.formats.safetensors import sharding
from ckpttool.formats.safetensors.whole import Header, read_header
from ckpttool.formats.safetensors.whole import matches as is_safetensors
from ckpttool.formats.torch import zip as torch_zip
from ckpttool.tensors.assembled import Block
from ckpttool.tensors.catalogue import Checksum, Extent, TensorInfo
from ckpttool.tensors.dtypes import DTYPES, by_elements

if TYPE_CHECKING:
    from ckpttool.findings.uses import NameUse
    from ckpttool.formats.distributed.files import Ends
    from ckpttool.formats.pickles import Pickle
    from ckpttool.formats.safety.watch import Watch

# Bytes of a chunk that show what it is.
_HEAD = 16
# Pickles of chunks that are kept: chunks of one type and shape have the same.
_KEPT = 1_000
# Bytes of an object that is no archive; it is read whole.
_MOST_BYTES = 64_000_000

#: What is looked at: the place, the name, and the chunk; ``None`` for an object.
_Wanted = Tuple[Place, str, Optional[Chunk]]


class Chunks(NamedTuple):
    """What was found.

    Attributes:
        blocks: of each tensor, those with elements.
        unread: why a tensor is not read.
        objects: what each object beside the tensors is.
        calls: the calls in the pickles of objects.
        storages: those that objects refer to, under names of their own.
        checksums: of the bytes of chunks and of such storages.
        uses: what objects that are no archives use names for.
        remarks: what the files have that is not listed.
    """

    blocks: dict[str, list[Block]]
    unread: dict[str, str]
    objects: dict[str, Node]
    calls: list[Call]
    storages: dict[str, Extent]
    checksums: list[Checksum]
    uses: list[NameUse]
    remarks: tuple[Finding, ...]


def find_chunks(
    listing: Listing, files: dict[str, Ends], watch: Watch, uses: list[NameUse]
) -> Chunks:
    """Find the bytes of all that is listed.

    Args:
        listing: what is listed.
        files: the open files, by name.
        watch: judges the pickles of archives.
        uses: gets what other objects use names for, also where there is an error.

    Raises:
        CkpttoolError: something is not where it should be, or not what it should be.
    """
    finder = _Finder(listing, watch, uses)
    wanted: dict[str, list[_Wanted]] = {name: [] for name in files}
    for one in _wanted(listing):
        wanted[one[0].file].append(one)
    for name, of_file in wanted.items():
        of_file.sort(key=lambda one: one[0][1:3])
        finder.look_through(files[name], of_file)
    unlisted = len(listing.places) - sum(map(len, wanted.values()))
    remarks: tuple[Finding, ...] = ()
    if unlisted > 0:
        remarks = (
            finding(
                rules.DISTRIBUTED_UNLISTED,
                f".metadata has places for {count(unlisted, 'chunk')} of no tensor that it lists",
                fix="Write the checkpoint again.",
            ),
        )
    return finder.found._replace(remarks=remarks)


def _wanted(listing: Listing) -> Iterator[_Wanted]:
    """Yield every chunk and object with its place."""
    for name, item in listing.items.items():
        if item is None:
            yield _place_of(listing, name, None), name, None
            continue
        for chunk in dict.fromkeys(item.chunks):  # one that is listed twice is refused later
            if 0 in chunk.sizes and (name, chunk.offsets) not in listing.places:
                continue
            yield _place_of(listing, name, chunk), name, chunk


def _place_of(listing: Listing, name: str, chunk: Chunk | None) -> Place:
    index: Index = (name, None if chunk is None else chunk.offsets)
    place = listing.places.get(index)
    if place is None:
        raise MalformedError(
            "storage_data has no place for "
            + ("an object" if chunk is None else f"the chunk of {shown(*chunk)}"),
            rules.DISTRIBUTED_CHUNKS,
            tensor=name,
        )
    if place.transforms:
        raise UnsupportedError(
            "the bytes were transformed by an extension of torch.distributed.checkpoint, "
            "for example compressed",
            rules.UNSUPPORTED,
            tensor=name,
            fix="Save the checkpoint without extensions (_extensions of FileSystemWriter).",
        )
    return place


class _Finder:
    """Looks at one chunk after the other."""

    def __init__(self, listing: Listing, watch: Watch, uses: list[NameUse]) -> None:
        self._listing = listing
        self._watch = watch
        self._pickles: dict[bytes, Pickle] = {}
        blocks: dict[str, list[Block]] = {
            name: [] for name, item in listing.items.items() if item is not None
        }
        self.found = Chunks(blocks, {}, {}, [], {}, [], uses, ())

    def look_through(self, ends: Ends, wanted: Sequence[_Wanted]) -> None:
        """Look at all chunks of a file, which come in the order of their bytes."""
        _require_within(ends, wanted)
        ends.expect([(place.offset, place.length) for place, _, _ in wanted])
        shared: _Shared | None = None
        after, before = 0, None
        for place, name, chunk in wanted:
            if shared is None and chunk is not None:
                shared = _shared(ends, place.offset)
            try:
                if shared is not None and chunk is not None and place.offset == shared.base:
                    self._add_shared(shared, name, chunk)
                    continue
                if place.offset < after:
                    raise _overlap(place, before)
                self._look(ends, place, name, chunk)
            except CkpttoolError as error:
                # the archive was refused, but other readers may find a pickle in it
                self._judge(Part(ends, place.offset, place.length), name)
                _say_where(error, ends, place, name)
                raise
            after, before = place.offset + place.length, name
        ends.forget()

    def _look(self, ends: Ends, place: Place, name: str, chunk: Chunk | None) -> None:
        part = Part(ends, place.offset, place.length)
        head = read_bytes(part, 0, min(_HEAD, place.length))
        if chunk is not None:
            if not torch_zip.matches(head):
                raise MalformedError(
                    "no archive of torch.save begins where a chunk should",
                    rules.DISTRIBUTED_CHUNKS,
                    expected="PK 03 04",
                    found=head[:4].hex(" ") or "nothing",
                )
            self._add_archive(ends, part, place, name, chunk)
        elif torch_zip.matches(head):
            self._add_object(ends, part, place, name)
        else:
            self._add_bytes(part, name)

    # --- tensors ---------------------------------------------------------------------------

    def _add_archive(self, ends: Ends, part: Part, place: Place, name: str, chunk: Chunk) -> None:
        """Add the tensor of an archive."""
        content = torch_zip.content_of(part, self._parse_tensor, whole=ends.file, base=place.offset)
        root = content.pickle.root
        if not is_tensor(root):
            raise MalformedError("the chunk holds no tensor", rules.DISTRIBUTED_CHUNKS)
        locate = torch_zip.Storages(content.storages, content.folder)
        try:
            info = rebuild(name, root, locate, big_endian=content.big_endian)
        except UnsupportedTensorError as reason:
            self.found.unread[name] = str(reason)
            return
        if info.big_endian and info.dtype.itemsize > 1:
            self.found.unread[name] = "a tensor with the byte order of another machine"
            return
        _require_as_listed(info, self._listing.items[name], chunk)
        self.found.checksums.extend(
            one._replace(member=f"{name}: {one.member}") for one in content.checksums
        )
        self._add_block(name, chunk, info)

    def _parse_tensor(self, data: bytes, member: str) -> Pickle:
        pickle = self._pickles.get(data)
        if pickle is None:
            pickle = self._watch.parse(data, member=member)
            if len(self._pickles) < _KEPT:
                self._pickles[data] = pickle
        return pickle

    def _add_shared(self, shared: _Shared, name: str, chunk: Chunk) -> None:
        """Add a tensor of a safetensors file, which must be the chunk that is listed."""
        info = shared.header.tensors.get(name)
        offsets = shared.offsets.get(name)
        if info is None or (offsets is not None and offsets != chunk.offsets):
            raise MalformedError(
                "the safetensors file has another chunk than is listed, or none",
                rules.DISTRIBUTED_CHUNKS,
                expected=shown(*chunk),
                found="none" if info is None else f"one from {list(offsets or ())} on",
            )
        _require_as_listed(info, self._listing.items[name], chunk)
        self._add_block(name, chunk, info)

    def _add_block(self, name: str, chunk: Chunk, info: TensorInfo) -> None:
        if not info.extents:
            return
        strides = info.strides
        if strides is None:
            strides = row_major(chunk.sizes)
        self.found.blocks[name].append(Block(chunk.offsets, chunk.sizes, strides, info.extents[0]))

    # --- objects ---------------------------------------------------------------------------

    def _add_object(self, ends: Ends, part: Part, place: Place, name: str) -> None:
        """Add what an archive holds that is no tensor of the listing."""
        renamed = partial(_renamed, name)

        def parse(data: bytes, member: str) -> Pickle:
            return self._watch.parse(data, member=member, persistent=renamed)

        content = torch_zip.content_of(part, parse, whole=ends.file, base=place.offset)
        self.found.objects[name] = content.pickle.root
        self.found.calls.extend(content.pickle.calls)
        self.found.storages.update(
            (_own_name(name, key), extent) for key, extent in content.storages.items()
        )
        self.found.checksums.extend(
            one._replace(member=f"{name}: {one.member}") for one in content.checksums
        )

    def _add_bytes(self, part: Part, name: str) -> None:
        """Add an object that is no archive, judged as what ``torch.load`` takes it for."""
        if part.size > _MOST_BYTES:
            raise MalformedError(
                "an object is larger than the limit",
                rules.LIMIT,
                expected=f"at most {_MOST_BYTES:,} bytes",
                found=f"{part.size:,}",
            )
        self.found.objects[name] = read_bytes(part, 0, part.size)
        self._judge(part, name)

    def _judge(self, part: Part, name: str) -> None:
        """Note what the bytes of a chunk or an object call, taken for a file of their own."""
        found = (use._replace(member=f"the bytes of {name}") for use in _uses_of(part))
        self.found.uses.extend(found)


def _uses_of(part: Part) -> tuple[NameUse, ...]:
    try:
        return single.read(part, single.head_of(part), "").uses
    except CkpttoolError as error:
        if error.rule is rules.UNKNOWN_CALL:  # it changes what a name stands for
            raise
        return error.uses


def _own_name(name: str, key: str) -> str:
    # a pair as text: no flat name of a tensor looks like it
    return f"{name}\n{key}"


def _renamed(name: str, value: Node) -> PersistentId:
    """Return the node for a storage, whose key is only unique within its archive."""
    if type(value) is tuple and len(value) > 2 and type(value[2]) is str:
        value = (*value[:2], _own_name(name, value[2]), *value[3:])
    return PersistentId(value)


# --- safetensors in the place of archives --------------------------------------------------


class _Shared(NamedTuple):
    """A safetensors file from ``base`` to the end of a part, with what stands where."""

    base: int
    header: Header
    offsets: dict[str, tuple[int, ...]]


def _shared(ends: Ends, offset: int) -> _Shared | None:
    """Return the safetensors file at an offset; ``None`` if something else is there."""
    size = ends.size - offset
    if not is_safetensors(read_bytes(ends.file, offset, min(_HEAD, size))):
        return None
    header = read_header(Part(ends.file, offset, size))
    tensors = {
        name: info._replace(extents=tuple(_moved(ends, offset, one) for one in info.extents))
        for name, info in header.tensors.items()
    }
    offsets = sharding.offsets_of(header.metadata, header.tensors)
    return _Shared(offset, header._replace(tensors=tensors), offsets or {})


def _moved(ends: Ends, base: int, extent: Extent) -> Extent:
    return Extent(ends.file, base + extent.offset, extent.length)


# --- what has to hold ----------------------------------------------------------------------


def _require_within(ends: Ends, wanted: Sequence[_Wanted]) -> None:
    for place, name, _ in wanted:
        end = place.offset + place.length
        if end > ends.size:
            raise MalformedError(
                "the file ends before a chunk that .metadata places in it",
                rules.TRUNCATED,
                path=ends.name,
                tensor=name,
                offset=place.offset,
                expected=f"{end:,} bytes or more",
                found=f"{ends.size:,}",
            )


def _overlap(place: Place, before: str | None) -> MalformedError:
    return MalformedError(
        "two chunks share bytes of a file",
        rules.DISTRIBUTED_CHUNKS,
        expected=f"a place behind that of {before}",
        found=f"{place.length:,} bytes at {place.offset:,}",
    )


def _require_as_listed(info: TensorInfo, listed: ListedTensor | None, chunk: Chunk) -> None:
    """Refuse a chunk of another type or shape than is listed."""
    name = listed.dtype.name if listed is not None else ""
    dtype = DTYPES.get(name)
    if dtype is not None and (info.dtype, info.shape) in (
        (dtype, chunk.sizes),
        by_elements(dtype, chunk.sizes),
    ):
        return
    raise MalformedError(
        "a chunk is not what .metadata says of it",
        rules.DISTRIBUTED_CHUNKS,
        expected=f"{name} {list(chunk.sizes)}",
        found=f"{info.dtype.name} {list(info.shape)}",
    )


def _say_where(error: CkpttoolError, ends: Ends, place: Place, name: str) -> None:
    """Make an error about a chunk say in which file, where, and of which tensor."""
    error.path = error.path or ends.name
    error.tensor = error.tensor or name
    if error.member is None:  # else the offset is one in the member
        error.offset = place.offset + (error.offset or 0)
    if error.rule is rules.TRUNCATED and isinstance(error, MalformedError):
        # the file has all the bytes that are listed: it is not cut short
        error.rule = rules.DISTRIBUTED_CHUNKS
        error.message = "no whole archive of torch.save lies where a chunk should"
        error.fix = None
