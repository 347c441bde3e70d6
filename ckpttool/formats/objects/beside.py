"""What lies beside the state dict: every node under its dotted key, and every tensor in it.

The nodes are kept as they were read. Tensors are placed only for whoever asks: an optimizer has
two for each weight, and to keep them all would double what an open file takes.
"""

from __future__ import annotations

import json
import re
from hashlib import sha256
from itertools import chain
from typing import Callable, Iterable, Iterator, Mapping, NamedTuple, Sequence, Tuple

from ckpttool.formats.objects.rebuild import dress_of, is_tensor, rebuild
from ckpttool.formats.objects.storages import Locate, UnsupportedTensorError
from ckpttool.formats.pickles.dictionaries import pairs_of
from ckpttool.formats.pickles.nodes import (
    Call,
    Dict,
    New,
    Node,
    PersistentId,
    Set,
    is_scalar,
    pair_of,
)
from ckpttool.tensors.catalogue import Checkpoint, Extent, TensorInfo
from ckpttool.tensors.dtypes import DTYPES

#: Characters from which on a dotted key grows no further: a nesting of thousands of levels would
#: make it long at every level.
LONGEST_KEY = 400
# What stands before the sum, and how many digits of it.
_MORE, _DIGITS = "...", 16
# Characters of a key that is no text.
_LONGEST_PART = 80
_LONGEST_TUPLE = 8
# Text that would be taken for a key of another type.
_LIKE_A_NUMBER = re.compile(r"-?[0-9.]+(e-?[0-9]+)?|None|True|False|inf|nan|\(.*\)|<.*>|b'.*'")

#: A part of a dotted key, and the node that it leads to.
Step = Tuple[str, Node]


class Beside(NamedTuple):
    """What lies beside the state dict.

    Attributes:
        items: gives (dotted key, node) of every entry, in the order of the file, each time anew.
        locate: finds the storage of a persistent id.
        big_endian: whether storages hold big-endian elements.
        storages: where every storage lies, by its key; known to :func:`beside_of`.
        frames: gives (dotted key, node) of the containers on the way to the state dict, and of
            those that make it up.
        dressed: (dotted key, node) of the tensors of the state dict that carry attributes, or are
            of a class of their own.
        unread: (name, node) of those of kinds that are not read.
    """

    items: Callable[[], Iterable[Step]]
    locate: Locate
    big_endian: bool
    storages: Mapping[str, Extent] = {}
    frames: Callable[[], Iterable[Step]] = tuple
    dressed: Sequence[Step] = ()
    unread: Sequence[Step] = ()

    def shells(self) -> Iterator[Step]:
        """Yield what weights and the containers around them are besides elements and plain data.

        The class of an object and its arguments are content too, whatever lies in it, and so are
        the attributes of a tensor. The key is that of the container or tensor, and ``$self``.
        """
        shells = ((key, _shell(node)) for key, node in self.frames())
        for key, shell in (*shells, *((key, dress_of(node)) for key, node in self.dressed)):
            if shell is not None:
                yield self_of(key), shell

    def versions(self) -> list[Node]:
        """Return what the state dicts of modules note of their versions."""
        return [
            value
            for _, node in self.frames()
            if _is_ordered_dictionary(node)
            for state in node.states or ()
            for key, value in (state.pairs() if isinstance(state, Dict) else ())
            if key == _VERSIONS
        ]

    def tensor(self, name: str, node: Node) -> TensorInfo | None:
        """Return the tensor that a node stands for, or the elements of a storage that stands alone.

        ``None`` for any other node, and for a tensor of a kind that is not read (sparse,
        quantized); the storages in such a one can be asked for by themselves.

        Raises:
            MalformedError: the tensor is not what it claims to be. Those that a call of the pickle
                makes were seen when the file was opened.
        """
        try:
            if type(node) is PersistentId:
                return self._storage(name, node)
            if is_tensor(node):
                return rebuild(name, node, self.locate, big_endian=self.big_endian)
        except UnsupportedTensorError:
            return None
        return None

    def _storage(self, name: str, node: PersistentId) -> TensorInfo:
        try:
            key, dtype, extent = self.locate(node)
        except UnsupportedTensorError:  # of a quantized tensor: its bytes are known all the same
            key, dtype = str(node.value[2]), None
            extent = self.storages[key]
        dtype = dtype or DTYPES["uint8"]
        count = extent.length // dtype.itemsize
        extents = (extent,) if count else ()
        return TensorInfo(name, dtype, (count,), None, extents, self.big_endian, key)


_SELF = "$self"


def self_of(key: str) -> str:
    """Return the key of what something is, beside what lies in it."""
    return f"{key}.{_SELF}" if key else _SELF


# The attribute of torch's state dicts that holds the versions of their modules.
_VERSIONS = "_metadata"


def _is_ordered_dictionary(node: Node) -> bool:
    return isinstance(node, Call) and pair_of(node.function) == ("collections", "OrderedDict")


