"""Inert nodes: what a pickle describes, as data that can do nothing.

Scalars, tuples and lists are Python's own. Everything that a real unpickler would import,
call or hash is one of the classes below, and none of them has behaviour of its own: no
``__hash__`` over content, no ``__reduce__``, no attribute taken from the file.
"""

from __future__ import annotations

from itertools import islice
from typing import Any, Iterable, Iterator, List

#: A scalar, a tuple, a list, or one of the classes below. Untrusted, so checked where used.
Node = Any

#: Types of nodes with nothing below them. A set, since it is asked of every value of a file.
SCALARS = frozenset({type(None), bool, int, float, str, bytes})


class ByteArray(bytes):
    """What an operation of protocol 5 makes a ``bytearray`` of; older protocols write a call."""


class Global:
    """A name that the pickle refers to, ``module`` and ``name``, never imported."""

    __slots__ = ("module", "name", "pair")

    def __init__(self, module: str, name: str) -> None:
        self.module = module
        self.name = name
        self.pair = module, name

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

    __slots__ = ("frozen", "items")

    def __init__(self, items: List[Node], *, frozen: bool = False) -> None:
        self.items = items
        self.frozen = frozen


class PersistentId:
    """A reference to something outside the pickle; torch's are storages."""

    __slots__ = ("value",)

    def __init__(self, value: Node) -> None:
        self.value = value


class Call:
    """A call that was described and not made: REDUCE, OBJ, INST.

    Attributes:
        function: what is called.
        args: the arguments, a tuple.
        offset: where, in bytes from the start of the pickle's member; -1 for a call that stands
            in no pickle.
        mapped: what SETITEMS put into the result.
        appended: what APPENDS put into it, and ADDITEMS.
        states: what BUILD gave it.
        changed_late: whether items came after a state, or a state after the result was called.
            No pickler writes them in that order; a reader would look the method that takes the
            items up in what the state has put there, and has made the call without that state.
    """

    __slots__ = ("appended", "args", "changed_late", "function", "mapped", "offset", "states")

    def __init__(self, function: Node, args: Node, offset: int = -1) -> None:
        self.function = function
        self.args = args
        self.offset = offset
        self.mapped: Dict | None = None
        self.appended: List[Node] | None = None
        self.states: List[Node] | None = None
        self.changed_late = False


class New(Call):
    """An object made by ``__new__`` alone: NEWOBJ, NEWOBJ_EX. Its arguments initialise nothing."""

    __slots__ = ("keywords",)

    def __init__(self, function: Node, args: Node, keywords: Node = None, offset: int = -1) -> None:
        super().__init__(function, args, offset)
        self.keywords = keywords


def is_scalar(node: Node) -> bool:
    """Whether a node is a number, text, bytes, a truth value or ``None``."""
    return type(node) in SCALARS


def pair_of(function: Node) -> tuple[str, str] | None:
    """Return ``(module, name)`` of a global, ``None`` for anything else."""
    return function.pair if type(function) is Global else None


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


def near(roots: Iterable[Node], limit: int) -> Iterator[Node]:
    """Iterate over some of the nodes below ``roots``, the nearest first.

    The bounds keep a million entries that share one large argument from being walked each.
    """
    waiting = list(islice(roots, limit))
    for place in range(limit):
        if place == len(waiting):
            return
        yield waiting[place]
        waiting.extend(islice(children(waiting[place]), limit - len(waiting)))
