"""Inert nodes: what a pickle describes, as data that can do nothing.

Scalars, tuples and lists are Python's own. Everything that a real unpickler would import,
call or hash is one of the classes below, and none of them has behaviour of its own: no
``__hash__`` over content, no ``__reduce__``, no attribute taken from the file.
"""

from __future__ import annotations

from typing import Any, Iterator, List

#: A scalar, a tuple, a list, or one of the classes below. Untrusted, so checked where used.
Node = Any


class Global:
    """A name that the pickle refers to, ``module`` and ``name``, never imported."""

    __slots__ = ("module", "name")

    def __init__(self, module: str, name: str) -> None:
        self.module = module
        self.name = name

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Dict:
    """A dictionary as a flat list ``[key, value, key, value, ...]``; keys are never hashed."""

    __slots__ = ("flat",)

    def __init__(self) -> None:
        self.flat: List[Node] = []

    def pairs(self) -> Iterator[tuple[Node, Node]]:
        """Iterate over the pairs in the order of the stream."""
        return zip(self.flat[::2], self.flat[1::2])


class Set:
    """A set or frozenset as a list."""

    __slots__ = ("items",)

    def __init__(self, items: List[Node]) -> None:
        self.items = items


class PersistentId:
    """A reference to something outside the pickle; torch's are storages."""

    __slots__ = ("value",)

    def __init__(self, value: Node) -> None:
        self.value = value


class Call:
    """A call that was described and not made: REDUCE, OBJ, INST.

    ``appended`` and ``mapped`` are what APPENDS and SETITEMS put into the result, ``states``
    what BUILD gave it.
    """

    __slots__ = ("appended", "args", "function", "mapped", "states")

    def __init__(self, function: Node, args: Node) -> None:
        self.function = function
        self.args = args
        self.mapped: Dict | None = None
        self.appended: List[Node] | None = None
        self.states: List[Node] | None = None


class New(Call):
    """An object made by ``__new__`` alone: NEWOBJ, NEWOBJ_EX. Its arguments initialise nothing."""

    __slots__ = ("keywords",)

    def __init__(self, function: Node, args: Node, keywords: Node = None) -> None:
        super().__init__(function, args)
        self.keywords = keywords


def name_of(function: Node) -> tuple[str, str] | None:
    """Return ``(module, name)`` of a global, ``None`` for anything else."""
    return (function.module, function.name) if type(function) is Global else None


def children(node: Node) -> Iterator[Node]:
    """Iterate over the nodes directly below ``node``; scalars have none."""
    if isinstance(node, (tuple, list)):
        yield from node
    elif isinstance(node, Dict):
        yield from node.flat
    elif isinstance(node, Set):
        yield from node.items
    elif isinstance(node, PersistentId):
        yield node.value
    elif isinstance(node, Call):
        yield node.function
        yield node.args
        yield node.keywords if isinstance(node, New) else None
        yield from node.mapped.flat if node.mapped else ()
        yield from node.appended or ()
        yield from node.states or ()
