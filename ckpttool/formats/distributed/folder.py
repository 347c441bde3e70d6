"""A folder of torch.distributed.checkpoint, by its ``.metadata``.

Its tensors become calls that rebuild them, in dictionaries as they were saved, so that the state
dict among them is found and catalogued as in a file of ``torch.save``. What
``torch.distributed.checkpoint.format_utils.dcp_to_torch_save`` writes has the same content.
"""

from __future__ import annotations

from contextlib import ExitStack
from math import prod
from typing import TYPE_CHECKING, Iterator

from ckpttool.files.folder import SHOWN
from ckpttool.files.sources import ByteSource, MemorySource, read_bytes
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.text import count, printable, some_of
from ckpttool.formats.distributed.chunks import Chunks, find_chunks
from ckpttool.formats.distributed.cover import check_cover, check_within, naming_tensor
from ckpttool.formats.distributed.files import open_files
from ckpttool.formats.distributed.listing import ListedTensor, Listing, listing_of
from ckpttool.formats.distributed.nesting import root_of
from ckpttool.formats.distributed.telling import COMMON, listed_beside
from ckpttool.formats.distributed.whole import Whole, row_major, whole_of
from ckpttool.formats.objects.describing import describe
from ckpttool.formats.objects.storages import Storage, UnsupportedTensorError, storage_class
from ckpttool.formats.pickles import Pickle
from ckpttool.formats.pickles.nodes import Call, Dict, Global, Node, PersistentId
from ckpttool.formats.safety.watch import Watch
from ckpttool.formats.state_dicts import catalogued as state_dicts
from ckpttool.formats.torch.zip import Storages
from ckpttool.tensors.catalogue import Checkpoint, Entry, Extent
from ckpttool.tensors.dtypes import DTYPES

if TYPE_CHECKING:
    from ckpttool.findings.uses import NameUse

FORMAT = "torch-distributed"

#: Bytes of ``.metadata``, which is read whole: a chunk takes about 125, so it lists 800,000.
MAX_METADATA = 100_000_000
# Bytes of nodes for each byte of it, by estimate: a chunk is some ten small objects.
_EACH = 32

_V2, _V3 = (Global("torch._utils", f"_rebuild_tensor_v{number}") for number in (2, 3))
_UNTYPED = Global("torch", "UntypedStorage")


def read(source: ByteSource, wrapper: str | None) -> Checkpoint:
    """Catalogue the checkpoint; see ``open_checkpoint`` for the errors."""
    uses: list[NameUse] = []
    try:
        with Watch() as watch, ExitStack() as opened:
            checkpoint = _read(source, wrapper, watch, opened, uses)
            opened.pop_all()  # from here on the checkpoint closes the files
            return checkpoint
    except CkpttoolError as error:
        error.uses += tuple(uses)
        raise


def _read(
    source: ByteSource,
    wrapper: str | None,
    watch: Watch,
    opened: ExitStack,
    uses: list[NameUse],
) -> Checkpoint:
    listing = _listing(source, watch)
    for name, item in listing.items.items():
        if item is not None:
            check = check_within if 0 in item.shape else check_cover
            with naming_tensor(name):
                check(item.shape, [one for one in item.chunks if 0 not in one.sizes])
    names = {place.file for place in listing.places.values()}
    files = open_files(source, names, opened)
    chunks = find_chunks(listing, files, watch, uses)
    wholes = dict(_wholes(source.name, listing, chunks))
    nodes = {name: _node(name, item, chunks) for name, item in listing.items.items()}
    calls = [node for name, node in nodes.items() if listing.items[name] is not None]
    content = Pickle(root_of(nodes, listing.paths), (), 0, (*calls, *chunks.calls))
    storages = {**chunks.storages, **{name: one.extent for name, one in wholes.items()}}
    state = state_dicts.find(content, wrapper, _Locate(storages, chunks.unread))
    rows = {name: one.rows for name, one in wholes.items() if len(one.rows) > 1}
    tensors = {
        name: info._replace(extents=rows[info.storage]) if info.storage in rows else info
        for name, info in state.tensors.items()
    }
    about = [(Entry(key, *describe(node)), node) for key, node in _about(listing)]
    return Checkpoint(
        source.name,
        FORMAT,
        (source, *(ends.file for ends in files.values())),
        references=tuple({str(one): one for one in reversed(watch.references)}.values())[::-1],
        uses=(*watch.uses, *uses),
        checksums=tuple(chunks.checksums),
        storages=storages,
        **{
            **state._asdict(),
            "remarks": (*state.remarks, *chunks.remarks, *_remarks(source.name, names)),
            "tensors": tensors,
            "entries": (*state.entries, *(entry for entry, _ in about)),
            "aside": (*state.aside, *(node for _, node in about)),
        },
    )


