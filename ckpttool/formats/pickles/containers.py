"""The operations that build tuples, lists, dictionaries and sets."""

from __future__ import annotations

from ckpttool.formats.nodes import Call, Dict, Node, Set
from ckpttool.formats.pickles.operands import malformed
from ckpttool.formats.pickles.stack import COST_CONTAINER, Stack


class Containers(Stack):
    """Containers. Nothing is hashed: a dictionary is a list of pairs, a set a list."""

    def _push_tuple(self, items: tuple[Node, ...]) -> None:
        self._push(items, COST_CONTAINER + 8 * len(items))

    def _op_empty_tuple(self) -> None:
        self.stack.append(())

    def _op_tuple1(self) -> None:
        self._push_tuple((self.stack.pop(),))

    def _op_tuple2(self) -> None:
        second = self.stack.pop()
        self._push_tuple((self.stack.pop(), second))

    def _op_tuple3(self) -> None:
        third, second = self.stack.pop(), self.stack.pop()
        self._push_tuple((self.stack.pop(), second, third))

    def _op_tuple(self) -> None:
        self._push_tuple(tuple(self._pop_mark()))

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
            if target.appended is None:
                target.appended = []
            target = target.appended
        elif not isinstance(target, list):
            raise malformed("items are appended to something that is no list")
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
        if isinstance(target, Call):
            if target.mapped is None:
                target.mapped = Dict()
                self.budget -= 2 * COST_CONTAINER
            target = target.mapped
        elif not isinstance(target, Dict):
            raise malformed("items are set on something that is no dictionary")
        target.flat.extend(flat)
        self.budget -= 8 * len(flat)

    def _op_empty_set(self) -> None:
        self._push(Set([]), 2 * COST_CONTAINER)

    def _op_additems(self) -> None:
        items = self._pop_mark()
        target = self.stack[-1]
        if not isinstance(target, Set):
            raise malformed("items are added to something that is no set")
        target.items.extend(items)
        self.budget -= 8 * len(items)

    def _op_frozenset(self) -> None:
        items = self._pop_mark()
        self._push(Set(items), 2 * COST_CONTAINER + 8 * len(items))
