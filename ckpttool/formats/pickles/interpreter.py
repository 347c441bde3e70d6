"""The interpreter itself: it dispatches one opcode after the other up to STOP."""

from __future__ import annotations

import struct
from itertools import repeat
from typing import Callable

from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError
from ckpttool.formats.pickles.calls import Calls
from ckpttool.formats.pickles.containers import Containers
from ckpttool.formats.pickles.nodes import Call, Global, Node, PersistentId
from ckpttool.formats.pickles.scalars import LARGE, Scalars
from ckpttool.formats.pickles.stack import (
    COST_CALL,
    COST_CONTAINER,
    COST_NUMBER,
    COST_TEXT,
    malformed,
    too_much,
    truncated,
)

#: Operations in one pickle, a microsecond each. A million tensors take 30 million; a pickle has no
#: more operations than bytes, so a small one is over soon.
MAX_OPERATIONS = 50_000_000
#: The newest protocol of Python 3.8 and later.
HIGHEST_PROTOCOL = 5


_U16 = struct.Struct("<H").unpack_from
_I32 = struct.Struct("<i").unpack_from
_U32 = struct.Struct("<I").unpack_from


class _Stop(Exception):  # noqa: N818 (a signal, not an error)
    """STOP was met."""


class Machine(Scalars, Containers, Calls):
    """The stack machine.

    Attributes:
        frame_end: where the current frame ends; beyond the bytes outside of frames.
        root: what the pickle describes, once it was run.
    """

    def __init__(
        self, data: bytes, start: int, base: int, persistent: Callable[[Node], Node]
    ) -> None:
        super().__init__(data, start, base, persistent)
        self.frame_end = len(data) + 1
        self.root: Node = None

    def run(self) -> None:
        """Interpret up to STOP. All low-level exceptions become a MalformedError here."""
        try:
            self._loop()
        except _Stop:
            pass
        # for speed, handlers leave bounds to the checks that Python makes anyway
        except struct.error:
            raise truncated(len(self.data) + 1) from None
        except IndexError:
            if self.position >= len(self.data):
                raise truncated(len(self.data) + 1) from None
            raise malformed("an operation takes more from the stack than there is") from None

    def _loop(self) -> None:  # noqa: C901 (a call for each operation is what it saves)
        """Interpret one operation after the other.

        Nearly all operations of a checkpoint are a dozen: their usual case is written out here, on
        local variables, at a fifth of what a handler costs. Whatever is not that case, and whatever
        is wrong, is left to the handler, before anything was changed.
        """
        data, memo, marked = self.data, self.memo, self.marked
        handlers = _HANDLERS
        calls, ids, base = self.calls, self.ids, self.base
        stack, budget, position = self.stack, self.budget, self.position
        inert = self.persistent is PersistentId
        usual_end = self._usual_end()
        for _ in repeat(None, MAX_OPERATIONS):
            code = data[position] if position < usual_end else 0
            operation = position
            # An operation without its items on the stack raises IndexError, here as in its handler.
            try:
                if code == 0x72:  # LONG_BINPUT
                    if _U32(data, position + 1)[0] == len(memo):
                        memo.append(stack[-1])
                        position += 5
                        continue
                elif code == 0x68:  # BINGET
                    index = data[position + 1]
                    if index < len(memo):
                        stack.append(memo[index])
                        position += 2
                        continue
                elif code == 0x4B:  # BININT1
                    stack.append(data[position + 1])
                    position += 2
                    continue
                elif code == 0x28:  # MARK
                    marked.append(stack)
                    stack = []
                    position += 1
                    budget -= COST_CONTAINER
                    if budget >= 0:
                        continue
                elif code == 0x52:  # REDUCE
                    function, args = stack[-2], stack[-1]
                    if (
                        type(function) is Global
                        and type(args) is tuple
                        and (function.plain or not args)
                    ):
                        call = Call(function, args, base + position)
                        calls.append(call)
                        del stack[-1]
                        stack[-1] = call
                        position += 1
                        budget -= COST_CALL
                        if budget >= 0:
                            continue
                elif code == 0x58 or code == 0x8C:  # BINUNICODE, SHORT_BINUNICODE
                    if code == 0x58:
                        start = position + 5
                        end = start + _U32(data, position + 1)[0]
                    else:
                        start = position + 2
                        end = start + data[position + 1]
                    if end <= usual_end and end < start + LARGE:
                        try:
                            text = str(data[start:end], "utf-8", "surrogatepass")
                        except UnicodeDecodeError:
                            pass
                        else:
                            stack.append(text)
                            position = end
                            budget -= COST_TEXT + text.__sizeof__()
                            if budget >= 0:
                                continue
                elif code == 0x4D:  # BININT2
                    stack.append(_U16(data, position + 1)[0])
                    position += 3
                    budget -= COST_NUMBER
                    if budget >= 0:
                        continue
                elif code == 0x4A:  # BININT
                    stack.append(_I32(data, position + 1)[0])
                    position += 5
                    budget -= COST_NUMBER
                    if budget >= 0:
                        continue
                elif code == 0x74:  # TUPLE
                    if marked:
                        items = tuple(stack)
                        stack = marked.pop()
                        stack.append(items)
                        position += 1
                        budget -= COST_CONTAINER + 8 * len(items)
                        if budget >= 0:
                            continue
                elif code == 0x85:  # TUPLE1
                    stack[-1] = (stack[-1],)
                    position += 1
                    budget -= COST_CONTAINER + 8
                    if budget >= 0:
                        continue
                elif code == 0x86:  # TUPLE2
                    second = stack.pop()
                    stack[-1] = (stack[-1], second)
                    position += 1
                    budget -= COST_CONTAINER + 16
                    if budget >= 0:
                        continue
                elif code == 0x51:  # BINPERSID
                    if inert:
                        ids.append(stack[-1])
                        stack[-1] = PersistentId(stack[-1])
                        position += 1
                        budget -= COST_CONTAINER
                        if budget >= 0:
                            continue
                elif code == 0x29:  # EMPTY_TUPLE
                    stack.append(())
                    position += 1
                    continue
                elif code == 0x89:  # NEWFALSE
                    stack.append(False)
                    position += 1
                    continue
                elif code == 0x71:  # BINPUT
                    if data[position + 1] == len(memo):
                        memo.append(stack[-1])
                        position += 2
                        continue
                elif code == 0x6A:  # LONG_BINGET
                    index = _U32(data, position + 1)[0]
                    if index < len(memo):
                        stack.append(memo[index])
                        position += 5
                        continue
            except IndexError:
                pass
            self.stack, self.budget, self.operation = stack, budget, operation
            if budget < 0:
                self.position = position
                raise too_much()
            self.position = operation + 1
            handlers[data[operation]](self)
            if self.budget < 0:
                raise too_much()
            if self.position >= self.frame_end:
                self._leave_frame()
            stack, budget, position = self.stack, self.budget, self.position
            usual_end = self._usual_end()
        raise MalformedError(
            "the pickle has more operations than are interpreted",
            rules.LIMIT,
            expected=f"at most {MAX_OPERATIONS:,}",
        )

    def _usual_end(self) -> int:
        """Return up to where operations can be read without looking where bytes or frame end."""
        # nowhere while memo entries have gaps
        return 0 if self.sparse_memo else min(self.frame_end, len(self.data)) - 5

    def _op_proto(self) -> None:
        version = self._take_u8()
        # every unpickler accepts it, no pickler writes it
        if self.operation != self.start:
            self._note("the protocol is stated in mid-stream")
        if version > HIGHEST_PROTOCOL:
            raise malformed(f"pickle protocol {version} is not known")

    # The unpickler in C ignores where frames end, pickle.py refuses breaches: readers disagree.

    def _op_frame(self) -> None:
        length = self._take_u64()
        if self.frame_end <= len(self.data):
            self._note("a frame begins inside another")
        if length > len(self.data) - self.position:
            raise truncated(self.position + length)
        self.frame_end = self.position + length

    def _leave_frame(self) -> None:
        if self.position > self.frame_end:
            self._note("an operation reaches across the end of its frame")
        self.frame_end = len(self.data) + 1

    def _op_stop(self) -> None:
        # Python ignores objects that are left below the result, but no pickler leaves any
        if self.marked or len(self.stack) != 1:
            raise malformed(
                "the pickle stops with other than one object on the stack",
                found=f"{len(self.stack)} objects, {len(self.marked)} open marks",
            )
        if self.position < self.frame_end <= len(self.data):
            self._note("the pickle stops inside a frame")
        if self.flaw is not None:
            raise self.flaw
        self.root = self.stack[0]
        raise _Stop

    def _op_unknown(self) -> None:
        raise malformed(f"opcode 0x{self.data[self.operation]:02x} does not exist")

    def _op_ext(self) -> None:
        # the codes are looked up in copyreg's registry, which each program fills for itself
        raise malformed("extension codes stand for names that only the writer knows")

    def _op_next_buffer(self) -> None:
        # PEP 574: the reader is given the buffers as an argument beside the stream
        raise malformed("out-of-band buffers are not part of a file")

    def _op_readonly_buffer(self) -> None:
        # picklers write it after the other one only; Python takes it after any bytes and goes on
        self.stack[-1]  # there has to be one
        self._note("a read-only view of what is no out-of-band buffer")


