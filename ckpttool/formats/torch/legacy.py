"""The stream of torch.save before 1.6, and later with ``_use_new_zipfile_serialization=False``.

Five pickles (magic number, protocol number, facts on the system, the object, the list of
storage keys), then each storage in the order of that list: its element count as a little-endian
64-bit integer and its bytes, which are little-endian whatever the system was.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Callable, NamedTuple, Sequence

from ckpttool.files.sources import ByteSource, read_bytes
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError
from ckpttool.findings.uses import NameUse, Use
from ckpttool.formats import pickles
from ckpttool.formats.archives import tar
from ckpttool.formats.foreign import signatures
from ckpttool.formats.foreign.pickled import joblib_file, other_pickle
from ckpttool.formats.objects.storages import (
    Storage,
    class_of,
    part_of,
    storage_class,
    storage_id,
    storage_width,
)
from ckpttool.formats.pickles import Pickle
from ckpttool.formats.pickles.nodes import Node, PersistentId
from ckpttool.formats.safety.watch import Watch
from ckpttool.formats.state_dicts import catalogued as state_dicts
from ckpttool.tensors.catalogue import Checkpoint, Extent
from ckpttool.tensors.dtypes import DType

FORMAT = "torch-legacy"

#: The first pickle and the second one, as torch/serialization.py writes them.
MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001
#: Bytes of all pickles together, which are held in memory. torch.save keeps tensors beside them;
#: ``pickle.dump`` writes arrays into them.
MAX_PICKLES = 512_000_000

#: The same for a file of another format whose bytes happen to be a pickle too.
MOST_BESIDE = 48_000_000

# Bytes that are read at first: the pickles of most models, without the tensors behind them.
_FIRST_WINDOW = 1_000_000
_COUNT = 8

# Protocols 0 and 1 have no signature. A pickle of theirs that is more than a scalar begins with a
# mark, an empty container, or a name.
_OLD_PICKLE = re.compile(rb"[(\]}]|c[\w.]+\n[\w.]+\n")
# The other first opcodes, of a scalar, text or bytes: letters that begin many text files too.
_FIRST_OPCODES = b"NIJKMLFGSTUVXBC)lcd\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x95\x96"
# Pickles of a file that torch.save did not write: pickle.dump may be called often on one file.
_MOST_PICKLES = 1_000


def matches(head: bytes) -> bool:
    """Whether the file begins as a pickle does."""
    if head[:1] == b"\x80":
        return len(head) > 1 and head[1] <= pickles.HIGHEST_PROTOCOL
    # the magic number as protocol 0 writes it, for torch.save(..., pickle_protocol=0)
    return head.startswith(b"L119547037146038801333356L\n") or bool(_OLD_PICKLE.match(head))


def may_be(head: bytes) -> bool:
    """Whether the file may be a pickle without a signature, as only reading it can tell."""
    return head[0] in _FIRST_OPCODES


def read(source: ByteSource, wrapper: str | None) -> Checkpoint:
    """Catalogue the stream; see ``open_checkpoint`` for the errors."""
    with Watch() as watch:
        return _read(source, wrapper, watch)


def pickle_of(source: ByteSource, watch: Watch) -> Pickle | None:
    """Return the content of a stream of ``torch.save``, or of a plain pickle.

    ``None`` for a plain pickle that other bytes follow.

    Raises:
        CkpttoolError: it is no pickle.
    """
    stream = _Stream(source, watch)
    first = stream.pickle()
    if type(first.root) is int and first.root == MAGIC_NUMBER:
        stream.pickle()
        stream.pickle()
        return stream.pickle()
    return first if first.end == source.size else None


def calls_of(source: ByteSource, head: bytes) -> tuple[NameUse, ...]:
    """Return what a file of another format, which starts with ``head``, calls if unpickled.

    ``pickle.load`` reads any file, and ``torch.load`` unpickles every format that it does not know.
    """
    if not (matches(head) or may_be(head)):
        return ()
    watch = Watch()
    watch.unsigned = True
    with suppress(CkpttoolError), watch:
        _Stream(source, watch, MOST_BESIDE).read_rest()
    # named as a member, since a reader of the file's own format calls nothing
    return tuple(
        use._replace(member="the file read as a pickle")
        for use in watch.uses
        if use.use in (Use.CALL, Use.ATTACK)
    )


def _read(source: ByteSource, wrapper: str | None, watch: Watch) -> Checkpoint:
    stream = _Stream(source, watch)
    first = _first_pickle(stream, source, watch)
    _check_magic(first, stream)
    _check_no_tar(source)
    protocol = stream.pickle()
    if type(protocol.root) is not int or protocol.root != PROTOCOL_VERSION:
        raise _malformed("the protocol number is not torch's", expected=PROTOCOL_VERSION)
    ids = _PersistentIds()
    system, content, keys = stream.pickle(), stream.pickle(ids), stream.pickle()
    for what, pickle in (
        ("magic number", first),
        ("protocol number", protocol),
        ("facts of the system", system),
        ("list of storage keys", keys),
    ):
        _check_names_nothing(what, pickle)
    storages = _Storages(source, stream.position)
    storages.take_inventory(ids.found, _keys(keys.root))
    state = state_dicts.find(content, wrapper, storages)
    return Checkpoint(
        source.name,
        FORMAT,
        (source,),
        references=watch.references,
        uses=watch.uses,
        storages=storages.extents(),
        **state._asdict(),
    )


def _check_names_nothing(what: str, pickle: Pickle) -> None:
    """Refuse any name, and any persistent id, where torch writes plain data."""
    # torch.load(weights_only=False) unpickles these four without restrictions
    for reference in pickle.references:
        raise _malformed(
            f"the pickle of the {what} refers to a name",
            offset=reference.offset,
            expected="plain data",
            found=reference,
        )
    if pickle.ids:
        raise _malformed(f"the pickle of the {what} has a persistent id", expected="plain data")


class _Stream:
    """Pickles one after the other, from a window on the file that grows as they need it."""

    def __init__(self, source: ByteSource, watch: Watch, most: int | None = None) -> None:
        self._source = source
        self._watch = watch
        self._most = MAX_PICKLES if most is None else most
        self._data = b""
        self.position = 0
        self._widen(_FIRST_WINDOW)

    def pickle(self, persistent: Callable[[Node], Node] = PersistentId) -> Pickle:
        """Interpret the next pickle; ``persistent`` makes the nodes for its persistent ids.

        If the window was too small, it is called again with the same ids.

        Raises:
            MalformedError: it breaks the format, or is too much.
            UnsupportedError: joblib wrote it.
        """
        try:
            return self._pickle(persistent)
        except MalformedError as error:
            self._widen(min(self._most, MOST_BESIDE))
            end = self._watch.parse_joblib(self._data, self.position)
            if end is None:
                raise
            raise joblib_file(end) from error

    def _pickle(self, persistent: Callable[[Node], Node]) -> Pickle:
        while True:
            try:
                pickle = self._watch.parse(self._data, self.position, persistent=persistent)
            except pickles.TruncatedPickleError as error:
                if self._is_cut(error):
                    raise  # here, where no variable keeps the error and so the whole stack of calls
                # from the start again: by factors of 8 that adds a seventh to the whole time
                self._widen(max(8 * len(self._data), error.needed))
            else:
                self.position = pickle.end
                return pickle

    def _is_cut(self, error: pickles.TruncatedPickleError) -> bool:
        """Whether the file has no more bytes, of which ``error`` then tells.

        Raises:
            MalformedError: it has more than the limit allows to read.
        """
        if error.needed > self._source.size:
            error.message = "the file ends in the middle of a pickle"
            error.expected = f"{error.needed:,} bytes or more"
            error.found = f"{self._source.size:,}"
            return True
        if error.needed > self._most:
            raise MalformedError(
                "the pickle is longer than the limit",
                rules.LIMIT,
                expected=f"at most {self._most:,} bytes",
                found=f"{error.needed:,} and more",
                fix="Save the weights with torch.save, which keeps them beside the pickle.",
            ) from error
        return False

    def read_rest(self) -> None:
        """Read further pickles up to the first error, for what they call."""
        with suppress(CkpttoolError):
            for _ in range(_MOST_PICKLES):
                if self.position == self._source.size:
                    break
                self.pickle()

    def _widen(self, length: int) -> None:
        self._data = read_bytes(self._source, 0, min(length, self._source.size, self._most))


def _first_pickle(stream: _Stream, source: ByteSource, watch: Watch) -> Pickle:
    try:
        return stream.pickle()
    except MalformedError as error:
        if error.rule is rules.LIMIT:
            raise
        if read_bytes(source, 0, 1) == b"\x80":
            raise
        watch.unsigned = True
        # without a signature, bytes that are no pickle may be any other kind of file
        raise signatures.unknown(source) from error


def _check_magic(first: Pickle, stream: _Stream) -> None:
    """Refuse a stream whose first pickle is not the plain magic number."""
    # int("...") would give the same number, but torch never writes a call here
    if type(first.root) is int and first.root == MAGIC_NUMBER:
        return
    stream.read_rest()  # so that what they call is reported with the error
    raise other_pickle(first)


def _check_no_tar(source: ByteSource) -> None:
    """Refuse a stream that is a tar archive too."""
    # torch.load tries tarfile before it unpickles
    if tar.has_checksum(read_bytes(source, 0, min(tar.BLOCK, source.size))):
        raise _malformed("the stream can be read as a tar archive too, and torch would", offset=0)


class _PersistentIds:
    """Makes the nodes for persistent ids, and keeps those of storages in ``found``."""

    def __init__(self) -> None:
        # those that are popped too: torch reads a storage for every id
        self.found: list[PersistentId] = []

    def __call__(self, value: Node) -> Node:
        """Return the node for an id: for a module's class and source text, the class."""
        if type(value) is tuple and value and value[0] == "module":
            return class_of(value[1:])
        node = PersistentId(value)
        self.found.append(node)
        return node


