"""The bytes of a pickle, and the stack and memo that its operations work on."""

from __future__ import annotations

import re
import struct

from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError
from ckpttool.formats.pickles.nodes import Node

#: Bytes that the nodes of one pickle may take, by estimate: a fixed part and a part for each byte
#: of the pickle, where torch.save needs ten to fifteen. So a small file never takes much memory.
MAX_NODE_BYTES, NODE_BYTES_EACH = 100_000_000, 16
#: Bytes of an integer. Sizes and offsets have eight, states of random generators sixteen; seeds
#: and keys that somebody keeps beside the weights some hundreds.
MAX_INTEGER_BYTES = 1_024

#: How much larger than the number of bytes an index of the memo may be. Picklers count from 0.
SPARE_INDEXES = 65_536

# What one object costs, in bytes of a 64-bit CPython, with its place in a stack or memo.
COST_NUMBER, COST_TEXT, COST_CONTAINER, COST_CALL, COST_MEMO = 40, 72, 72, 104, 100

# Of a memo index on a line of its own: digits and the end of the line.
_USUAL_DIGITS, _ZERO = 10, ord("0")
_DECIMAL = re.compile(rb"0|-?[1-9][0-9]*")

_U32 = struct.Struct("<I").unpack_from
_U64 = struct.Struct("<Q").unpack_from


class TruncatedPickleError(MalformedError):
    """The bytes end before the pickle does; a caller that has read only a part may read on.

    Attributes:
        needed: how many bytes of the data it takes at the least.
    """

    needed = 0


class Stack:
    """The state of reading a pickle: the position in its bytes, the stack and the memo.

    Attributes:
        data: the bytes.
        start: where the pickle begins.
        position: the offset of the next byte to read.
        operation: the offset of the opcode being interpreted.
        budget: how many bytes nodes may still take; below zero the pickle is refused.
        flaw: the first breach of the format that other readers ignore. They would run what
            comes after it, so that is read and judged too before the pickle is refused.
        stack: the nodes; the last is on top.
        marked: the stack below each open MARK.
        memo: memo entries numbered without a gap, as picklers do.
        sparse_memo: the others.
    """

    def __init__(self, data: bytes, start: int) -> None:
        self.data = data
        self.start = start
        self.position = start
        self.operation = start
        self.budget = MAX_NODE_BYTES + NODE_BYTES_EACH * (len(data) - start)
        self.flaw: MalformedError | None = None
        self.stack: list[Node] = []
        self.marked: list[list[Node]] = []
        self.memo: list[Node] = []
        # apart, since a list indexed by a number from the file could be made to grow to 32 GiB
        self.sparse_memo: dict[int, Node] = {}

    # --- the bytes behind an opcode ----------------------------------------------------

    def _take(self, length: int) -> bytes:
        """Return the next ``length`` bytes."""
        # checked before anything is allocated: the length is whatever the file says
        end = self.position + length
        if end > len(self.data):
            raise truncated(end)
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def _take_u8(self) -> int:
        value = self.data[self.position]
        self.position += 1
        return value

    def _take_u32(self) -> int:
        (value,) = _U32(self.data, self.position)
        self.position += 4
        return int(value)

    def _take_u64(self) -> int:
        (value,) = _U64(self.data, self.position)
        self.position += 8
        return int(value)

    def _line(self) -> bytes:
        end = self.data.find(b"\n", self.position)
        if end < 0:
            raise truncated(len(self.data) + 1)
        line = self.data[self.position : end]
        self.position = end + 1
        self.budget -= len(line)
        return line

    def _number_line(self) -> bytes:
        line = self._line()
        # a byte is about 2.4 decimal digits; int() takes quadratic time in their number
        if len(line) > 3 * MAX_INTEGER_BYTES:
            self._note("a number is written with too many digits", rules.LIMIT)
            return b"0"
        return line

    def _integer(self, line: bytes) -> int:
        """Return the integer that a line of protocol 0 spells."""
        # the unpickler in C reads a leading zero as octal, and -0, of two characters as 00 is, as
        # False; int() takes spaces and underscores
        if not _DECIMAL.fullmatch(line):
            self._note("an integer is not written as a number")
            return 0
        return int(line)

    def _note(self, message: str, rule: rules.Rule = rules.PICKLE) -> None:
        """Keep a breach of the format, or of a limit, that ends the reading at STOP only."""
        if self.flaw is None:
            self.flaw = MalformedError(message, rule)
            self.flaw.offset = self.operation

    # --- stack and memo ----------------------------------------------------------------

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
                # an index is in one of the two, so that MEMOIZE can count both
                self.sparse_memo.pop(index, None)
        elif 0 <= index < len(memo):
            memo[index] = self.stack[-1]
        else:
            if index > len(self.data) + SPARE_INDEXES:
                # the unpickler in C makes room for all numbers below: 64 GiB for the largest
                self._note("a memo index is far larger than the pickle has bytes", rules.LIMIT)
            self.sparse_memo[index] = self.stack[-1]
            self.budget -= COST_MEMO

    def _recall(self, index: int) -> None:
        if 0 <= index < len(self.memo):
            self.stack.append(self.memo[index])
        elif index in self.sparse_memo:
            self.stack.append(self.sparse_memo[index])
        else:
            raise malformed(f"nothing is memoized under {index}")

    def _op_mark(self) -> None:
        self.marked.append(self.stack)
        self.stack = []
        self.budget -= COST_CONTAINER

    def _op_pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self._pop_mark()  # as in CPython, a mark counts as an item

    def _op_pop_mark(self) -> None:
        self._pop_mark()

    def _op_dup(self) -> None:
        self._push(self.stack[-1], 8)

    # Half of all operations of a checkpoint are one of binput, long_binput, binget and
    # long_binget: their usual case is written out to save a call.

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
        # as picklers write it, in one step: in protocol 0 every second operation has one
        end = self.data.find(b"\n", self.position, self.position + _USUAL_DIGITS)
        # without an end near by nothing is cut out: that would be all that is left, each time
        line = self.data[self.position : end] if end > 0 else b""
        if line.isdigit() and (line[0] != _ZERO or len(line) == 1):
            self.position = end + 1
            self.budget -= len(line)
            return int(line)
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


def malformed(message: str, *, found: object = None) -> MalformedError:
    """Return the error for a stream that breaks the format."""
    return MalformedError(message, rules.PICKLE, found=found)


def changes_a_name(name: object) -> MalformedError:
    """Return the error for a stream that changes an object of the reader's own, found by name.

    Attributes of a function or a class, items of a module's dictionary: no pickler does that,
    and a later call of that name runs something else.
    """
    return MalformedError(
        "the pickle changes what a name stands for", rules.UNKNOWN_CALL, found=name
    )


def too_much() -> MalformedError:
    """Return the error for a stream whose nodes take more memory than is allowed."""
    return MalformedError(
        "the pickle describes more objects than the limit",
        rules.LIMIT,
        expected=f"at most about {MAX_NODE_BYTES:,} bytes of them, and {NODE_BYTES_EACH} for each "
        "byte of the pickle",
    )


def truncated(needed: int) -> TruncatedPickleError:
    """Return the error for data that should have at least ``needed`` bytes."""
    error = TruncatedPickleError("the bytes end in the middle of the pickle", rules.TRUNCATED)
    error.needed = needed
    return error


def name_text(line: bytes) -> str:
    """Return a module's or a name's line as text."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        raise malformed("a name is not UTF-8") from None