class JoblibMachine(Machine):
    """Reads as joblib does: an array of objects is a pickle of its own, with its own memo.

    An array of numbers is raw bytes, at which the reading ends.
    """

    def _at_array(self) -> None:
        super()._at_array()
        if self.position >= self.frame_end:
            self._leave_frame()
        array = Machine(self.data, self.position, self.base, self.persistent)
        array.budget = self.budget  # one limit for the file, however many arrays it has
        try:
            # joblib writes arrays of objects with protocol 2, which begins so
            if self.data[self.position : self.position + 1] != b"\x80":
                raise malformed("an array of numbers follows")
            array.run()
        finally:  # what it calls counts wherever it breaks off
            self.calls += array.calls
            self.ids += array.ids
            for key, reference in array.references.items():
                self.references.setdefault(key, reference)
        self.position, self.budget = array.position, array.budget


# Opcode byte to the handler's name, as in pickletools.
_NAMES = {
    b"\x80": "proto", b"\x95": "frame", b".": "stop",
    b"N": "none", b"\x88": "newtrue", b"\x89": "newfalse",
    b"I": "int", b"J": "binint", b"K": "binint1", b"M": "binint2",
    b"L": "long", b"\x8a": "long1", b"\x8b": "long4", b"F": "float", b"G": "binfloat",
    b"V": "unicode", b"X": "binunicode", b"\x8c": "short_binunicode", b"\x8d": "binunicode8",
    b"S": "string", b"T": "binstring", b"U": "short_binstring",
    b"B": "binbytes", b"C": "short_binbytes", b"\x8e": "binbytes8", b"\x96": "bytearray8",
    b"\x97": "next_buffer", b"\x98": "readonly_buffer",
    b"(": "mark", b"0": "pop", b"1": "pop_mark", b"2": "dup",
    b"p": "put", b"q": "binput", b"r": "long_binput", b"\x94": "memoize",
    b"g": "get", b"h": "binget", b"j": "long_binget",
    b")": "empty_tuple", b"\x85": "tuple1", b"\x86": "tuple2", b"\x87": "tuple3", b"t": "tuple",
    b"]": "empty_list", b"l": "list", b"a": "append", b"e": "appends",
    b"}": "empty_dict", b"d": "dict", b"s": "setitem", b"u": "setitems",
    b"\x8f": "empty_set", b"\x90": "additems", b"\x91": "frozenset",
    b"c": "global", b"\x93": "stack_global", b"R": "reduce", b"\x81": "newobj",
    b"\x92": "newobj_ex", b"i": "inst", b"o": "obj", b"b": "build",
    b"P": "persid", b"Q": "binpersid",
    b"\x82": "ext", b"\x83": "ext", b"\x84": "ext",
}  # fmt: skip
_OPCODES = [_NAMES.get(bytes([byte]), "unknown") for byte in range(256)]
# Made once, and not for each pickle: a file may hold half a million of a few bytes.
_HANDLERS: list[Callable[[Machine], None]] = [getattr(Machine, f"_op_{name}") for name in _OPCODES]