def _keys(root: Node) -> list[str]:
    if type(root) is not list or not all(type(key) is str for key in root):
        raise _malformed("the list of storage keys is not a list of text")
    if len(set(root)) != len(root):  # torch would read the second one's bytes over the first's
        raise _malformed("a storage key is listed twice")
    return root


class _Declared(NamedTuple):
    dtype: DType | None
    width: int
    numel: int

    def agrees(self, other: _Declared) -> bool:
        """Whether one storage may be declared in both ways."""
        # honest files have empty storages of two types under one key
        return self == other or self.numel == other.numel == 0


class _Storages:
    """The storages that follow the pickles, found by walking their counts."""

    def __init__(self, source: ByteSource, start: int) -> None:
        self._source = source
        self._start = start
        self._found: dict[str, Storage] = {}

    def take_inventory(self, ids: Sequence[PersistentId], keys: list[str]) -> None:
        """Check the listed keys against those in the object, and locate each storage."""
        declared = _declarations(ids)
        strangers = set(keys) ^ set(declared)
        if strangers:
            key = min(strangers)
            raise _malformed(
                f"storage {key!r} is {'listed' if key in keys else 'referred to'} but not "
                f"{'referred to' if key in keys else 'listed'}"
            )
        offset = self._start
        for key in keys:
            offset = self._place(key, declared[key], offset)
        if offset != self._source.size:
            raise _malformed(
                "bytes follow the last storage",
                offset=offset,
                expected=f"{offset:,} bytes in all",
                found=f"{self._source.size:,}",
            )

    def extents(self) -> dict[str, Extent]:
        """Return the extent of each storage, by key."""
        return {key: storage.extent for key, storage in self._found.items()}

    def _place(self, key: str, declared: _Declared, offset: int) -> int:
        """Keep the extent of a storage and return the offset after it."""
        begin = offset + _COUNT
        itemsize = declared.width
        if begin > self._source.size:
            raise self._truncated(key, offset, begin)
        count = int.from_bytes(read_bytes(self._source, offset, _COUNT), "little", signed=True)
        if count != declared.numel:
            raise MalformedError(
                f"storage {key} has another element count than its tensors say",
                rules.STORAGE_SIZE,
                offset=offset,
                expected=f"{declared.numel:,}",
                found=f"{count:,}",
            )
        if begin + count * itemsize > self._source.size:
            raise self._truncated(key, offset, begin + count * itemsize)
        extent = Extent(self._source, begin, count * itemsize)
        self._found[key] = Storage(key, declared.dtype, extent)
        return begin + count * itemsize

    def _truncated(self, key: str, offset: int, end: int) -> MalformedError:
        return MalformedError(
            f"the file ends before storage {key} does",
            rules.TRUNCATED,
            offset=offset,
            expected=f"{end:,} bytes or more",
            found=f"{self._source.size:,}",
        )

    def __call__(self, node: PersistentId) -> Storage:
        class_node, key, _, (view,) = storage_id(node, 6)
        storage = self._found[key]._replace(dtype=storage_class(class_node))
        # (view key, offset, count) in elements, a form that was checked with the declarations
        return storage if view is None else part_of(storage, view[1], view[2])


