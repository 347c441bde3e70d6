"""Inert nodes: what a pickle describes, as data without behaviour.

Scalars, tuples and lists are Python's own. Everything that a real unpickler would import,
call or hash is one of the classes below: no ``__hash__`` over content, no ``__reduce__``, no
attribute named by the file.
"""

from __future__ import annotations

from itertools import islice
from typing import Any, Iterable, Iterator, List

#: A scalar, a tuple, a list, or one of the classes below. Untrusted, so checked where used.
Node = Any

#: Types of nodes without children. A set, since every value of a file is looked up in it.
SCALARS = frozenset({type(None), bool, int, float, str, bytes})


# Apart from bytes, since a mutable array is compared and named as another type than bytes.
class ByteArray(bytes):
    """The content of a ``bytearray`` of protocol 5; older protocols write a call instead."""


class Global:
    """A name that the pickle refers to, ``module`` and ``name``, never imported."""

    __slots__ = ("module", "name", "pair", "plain")

    def __init__(self, module: str, name: str) -> None:
        self.module = module
        self.name = name
        # made once: it is compared for every call and every dictionary of a file
        self.pair = module, name
        # whether calls of it with arguments are kept as they are: see Calls._push_call
        self.plain = name != "getattr" and module != "collections"

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Dict:
    """A dictionary as a flat list ``[key, value, key, value, ...]``; keys are never hashed."""

    __slots__ = ("flat",)

    def __init__(self) -> None:
        # not a list of pairs: a tuple for each of a million entries takes 56 bytes more
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


class _Changes:
    """What was done to a call's result: see :class:`Call`."""

    __slots__ = ("appended", "late", "mapped", "states")

    def __init__(self) -> None:
        self.mapped: Dict | None = None
        self.appended: List[Node] | None = None
        self.states: List[Node] | None = None
        self.late = False


class Call:
    """A call that the pickle describes and nobody made: REDUCE, OBJ, INST.

    Attributes:
        function: what is called.
        args: the arguments, a tuple.
        offset: where, in bytes from the start of the pickle's member; -1 for a call that was
            derived from others and is in no pickle.
        mapped: what SETITEMS put into the result.
        appended: what APPENDS and ADDITEMS put into it.
        states: what BUILD gave it.
        changed_late: whether items came after a state, or a state after the result was called.
            No pickler writes them in that order. The state may replace the method that takes
            the items, and a call of the result is made before the state that is judged with it.
    """

    __slots__ = ("args", "changes", "function", "offset")

    def __init__(self, function: Node, args: Node, offset: int = -1) -> None:
        self.function = function
        self.args = args
        self.offset = offset
        # in a place of their own: nearly all of a million calls have none
        self.changes: _Changes | None = None

    @property
    def mapped(self) -> Dict | None:  # noqa: D102
        return None if self.changes is None else self.changes.mapped

    @mapped.setter
    def mapped(self, value: Dict | None) -> None:
        self._made().mapped = value

    @property
    def appended(self) -> List[Node] | None:  # noqa: D102
        return None if self.changes is None else self.changes.appended

    @appended.setter
    def appended(self, value: List[Node] | None) -> None:
        self._made().appended = value

    @property
    def states(self) -> List[Node] | None:  # noqa: D102
        return None if self.changes is None else self.changes.states

    @states.setter
    def states(self, value: List[Node] | None) -> None:
        self._made().states = value

    @property
    def changed_late(self) -> bool:  # noqa: D102
        return self.changes is not None and self.changes.late

    @changed_late.setter
    def changed_late(self, value: bool) -> None:
        self._made().late = value

    def _made(self) -> _Changes:
        if self.changes is None:
            self.changes = _Changes()
        return self.changes


class New(Call):
    """An object made by ``__new__`` alone, without ``__init__``: NEWOBJ, NEWOBJ_EX."""

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

    Breadth first and bounded, since a million entries may share one large argument. What is below
    one that was met before is not gone through again: a list may hold itself.
    """
    waiting = list(islice(roots, limit))
    seen: set[int] = set()
    for place in range(limit):
        if place == len(waiting):
            return
        node = waiting[place]
        yield node
        if type(node) not in SCALARS and id(node) not in seen:
            seen.add(id(node))
            waiting.extend(islice(children(node), limit - len(waiting)))
