"""Where the first NaN and the first infinity of a tensor are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Mapping, NamedTuple, Optional, Tuple

from ckpttool.tensors.places import first_index

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.tensors.examining import TensorValues

# Findings name so many tensors one by one; of more, none is looked at again.
_MOST = 8

_Index = Optional[Tuple[int, ...]]


class FirstIndexes(NamedTuple):
    """The index of the first NaN and of the first infinity in a tensor; ``None`` where none is."""

    nan: _Index = None
    infinite: _Index = None


def first_not_finite(
    tensors: Mapping[str, TensorInfo], values: Mapping[str, TensorValues]
) -> dict[str, FirstIndexes]:
    """Look again at the first few tensors that hold NaN or infinity, and find where.

    The one pass counts them and does not note where they are, since nearly no file has any. A
    tensor is read again up to the first one.

    Raises:
        CkpttoolError: the bytes cannot be read any more.
    """
    import numpy as np  # late, as all reading of numbers

    looks: tuple[tuple[str, Callable[..., np.ndarray]], ...] = (
        ("nan", np.isnan),
        ("infinite", np.isinf),
    )
    found: dict[str, FirstIndexes] = {}
    for what, holds in looks:
        names = [name for name, one in values.items() if getattr(one, what)]
        for name in names[:_MOST]:
            index = first_index(tensors[name], holds)
            found[name] = found.get(name, FirstIndexes())._replace(**{what: index})
    return found