def _shell(node: Node) -> Call | None:
    """Return a container without what lies in it; ``None`` if that says nothing."""
    if not isinstance(node, Call):
        return None
    keywords = getattr(node, "keywords", None)
    shell = (
        New(node.function, node.args, keywords)
        if isinstance(node, New)
        else Call(node.function, node.args)
    )
    states = list(node.states or ())
    if _is_ordered_dictionary(node):
        shell.args = ()
        if all(isinstance(one, Dict) and one.flat[::2] == [_VERSIONS] for one in states):
            return None
    elif pairs_of(node) is not None:
        shell.args = node.args[:1]
    elif node.mapped is None and not node.appended and states and isinstance(states[0], Dict):
        del states[0]
    shell.states = states or None
    return shell


def beside_of(checkpoint: Checkpoint) -> Beside | None:
    """Return what lies beside the state dict; ``None`` where the container has no place for it."""
    beside = checkpoint.beside
    if not isinstance(beside, Beside):
        return None
    return beside._replace(storages=checkpoint.storages)


def tensors_beside(checkpoint: Checkpoint) -> Iterator[TensorInfo]:
    """Yield every tensor beside the state dict, under its dotted key, once.

    A storage that stands alone, or in a tensor of a kind that is not read, is one too, so that no
    bytes are passed over. Names are unique.

    Raises:
        MalformedError: see :meth:`Beside.tensor`.
    """
    beside = beside_of(checkpoint)
    if beside is None:
        return
    seen: set[int] = set()
    names: dict[str, int] = {}
    shells = list(beside.shells())  # held, since nodes are known by their ids
    for key, root in chain(beside.items(), shells):
        waiting = [(key, root)]
        while waiting:
            name, node = waiting.pop()
            if is_scalar(node) or id(node) in seen:
                continue
            seen.add(id(node))
            info = beside.tensor(name, node)
            if info is None:
                below = [(joined(name, part), child) for part, child in steps(node)]
                waiting.extend(reversed(below))
                continue
            number = names[name] = names.get(name, 0) + 1
            yield info if number == 1 else info._replace(name=f"{name} ({number})")


def joined(key: str, part: str) -> str:
    """Return a dotted key, one part longer.

    Of one that would be longer than :data:`LONGEST_KEY` a sum stands for its end.
    """
    if len(key) + len(part) < LONGEST_KEY:
        return f"{key}.{part}"
    start, _, end = key.partition(_MORE)
    digest = sha256(f"{end or start}.{part}".encode("utf-8", "surrogatepass")).hexdigest()
    return f"{start[: LONGEST_KEY - 100]}{_MORE}{digest[:_DIGITS]}"


def steps(node: Node) -> Iterator[Step]:
    """Yield what lies directly in a node, each with the part of a dotted key that leads to it.

    Entries and attributes go by their names, items by their numbers; what else makes up an object
    goes by ``$args``, ``$keywords``, ``$state`` and ``$items``. Scalars, names and storages have
    nothing in them.
    """
    if isinstance(node, (list, tuple)):
        yield from _numbered(node)
    elif isinstance(node, Set):
        yield from _numbered(node.items)
    elif isinstance(node, Call):
        yield from _in_call(node)
    elif isinstance(node, Dict):
        yield from _in_dictionary(node.pairs())


def _in_call(node: Call) -> Iterator[Step]:
    pairs = pairs_of(node)
    if pairs is not None:
        yield from _in_dictionary(pairs)
    else:
        if not hasattr(node.function, "pair"):
            yield "$function", node.function
        yield from ((f"$args.{part}", child) for part, child in _numbered(node.args))
        if isinstance(node, New) and node.keywords is not None:
            yield "$keywords", node.keywords
        if node.mapped is not None:
            yield from _in_dictionary(node.mapped.pairs())
    yield from ((f"$items.{part}", child) for part, child in _numbered(node.appended or ()))
    for state in node.states or ():
        # slots come as a second dictionary beside the one of attributes
        for part in state if type(state) is tuple and len(state) == 2 else (state,):
            if isinstance(part, Dict):
                yield from _in_dictionary(part.pairs())
            else:
                yield "$state", part


def _numbered(items: Iterable[Node]) -> Iterator[Step]:
    return ((str(number), item) for number, item in enumerate(items))


def _in_dictionary(pairs: Iterable[tuple[Node, Node]]) -> Iterator[Step]:
    for key, value in pairs:
        yield key_part(key), value
        if not is_scalar(key):  # a key may be a tuple that holds anything
            yield f"$key {key_part(key)}", key


def key_part(key: Node) -> str:
    """Return a dictionary's key as a part of a dotted key; text that looks like a number quoted."""
    if type(key) is str:
        return json.dumps(key) if _LIKE_A_NUMBER.fullmatch(key) else key
    if is_scalar(key):
        return repr(key)[:_LONGEST_PART]
    if type(key) is tuple and 0 < len(key) <= _LONGEST_TUPLE and all(map(is_scalar, key)):
        return f"({', '.join(map(key_part, key))})"
    return f"<{type(key).__name__}>"
