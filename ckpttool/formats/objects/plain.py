"""From inert nodes to plain data that JSON can hold, and the bytes of tensors below a node.

Nothing is imported or called. A value that JSON has no form for becomes an object whose first key
begins with ``$``; ``docs/convert.md`` lists them all. A value that is shared, or contains itself,
is written once, and ``{"$ref": key}`` elsewhere, so that a document is no larger than the pickle.
Only tensors and storages are left out.
"""

from __future__ import annotations

import json
import math
import struct
from typing import Any, Iterable, NamedTuple, Sequence

from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, UnsupportedError
from ckpttool.formats.objects.beside import joined, key_part
from ckpttool.formats.objects.describing import describe
from ckpttool.formats.objects.rebuild import is_tensor
from ckpttool.formats.objects.storages import storage_width
from ckpttool.formats.objects.views import (
    ATOM,
    DEFAULT,
    MAPPING,
    OBJECT,
    SEQUENCE,
    SET,
    Array,
    Known,
    Pairs,
    View,
    through,
    view,
)
from ckpttool.formats.pickles.nodes import Node, PersistentId, children, is_scalar

#: Characters of one document, about: texts are not shared, so that one may occur a million times.
MAX_TEXT = 200_000_000
#: How deep values are nested; deeper ones become parts of their own, since readers of JSON recurse
#: and overflow at a few hundred or thousand levels.
MAX_DEPTH = 48
#: Elements of an array that are written as numbers; a larger one is written as bytes, in less room.
MOST_NUMBERS = 1_000

_LEFT_OUT, _REF = "$left_out", "$ref"
# Characters that a value takes besides its text: quotes, comma, line break, indentation.
_VALUE = 8


class Plain(NamedTuple):
    """A value as JSON can hold it.

    Attributes:
        value: the value.
        kept, left_out: how many single values it has, and how many tensors are left out.
        parts: (key, value) of what is nested too deep; references lead there.
    """

    value: Any
    kept: int
    left_out: int
    parts: tuple[tuple[str, Any], ...] = ()


