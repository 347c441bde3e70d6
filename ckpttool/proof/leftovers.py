"""Tensors without a partner by name, explained by their content: renamed, or a tied name put back.

A tensor of which all elements are one number is never recognised by its content: a bias of zeros
could come from anywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Collection, Iterable, Mapping, NamedTuple

from ckpttool.comparison.numbers.compare import SideError
from ckpttool.findings.errors import CkpttoolError

if TYPE_CHECKING:
    from ckpttool.comparison.pairing import Pairing
    from ckpttool.proof.options import ProveOptions
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.tensors.examining import TensorValues


class Leftovers(NamedTuple):
    """What the content of tensors without a partner tells, under the names that are paired.

    Attributes:
        renamed: name in B -> name in A of the same elements.
        tied: name in B -> another name in B, of a tensor made from A, of the same elements.
        constant: names in B of the others that are a single number.
    """

    renamed: Mapping[str, str] = {}
    tied: Mapping[str, str] = {}
    constant: frozenset[str] = frozenset()


def explain_leftovers(pairing: Pairing, proven: Iterable[str], options: ProveOptions) -> Leftovers:
    """Explain the tensors of B that have no partner.

    Args:
        pairing: how the tensors were paired.
        proven: names in B of those that were made from A.
        options: workers and executor.

    Raises:
        SideError: a file could not be read.
    """
    rest = {name: pairing.right.tensors[name] for name in pairing.only_right}
    if not rest:
        return Leftovers()
    from ckpttool.comparison.renamed import renamed  # late, here and below: it loads numpy

    there = {name: pairing.right.tensors[name] for name in proven}
    tied = _same_views(rest, there)
    rest = _without(rest, tied)
    # what B has under its own name, but changed, may stand in it under another one
    changed = (match.left for match in pairing.matches if match.right not in there)
    left = {name: pairing.left.tensors[name] for name in (*pairing.only_left, *changed)}
    workers, executor = options.workers, options.executor
    found = renamed(left, rest, constant=False, workers=workers, executor=executor)
    back = {other: name for name, other in found.items()}
    there.update({name: rest[name] for name in back})
    rest = _without(rest, back)
    tied.update(_same_views(rest, there))
    rest = _without(rest, tied)
    values = _values(rest, there, options)
    constant = frozenset(name for name in rest if name in values and values[name].is_constant)
    tied.update(_copies(_without(rest, constant), there, values))
    return Leftovers(back, tied, constant)


def _without(tensors: Mapping[str, TensorInfo], names: Collection[str]) -> dict[str, TensorInfo]:
    return {name: info for name, info in tensors.items() if name not in names}


def _same_views(rest: Mapping[str, TensorInfo], there: Mapping[str, TensorInfo]) -> dict[str, str]:
    """Return the names of tensors that are one in memory with another, each with that one."""
    views = {info.view: name for name, info in there.items() if info.nbytes}
    found = {name: views.get(info.view) for name, info in rest.items() if info.nbytes}
    return {name: other for name, other in found.items() if other is not None}


def _values(
    rest: Mapping[str, TensorInfo], there: Mapping[str, TensorInfo], options: ProveOptions
) -> Mapping[str, TensorValues]:
    """Return what is known of the tensors, and of those of B that could hold the same elements."""
    from ckpttool.comparison.renamed import kind_of
    from ckpttool.tensors.values import start_values

    kinds = {kind_of(info) for info in rest.values()}
    chosen = {**rest, **{name: info for name, info in there.items() if kind_of(info) in kinds}}
    if not rest:
        return {}
    try:
        with start_values(chosen, (), workers=options.workers, executor=options.executor) as run:
            return run.result().tensors
    except CkpttoolError as error:
        raise SideError(1, error) from error


def _copies(
    rest: Mapping[str, TensorInfo],
    there: Mapping[str, TensorInfo],
    values: Mapping[str, TensorValues],
) -> dict[str, str]:
    """Return the names of tensors that hold the same bytes as another, each with that one."""
    from ckpttool.comparison.renamed import kind_of

    known = {
        (kind_of(info), values[name].digest): name
        for name, info in reversed(list(there.items()))
        if name in values
    }
    found = {
        name: known.get((kind_of(info), values[name].digest))
        for name, info in rest.items()
        if name in values and info.nbytes
    }
    return {name: other for name, other in found.items() if other is not None}
