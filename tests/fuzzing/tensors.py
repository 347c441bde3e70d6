"""Tensors of a catalogue as bytes, to be held against those of another reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, Tuple

from tests.fuzzing.parser import SAME, ViolationError

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import Checkpoint, TensorInfo

#: What a tensor is: its element type, its shape, its bytes in row-major order, little-endian.
Content = Tuple[str, Tuple[int, ...], bytes]
#: Bytes of all tensors above which they are not read: a view may be as large as it likes.
_MOST = 4 * 2**20


def contents(checkpoint: Checkpoint) -> Dict[str, Content] | None:
    """Return the tensors' contents by name; ``None`` if they are too large to be read here."""
    with checkpoint:
        if sum(info.nbytes for info in checkpoint.tensors.values()) > _MOST:
            return None
        return {name: _content(info) for name, info in checkpoint.tensors.items()}


def _content(info: TensorInfo) -> Content:
    return info.dtype.name, tuple(info.shape), info.numpy(view=True).tobytes()


def held_to(ours: Dict[str, Content], theirs: Dict[str, Content]) -> str:
    """Return ``SAME``, or raise ViolationError with the first tensor that differs."""
    if ours.keys() != theirs.keys():
        raise ViolationError(f"names differ: {sorted(ours.keys() ^ theirs.keys())[:5]!a}")
    for name, content in ours.items():
        if content != theirs[name]:
            raise ViolationError(f"tensor {name!a}: {content!a:.200} here, {theirs[name]!a:.200}")
    return SAME
