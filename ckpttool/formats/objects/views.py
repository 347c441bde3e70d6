"""The value of a node: an atom, a sequence, a mapping, a set, or an object of some class.

Picklers write one value in several ways, by protocol and by release of Python and numpy: here
they become the same value. Nothing is imported or called; an object of an unknown class is its
name, arguments, attributes and items.
"""

from __future__ import annotations

import struct
from typing import Any, Callable, NamedTuple, Sequence, Tuple

from ckpttool.formats.objects.known_values import KNOWN, Known, name_of
from ckpttool.formats.objects.numpy_values import Array, array_of, bytes_of
from ckpttool.formats.pickles.dictionaries import pairs_of
from ckpttool.formats.pickles.nodes import (
    ByteArray,
    Call,
    Dict,
    Global,
    New,
    Node,
    PersistentId,
    Set,
    is_scalar,
    pair_of,
)

ATOM, SEQUENCE, MAPPING, SET, OBJECT = "atom", "sequence", "mapping", "set", "object"

#: Keys for the factory of a defaultdict, and for the length of a deque: no attribute has a ``$``.
DEFAULT, LONGEST = "$default", "$maxlen"

#: Pairs of a key and a node; the keys of an object's parts are text.
Pairs = Sequence[Tuple[Node, Node]]


class View(NamedTuple):
    """The value of a node.

    Attributes:
        form: one of :data:`ATOM` and so on.
        kind: the name of the type: ``list``, ``collections.deque``, ``argparse.Namespace``.
        value: of an atom: a scalar, bytes, a :class:`Known` or an ``Array``.
        items: of a sequence or a set.
        pairs: of a mapping; of an object, the entries that were set.
        extra: further parts by name: attributes, the factory of a defaultdict.
        call: of an object, how it is made; ``None`` for all other forms.
    """

    form: str
    kind: str
    value: Any = None
    items: Sequence[Node] = ()
    pairs: Pairs = ()
    extra: Pairs = ()
    call: Making | None = None


class Making(NamedTuple):
    """How an object is made.

    Attributes:
        new: whether by ``__new__`` alone.
        function: the function that is called, if it has no name.
        args, keywords: the arguments.
        states: the states it is given that are no attributes.
    """

    new: bool
    function: Node
    args: Sequence[Node]
    keywords: Pairs
    states: Sequence[Node]

    @property
    def form(self) -> tuple[object, ...]:
        """The form of the call. Objects made in different forms may still be equal."""
        return self.new, len(self.args), bool(self.keywords), len(self.states)


def exact(value: Any) -> Any:
    """Return a hashable that is equal exactly for values of the same type and bits."""
    # to Python 1 == 1.0 == True, 0.0 == -0.0, and nan is not equal to itself
    if type(value) is float:
        return float, struct.pack(">d", value)
    if type(value) is tuple:
        return tuple(map(exact, value))
    if isinstance(value, Known):
        return Known, value.kind, exact(value.plain)
    return type(value), value


def through(node: Node) -> Node:
    """Return the content of one of OmegaConf's containers or values; other nodes as they are.

    OmegaConf wraps plain dictionaries, lists and values in objects with types and flags.
    """
    for _ in range(_MOST_WRAPPINGS):
        attributes = _of_config(node)
        held = [value for key, value in attributes if key in _HELD]
        if len(held) != 1:
            break
        node = held[0]
    return node


def wrapping(node: Node) -> list[Node]:
    """Return the types and flags around the value that :func:`through` returns."""
    return [
        part
        for key, value in _of_config(node)
        if key not in (*_HELD, *_OF_THE_TREE)
        for part in (key, value)
    ]


def _of_config(node: Node) -> list[tuple[Node, Node]]:
    """Return the attributes of one of OmegaConf's containers or values; none of other nodes."""
    function = node.function if isinstance(node, Call) else None
    states = node.states if type(function) is Global and function.module in _CONFIGS else None
    if not states or len(states) != 1 or not isinstance(states[0], Dict):
        return []
    return list(states[0].pairs())


_HELD = ("_content", "_val")
# The container above, which would lead back to the whole tree, and a cache.
_OF_THE_TREE = ("_parent", "_flags_cache")
_MOST_WRAPPINGS = 8
_CONFIGS = ("omegaconf.dictconfig", "omegaconf.listconfig", "omegaconf.nodes")


def view(node: Node) -> View:
    """Return the value of a node. Tensors are calls like any other."""
    if is_scalar(node):
        return View(ATOM, type(node).__name__, node)
    if isinstance(node, ByteArray):
        return View(ATOM, "builtins.bytearray", Known("bytearray", bytes(node)))
    if isinstance(node, (list, tuple)):
        return View(SEQUENCE, type(node).__name__, items=node)
    if isinstance(node, Set):
        return View(SET, "frozenset" if node.frozen else "set", items=node.items)
    if isinstance(node, Dict):
        return View(MAPPING, "dict", pairs=_last(node.pairs()))
    if isinstance(node, Global):
        return View(ATOM, "name", Known("name", name_of(node)))
    if isinstance(node, PersistentId):
        return View(OBJECT, "storage", call=Making(True, None, (), (), (node.value,)))
    return _view_of_call(node)


def _last(pairs: Any) -> Pairs:
    """Return pairs without those that a later one with the same key replaces when loaded."""
    every: list[tuple[Node, Node]] = list(pairs)
    last = {key: number for number, (key, _) in enumerate(every) if type(key) is str}
    if len(last) == len(every):
        return every
    return [
        pair
        for number, pair in enumerate(every)
        if type(pair[0]) is not str or last[pair[0]] == number
    ]