class Reader:
    """Turns nodes into plain data; one for a document, whose parts refer to each other.

    Args:
        exact: whether tuples are marked, to tell them from lists.
    """

    def __init__(self, *, exact: bool = False) -> None:
        self._exact = exact
        self._room = MAX_TEXT
        self._kept = self._left_out = self._number = 0
        self._entry = ""
        self._keys: dict[int, str] = {}
        self._deep: list[tuple[str, Node]] = []

    def read(self, key: str, node: Node) -> Plain:
        """Return a node as plain data.

        Args:
            key: its dotted key in the document.
            node: the node; it must outlive the reader.

        Raises:
            UnsupportedError: written out, it would be too large.
        """
        self._entry = key
        self._kept = self._left_out = self._number = 0
        value = self._value(key, node, MAX_DEPTH)
        parts = []
        while self._deep:
            place, part = self._deep.pop()
            del self._keys[id(part)]  # or it would become a reference to itself
            parts.append((place, self._value(place, part, MAX_DEPTH)))
        return Plain(value, self._kept, self._left_out, tuple(parts))

    def _value(self, key: str, node: Node, depth: int) -> Any:
        if is_scalar(node):
            return self._atom(node)
        node = through(node)
        if is_tensor(node) or type(node) is PersistentId:
            self._left_out += 1
            return {_LEFT_OUT: describe(node)[0]}
        seen = view(node)
        if seen.form == ATOM:
            return self._atom(seen.value)
        if not _is_written_again(seen):
            if id(node) in self._keys:
                return {_REF: self._keys[id(node)]}
            if depth == 0:
                self._number += 1
                key = f"{self._entry}.$part{self._number}"
                self._deep.append((key, node))
            self._keys[id(node)] = key
            if depth == 0:
                return {_REF: key}
        return _FORMS[seen.form](self, key, seen, depth - 1)

    # --- single values -----------------------------------------------------------------

    def _atom(self, value: Any) -> Any:
        self._kept += 1
        plain = self._plain(value)
        self._take(_length(plain))
        return plain

    def _take(self, length: int) -> None:
        self._room -= length + _VALUE
        if self._room < 0:
            raise UnsupportedError(
                "the entries beside the tensors are too large to write as JSON",
                rules.LIMIT,
                expected=f"at most {MAX_TEXT:,} characters",
                fix="Leave --sidecar out.",
            )

    def _plain(self, value: Any) -> Any:
        if type(value) is float:
            return _float(value)
        if type(value) is bytes:
            self._take(2 * len(value))  # before the text is made
            return {"$bytes": value.hex()}
        if isinstance(value, Known):
            return {f"${value.kind}": self._plain(value.plain)}
        if isinstance(value, Array):
            return self._array(value)
        return [self._plain(part) for part in value] if type(value) is tuple else value

    def _array(self, array: Array) -> dict[str, Any]:
        data = _elements(array)
        if array.shape is None:
            value = {"$bytes": array.data.hex()} if data is None else data[0]
            return {"$scalar": array.type.name, "value": value}
        if data is None:
            self._take(2 * len(array.data))
        shape = list(array.shape)
        kept = {"$bytes": array.data.hex()} if data is None else data
        return {"$array": array.type.name, "shape": shape, "data": kept}

    # --- what holds other values ---------------------------------------------------------

    def _list(self, key: str, items: Sequence[Node], depth: int) -> list[Any]:
        self._take(0)
        if not items:
            self._kept += 1
        return [
            self._value(joined(key, str(number)), item, depth) for number, item in enumerate(items)
        ]

    def _dictionary(self, key: str, pairs: Pairs, depth: int) -> Any:
        self._take(0)
        if not pairs:
            self._kept += 1
        names = [name for name, _ in pairs]
        # a key that begins as ours do, or occurs twice, could not be read back from an object
        as_object = all(type(name) is str and not name.startswith("$") for name in names)
        if as_object and len(set(names)) == len(names):
            self._take(sum(map(len, names)))
            return {name: self._value(joined(key, name), node, depth) for name, node in pairs}
        return {
            "$pairs": [
                [
                    self._value(f"{key}.$key", name, depth),
                    self._value(joined(key, key_part(name)), node, depth),
                ]
                for name, node in pairs
            ]
        }

    def _sequence(self, key: str, seen: View, depth: int) -> Any:
        items = self._list(key, seen.items, depth)
        if seen.kind == "tuple" and self._exact:
            return {"$tuple": items}
        if seen.kind == "collections.deque":
            return {"$deque": items, "maxlen": self._value(key, seen.extra[0][1], depth)}
        return items

    def _set(self, key: str, seen: View, depth: int) -> Any:
        # pickled in the order of hashes, which differs from run to run: sorted to be comparable
        return {f"${seen.kind}": sorted(self._list(key, seen.items, depth), key=_text)}

    def _mapping(self, key: str, seen: View, depth: int) -> Any:
        content = self._dictionary(key, seen.pairs, depth)
        if seen.kind == "dict" and not seen.extra:
            return content
        told = {f"${seen.kind.rpartition('.')[2].lower()}": content}
        default = [node for name, node in seen.extra if name == DEFAULT]
        if default:
            told["default"] = self._value(f"{key}.{DEFAULT}", default[0], depth)
        others = [pair for pair in seen.extra if pair[0] != DEFAULT]
        return {**told, **self._named(key, "attributes", others, depth)}

    def _object(self, key: str, seen: View, depth: int) -> Any:
        call = seen.call
        assert call is not None  # noqa: S101 (of an object it is known)
        name: Any = seen.kind
        if call.function is not None:
            name = self._value(f"{key}.$function", call.function, depth)
        self._take(len(seen.kind))
        told: dict[str, Any] = {"$object" if call.new else "$call": name}
        if call.args:
            told["args"] = self._list(f"{key}.$args", call.args, depth)
        told.update(self._named(f"{key}.$keywords", "keywords", call.keywords, depth))
        told.update(self._named(key, "attributes", seen.extra, depth))
        if call.states:
            told["states"] = self._list(f"{key}.$state", call.states, depth)
        told.update(self._named(key, "entries", seen.pairs, depth))
        if seen.items:
            told["items"] = self._list(f"{key}.$items", seen.items, depth)
        return told

    def _named(self, key: str, name: str, pairs: Pairs, depth: int) -> dict[str, Any]:
        return {name: self._dictionary(key, pairs, depth)} if pairs else {}


