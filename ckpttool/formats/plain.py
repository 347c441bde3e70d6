"""From inert nodes to plain data that JSON can hold, and how many bytes of tensors lie in one.

Nothing is imported or called. What JSON has no form for gets an object with one key that
begins with ``$``: ``$pairs`` for a dictionary whose keys are not all text, ``$object`` for an
instance and its attributes, ``$bytes`` in hexadecimal, ``$set``, ``$float`` for what is not
finite, ``$name`` for a name, and ``$left_out`` with the kind of what is no plain data at all.
"""

from __future__ import annotations

import math
from typing import Any, Iterable, NamedTuple

from ckpttool import rules
from ckpttool.errors import CkpttoolError, UnsupportedError
from ckpttool.formats.describing import MORE, describe
from ckpttool.formats.dictionaries import pairs_of
from ckpttool.formats.nodes import Call, Dict, Global, New, Node, PersistentId, Set, children
from ckpttool.formats.rebuild import is_tensor
from ckpttool.formats.storages import storage_width

#: Values of one document: shared parts are written out, and a hostile file shares endlessly.
MAX_VALUES = 300_000
#: How deep values may be nested; deeper ones are left out.
MAX_DEPTH = 64
#: Characters and bytes of all strings of one document.
MAX_TEXT = 8_000_000

_LEFT_OUT = "$left_out"


class Plain(NamedTuple):
    """A value as JSON can hold it, and how many parts of it could not be kept."""

    value: Any
    left_out: int


class Reader:
    """Turns nodes into plain data; one for a document, so that the limits hold for all of it."""

    def __init__(self) -> None:
        self._values = MAX_VALUES
        self._text = MAX_TEXT
        self._left_out = 0

    def read(self, node: Node) -> Plain:
        """Return a node as plain data.

        Raises:
            UnsupportedError: written out, it would be larger than any real checkpoint's.
        """
        self._left_out = 0
        value = self._value(node, MAX_DEPTH)
        return Plain(value, self._left_out)

    def _value(self, node: Node, depth: int) -> Any:
        self._values -= 1
        if self._values < 0 or self._text < 0:
            raise UnsupportedError(
                "what lies beside the tensors is too much to write as JSON",
                rules.LIMIT,
                expected=f"at most {MAX_VALUES:,} values and {MAX_TEXT:,} characters",
                fix="Leave --sidecar out.",
            )
        if node is None or type(node) in (bool, int):
            return node
        if type(node) is float:
            return node if math.isfinite(node) else {"$float": repr(node)}
        if type(node) is str:
            self._text -= len(node)
            return node
        if depth == 0 or is_tensor(node) or node is MORE:
            return self._leave_out(node)
        return self._composite(node, depth - 1)

    def _composite(self, node: Node, depth: int) -> Any:
        if isinstance(node, (list, tuple)):
            return [self._value(item, depth) for item in node]
        if isinstance(node, Set):
            return {"$set": [self._value(item, depth) for item in node.items]}
        if isinstance(node, bytes):
            self._text -= 2 * len(node)
            return {"$bytes": node.hex()}
        if isinstance(node, Global):
            return {"$name": str(node)}
        pairs = pairs_of(node)
        if pairs is not None:
            return self._dictionary(pairs, depth)
        return self._instance(node, depth)

    def _dictionary(self, pairs: list[tuple[Node, Node]], depth: int) -> Any:
        keys = [key for key, _ in pairs]
        # a key of ours, or one that stands twice, would not come back as it was
        as_object = all(type(key) is str and not key.startswith("$") for key in keys)
        if as_object and len(set(keys)) == len(keys):
            self._text -= sum(map(len, keys))
            return {key: self._value(value, depth) for key, value in pairs}
        return {
            "$pairs": [[self._value(key, depth), self._value(value, depth)] for key, value in pairs]
        }

    def _instance(self, node: Node, depth: int) -> Any:
        """An object whose only state is a dictionary of attributes, as argparse's results are."""
        if not isinstance(node, Call) or not isinstance(node.function, Global):
            return self._leave_out(node)
        states = node.states or []
        plain = len(states) == 1 and isinstance(states[0], Dict)
        if not plain or node.mapped or node.appended or node.args:
            return self._leave_out(node)
        if isinstance(node, New) and node.keywords:
            return self._leave_out(node)
        attributes = self._dictionary(list(states[0].pairs()), depth)
        return {"$object": str(node.function), "attributes": attributes}

    def _leave_out(self, node: Node) -> Any:
        self._left_out += 1
        return {_LEFT_OUT: describe(node)[0]}


def tensor_bytes(nodes: Iterable[Node]) -> list[int]:
    """Return the bytes of all storages below each node; one that is shared counts for the first.

    Every node is looked at once, whatever refers to it.
    """
    seen: set[int] = set()
    keys: set[str] = set()
    return [sum(_storage_bytes(part, keys) for part in _unseen(node, seen)) for node in nodes]


def storage_keys(nodes: Iterable[Node]) -> set[str]:
    """Return the keys of all storages that are referred to below the nodes."""
    seen: set[int] = set()
    keys = set()
    for part in (part for node in nodes for part in _unseen(node, seen)):
        if isinstance(part, PersistentId):
            # torch's tar files have the bare key, the others a tuple with it
            value = part.value
            keys.add(str(value[2] if isinstance(value, tuple) and len(value) > 2 else value))
    return keys


def _unseen(root: Node, seen: set[int]) -> Iterable[Node]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        # scalars have nothing below them, and are too many to remember
        if isinstance(node, (str, bytes, int, float, type(None))) or id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        waiting.extend(children(node))


def _storage_bytes(node: Node, keys: set[str]) -> int:
    """Return the bytes of a storage that was not counted so far, 0 for anything else."""
    if not isinstance(node, PersistentId) or type(node.value) is not tuple:
        return 0
    value = node.value
    if len(value) < 5 or value[0] != "storage" or type(value[2]) is not str or value[2] in keys:
        return 0
    if type(value[4]) is not int or value[4] < 0:
        return 0
    keys.add(value[2])
    try:
        _, width = storage_width(value[1])
    except CkpttoolError:  # nobody asked to read it
        return 0
    return value[4] * width
