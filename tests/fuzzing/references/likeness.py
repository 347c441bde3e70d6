"""Whether inert nodes are what CPython's unpickler built of the same pickle."""

from __future__ import annotations

import math
from typing import Any, Iterator, List, Sequence, Set, Tuple

from ckpttool.formats.pickles.nodes import (
    SCALARS,
    ByteArray,
    Call,
    Dict,
    Global,
    New,
    Node,
    PersistentId,
)
from ckpttool.formats.pickles.nodes import Set as SetNode
from tests.fuzzing.references.recording import Named, Outside, Result

_Pair = Tuple[Node, Any]


def difference(node: Node, value: Any) -> str:
    """Return the first place in which two readings of a pickle differ; empty where none does."""
    waiting: List[_Pair] = [(node, value)]
    seen: Set[Tuple[int, int]] = set()
    while waiting:
        ours, theirs = waiting.pop()
        if type(ours) in SCALARS and type(ours) is not bytes:
            if not _same_scalar(ours, theirs):
                return f"{ours!a:.100} here, {_shown(theirs)}"
            continue
        key = id(ours), id(theirs)
        if key in seen:
            continue
        seen.add(key)
        below = list(_below(ours, theirs))
        if None in below:
            return f"{_shown(ours)} here, {_shown(theirs)}"
        waiting += below  # type: ignore[arg-type]
    return ""


def _same_scalar(ours: Node, theirs: Any) -> bool:
    if type(ours) is not type(theirs):
        return False
    if type(ours) is float:
        return repr(ours) == repr(theirs) and math.copysign(1, ours) == math.copysign(1, theirs)
    return bool(ours == theirs)


def _shown(value: Any) -> str:
    if isinstance(value, Global):
        return f"name {value.module!a}.{value.name!a}"
    if isinstance(value, Named):
        return f"name {value.pair!a}"
    text = f"{value!a:.100}" if type(value) in SCALARS else ""
    return f"{type(value).__name__} {text}".strip()


def _below(ours: Node, theirs: Any) -> Iterator[_Pair | None]:
    """Yield what is to be compared for two composed values to be alike; ``None``: they are not."""
    kind = type(ours)
    if kind is ByteArray:
        yield None if type(theirs) is not bytearray or bytes(ours) != theirs else (None, None)
    elif kind is bytes:
        yield None if type(theirs) is not bytes or ours != theirs else (None, None)
    elif kind in (tuple, list):
        yield from _items(ours, theirs) if type(theirs) is kind else (None,)
    elif kind is Dict:
        yield from _entries(ours, theirs)
    elif kind is SetNode:
        yield _set(ours, theirs)
    elif kind is Global:
        yield (None, None) if isinstance(theirs, Named) and theirs.pair == ours.pair else None
    elif kind is PersistentId:
        yield (ours.value, theirs.value) if type(theirs) is Outside else None
    elif isinstance(ours, Call) and isinstance(theirs, Result):
        yield from _calls(ours, theirs)
    else:
        yield None


def _items(ours: Sequence[Node], theirs: Sequence[Any]) -> Iterator[_Pair | None]:
    if len(ours) != len(theirs):
        yield None
    else:
        yield from zip(ours, theirs)


def _entries(ours: Dict, theirs: Any) -> Iterator[_Pair | None]:
    if type(theirs) is not dict:
        yield None
        return
    keys = ours.flat[::2]
    if not SCALARS.issuperset(map(type, keys)):
        # whether tuples are equal, and objects, is not known here
        if len(theirs) > len(keys):
            yield None
        elif len(theirs) == len(keys):
            yield from zip(keys, theirs)
            yield from zip(ours.flat[1::2], theirs.values())
        return
    told = dict(ours.pairs())
    if list(map(repr, told)) != list(map(repr, theirs)):
        yield None
        return
    yield from zip(told.values(), theirs.values())


def _set(ours: SetNode, theirs: Any) -> _Pair | None:
    if type(theirs) is not (frozenset if ours.frozen else set) or len(theirs) > len(ours.items):
        return None
    if SCALARS.issuperset(map(type, ours.items)) and set(ours.items) != theirs:
        return None if not _has_nan(ours.items) else (None, None)
    return None, None


def _has_nan(items: List[Node]) -> bool:
    return any(type(item) is float and item != item for item in items)


def _calls(ours: Call, theirs: Result) -> Iterator[_Pair | None]:
    # without arguments OBJ and INST make an instance, which is taken for a call here
    if isinstance(ours, New) is not theirs.new and (isinstance(ours, New) or ours.args):
        yield None
        return
    yield ours.function, theirs.function
    # item by item: a list that lives no longer than this would be taken for another one later
    yield from _items(ours.args, theirs.args)
    yield from _items(ours.states or (), theirs.states)
    yield from _items(ours.appended or (), theirs.appended)
    yield from _items(ours.mapped.flat if ours.mapped else (), theirs.mapped)
    if isinstance(ours, New) and isinstance(ours.keywords, Dict):
        yield from _entries(ours.keywords, theirs.keywords)
