"""Numbers the meanings of nodes, equal meanings equally: for keys and members of sets."""

from __future__ import annotations

from typing import Any, Dict, Iterator

from ckpttool.formats.objects.rebuild import is_tensor
from ckpttool.formats.objects.views import ATOM, MAPPING, OBJECT, SET, View, exact, through, view
from ckpttool.formats.pickles.nodes import Node, PersistentId, is_scalar

# How deep a key may be nested (tuples of tuples, objects with attributes): each level costs four
# Python calls, and the recursion limit is 1000.
_DEEPEST = 60


class CannotTellError(Exception):
    """The meaning of a node is not known: it holds a tensor, contains itself, or is too deep."""


class Meanings:
    """Numbers meanings. Nodes are known by id and must outlive it."""

    def __init__(self) -> None:
        self._numbers: Dict[str, int] = {}
        self._known: Dict[int, int] = {}
        self._objects: set[int] = set()

    def of(self, node: Node, depth: int = _DEEPEST) -> int:
        """Return the number of a node's meaning; raises CannotTellError."""
        if is_scalar(node):
            return self._number(exact(node))
        known = self._known.get(id(node))
        if known is None:
            known = self._known[id(node)] = self._of(through(node), depth - 1)
        return known

    def is_of_object(self, number: int) -> bool:
        """Whether the meaning is an object of an unknown class, or holds one."""
        return number in self._objects

    def _number(self, meaning: Any) -> int:
        # By text, whose hash is salted: a file could hold a million numbers of the same hash.
        return self._numbers.setdefault(repr(meaning), len(self._numbers))

    def _of(self, node: Node, depth: int) -> int:
        if depth < 0 or is_tensor(node) or type(node) is PersistentId:
            raise CannotTellError
        if is_scalar(node):
            return self._number(exact(node))
        seen = view(node)
        if seen.form == ATOM:
            return self._number(exact(seen.value))
        # Parts stand in it by their numbers, so that a meaning stays short however large they are.
        parts = tuple(self._parts(seen, depth))
        number = self._number((seen.form, seen.kind, parts))
        if seen.form == OBJECT or any(part in self._objects for part in _flat(parts)):
            self._objects.add(number)
        return number

    def _parts(self, seen: View, depth: int) -> Iterator[Any]:
        items = [self.of(item, depth) for item in seen.items]
        yield tuple(sorted(items) if seen.form == SET else items)
        for pairs in (seen.pairs, seen.extra):
            found = [(self.of(key, depth), self.of(value, depth)) for key, value in pairs]
            yield tuple(sorted(found) if seen.form in (MAPPING, OBJECT) else found)
        if seen.call is not None:
            yield seen.call.form[0]
            yield tuple(self.of(part, depth) for part in (*seen.call.args, *seen.call.states))
            yield tuple(
                sorted(
                    (self.of(key, depth), self.of(value, depth))
                    for key, value in seen.call.keywords
                )
            )
            if seen.call.function is not None:
                yield self.of(seen.call.function, depth)


def _flat(parts: Any) -> Iterator[Any]:
    for part in parts:
        if isinstance(part, tuple):
            yield from _flat(part)
        else:
            yield part
