"""A pickle interpreter that builds inert nodes: it imports nothing and calls nothing.

It knows every opcode of protocols 0 to 5, as ``pickletools`` documents them, and keeps a
budget of operations and memory, so that no stream, whatever it says, runs long or grows large.
"""

from __future__ import annotations

import codecs
import re
import struct
from typing import Callable, Iterator, NamedTuple

from ckpttool import rules
from ckpttool.errors import MalformedError
from ckpttool.formats import dictionaries
from ckpttool.formats.nodes import Call, Dict, Global, New, Node, PersistentId, Set
from ckpttool.tensors import Reference

#: Operations in one pickle. 100,000 tensors take 3 million.
MAX_OPERATIONS = 8_000_000
#: Bytes that the nodes of one pickle may take, by estimate. 100,000 tensors take 100 million.
MAX_NODE_BYTES = 160_000_000
#: Bytes of an integer. Sizes and offsets have eight; states of random generators and UUIDs
#: have sixteen, and one more where the highest bit is not the sign.
MAX_INTEGER_BYTES = 17
#: The newest protocol of Python 3.8 and later.
HIGHEST_PROTOCOL = 5

# What one object costs, in bytes of a 64-bit CPython, with its place in a stack or memo.
_COST_NUMBER, _COST_TEXT, _COST_CONTAINER, _COST_CALL, _COST_MEMO = 40, 72, 72, 104, 100

_DECIMAL = re.compile(rb"-?(?:0|[1-9][0-9]*)")

_U16 = struct.Struct("<H").unpack_from
_I32 = struct.Struct("<i").unpack_from
_U32 = struct.Struct("<I").unpack_from
_U64 = struct.Struct("<Q").unpack_from
_F64 = struct.Struct(">d").unpack_from


class Pickle(NamedTuple):
    """A pickle that was read.

    Attributes:
        root: what it describes.
        references: the names it refers to.
        end: where it ends.
        calls: every call with arguments, in the order in which a reader would make them.
    """

    root: Node
    references: tuple[Reference, ...]
    end: int
    calls: tuple[Call, ...] = ()


class TruncatedPickleError(MalformedError):
    """The bytes end before the pickle does; with more of them it may yet be read."""


def parse(
    data: bytes,
    start: int = 0,
    *,
    member: str | None = None,
    base: int = 0,
    persistent: Callable[[Node], Node] = PersistentId,
) -> Pickle:
    """Interpret the pickle at ``data[start:]`` up to its STOP.

    Args:
        data: the bytes.
        start: where the pickle begins.
        member: the member of the container, for messages.
        base: the offset of ``data[0]`` in that member, for messages and references.
        persistent: gives the node that stands for a persistent id.

    Raises:
        TruncatedPickleError: there is no STOP before the end.
        MalformedError: the stream breaks the format or asks for too much.
    """
    machine = _Machine(data, start, base, persistent)
    try:
        machine.run()
    except MalformedError as error:
        error.member = member
        if error.offset is None:
            error.offset = base + machine.operation
        raise
    names = tuple(machine.names())
    return Pickle(machine.root, names, machine.position, tuple(machine.calls))


class _Stop(Exception):  # noqa: N818 (a signal, not an error)
    """STOP was met."""


