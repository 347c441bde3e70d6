"""The content of a file beside its state dict: nodes under dotted keys, and tensors in them.

Nodes are kept as they were read. Tensors are located only when somebody asks for them: an
optimizer has two for each weight, so that keeping all would double the memory of an open file.
"""

from __future__ import annotations

import json
import re
from itertools import chain
from typing import Callable, Iterable, Iterator, Mapping, NamedTuple, Sequence, Tuple

from ckpttool.formats.objects.dtensors import is_spec
from ckpttool.formats.objects.rebuild import dress_of, is_tensor, rebuild
from ckpttool.formats.objects.storages import Locate, UnsupportedTensorError, codes_of
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
from ckpttool.tensors.dtypes import BYTE

#: The longest dotted key: at a nesting of thousands of levels, a key at each that grows would take
#: memory that is quadratic in the depth.
LONGEST_KEY = 400
# A longer key ends in a checksum of its rest: the mark before it, and its hexadecimal digits. A
# key that was only cut would no longer be unique, and two files are compared by their keys.
_MORE, _DIGITS = "...", 16
# Characters of a key that is no text.
_LONGEST_PART = 80
_LONGEST_TUPLE = 8
# Text that looks like a key of another type, which is written without quotes.
_LIKE_A_NUMBER = re.compile(r"-?[0-9.]+(e-?[0-9]+)?|None|True|False|inf|nan|\(.*\)|<.*>|b'.*'")

#: A part of a dotted key, and the node that it leads to.
Step = Tuple[str, Node]


class Beside(NamedTuple):
    """The content of a file beside its state dict.

    Attributes:
        items: iterates over (dotted key, node) of every entry, in the order of the file.
        locate: finds the storage of a persistent id.
        big_endian: whether storages hold big-endian elements.
        storages: the extent of every storage, by its key; filled in by :func:`beside_of`.
        frames: iterates over (dotted key, node) of the containers around the state dict, and of
            those that make it up.
        dressed: (dotted key, node) of the tensors of the state dict that have attributes, or a
            class of their own.
        unread: (name, node) of the tensors of the state dict that are of a kind that is not read.
    """

    items: Callable[[], Iterable[Step]]
    locate: Locate
    big_endian: bool
    storages: Mapping[str, Extent] = {}
    frames: Callable[[], Iterable[Step]] = tuple
    dressed: Sequence[Step] = ()
    unread: Sequence[Step] = ()

    def shells(self) -> Iterator[Step]:
        """Yield what weights and their containers have besides elements and entries.

        That is the class of an object, its arguments, and the attributes of a tensor: two files
        that differ in them differ. The key is that of the container or tensor, and ``$self``.
        """
        shells = ((key, _shell(node)) for key, node in self.frames())
        for key, shell in (*shells, *((key, dress_of(node)) for key, node in self.dressed)):
            if shell is not None:
                yield self_of(key), shell

    def versions(self) -> list[Node]:
        """Return the ``_metadata`` of the state dicts: the versions of their modules."""
        return [
            value
            for _, node in self.frames()
            if _is_ordered_dictionary(node)
            for state in node.states or ()
            for key, value in (state.pairs() if isinstance(state, Dict) else ())
            if key == _VERSIONS
        ]

    def tensor(self, name: str, node: Node) -> TensorInfo | None:
        """Return the tensor that a node describes, or a bare storage as a tensor.

        ``None`` for any other node, and for a tensor of a kind that is not read (sparse,
        quantized); its storages are nodes below it.

        Raises:
            MalformedError: the tensor's geometry or storage is wrong. Not for tensors of calls in
                the pickle, which were checked when the file was opened.
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
        except UnsupportedTensorError:  # of a quantized tensor: its bytes can be compared anyway
            key, dtype = str(node.value[2]), codes_of(node.value[1])
            extent = self.storages[key]
        dtype = dtype or BYTE
        count = extent.length // dtype.itemsize
        extents = (extent,) if count else ()
        return TensorInfo(name, dtype, (count,), None, extents, self.big_endian, key)


_SELF = "$self"


def self_of(key: str) -> str:
    """Return the key for the class and arguments of what is under ``key``."""
    return f"{key}.{_SELF}" if key else _SELF


# The attribute of torch's state dicts that holds the versions of their modules.
_VERSIONS = "_metadata"


def _is_ordered_dictionary(node: Node) -> bool:
    return isinstance(node, Call) and pair_of(node.function) == ("collections", "OrderedDict")


def _shell(node: Node) -> Call | None:
    """Return a container without its content; ``None`` for a plain one, which has only content."""
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
        shell.args = ()  # Python 2 writes the content there
        # the versions of modules are compared by themselves
        if all(isinstance(one, Dict) and one.flat[::2] == [_VERSIONS] for one in states):
            return None
    elif pairs_of(node) is not None:
        shell.args = node.args[:1]  # the factory of a defaultdict
    elif node.mapped is None and not node.appended and states and isinstance(states[0], Dict):
        del states[0]  # an object without entries has its attributes for content
    shell.states = states or None
    return shell


def beside_of(checkpoint: Checkpoint) -> Beside | None:
    """Return the content beside the state dict; ``None`` for a format that holds tensors only."""
    beside = checkpoint.beside
    if not isinstance(beside, Beside):
        return None
    return beside._replace(storages=checkpoint.storages)


def tensors_beside(checkpoint: Checkpoint) -> Iterator[TensorInfo]:
    """Yield every tensor beside the state dict, under its dotted key, once.

    Storages outside of tensors, or in tensors of a kind that is not read, are included, so that no
    bytes are left out of a comparison. Names are unique.

    Raises:
        MalformedError: see :meth:`Beside.tensor`.
    """
    beside = beside_of(checkpoint)
    if beside is None:
        return
    seen: set[int] = set()
    names: dict[str, int] = {}
    # kept alive, since ``seen`` has their ids; a mesh of processes has their numbers in a tensor
    shells = [one for one in beside.shells() if not is_spec(one[1])]
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
    """Return a dotted key, one part longer; beyond :data:`LONGEST_KEY` it ends in a checksum."""
    if len(key) + len(part) < LONGEST_KEY:
        return f"{key}.{part}"
    # the checksum is of the one before and the new part, so that every level adds to it
    start, _, end = key.partition(_MORE)
    from hashlib import sha256  # late: its library takes 2 ms, and few files need it

    digest = sha256(f"{end or start}.{part}".encode("utf-8", "surrogatepass")).hexdigest()
    return f"{start[: LONGEST_KEY - 100]}{_MORE}{digest[:_DIGITS]}"


def steps(node: Node) -> Iterator[Step]:
    """Yield the nodes directly below a node, each with the part of a dotted key that leads to it.

    Entries and attributes go by their names, items by their numbers, the other parts of an object
    by ``$args``, ``$keywords``, ``$state`` and ``$items``.
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
        if not is_scalar(key):  # a tuple, which may hold a tensor
            yield f"$key {key_part(key)}", key


def key_part(key: Node) -> str:
    """Return a dictionary's key as a part of a dotted key."""
    # quoted, so that the entries under 0 and "0" of an optimizer get two keys
    if type(key) is str:
        return json.dumps(key) if _LIKE_A_NUMBER.fullmatch(key) else key
    if is_scalar(key):
        return repr(key)[:_LONGEST_PART]
    if type(key) is tuple and 0 < len(key) <= _LONGEST_TUPLE and all(map(is_scalar, key)):
        return f"({', '.join(map(key_part, key))})"
    return f"<{type(key).__name__}>"
