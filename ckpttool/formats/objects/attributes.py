"""Attributes and sizes of pickled tensors, as the nodes have them."""

from __future__ import annotations

from ckpttool.formats.objects.storages import is_natural
from ckpttool.formats.pickles.nodes import Call, Dict, New, Node, pair_of

#: Attributes of a tensor, dimensions of one, and calls around one.
MAX_ATTRIBUTES, MAX_DIMENSIONS, MAX_WRAPPINGS = 1_000, 64, 8
_SIZE = ("torch", "Size")


def size_of(node: Node) -> tuple[int, ...] | None:
    """Return a tuple of sizes, or that of a ``torch.Size``; ``None`` for anything else."""
    if type(node) in (Call, New) and pair_of(node.function) == _SIZE and len(node.args) == 1:
        node = node.args[0]
    if type(node) in (tuple, list) and len(node) <= MAX_DIMENSIONS and all(map(is_natural, node)):
        return tuple(node)
    return None


def attributes_of(state: Node) -> dict[str, Node] | None:
    """Return the attributes that a state sets, as torch sets them: a dictionary, or two.

    ``None`` if the state is anything else, has too many, or one attribute twice.
    """
    found: dict[str, Node] = {}
    number = 0
    for part in state if type(state) is tuple and len(state) == 2 else (state,):
        if part is not None and (type(part) is not Dict or len(part.flat) > 2 * MAX_ATTRIBUTES):
            return None
        for key, value in part.pairs() if part else ():
            number += 1
            if type(key) is not str:
                return None
            found[key] = value
    return found if len(found) == number else None


def state_of(node: Node) -> dict[str, Node] | None:
    """Return the attributes of an object that was given one state, ``None`` for any other node."""
    if isinstance(node, Call) and node.states and len(node.states) == 1:
        return attributes_of(node.states[0])
    return None


def shape_of(node: Node) -> tuple[int, ...] | None:
    """Return the shape of a plain tensor according to its call, also within calls around one."""
    for _ in range(MAX_WRAPPINGS):
        if not isinstance(node, Call) or type(node.args) is not tuple or not node.args:
            return None
        args = node.args
        if isinstance(args[0], Call):  # a parameter
            node = args[0]
        elif len(args) == 4 and type(args[2]) is tuple and pair_of(args[0]) is not None:
            node = Call(args[0], args[2])
        else:
            return size_of(args[2]) if len(args) > 2 else None
    return None
