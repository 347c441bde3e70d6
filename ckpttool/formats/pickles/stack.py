"""The stack and the memo of the pickle machine, and the operations on them alone."""

from __future__ import annotations

import struct

from ckpttool.formats.pickles.nodes import Node
from ckpttool.formats.pickles.operands import Operands, malformed

_U32 = struct.Struct("<I").unpack_from

# What one object costs, in bytes of a 64-bit CPython, with its place in a stack or memo.
COST_NUMBER, COST_TEXT, COST_CONTAINER, COST_CALL, COST_MEMO = 40, 72, 72, 104, 100


class Stack(Operands):
    """What was built so far.

    Attributes:
        stack: the nodes; the last is on top.
        marked: the stacks that lie under each MARK.
        memo: memo entries numbered without a gap, as picklers do.
        sparse_memo: the others.
    """

    def __init__(self, data: bytes, start: int) -> None:
        super().__init__(data, start)
        self.stack: list[Node] = []
        self.marked: list[list[Node]] = []
        self.memo: list[Node] = []
        self.sparse_memo: dict[int, Node] = {}

    def _pop_mark(self) -> list[Node]:
        if not self.marked:
            raise malformed("there is no mark on the stack")
        items = self.stack
        self.stack = self.marked.pop()
        return items

    def _push(self, value: Node, cost: int) -> None:
        self.stack.append(value)
        self.budget -= cost

    def _memoize(self, index: int) -> None:
        memo = self.memo
        if index == len(memo):
            memo.append(self.stack[-1])
            if self.sparse_memo:
                self.sparse_memo.pop(index, None)
        elif 0 <= index < len(memo):
            memo[index] = self.stack[-1]
        else:
            self.sparse_memo[index] = self.stack[-1]
            self.budget -= COST_MEMO

    def _recall(self, index: int) -> None:
        if 0 <= index < len(self.memo):
            self.stack.append(self.memo[index])
        elif index in self.sparse_memo:
            self.stack.append(self.sparse_memo[index])
        else:
            raise malformed(f"nothing was memoized under {index}")

    def _op_mark(self) -> None:
        self.marked.append(self.stack)
        self.stack = []
        self.budget -= COST_CONTAINER

    def _op_pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self._pop_mark()

    def _op_pop_mark(self) -> None:
        self._pop_mark()

    def _op_dup(self) -> None:
        self._push(self.stack[-1], 8)

    # The four below are half of all operations of a checkpoint, and so spelled out: what is
    # usual needs no further call.

    def _op_binput(self) -> None:
        index = self.data[self.position]
        self.position += 1
        self._memoize(index)

    def _op_long_binput(self) -> None:
        (index,) = _U32(self.data, self.position)
        self.position += 4
        if index == len(self.memo) and not self.sparse_memo:
            self.memo.append(self.stack[-1])
        else:
            self._memoize(index)

    def _op_put(self) -> None:
        self._memoize(self._memo_index())

    def _memo_index(self) -> int:
        value = self._integer(self._number_line())
        if value < 0:
            raise malformed("a memo index is negative")
        return value

    def _op_memoize(self) -> None:
        self._memoize(len(self.memo) + len(self.sparse_memo))

    def _op_binget(self) -> None:
        index = self.data[self.position]
        self.position += 1
        if index < len(self.memo):
            self.stack.append(self.memo[index])
        else:
            self._recall(index)

    def _op_long_binget(self) -> None:
        (index,) = _U32(self.data, self.position)
        self.position += 4
        if index < len(self.memo):
            self.stack.append(self.memo[index])
        else:
            self._recall(index)

    def _op_get(self) -> None:
        self._recall(self._memo_index())
