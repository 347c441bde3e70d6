"""The dictionaries and lists that flat names were made of, put together again.

As ``set_element`` of ``torch.distributed.checkpoint._nested_dict`` does it: a number leads into a
list, in which places that no name leads to are ``None``.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Tuple, Union

from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError
from ckpttool.formats.pickles.nodes import Dict as Dictionary
from ckpttool.formats.pickles.nodes import Node

#: Keys of one name; tensors are looked for no deeper.
MAX_DEPTH = 32
# Places of lists that no name leads to: an empty dictionary in a list has none.
_GAPS = 10_000

_Key = Union[str, int]


class _Container:
    """A dictionary or a list: ``ordered``, with numbers for keys."""

    __slots__ = ("items", "ordered")

    def __init__(self, *, ordered: bool) -> None:
        self.items: Dict[_Key, Any] = {}
        self.ordered = ordered


def root_of(nodes: Mapping[str, Node], paths: Mapping[str, Tuple[_Key, ...]]) -> Node:
    """Return the nested dictionary of nodes by their flat names.

    Args:
        nodes: by flat name; one without a path stands at the root under that name.
        paths: the keys of flat names.

    Raises:
        MalformedError: two names lead to one place, or the keys are beyond the limits.
    """
    root = _Container(ordered=False)
    for name, node in nodes.items():
        path = paths.get(name, (name,))
        if len(path) > MAX_DEPTH:
            raise _bad("has more keys than the limit", name, rules.LIMIT)
        _put(root, path, node, name)
    return _written(root, [_GAPS + len(nodes)])


def _put(root: _Container, path: tuple[_Key, ...], node: Node, name: str) -> None:
    at = root
    for key, following in zip(path, path[1:]):
        _require_kind(at, key, name)
        below = at.items.setdefault(key, _Container(ordered=type(following) is int))
        if type(below) is not _Container:
            raise _bad("leads through a tensor", name)
        at = below
    _require_kind(at, path[-1], name)
    if path[-1] in at.items:
        raise _bad("leads to the same place as another", name)
    at.items[path[-1]] = node


def _require_kind(at: _Container, key: _Key, name: str) -> None:
    if at.ordered is not (type(key) is int):
        raise _bad("leads into a list by a name, or into a dictionary by a number", name)


def _written(container: _Container, left: list[int]) -> Node:
    items = {
        key: _written(value, left) if type(value) is _Container else value
        for key, value in container.items.items()
    }
    if not container.ordered:
        found = Dictionary()
        found.flat = [part for pair in items.items() for part in pair]
        return found
    length = 1 + max(int(key) for key in items)
    left[0] -= length
    if left[0] < 0:
        raise MalformedError("the lists of planner_data are longer than the limit", rules.LIMIT)
    return [items.get(place) for place in range(length)]


def _bad(what: str, name: str, rule: rules.Rule = rules.DISTRIBUTED_METADATA) -> MalformedError:
    return MalformedError(f"a path in planner_data {what}", rule, tensor=name)
