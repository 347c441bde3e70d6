"""The size of a tensor according to its pickle, before its storage is located."""

from __future__ import annotations

from math import prod
from typing import Iterator

from ckpttool.findings.errors import MalformedError
from ckpttool.formats.objects.arrays import is_array, shape_of
from ckpttool.formats.objects.attributes import MAX_DIMENSIONS, MAX_WRAPPINGS
from ckpttool.formats.objects.rebuild import is_tensor
from ckpttool.formats.objects.storages import (
    Locate,
    UnsupportedTensorError,
    is_natural,
    storage_width,
)
from ckpttool.formats.pickles.nodes import Call, Node, PersistentId, near, pair_of
from ckpttool.tensors.dtypes import BYTE

# Bytes of the state of a generator: on a CPU (and before torch 2), on a GPU (and before 1.10).
_RANDOM_STATES = frozenset({5056, 5048, 16, 816})
# Nodes of one tensor that are searched for its storages; a sparse one has two tensors in it.
_NEAR = 200


def elements_of(node: Node) -> int:
    """Return how many elements a tensor or an array states."""
    # an unknown number counts as a tensor of more than one element, but as next to nothing
    shape = shape_of(node) if is_array(node) else _shape(node)
    return 2 if shape is None else prod(shape)


def is_number(node: Node) -> bool:
    """Whether a tensor is a number or the state of a random generator, and no weights."""
    return elements_of(node) <= 1 or is_random_state(node)


def is_random_state(node: Node) -> bool:
    """Whether a tensor is the state of one of torch's generators: a known number of bytes."""
    shape = None if is_array(node) else _shape(node)
    if shape is None or len(shape) != 1 or shape[0] not in _RANDOM_STATES:
        return False
    value = _innermost(node).args[0].value  # of a storage, since there is a shape
    class_node = value[1] if type(value) is tuple and len(value) > 1 else None
    return pair_of(class_node) == ("torch", BYTE.storage)


def storages_of(node: Node, locate: Locate) -> Iterator[tuple[str, int]]:
    """Yield (key, bytes) of the storages of a tensor, also of a kind that is not read."""
    for part in near((node,), _NEAR):
        if isinstance(part, PersistentId):
            try:
                storage = locate(part)
                yield storage.key, storage.extent.length
            except UnsupportedTensorError:
                # raised for the class in the id, once the id's form was checked
                _, width = storage_width(part.value[1])
                yield part.value[2], part.value[4] * width
            except MalformedError:
                continue


def _shape(node: Node) -> tuple[int, ...] | None:
    """Return the shape of a tensor in a storage; ``None`` for one that is described otherwise."""
    args = _innermost(node).args
    shape = args[2] if len(args) > 2 and isinstance(args[0], PersistentId) else None
    known = type(shape) is tuple and len(shape) <= MAX_DIMENSIONS and all(map(is_natural, shape))
    return shape if known else None


def _innermost(node: Node) -> Call:
    """Return the innermost call that makes a tensor, inside a parameter's or a subclass's."""
    found: Call = node
    for _ in range(MAX_WRAPPINGS):
        args = found.args
        if args and isinstance(args[0], Call) and is_tensor(args[0]):
            found = args[0]
        elif len(args) == 4 and type(args[2]) is tuple and pair_of(args[0]) is not None:
            found = Call(args[0], args[2])
        else:
            break
    return found
