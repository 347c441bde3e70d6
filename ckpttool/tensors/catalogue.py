"""What an opened checkpoint holds: extents, tensors and facts, without any tensor's bytes."""

from __future__ import annotations

from itertools import islice
from math import prod
from typing import TYPE_CHECKING, Any, Iterable, Iterator, Mapping, NamedTuple

from ckpttool.files.sources import ByteSource
from ckpttool.findings.finding import Finding
from ckpttool.findings.text import count, printable, size
from ckpttool.findings.uses import NameUse

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from ckpttool.tensors.dtypes import DType
    from ckpttool.tensors.in_parts import InParts

# For the error on an unknown name: how many names are compared with it (a million would take
# minutes), and how many are suggested.
_COMPARED, _NEAR = 10_000, 3
# Rows of the table in a notebook: more would make the output longer than a screen.
_ROWS = 20


class Extent(NamedTuple):
    """A run of ``length`` bytes at ``offset`` of ``source`` that nobody has read yet."""

    source: ByteSource
    offset: int
    length: int


class TensorInfo(NamedTuple):
    """A tensor as the catalogue knows it: a name, a type, a shape and where its bytes lie.

    Attributes:
        name: as in the checkpoint.
        dtype: the element type.
        shape: sizes, outermost first; ``()`` is a single element.
        strides: in elements, or ``None`` for row-major; then the extents hold exactly
            ``nbytes``. With strides they hold the bytes from the tensor's first element to its
            last one, and element ``i`` lies ``sum(i * strides)`` elements after the start.
        extents: the bytes, in order; several when they are joined from parts.
        big_endian: whether the bytes of one element come most significant first.
        storage: the storage that the bytes belong to, for telling what shares memory.
    """

    name: str
    dtype: DType
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None
    extents: tuple[Extent, ...]
    big_endian: bool = False
    storage: str | None = None

    @property
    def numel(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements laid out contiguously, whatever the strides are."""
        # The division comes last: elements narrower than a byte share their bytes.
        return prod(self.shape) * self.dtype.bits // 8

    @property
    def whole(self) -> Extent | None:
        """The one extent whose bytes are, from the first to the last, those of the elements.

        ``None`` for several, and where elements are gathered or their bytes swapped.
        """
        if self.strides is None and not self.big_endian and len(self.extents) == 1:
            return self.extents[0]
        return None

    @property
    def view(self) -> tuple[object, ...]:
        """Which bytes it covers and how they are read; tied tensors have equal views."""
        # Without the name, by which tied tensors differ, and without the storage, which the
        # extents imply.
        return self.dtype.name, self.shape, self.strides, self.extents, self.big_endian

    def numpy(self, *, view: bool = False) -> NDArray[Any]:
        """Read the elements and return them as an array that cannot be written to.

        bfloat16 and the 8-bit floats, which numpy lacks, are returned as float32, which holds
        each of their values exactly. All other types are returned unchanged.

        Args:
            view: return the bits of the elements instead, as unsigned integers of their width;
                of types without such integers (complex128, those below a byte) the bytes, in
                one dimension.

        Raises:
            CkpttoolError: the file is closed, was changed or cannot be read, there is not
                enough memory, or numpy has nothing for the type (a 4-bit float).
        """
        from ckpttool.tensors.in_memory import to_numpy  # late: headers are read without numpy

        return to_numpy(self, view)

    def torch(self) -> Tensor:
        """Read the elements and return them as a torch tensor of the same type, in new memory.

        4-bit floats come in pairs, as torch packs them.

        Raises:
            CkpttoolError: as for :meth:`numpy`; the installed torch may lack the type.
        """
        from ckpttool.tensors.in_memory import to_torch  # late: it loads numpy

        return to_torch(self)

    def __repr__(self) -> str:
        return f"TensorInfo({self.name!r}, {self.dtype.name}, {list(self.shape)})"


class TensorBytes(NamedTuple):
    """A tensor whose elements are in memory: row-major, contiguous, little-endian.

    ``data`` holds exactly the bytes of ``shape`` elements of ``dtype``.
    """

    dtype: DType
    shape: tuple[int, ...]
    data: memoryview


class Checksum(NamedTuple):
    """A stored CRC-32 over an extent, still to be checked by whoever reads the bytes."""

    member: str
    extent: Extent
    crc32: int


class Wrapper(NamedTuple):
    """A state dict in a checkpoint: the dotted key it lies under (``""`` for the root).

    ``module`` is the class of a whole module, whose state dict was read out of its attributes.
    """

    key: str
    tensors: int
    module: str | None = None


class Entry(NamedTuple):
    """Something beside the tensors: its dotted key, its kind and a short summary.

    ``inside``: it stands among the tensors of the state dict, so it is part of the model's state.
    """

    key: str
    kind: str
    summary: str
    inside: bool = False


#: The last part of the key of what whole modules hold beside their parameters and buffers.
ATTRIBUTES = "$attributes"


class Outside(NamedTuple):
    """Tensors that are neither in the state dict that was taken nor in an optimizer's state.

    Attributes:
        key: the dotted key that they lie under.
        tensors: how many there are.
        nbytes: bytes of their storages.
        is_average: whether the key says that they are an average of the weights.
    """

    key: str
    tensors: int
    nbytes: int
    is_average: bool = False

    @property
    def of_attributes(self) -> bool:
        """Whether they are attributes of whole modules, which ``state_dict()`` leaves out too."""
        return self.key.rpartition(".")[2] == ATTRIBUTES


class Reference(NamedTuple):
    """A global that a pickle refers to, and the offset at which it does."""

    module: str
    name: str
    offset: int

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class _Unknown:
    """The message of the KeyError for a name, searched for suggestions only when it is shown.

    ``get`` and callers who try names catch the error, and the search takes 0.4 s at 10,000 names.
    """

    def __init__(self, name: object, names: Iterable[str]) -> None:
        self._name = name
        self._names = names

    def __repr__(self) -> str:
        from difflib import get_close_matches  # late: for this error only

        near = get_close_matches(str(self._name), islice(self._names, _COMPARED), _NEAR)
        hint = f"; there is {' or '.join(map(repr, near))}" if near else ""
        return f"no tensor is called {self._name!r}{hint}"

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (repr(self),)  # as text: the names are the keys of an open file's tensors


class Checkpoint(Mapping[str, TensorInfo]):
    """An opened checkpoint: a mapping of names to tensors, in file order, and the file's facts.

    A ``with`` block closes its files:

        with open_checkpoint("model.pth") as checkpoint:
            weight = checkpoint["blocks.0.norm1.weight"].numpy()

    Attributes:
        path: as the caller named it.
        format: ``torch-zip``, ``torch-legacy``, ``torch-tar``, ``torch-script``, ``safetensors``,
            ``safetensors-sharded``, or ``torch-sharded`` where a shard is of torch;
            ``torch-distributed`` or ``safetensors-unconsolidated``.
        sources: every file that the extents point into; the first is ``path`` itself.
        tensors: name to :class:`TensorInfo`, in the order of the file.
        wrapper: the dotted key of the state dict that was taken; ``None`` at the root.
        wrappers: every state dict that was found, the one taken first.
        entries: what lies beside the tensors.
        aside: the same as inert nodes, one for each entry; none where there is no pickle.
        beside: everything outside of the state dict, tensors included, from which
            ``formats.objects.beside`` lists them; ``None`` where there is no pickle.
        references: names that the pickle refers to; empty where there is no pickle.
        uses: names that are used for more than to construct data, in the order of the file.
        unread: tensors of a kind that is not read (sparse, quantized), with the reason.
        unread_bytes: bytes of their storages.
        in_parts: those of them that torch puts together from plain tensors, with what is known.
        outside: tensors that are not in the state dict that was taken, by dotted key.
        metadata: the strings that the container carries about itself.
        index_metadata: what an index of shards says of itself, as JSON has it.
        checksums: CRC-32 sums over storages, not yet checked.
        storages: every storage of the file by its key, used or not; none where tensors have none.
        header_size: bytes of the largest header; ``None`` where there is none.
        remarks: oddities of the container that do not keep it from being read.
    """

    def __init__(
        self,
        path: str,
        format: str,  # noqa: A002 (the field's name in every report)
        sources: tuple[ByteSource, ...],
        tensors: dict[str, TensorInfo],
        *,
        wrapper: str | None = None,
        wrappers: tuple[Wrapper, ...] = (),
        entries: tuple[Entry, ...] = (),
        aside: tuple[object, ...] = (),
        beside: object = None,  # a node of formats/objects, which this room must not import
        references: tuple[Reference, ...] = (),
        uses: tuple[NameUse, ...] = (),
        unread: tuple[tuple[str, str], ...] = (),
        unread_bytes: int = 0,
        in_parts: tuple[InParts, ...] = (),
        outside: tuple[Outside, ...] = (),
        metadata: dict[str, str] | None = None,
        index_metadata: dict[str, object] | None = None,
        checksums: tuple[Checksum, ...] = (),
        storages: dict[str, Extent] | None = None,
        header_size: int | None = None,
        remarks: tuple[Finding, ...] = (),
    ) -> None:
        self.path = path
        self.format = format
        self.sources = sources
        self.tensors = tensors
        self.wrapper = wrapper
        self.wrappers = wrappers
        self.entries = entries
        self.aside = aside
        self.beside = beside
        self.references = references
        self.uses = uses
        self.unread = unread
        self.unread_bytes = unread_bytes
        self.in_parts = in_parts
        self.outside = outside
        self.metadata = metadata or {}
        self.index_metadata = index_metadata or {}
        self.checksums = checksums
        self.storages = storages or {}
        self.header_size = header_size
        self.remarks = remarks

    @property
    def size(self) -> int:
        """Bytes of all files that make up the checkpoint."""
        return sum(source.size for source in self.sources)

    @property
    def parameters(self) -> int:
        """Number of elements of all tensors, a shared one counted under each of its names."""
        return sum(info.numel for info in self.tensors.values())

    def check_unchanged(self) -> None:
        """Raise UnreadableError if a file is no longer the one that was opened."""
        for source in self.sources:
            source.check_unchanged()

    def close(self) -> None:
        """Close every source."""
        for source in self.sources:
            source.close()

    def __getitem__(self, name: str) -> TensorInfo:
        if name in self.tensors:
            return self.tensors[name]
        raise KeyError(_Unknown(name, self.tensors))

    def __contains__(self, name: object) -> bool:
        # Mapping's own takes __getitem__, which would refuse a name that cannot be hashed.
        return name in self.tensors

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)

    # Compared as the open file that it is: Mapping's comparison by content would make it
    # unhashable, and equal to another file with the same tensors.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Checkpoint({self.path!r}, {self.format!r}, {len(self.tensors)} tensors)"

    def _repr_html_(self) -> str:
        """Return the first tensors as a table, for notebooks."""
        rows = [
            (info.name, info.dtype.name, " x ".join(map(str, info.shape)), size(info.nbytes))
            for info in islice(self.tensors.values(), _ROWS)
        ]
        cells = ["".join(f"<td>{_html(text)}</td>" for text in row) for row in rows]
        more = len(self) - len(rows)
        return (
            f"<p><b>{_html(self.path)}</b>: {_html(self.format)}, {count(len(self), 'tensor')}, "
            f"{count(self.parameters, 'parameter')}</p><table>"
            "<tr><th>tensor</th><th>type</th><th>shape</th><th>size</th></tr>"
            + "".join(f"<tr>{row}</tr>" for row in cells)
            + "</table>"
            + (f"<p>and {count(more, 'more tensor')}</p>" if more else "")
        )


def _html(text: str) -> str:
    """Return a text safe for HTML: a name in a file may hold markup or terminal escapes."""
    from html import escape  # late: for notebooks only

    return escape(printable(text))
