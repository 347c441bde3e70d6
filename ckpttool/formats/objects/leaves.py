"""The scalars beside the tensors of a file, each under its dotted key."""

from __future__ import annotations

from typing import Iterable, Iterator, Tuple, Union

from ckpttool.formats.objects.known_values import path_text
from ckpttool.formats.objects.rebuild import is_tensor
from ckpttool.formats.pickles.dictionaries import pairs_of
from ckpttool.formats.pickles.nodes import Call, Dict, Node, children

Scalar = Union[str, bool, int, float]

# A key grows no further than this: a hostile nesting would make it long at every level.
_LONGEST_KEY = 200


def leaves(key: str, root: Node) -> Iterator[Tuple[str, Scalar]]:
    """Yield (dotted key, scalar) for every scalar below a node, in order; shared parts once.

    A pathlib path is one text. Keys of dictionaries that are no identifiers are yielded too, since
    they may be data. Tensors are skipped.
    """
    waiting: list[tuple[str, Node]] = [(key, root)]
    seen: set[int] = set()
    while waiting:
        path, node = waiting.pop()
        if isinstance(node, (str, bool, int, float)):
            yield path, node
        elif id(node) not in seen:
            seen.add(id(node))
            text = path_text(node) if isinstance(node, Call) else None
            if text is not None:
                yield path, text
            else:
                waiting += reversed(list(_below(path, node)))


def _below(path: str, node: Node) -> Iterator[tuple[str, Node]]:
    if isinstance(node, Call) and is_tensor(node):
        return
    pairs = _pairs(node)
    if pairs is None:
        yield from ((path, child) for child in children(node))
        return
    for key, value in pairs:
        named = type(key) is str and key.isidentifier()
        if not named:
            yield path, key
        yield (f"{path}.{key}" if named and len(path) < _LONGEST_KEY else path), value


def _pairs(node: Node) -> Iterable[tuple[Node, Node]] | None:
    """Return the pairs of a dictionary, or the attributes of an object such as a Namespace."""
    if isinstance(node, Dict):
        return node.pairs()
    if not isinstance(node, Call):
        return None
    pairs = pairs_of(node)
    if pairs is None and node.states and isinstance(node.states[0], Dict):
        return node.states[0].pairs()
    return pairs
