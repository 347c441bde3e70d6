"""Another checkpoint that a file is held against: what verifying the file has to know of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Collection, Mapping, NamedTuple

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import Checkpoint, TensorInfo


class Companion(NamedTuple):
    """Another checkpoint that a file is held against, by whoever asks for the verification.

    The names, shapes and dtypes of the file are compared with it, so that a file of no known model
    needs no schema.

    Attributes:
        names: of its tensors, which patterns of missing tensors may stand for.
        twins: returns, for the file that was opened, the view of a tensor -> the one of the other
            checkpoint, of the same type and shape, that its bytes are compared with: in the pass
            that reads them anyway. It is called before a weight is read.
    """

    names: Collection[str]
    twins: Callable[[Checkpoint], Mapping[object, TensorInfo]]