_FORMS = {
    SEQUENCE: Reader._sequence,
    SET: Reader._set,
    MAPPING: Reader._mapping,
    OBJECT: Reader._object,
}


def _is_written_again(seen: View) -> bool:
    """Whether a value is written each time it occurs instead of as a reference."""
    # identity makes no difference to a tuple of scalars, and CPython shares some of them by chance
    unchanging = seen.kind in ("tuple", "frozenset")
    return unchanging and len(seen.items) < MAX_DEPTH and all(map(is_scalar, seen.items))


def _float(value: float) -> Any:
    if math.isfinite(value):
        return value
    # JSON has no infinity and no NaN; a NaN with a payload keeps its bits
    bits = struct.pack(">d", value).hex()
    told = {"$float": repr(value)}
    return told if value == value or bits == _NAN else {**told, "bits": bits}


_NAN = "7ff8000000000000"


def _elements(array: Array) -> list[Any] | None:
    """Return an array's elements as JSON values; ``None`` if they are too many or have no form."""
    if array.type.code[0] == "U" and len(array.data) <= MOST_NUMBERS * array.type.itemsize:
        width = array.type.itemsize
        parts = [array.data[start : start + width] for start in range(0, len(array.data), width)]
        try:
            return [part.decode("utf-32-le").rstrip("\0") for part in parts]
        except UnicodeDecodeError:
            return None
    numbers = array.numbers()
    if numbers is None or len(array.data) > MOST_NUMBERS * array.type.itemsize:
        return None
    found = list(numbers)
    # JSON has no place for the bits of a NaN: only those that parsing "nan" gives are written
    if any(part != part for parts in found for part in parts) and array.packed(found) != array.data:
        return None
    if array.type.code[0] == "c":
        return [[_float(part) for part in parts] for parts in found]
    return [_float(part) if type(part) is float else part for (part,) in found]


def _length(plain: Any) -> int:
    """Return about how many characters a single value takes."""
    if isinstance(plain, str):
        return len(plain)
    if isinstance(plain, (list, tuple)):
        return sum(map(_length, plain)) + _VALUE * len(plain)
    return sum(map(_length, plain.values())) if isinstance(plain, dict) else 0


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def tensor_bytes(nodes: Iterable[Node]) -> list[int]:
    """Return the bytes of all storages below each node; a shared one counts for the first node."""
    seen: set[int] = set()
    keys: set[str] = set()
    return [sum(_storage_bytes(part, keys) for part in _unseen(node, seen)) for node in nodes]


def storage_keys(nodes: Iterable[Node]) -> set[str]:
    """Return the keys of all storages below the nodes."""
    seen: set[int] = set()
    keys = set()
    for part in (part for node in nodes for part in _unseen(node, seen)):
        if isinstance(part, PersistentId):
            # a bare key in torch's tar files, a tuple with the key in the others
            value = part.value
            keys.add(str(value[2] if isinstance(value, tuple) and len(value) > 2 else value))
    return keys


def _unseen(root: Node, seen: set[int]) -> Iterable[Node]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        # scalars have nothing below them, and are too many to remember
        if is_scalar(node) or id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        waiting.extend(children(node))


def _storage_bytes(node: Node, keys: set[str]) -> int:
    """Return the bytes of a storage that was not counted so far, 0 for anything else."""
    # checked again, since storages that no tensor refers to were not checked before
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
    except CkpttoolError:  # of an unknown class, which matters only to whoever reads it
        return 0
    return value[4] * width
