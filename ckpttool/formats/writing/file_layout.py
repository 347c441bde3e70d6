"""The layout of a file to write: tensors at their places, and the bytes around them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.tensors.dtypes import DType

#: Data begins at multiples of this many bytes, as torch aligns it.
ALIGNMENT = 64


class PlannedTensor(NamedTuple):
    """A tensor to write.

    Attributes:
        name: in the destination.
        dtype: as written.
        shape: sizes, outermost first.
        info: where its row-major little-endian bytes come from.
        cast: whether the elements must be converted from ``info.dtype`` to ``dtype``.
        alias_of: the name of the piece that stores the same bytes, in a format that has views.
    """

    name: str
    dtype: DType
    shape: tuple[int, ...]
    info: TensorInfo
    cast: bool = False
    alias_of: str | None = None

    @property
    def nbytes(self) -> int:
        """Bytes as written."""
        # The division comes last: elements narrower than a byte share their bytes.
        return self.info.numel * self.dtype.bits // 8

    @property
    def stored_as(self) -> str:
        """The name of the piece that stores its bytes: its own, or that of the other."""
        return self.name if self.alias_of is None else self.alias_of

    @property
    def is_copy(self) -> bool:
        """Whether its bytes are written just as they lie in the source."""
        return self.info.strides is None and not self.info.big_endian and not self.cast


class Slot(NamedTuple):
    """The place of a piece in the file, in bytes."""

    offset: int
    length: int
    piece: PlannedTensor


class PlannedMember(NamedTuple):
    """A member of a zip archive, whose header waits for the checksum of its bytes.

    Attributes:
        name: its path in the archive.
        offset: of its local header in the file.
        data: of its first byte.
        size: in bytes.
        piece: the name of the piece whose bytes it holds; ``None`` where ``content`` does.
        content: what it holds, if that is known before anything is copied.
    """

    name: str
    offset: int
    data: int
    size: int
    piece: str | None
    content: bytes = b""


class FileLayout(NamedTuple):
    """A file before it is written.

    Attributes:
        head: its first bytes, where they are known before anything is copied.
        slots: the places of the tensors, in the order of the file; no two overlap.
        size: of the whole file, in bytes.
        members: of an archive, in order; empty for another format.
    """

    head: bytes
    slots: tuple[Slot, ...]
    size: int
    members: tuple[PlannedMember, ...] = ()


def cannot_hold(
    message: str, tensor: str | None = None, *, found: str | None = None, fix: str | None = None
) -> MalformedError:
    """Return the error for what a format, or a reader of it, has no place for (``CVT101``)."""
    # Found before anything is written, so that no file is ever half of its source.
    return MalformedError(message, rules.CANNOT_HOLD, tensor=tensor, found=found, fix=fix)