class _Machine:
    """The stack machine. ``handlers`` maps an opcode byte to the method for it."""

    def __init__(
        self, data: bytes, start: int, base: int, persistent: Callable[[Node], Node]
    ) -> None:
        self.data = data
        self.persistent = persistent
        self.start = start
        self.base = base
        self.position = start
        self.operation = start  # where the operation being interpreted begins
        self.frame_end = len(data) + 1  # no frame
        self.budget = MAX_NODE_BYTES
        self.stack: list[Node] = []
        self.marked: list[list[Node]] = []  # the stacks that lie under each MARK
        self.memo: list[Node] = []  # memo entries numbered without a gap, as picklers do
        self.sparse_memo: dict[int, Node] = {}
        self.globals: dict[tuple[str, str], Global] = {}
        self.references: dict[tuple[str, str], Reference] = {}
        self.calls: list[Call] = []
        self.attributes: list[Global] = []  # getattr, once for each call of it that names a name
        self.root: Node = None

    def run(self) -> None:
        """Interpret up to STOP. All low-level exceptions become a MalformedError here."""
        try:
            self._loop()
        except _Stop:
            pass
        except struct.error:
            raise _truncated() from None
        except IndexError:
            if self.position >= len(self.data):
                raise _truncated() from None
            raise _malformed("an operation takes more from the stack than there is") from None

    def _loop(self) -> None:
        data = self.data
        handlers = [getattr(self, f"_op_{name}") for name in _OPCODES]
        for _ in range(MAX_OPERATIONS):
            self.operation = position = self.position
            self.position = position + 1
            handlers[data[position]]()
            if self.budget < 0:
                raise _too_much()
            if self.position >= self.frame_end:
                self._leave_frame()
        raise MalformedError(
            "the pickle has more operations than any real checkpoint",
            rules.LIMIT,
            expected=f"at most {MAX_OPERATIONS:,}",
        )

    def names(self) -> Iterator[Reference]:
        """Iterate over the names; without getattr where all it did was to name a name."""
        otherwise = {id(call.function) for call in self.calls}
        plain = {id(node) for node in self.attributes} - otherwise
        for key, reference in self.references.items():
            if id(self.globals[key]) not in plain:
                yield reference

    # --- reading ---------------------------------------------------------------------

    def _take(self, length: int) -> bytes:
        """Return the next ``length`` bytes; nothing is allocated before it is known they exist."""
        end = self.position + length
        if end > len(self.data):
            raise _truncated()
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
            raise _truncated()
        line = self.data[self.position : end]
        self.position = end + 1
        self.budget -= len(line)
        return line

    def _number_line(self) -> bytes:
        line = self._line()
        if len(line) > 3 * MAX_INTEGER_BYTES:
            raise _malformed("a number is written with too many digits")
        return line

    # --- stack and memo --------------------------------------------------------------

    def _pop_mark(self) -> list[Node]:
        if not self.marked:
            raise _malformed("there is no mark on the stack")
        items = self.stack
        self.stack = self.marked.pop()
        return items

    def _push(self, value: Node, cost: int) -> None:
        self.stack.append(value)
        self.budget -= cost

    def _push_text(self, raw: bytes) -> None:
        try:
            text = str(raw, "utf-8", "surrogatepass")
        except UnicodeDecodeError:
            raise _malformed("text is not UTF-8") from None
        # a character outside Latin-1 makes CPython spend up to four bytes on each
        self._push(text, _COST_TEXT + (len(raw) if text.isascii() else 4 * len(raw)))

    def _push_string(self, raw: bytes) -> None:
        """Push a Python 2 ``str``: text where it can be, as torch reads it, bytes otherwise."""
        try:
            self._push(raw.decode("utf-8"), _COST_TEXT + 4 * len(raw))
        except UnicodeDecodeError:
            self._push_bytes(raw)

    def _push_bytes(self, raw: bytes) -> None:
        self._push(raw, _COST_TEXT + len(raw))

    def _push_tuple(self, items: tuple[Node, ...]) -> None:
        self._push(items, _COST_CONTAINER + 8 * len(items))

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
            self.budget -= _COST_MEMO

    def _recall(self, index: int) -> None:
        if 0 <= index < len(self.memo):
            self.stack.append(self.memo[index])
        elif index in self.sparse_memo:
            self.stack.append(self.sparse_memo[index])
        else:
            raise _malformed(f"nothing was memoized under {index}")

    # --- frames, protocol, end ---------------------------------------------------------

    def _op_proto(self) -> None:
        version = self._take_u8()
        if self.operation != self.start:
            raise _malformed("the protocol is stated in mid-stream")
        if version > HIGHEST_PROTOCOL:
            raise _malformed(f"pickle protocol {version} is not known")

    def _op_frame(self) -> None:
        length = self._take_u64()
        if self.frame_end <= len(self.data):
            raise _malformed("a frame begins inside another")
        if length > len(self.data) - self.position:
            raise _truncated()
        self.frame_end = self.position + length

    def _leave_frame(self) -> None:
        if self.position > self.frame_end:
            raise _malformed("an operation reaches across the end of its frame")
        self.frame_end = len(self.data) + 1

    def _op_stop(self) -> None:
        if self.marked or len(self.stack) != 1:
            raise _malformed(
                "the pickle stops with other than one object on the stack",
                found=f"{len(self.stack)} objects, {len(self.marked)} open marks",
            )
        if self.position < self.frame_end <= len(self.data):
            raise _malformed("the pickle stops inside a frame")
        self.root = self.stack[0]
        raise _Stop

    def _op_unknown(self) -> None:
        raise _malformed(f"opcode 0x{self.data[self.operation]:02x} does not exist")

    def _op_ext(self) -> None:
        raise _malformed("extension codes stand for names that only the writer knows")

    def _op_buffer(self) -> None:
        raise _malformed("out-of-band buffers are not part of a file")

    # --- scalars -----------------------------------------------------------------------

    def _op_none(self) -> None:
        self.stack.append(None)

    def _op_newtrue(self) -> None:
        self.stack.append(True)

    def _op_newfalse(self) -> None:
        self.stack.append(False)

    def _op_binint(self) -> None:
        (value,) = _I32(self.data, self.position)
        self.position += 4
        self._push(value, _COST_NUMBER)

    def _op_binint1(self) -> None:
        self.stack.append(self.data[self.position])  # small integers are shared by CPython
        self.position += 1

    def _op_binint2(self) -> None:
        (value,) = _U16(self.data, self.position)
        self.position += 2
        self._push(value, _COST_NUMBER)

    def _op_long1(self) -> None:
        self._push_long(self._take_u8())

    def _op_long4(self) -> None:
        self._push_long(self._take_u32())

    def _push_long(self, length: int) -> None:
        if length > MAX_INTEGER_BYTES:
            raise _malformed(f"an integer of {length:,} bytes")
        self._push(int.from_bytes(self._take(length), "little", signed=True), _COST_NUMBER)

    def _op_int(self) -> None:
        line = self._number_line()
        if line in (b"00", b"01"):  # protocol 0 writes False and True so
            self.stack.append(line == b"01")
        else:
            self._push(_integer(line), _COST_NUMBER)

    def _op_long(self) -> None:
        line = self._number_line()
        self._push(_integer(line[:-1] if line.endswith(b"L") else line), _COST_NUMBER)

    def _op_float(self) -> None:
        try:
            self._push(float(self._number_line()), _COST_NUMBER)
        except ValueError:
            raise _malformed("a float is not written as a number") from None

    def _op_binfloat(self) -> None:
        (value,) = _F64(self.data, self.position)
        self.position += 8
        self._push(value, _COST_NUMBER)

    # --- text and bytes ----------------------------------------------------------------

    def _op_short_binunicode(self) -> None:
        self._push_text(self._take(self._take_u8()))

    def _op_binunicode(self) -> None:
        self._push_text(self._take(self._take_u32()))

    def _op_binunicode8(self) -> None:
        self._push_text(self._take(self._take_u64()))

    def _op_unicode(self) -> None:
        line = self._line()
        try:
            text = str(line, "raw-unicode-escape")
        except UnicodeDecodeError:
            raise _malformed("text has a broken escape") from None
        self._push(text, _COST_TEXT + 4 * len(line))

    def _op_string(self) -> None:
        line = self._line()
        if len(line) < 2 or line[:1] not in b"'\"" or line[-1:] != line[:1]:
            raise _malformed("a string has no quotes")
        try:
            raw = codecs.escape_decode(line[1:-1])[0]
        except ValueError:
            raise _malformed("a string has a broken escape") from None
        self._push_string(raw)

    def _op_short_binstring(self) -> None:
        self._push_string(self._take(self._take_u8()))

    def _op_binstring(self) -> None:
        self._push_string(self._take(self._take_u32()))

    def _op_short_binbytes(self) -> None:
        self._push_bytes(self._take(self._take_u8()))

    def _op_binbytes(self) -> None:
        self._push_bytes(self._take(self._take_u32()))

    def _op_binbytes8(self) -> None:
        self._push_bytes(self._take(self._take_u64()))

    # --- stack -------------------------------------------------------------------------

    def _op_mark(self) -> None:
        self.marked.append(self.stack)
        self.stack = []
        self.budget -= _COST_CONTAINER

    def _op_pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self._pop_mark()

    def _op_pop_mark(self) -> None:
        self._pop_mark()

    def _op_dup(self) -> None:
        self._push(self.stack[-1], 8)

    def _op_binput(self) -> None:
        self._memoize(self._take_u8())

    def _op_long_binput(self) -> None:
        self._memoize(self._take_u32())

    def _op_put(self) -> None:
        self._memoize(_index(self._number_line()))

    def _op_memoize(self) -> None:
        self._memoize(len(self.memo) + len(self.sparse_memo))

    def _op_binget(self) -> None:
        self._recall(self._take_u8())

    def _op_long_binget(self) -> None:
        self._recall(self._take_u32())

    def _op_get(self) -> None:
        self._recall(_index(self._number_line()))

    # --- containers --------------------------------------------------------------------

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
        self._push([], _COST_CONTAINER)

    def _op_list(self) -> None:
        items = self._pop_mark()
        self._push(items, _COST_CONTAINER + 8 * len(items))

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
            raise _malformed("items are appended to something that is no list")
        target.extend(items)
        self.budget -= 8 * len(items)

    def _op_empty_dict(self) -> None:
        self._push(Dict(), 2 * _COST_CONTAINER)

    def _op_dict(self) -> None:
        items = self._pop_mark()
        self._push(Dict(), 2 * _COST_CONTAINER)
        self._set_items(items)

    def _op_setitem(self) -> None:
        value = self.stack.pop()
        self._set_items([self.stack.pop(), value])

    def _op_setitems(self) -> None:
        self._set_items(self._pop_mark())

    def _set_items(self, flat: list[Node]) -> None:
        target = self.stack[-1]
        if len(flat) % 2:
            raise _malformed("a key has no value")
        if isinstance(target, Call):
            if target.mapped is None:
                target.mapped = Dict()
                self.budget -= 2 * _COST_CONTAINER
            target = target.mapped
        elif not isinstance(target, Dict):
            raise _malformed("items are set on something that is no dictionary")
        target.flat.extend(flat)
        self.budget -= 8 * len(flat)

    def _op_empty_set(self) -> None:
        self._push(Set([]), 2 * _COST_CONTAINER)

    def _op_additems(self) -> None:
        items = self._pop_mark()
        target = self.stack[-1]
        if not isinstance(target, Set):
            raise _malformed("items are added to something that is no set")
        target.items.extend(items)
        self.budget -= 8 * len(items)

    def _op_frozenset(self) -> None:
        items = self._pop_mark()
        self._push(Set(items), 2 * _COST_CONTAINER + 8 * len(items))

    # --- names and calls ---------------------------------------------------------------

    def _op_global(self) -> None:
        self._push_global(_name(self._line()), _name(self._line()))

    def _op_stack_global(self) -> None:
        name = self.stack.pop()
        module = self.stack.pop()
        if type(name) is not str or type(module) is not str:
            raise _malformed("a global's name is not text")
        self._push_global(module, name)

    def _push_global(self, module: str, name: str) -> None:
        if not (module and name and module.isprintable() and name.isprintable()):
            raise _malformed(
                "a global's name is empty or has control characters", found=f"{module}.{name}"
            )
        key = (module, name)
        node = self.globals.get(key)
        if node is None:
            node = self.globals[key] = Global(module, name)
            self.references[key] = Reference(module, name, self.base + self.operation)
            self.budget -= 4 * _COST_CONTAINER + 4 * (len(module) + len(name))
        self.stack.append(node)

    def _op_reduce(self) -> None:
        args = self.stack.pop()
        self._push_call(self.stack.pop(), args)

    def _op_newobj(self) -> None:
        args = self.stack.pop()
        self._push_new(self.stack.pop(), args)

    def _op_newobj_ex(self) -> None:
        keywords, args = self.stack.pop(), self.stack.pop()
        self._push_new(self.stack.pop(), args, keywords)

    def _op_inst(self) -> None:
        module, name = _name(self._line()), _name(self._line())
        args = tuple(self._pop_mark())
        self._push_global(module, name)
        self._push_call(self.stack.pop(), args)

    def _op_obj(self) -> None:
        items = self._pop_mark()
        self._push_call(items[0], tuple(items[1:]))

    def _push_call(self, function: Node, args: Node) -> None:
        _check_call(function, args)
        if _is_attribute(function, args):
            self._push_global(args[0].module, f"{args[0].name}.{args[1]}")
            self.attributes.append(function)
            return
        if args and type(function) is Global and function.module == "collections":
            self.budget -= _COST_CONTAINER * dictionaries.size_of_content(args)
            if self.budget < 0:  # asked before the copy is made
                raise _too_much()
            args = dictionaries.settled(function, args)
        call = Call(function, args)
        if args:
            self.calls.append(call)
        self._push(call, _COST_CALL)

    def _push_new(self, cls: Node, args: Node, keywords: Node = None) -> None:
        _check_call(cls, args)
        self._push(New(cls, args, keywords), _COST_CALL)

    def _op_build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if not isinstance(target, Call):
            raise _malformed("state is given to something that no call made")
        if target.states is None:
            target.states = []
        target.states.append(state)
        self.budget -= _COST_CONTAINER

    def _op_binpersid(self) -> None:
        self._push(self.persistent(self.stack.pop()), _COST_CONTAINER)

    def _op_persid(self) -> None:
        self._push(self.persistent(_name(self._line())), _COST_CONTAINER)


