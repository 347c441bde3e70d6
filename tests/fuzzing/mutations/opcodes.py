"""Pickles taken apart into opcodes, and which of these make up a value."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Dict, List, NamedTuple, Tuple

#: Opcodes as bytes, each with its argument.
Ops = List[bytes]

_LINE, _TWO_LINES = "line", "two lines"
#: What follows an opcode: so many bytes, lines, or a length in so many bytes and as many bytes.
_FIXED = {b"\x80": 1, b"K": 1, b"M": 2, b"J": 4, b"G": 8, b"\x95": 8, b"q": 1, b"r": 4, b"h": 1}
_FIXED.update({b"j": 4, b"\x82": 1, b"\x83": 2, b"\x84": 4})
_SIZED = {b"\x8a": 1, b"\x8b": 4, b"X": 4, b"\x8c": 1, b"\x8d": 8, b"T": 4, b"U": 1, b"B": 4}
_SIZED.update({b"C": 1, b"\x8e": 8, b"\x96": 8})
_LINES = {**dict.fromkeys((b"I", b"L", b"F", b"V", b"S", b"p", b"g", b"P"), 1), b"c": 2, b"i": 2}
_BARE = b".N\x88\x89\x97\x98(012\x94)\x85\x86\x87t]lae}dsu\x8f\x90\x91\x93R\x81\x92obQ"

MARK, STOP, FRAME, PROTO, MEMOIZE = b"(", b".", b"\x95", b"\x80", b"\x94"
#: Opcodes that put the top of the stack into the memo, and those that take it from there.
PUTS, GETS = frozenset((b"p", b"q", b"r", MEMOIZE)), frozenset((b"g", b"h", b"j"))

_FIXED_BY_CODE = [0] * 256
_SIZED_BY_CODE = [0] * 256
_LINES_BY_CODE = [0] * 256
_KNOWN = [False] * 256
for _table, _by_code in (
    (_FIXED, _FIXED_BY_CODE),
    (_SIZED, _SIZED_BY_CODE),
    (_LINES, _LINES_BY_CODE),
):
    for _op, _value in _table.items():
        _by_code[_op[0]] = _value
        _KNOWN[_op[0]] = True
for _code in _BARE:
    _KNOWN[_code] = True


class Split(NamedTuple):
    """A pickle in opcodes, up to its STOP or to what is none, and the bytes behind."""

    ops: Tuple[bytes, ...]
    rest: bytes


# the files that are changed come again and again
@lru_cache(maxsize=256)
def split(data: bytes) -> Split:
    """Take the first pickle of some bytes apart."""
    ops: Ops = []
    at, end = 0, len(data)
    while at < end:
        after = _end_of(data, at)
        if not at < after <= end:
            break
        ops.append(data[at:after])
        at = after
        if ops[-1] == STOP:
            break
    return Split(tuple(ops), data[at:])


def _end_of(data: bytes, at: int) -> int:
    """Return where an opcode ends; ``at`` if it is none, or its argument is not all there."""
    code = data[at]
    if _FIXED_BY_CODE[code]:
        return at + 1 + _FIXED_BY_CODE[code]
    width = _SIZED_BY_CODE[code]
    if width:
        return at + 1 + width + int.from_bytes(data[at + 1 : at + 1 + width], "little")
    end = at + 1
    for _ in range(_LINES_BY_CODE[code]):
        end = data.find(b"\n", end) + 1
        if not end:
            return at
    return end if _KNOWN[code] else at


@lru_cache(maxsize=1_024)
def pickles(data: bytes) -> Tuple[bytes, ...]:
    """Return the pickles that follow each other at the beginning, and the bytes behind them."""
    found: List[bytes] = []
    while True:
        ops, rest = split(data)
        if not ops or ops[-1] != STOP or len(found) == 8:
            return (*found, data)
        found.append(data[: len(data) - len(rest)])
        data = rest


def framed(ops: Ops) -> Ops:
    """Return the opcodes with the length of each frame made right: up to the next one."""
    told = list(ops)
    length = 0
    for place in reversed(range(len(told))):
        if told[place][:1] == FRAME:
            told[place] = FRAME + struct.pack("<Q", length)
            length = 0
        else:
            length += len(told[place])
    return told


def argument(op: bytes) -> bytes:
    """Return the argument of an opcode, without its length or the end of its line."""
    width: int = _SIZED_BY_CODE[op[0]]
    return op[1 + width :] if width else op[1:-1] if _LINES_BY_CODE[op[0]] else op[1:]


def sized(code: bytes, content: bytes) -> bytes:
    """Return an opcode whose argument has its length before it."""
    width = _SIZED[code]
    return code + bytes((len(content) % 256**width).to_bytes(width, "little")) + content


# --- values --------------------------------------------------------------------------------

# What an operation does to the stack: how many items it takes to put one there, or to change the
# one below them; whether it takes those up to the mark.
_MADE_OF: Dict[int, int] = {
    **dict.fromkeys(b"\x85Q", 1),
    **dict.fromkeys(b"\x86\x93R\x81", 2),
    **dict.fromkeys(b"\x87\x92", 3),
}
_CHANGED_BY: Dict[int, int] = {**dict.fromkeys(b"pqr\x94", 0), **dict.fromkeys(b"ab", 1)}
_CHANGED_BY[ord("s")] = 2
_MADE_TO_MARK, _CHANGED_TO_MARK = frozenset(b"tld\x91oi"), frozenset(b"eu\x901")
_NOTHING = frozenset(b"\x80\x95.")


#: The first opcode of a value and the one behind it.
Run = Tuple[int, int]


@lru_cache(maxsize=256)
def values(ops: Tuple[bytes, ...]) -> Tuple[Run, ...]:
    """Return which opcodes make up each value of a pickle, as far as the stack tells."""
    stack = _Stack()
    runs: List[Run] = []
    try:
        for place, op in enumerate(ops):
            if op[0] not in _NOTHING and op != MARK:
                stack.take(op[0], place)
                runs.append((stack.begins[-1], place + 1))
            elif op == MARK:
                stack.marks.append((len(stack.begins), place))
    except IndexError:  # an operation takes more than there is
        pass
    return tuple(runs)


class _Stack:
    """Where the values on the stack begin."""

    def __init__(self) -> None:
        self.begins: List[int] = []
        self.marks: List[Tuple[int, int]] = []  # how high the stack was at each, and where it is

    def take(self, code: int, place: int) -> None:
        """Do what an opcode does."""
        begin = place
        if code in _MADE_TO_MARK or code in _CHANGED_TO_MARK:
            height, begin = self.marks.pop()
            del self.begins[height:]
            if code in _CHANGED_TO_MARK:
                return
        elif code in _CHANGED_BY or code == 0x30:
            for _ in range(_CHANGED_BY.get(code, 1)):
                self.begins.pop()
            return
        else:
            for _ in range(_MADE_OF.get(code, 0)):
                begin = self.begins.pop()
        self.begins.append(begin)
