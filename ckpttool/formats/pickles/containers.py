"""The operations that build tuples, lists, dictionaries and sets."""

from __future__ import annotations

from ckpttool.findings.errors import MalformedError
from ckpttool.formats.pickles.nodes import (
    SCALARS,
    ByteArray,
    Call,
    Dict,
    Global,
    Node,
    Set,
    pair_of,
)
from ckpttool.formats.pickles.stack import (
    COST_CONTAINER,
    COST_NUMBER,
    Stack,
    changes_a_name,
    malformed,
    too_much,
)

_UNHASHABLE = frozenset({list, Dict, ByteArray})
# Classes of which no instance can be hashed either, by the modules of Python 2 and 3.
_UNHASHABLE_CLASSES = frozenset(
    {("collections", name) for name in ("OrderedDict", "defaultdict", "Counter", "deque")}
    | {
        (module, name)
        for module in ("builtins", "__builtin__")
        for name in ("bytearray", "dict", "list", "set")
    }
)


class Containers(Stack):
    """Containers. Nothing is hashed: the hash of a tuple of tuples of tuples may never end."""

    def _op_empty_tuple(self) -> None:
        self.stack.append(())  # CPython has only one empty tuple: it costs nothing

    # Every shape, stride and argument list is one of these three: the tuple replaces its first
    # item on the stack, which saves a push.

    def _op_tuple1(self) -> None:
        self.stack[-1] = (self.stack[-1],)
        self.budget -= COST_CONTAINER + 8

    def _op_tuple2(self) -> None:
        second = self.stack.pop()
        self.stack[-1] = (self.stack[-1], second)
        self.budget -= COST_CONTAINER + 16

    def _op_tuple3(self) -> None:
        third, second = self.stack.pop(), self.stack.pop()
        self.stack[-1] = (self.stack[-1], second, third)
        self.budget -= COST_CONTAINER + 24

    def _op_tuple(self) -> None:
        items = tuple(self._pop_mark())
        self._push(items, COST_CONTAINER + 8 * len(items))

    def _op_empty_list(self) -> None:
        self._push([], COST_CONTAINER)

    def _op_list(self) -> None:
        items = self._pop_mark()
        self._push(items, COST_CONTAINER + 8 * len(items))

    def _op_append(self) -> None:
        self._append([self.stack.pop()])

    def _op_appends(self) -> None:
        self._append(self._pop_mark())

    def _append(self, items: list[Node]) -> None:
        target = self.stack[-1]
        if isinstance(target, Call):
            # a reader would call the object's append or extend: kept beside the call for the judge
            if target.changes is None:
                self.budget -= 2 * COST_CONTAINER
            target = _appended(target)
        elif not isinstance(target, list):
            raise _refused(target, "items are appended to something that is not a list")
        target.extend(items)
        self.budget -= 8 * len(items)

    def _op_empty_dict(self) -> None:
        self._push(Dict(), 2 * COST_CONTAINER)

    def _op_dict(self) -> None:
        items = self._pop_mark()
        self._push(Dict(), 2 * COST_CONTAINER)
        self._set_items(items)

    def _op_setitem(self) -> None:
        value = self.stack.pop()
        self._set_items([self.stack.pop(), value])

    def _op_setitems(self) -> None:
        self._set_items(self._pop_mark())

    def _set_items(self, flat: list[Node]) -> None:
        target = self.stack[-1]
        if len(flat) % 2:
            raise malformed("a key has no value")
        self._check_hashable(flat[::2])
        if isinstance(target, Call):
            target.changed_late = target.changed_late or target.states is not None
            if target.mapped is None:
                target.mapped = Dict()
                self.budget -= 3 * COST_CONTAINER
            target = target.mapped
        elif not isinstance(target, Dict):
            raise _refused(target, "items are set on something that is not a dictionary")
        target.flat.extend(flat)
        self.budget -= 8 * len(flat)

    def _op_empty_set(self) -> None:
        self._push(Set([]), 2 * COST_CONTAINER)

    def _op_additems(self) -> None:
        items = self._pop_mark()
        self._check_hashable(items)
        target = self.stack[-1]
        if isinstance(target, Call):
            if target.changes is None:
                self.budget -= 2 * COST_CONTAINER
            _appended(target).extend(items)
        elif isinstance(target, Set) and not target.frozen:
            target.items.extend(items)  # equal items are kept twice: comparing needs hashes
        else:
            raise _refused(target, "items are added to something that is not a set")
        self.budget -= 8 * len(items)

    def _op_frozenset(self) -> None:
        items = self._pop_mark()
        self._check_hashable(items)
        self._push(Set(items, frozen=True), 2 * COST_CONTAINER + 8 * len(items))

    def _check_hashable(self, keys: list[Node]) -> None:
        """Refuse keys that Python cannot hash, from their types alone."""
        # without recursion: tuples may be nested deeper than Python's own stack
        waiting = [key for key in keys if type(key) not in SCALARS]
        while waiting:
            key = waiting.pop()
            if _is_unhashable(key):
                raise malformed("a key, or a member of a set, cannot be hashed")
            if type(key) is tuple:
                # many keys may share one long tuple, or a tuple of tuples of tuples
                self.budget -= COST_NUMBER * len(key)
                if self.budget < 0:
                    raise too_much()
                waiting.extend(key)


def _is_unhashable(key: Node) -> bool:
    if isinstance(key, Call):
        return pair_of(key.function) in _UNHASHABLE_CLASSES
    return type(key) in _UNHASHABLE or (type(key) is Set and not key.frozen)


def _appended(call: Call) -> list[Node]:
    """Return the list for items that are put into a call's result."""
    # a state may have replaced the method by which these items are added
    call.changed_late = call.changed_late or call.states is not None
    if call.appended is None:
        call.appended = []
    return call.appended


def _refused(target: Node, message: str) -> MalformedError:
    return changes_a_name(target) if isinstance(target, Global) else malformed(message)