def _malformed(message: str, *, found: object = None) -> MalformedError:
    return MalformedError(message, rules.PICKLE, found=found)


def _is_attribute(function: Node, args: Node) -> bool:
    """Whether a call only names what lies in a class, an enumeration say.

    Protocols below 4 write ``getattr(Outer, "Inner")`` where later ones name ``Outer.Inner``.
    """
    return (
        type(function) is Global
        and function.name == "getattr"
        and function.module in ("builtins", "__builtin__")
        and len(args) == 2
        and type(args[0]) is Global
        and type(args[1]) is str
        and args[1].isidentifier()
    )


def _check_call(function: Node, args: Node) -> None:
    if not isinstance(function, (Global, PersistentId, Call)):
        raise _malformed("something that is no name is called")
    if type(args) is not tuple:
        raise _malformed("a call's arguments are no tuple")


def _too_much() -> MalformedError:
    return MalformedError(
        "the pickle describes more objects than any real checkpoint",
        rules.LIMIT,
        expected=f"at most about {MAX_NODE_BYTES:,} bytes of them",
    )


def _truncated() -> TruncatedPickleError:
    return TruncatedPickleError("the bytes end in the middle of the pickle", rules.TRUNCATED)


def _integer(line: bytes) -> int:
    # C reads a leading zero as octal, Python does not
    if not _DECIMAL.fullmatch(line):
        raise _malformed("an integer is not written as a number")
    return int(line)


def _index(line: bytes) -> int:
    value = _integer(line)
    if value < 0:
        raise _malformed("a memo index is negative")
    return value


def _name(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        raise _malformed("a name is not UTF-8") from None


# Opcode byte to the handler's name, as in pickletools.
_NAMES = {
    b"\x80": "proto", b"\x95": "frame", b".": "stop",
    b"N": "none", b"\x88": "newtrue", b"\x89": "newfalse",
    b"I": "int", b"J": "binint", b"K": "binint1", b"M": "binint2",
    b"L": "long", b"\x8a": "long1", b"\x8b": "long4", b"F": "float", b"G": "binfloat",
    b"V": "unicode", b"X": "binunicode", b"\x8c": "short_binunicode", b"\x8d": "binunicode8",
    b"S": "string", b"T": "binstring", b"U": "short_binstring",
    b"B": "binbytes", b"C": "short_binbytes", b"\x8e": "binbytes8", b"\x96": "binbytes8",
    b"\x97": "buffer", b"\x98": "buffer",
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
