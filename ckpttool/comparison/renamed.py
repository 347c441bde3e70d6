"""Finds tensors that have another name on the other side, one to one, by digest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Hashable, Mapping, Sequence

from ckpttool.comparison.numbers.compare import SideError
from ckpttool.findings.errors import CkpttoolError
from ckpttool.tensors.values import start_values

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ckpttool.tensors.catalogue import TensorInfo


def renamed(
    left: Mapping[str, TensorInfo],
    right: Mapping[str, TensorInfo],
    *,
    constant: bool = True,
    workers: int | None = None,
    executor: Executor | None = None,
) -> dict[str, str]:
    """Return left name -> right name of tensors with the same type, shape and elements.

    Args:
        left: the tensors of the left file that have no partner by name.
        right: those of the right one.
        constant: whether to pair those of which all elements are one number, too; any of them
            could be the partner.
        workers: threads; ``None`` for one per processor.
        executor: where they come from; see :class:`ckpttool.tensors.workers.Work`.

    Raises:
        SideError: a file could not be read.
    """
    # Only tensors whose type and shape both sides have can be partners; the others are not read.
    # Empty tensors have no content to recognise them by.
    kinds = [{kind_of(info) for info in side.values() if info.nbytes} for side in (left, right)]
    shared = kinds[0] & kinds[1]
    if not shared:
        return {}
    groups: list[dict[Hashable, list[str]]] = []
    for number, side in enumerate((left, right)):
        chosen = {name: info for name, info in side.items() if kind_of(info) in shared}
        groups.append(_by_content(number, chosen, constant, workers, executor))
    return partners(groups[0], groups[1])


def partners(
    left: Mapping[Hashable, Sequence[str]], right: Mapping[Hashable, Sequence[str]]
) -> dict[str, str]:
    """Return left name -> right name, given names by content."""
    # Equal tensors (biases of zeros) are paired in the order of names, so that runs agree.
    return {
        name: other
        for key, names in left.items()
        for name, other in zip(sorted(names), sorted(right.get(key, ())))
    }


def kind_of(info: TensorInfo) -> tuple[str, tuple[int, ...]]:
    """Return what two tensors must have in common to hold the same elements."""
    return info.dtype.name, info.shape


def _by_content(
    side: int,
    tensors: Mapping[str, TensorInfo],
    constant: bool,
    workers: int | None,
    executor: Executor | None,
) -> dict[Hashable, list[str]]:
    try:
        with start_values(tensors, (), workers=workers, executor=executor) as run:
            values = run.result().tensors
    except CkpttoolError as error:
        raise SideError(side, error) from error
    found: dict[Hashable, list[str]] = {}
    for name, value in values.items():
        if constant or not value.is_constant:
            found.setdefault((kind_of(tensors[name]), value.digest), []).append(name)
    return found