def _view_of_call(node: Call) -> View:
    for read in (bytes_of, array_of):
        value = read(node)
        if value is not None:
            return View(ATOM, "bytes" if isinstance(value, bytes) else "array", value)
    name = name_of(node.function) if type(node.function) is Global else ""
    changed = bool(node.states or node.mapped or node.appended)
    if name in KNOWN and not changed and type(node) is Call:
        plain = KNOWN[name](node.args)
        if plain is not None:
            return View(ATOM, name, plain)
    if name in _CONTAINERS and type(node) is Call:
        found = _CONTAINERS[name](node)
        if found is not None:
            return found
    pairs = pairs_of(node)
    if pairs is not None:
        return _dictionary(name, node, pairs)
    made = _object(name, node)
    return _uuid(made) or made


def _dictionary(name: str, node: Call, pairs: Pairs) -> View:
    attributes, others = _states(node)
    if name == "collections.OrderedDict":
        name = "dict"  # since 3.7 both keep their order, and torch made state dicts of either
    elif node.args and type(node) is Call:
        attributes = [*attributes, (DEFAULT, node.args[0])]
    attributes += [("$state", state) for state in others]
    return View(MAPPING, name, pairs=_last(pairs), extra=attributes)


def _states(node: Call) -> tuple[list[tuple[Node, Node]], list[Node]]:
    """Return the attributes that an object is given, and its other states."""
    attributes: list[tuple[Node, Node]] = []
    others: list[Node] = []
    for state in node.states or ():
        # slots come as a second dictionary beside the one of attributes
        parts = state if type(state) is tuple and len(state) == 2 else (state,)
        if all(part is None or isinstance(part, Dict) for part in parts):
            attributes += [pair for part in parts if part is not None for pair in part.pairs()]
        else:
            others.append(state)
    return attributes, others


def _object(name: str, node: Call) -> View:
    attributes, others = _states(node)
    new, args, keywords = type(node) is New, node.args, getattr(node, "keywords", None)
    function = None if name else node.function
    items: Sequence[Node] = node.appended or ()
    pairs = list(node.mapped.pairs()) if node.mapped else []
    if name == "copyreg._reconstructor" and len(args) == 3 and type(args[0]) is Global:
        # protocols 0 and 1: (class, its built-in base, the content of that base)
        base, content = pair_of(args[1]), args[2]
        name, new, args = name_of(args[0]), True, () if base in _OBJECT else args[2:]
        if isinstance(content, list) and base in _LIST:
            items, args = [*content, *items], ()
        elif isinstance(content, Dict) and base in _DICT:
            pairs, args = [*content.pairs(), *pairs], ()
    elif name == "copyreg.__newobj__" and args and type(args[0]) is Global:
        name, new, args = name_of(args[0]), True, args[1:]
    named = _last(keywords.pairs()) if isinstance(keywords, Dict) else ()
    others = [*others, keywords] if keywords is not None and not named else others
    return View(
        OBJECT,
        name or "object",
        items=items,
        pairs=_last(pairs),
        extra=_last(attributes),
        call=Making(new, function, args, named, others),
    )


_OBJECT, _LIST, _DICT = (
    (("builtins", name), ("__builtin__", name)) for name in ("object", "list", "dict")
)


def _uuid(made: View) -> View | None:
    number = made.extra[0][1] if len(made.extra) == 1 and made.extra[0][0] == "int" else None
    plain = made.call is not None and made.call.form == (True, 0, False, 0)
    if made.kind != "uuid.UUID" or not plain or made.items or made.pairs or type(number) is not int:
        return None
    return View(ATOM, made.kind, Known("uuid", f"{number:032x}"))


def _set(kind: str) -> Callable[[Call], View | None]:
    def read(node: Call) -> View | None:
        content = node.args[0] if len(node.args) == 1 else ()
        if node.states or node.mapped or not isinstance(content, (list, tuple, Set)):
            return None
        items = content.items if isinstance(content, Set) else content
        return View(SET, kind, items=[*items, *(node.appended or ())])

    return read


def _deque(node: Call) -> View | None:
    content = node.args[0] if node.args else ()
    longest = node.args[1] if len(node.args) == 2 else None
    if node.states or node.mapped or not isinstance(content, (list, tuple)) or len(node.args) > 2:
        return None
    items = [*content, *(node.appended or ())]
    return View(SEQUENCE, "collections.deque", items=items, extra=[(LONGEST, longest)])


def _counter(node: Call) -> View | None:
    content = node.args[0] if len(node.args) == 1 else None
    if node.states or node.mapped or node.appended or not isinstance(content, Dict):
        return None
    return View(MAPPING, "collections.Counter", pairs=_last(content.pairs()))


_CONTAINERS: dict[str, Callable[[Call], View | None]] = {
    "builtins.set": _set("set"),
    "builtins.frozenset": _set("frozenset"),
    "collections.deque": _deque,
    "collections.Counter": _counter,
}

__all__ = [
    "ATOM",
    "DEFAULT",
    "LONGEST",
    "MAPPING",
    "OBJECT",
    "SEQUENCE",
    "SET",
    "Array",
    "Known",
    "Making",
    "View",
    "exact",
    "name_of",
    "through",
    "view",
    "wrapping",
]
