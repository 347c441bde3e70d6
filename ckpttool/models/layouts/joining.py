"""Joining the parts of a fused tensor: their extents, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpttool.tensors.catalogue import TensorInfo

if TYPE_CHECKING:
    from typing import Sequence


def why_apart(parts: Sequence[TensorInfo]) -> str | None:
    """Return why ``parts`` cannot be joined; ``None`` if they can."""
    first, others = parts[0], parts[1:]
    if any(part.dtype != first.dtype for part in others):
        return "the parts differ in dtype: " + ", ".join(part.dtype.name for part in parts)
    # Equal, not only equal behind axis 0: splitting again is by thirds, and parts of other
    # sizes could add up to the right shape with wrong rows in it.
    if any(part.shape != first.shape for part in others):
        return "the parts differ in shape: " + ", ".join(str(list(part.shape)) for part in parts)
    if len(first.shape) not in (1, 2):
        return f"the parts have {len(first.shape)} dimensions, not 1 or 2"
    if any(part.strides is not None for part in parts):
        return "a part is strided: its bytes are not in row-major order"
    if any(part.big_endian != first.big_endian for part in others):
        return "the parts differ in byte order"
    if first.numel * first.dtype.bits % 8:  # 4-bit types: padding would lie in between
        return "the parts do not fill whole bytes"
    return None


def join(name: str, parts: Sequence[TensorInfo]) -> TensorInfo:
    """Return the tensor whose rows are those of ``parts``, in order; the bytes stay unread.

    :func:`why_apart` must have found nothing.
    """
    first = parts[0]
    return TensorInfo(
        name,
        first.dtype,
        (len(parts) * first.shape[0], *first.shape[1:]),
        None,
        tuple(extent for part in parts for extent in part.extents),
        first.big_endian,
    )