def _declarations(ids: Sequence[PersistentId]) -> dict[str, _Declared]:
    """Return what the object declares of every storage, which must agree for each."""
    declared: dict[str, _Declared] = {}
    views: dict[str, tuple[str, int, int]] = {}
    for node in ids:
        class_node, key, count, (view,) = storage_id(node, 6)
        declaration = _Declared(*storage_width(class_node), count)
        if not declared.setdefault(key, declaration).agrees(declaration):
            raise MalformedError(
                f"storage {key} is declared in two ways",
                rules.STORAGE_SIZE,
                expected=str(declared[key]),
                found=str(declaration),
            )
        if view is not None:
            _note_view(views, view, key)
    mixed = views.keys() & declared.keys()
    if mixed:  # torch keeps both in one dictionary by their keys
        raise _malformed(f"storage {min(mixed)!r} is a view of another too")
    return declared


def _note_view(views: dict[str, tuple[str, int, int]], view: Node, key: str) -> None:
    """Refuse a view that is declared in two ways."""
    # torch makes it for the first declaration and takes it by its key for the others
    kinds = list(map(type, view)) if type(view) is tuple and len(view) == 3 else []
    if kinds != [str, int, int] or min(view[1:]) < 0:
        raise MalformedError("a storage's view is not of torch's form", rules.PERSISTENT_ID)
    declaration = (key, view[1], view[2])
    if views.setdefault(view[0], declaration) != declaration:
        raise _malformed(f"view {view[0]!r} is declared in two ways")


def _malformed(
    message: str, *, offset: int | None = None, expected: object = None, found: object = None
) -> MalformedError:
    return MalformedError(
        message, rules.LEGACY_STREAM, offset=offset, expected=expected, found=found
    )