def _listing(source: ByteSource, watch: Watch) -> Listing:
    if source.size > MAX_METADATA:
        raise MalformedError(
            ".metadata is larger than the limit",
            rules.LIMIT,
            expected=f"at most {MAX_METADATA:,} bytes",
            found=f"{source.size:,}",
        )
    pickle = watch.parse(read_bytes(source, 0, source.size), each=_EACH)
    if pickle.end != source.size:  # pickle.load ignores them, a scanner may not
        raise MalformedError(
            "something follows the pickle", rules.DISTRIBUTED_METADATA, offset=pickle.end
        )
    return listing_of(pickle.root)


# --- tensors as the calls that rebuild them ------------------------------------------------


def _wholes(path: str, listing: Listing, chunks: Chunks) -> Iterator[tuple[str, Whole]]:
    """Yield the bytes of each tensor that has some; note those that are not read."""
    for name, item in listing.items.items():
        if item is None or name in chunks.unread:
            continue
        dtype = DTYPES.get(item.dtype.name)
        if dtype is None or 0 in item.shape:
            continue
        if not item.strided:
            chunks.unread[name] = "a tensor that is not strided"
            continue
        try:
            yield name, whole_of(path, item.shape, dtype.itemsize, chunks.blocks[name])
        except UnsupportedTensorError as reason:
            chunks.unread[name] = str(reason)


def _node(name: str, item: ListedTensor | None, chunks: Chunks) -> Node:
    """Return the call that rebuilds a tensor from its whole, or another object as it is."""
    if item is None:
        return chunks.objects[name]
    dtype = DTYPES.get(item.dtype.name)
    numel = prod(item.shape)
    if dtype is not None and dtype.storage is not None:
        function, kind, count = _V2, Global("torch", dtype.storage), numel
    else:
        function, kind, count = _V3, _UNTYPED, numel * (1 if dtype is None else dtype.itemsize)
    storage = PersistentId(("storage", kind, name, "cpu", count))
    args = (storage, 0, item.shape, row_major(item.shape), False, Dict())
    return Call(function, args if function is _V2 else (*args, item.dtype), 0)


class _Locate:
    """Finds the bytes of a tensor by its flat name, and says why one is not read."""

    def __init__(self, storages: dict[str, Extent], unread: dict[str, str]) -> None:
        self._storages = Storages({**storages}, "")
        self._known = storages
        self._unread = unread

    def __call__(self, node: PersistentId) -> Storage:
        value = node.value
        key = value[2] if type(value) is tuple and len(value) == 5 else None
        if type(key) is str and key in self._unread:
            raise UnsupportedTensorError(self._unread[key])
        if type(key) is str and key not in self._known and value[4] == 0:
            return Storage(key, storage_class(value[1]), _NOTHING)
        return self._storages(node)


_NOTHING = Extent(MemorySource(b"", "nothing"), 0, 0)


# --- what lies beside ----------------------------------------------------------------------


def _about(listing: Listing) -> Iterator[tuple[str, Node]]:
    """Yield what ``.metadata`` says of the checkpoint as a whole, but for the format's version."""
    for name, node in listing.about.items():
        if node is not None and not (name == "version" and type(node) is str):
            yield name, node


def _remarks(path: str, listed: set[str]) -> Iterator[Finding]:
    beside = listed_beside(path)
    if COMMON in beside and COMMON not in listed:
        yield finding(
            rules.DISTRIBUTED_UNLISTED,
            f"{COMMON}, in which Megatron keeps the arguments and the step, was not looked at",
            severity=rules.Severity.NOTE,
            fix="Name it by itself to see what is in it: ckpttool inspect.",
        )
    unlisted = [name for name in beside if name not in listed and name != COMMON]
    if unlisted:
        named = some_of([printable(name) for name in unlisted], SHOWN)
        yield finding(
            rules.DISTRIBUTED_UNLISTED,
            f"{count(len(unlisted), 'file')} of a distributed checkpoint not listed in .metadata, "
            f"and not looked at: {named}",
        )
